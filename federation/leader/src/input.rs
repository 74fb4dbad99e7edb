//! What a leader hears and does.

use std::sync::Arc;

use muster_core::State;
use muster_model::{Answer, Command, Event, MemberName, TimeMs, ToHub, ToMember};

use crate::game_days::ChaosFacts;

/// One stream of one member, numbered by the edge; a later one has the greater number, and none has one that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One ReadIndex round, numbered by the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundId(pub u64);

/// One proposal, numbered by the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId(pub u64);

/// What a leader hears.
#[derive(Clone, Debug)]
pub enum Input {
    /// Entries were applied.
    StateChanged {
        /// The state after them.
        state: Arc<State>,
        /// What happened, in order.
        events: Vec<Event>,
    },
    /// A member opened a stream. Its certificate named it and is of this hub.
    SessionOpened {
        /// Who.
        member: MemberName,
        /// The stream.
        session: SessionId,
        /// When the certificate was issued.
        certificate_from: TimeMs,
    },
    /// A message arrived.
    FromMember {
        /// On this stream.
        session: SessionId,
        /// What it says.
        message: ToHub,
    },
    /// A stream is gone.
    SessionClosed {
        /// Which.
        session: SessionId,
    },
    /// This replica was leader when the round began or later, and the state given last has reached its read index.
    ReadDone {
        /// Which.
        round: RoundId,
    },
    /// A proposal came to its end.
    ProposalDone {
        /// Which.
        id: ProposalId,
        /// What became of it.
        outcome: Outcome,
    },
    /// What the edge knows of chaos: about once a second.
    ChaosFacts(ChaosFacts),
    /// Time passed. At least ten times a second.
    Tick,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was committed and applied.
    Answered(Answer),
    /// It was refused or superseded, or nobody knows.
    Unknown,
}

/// What a leader does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put this into the log; answer with [`Input::ProposalDone`].
    Propose {
        /// Its number.
        id: ProposalId,
        /// What.
        command: Command,
    },
    /// Begin a ReadIndex round; answer with [`Input::ReadDone`], or not at all.
    StartRead {
        /// Its number.
        round: RoundId,
    },
    /// Send a message.
    Send {
        /// On this stream.
        session: SessionId,
        /// What.
        message: ToMember,
    },
    /// Tell the member why, and end the stream.
    Close {
        /// Which.
        session: SessionId,
        /// Why, for people.
        reason: Arc<str>,
    },
}
