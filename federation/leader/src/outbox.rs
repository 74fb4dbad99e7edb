//! Actions under way to the driver, and what each proposal was for.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{Command, Epoch, Key, MemberName, ToMember};

use crate::game_days::Asked;
use crate::input::{Action, ProposalId, RoundId, SessionId};

/// What a proposal was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first of this leader: once it is applied, the state is no older than the term.
    Opening,
    /// A placement plan.
    Plan,
    /// Removing what expired.
    Expire,
    /// Removing what hangs on what is gone.
    Collect,
    /// What a session reported.
    Reports(SessionId),
    /// What the member of a session has.
    Capacity(SessionId),
    /// Whether a member is ready.
    Ready(MemberName),
    /// Attempts that count as over.
    Fence(MemberName, Vec<Epoch>),
    /// Something of a burst pool.
    Burst(Key),
    /// Moving what runs on drained members.
    Evict,
    /// Something of a game day.
    GameDay(Asked),
    /// What the member of a session holds of datasets.
    Data(SessionId),
}

/// Actions under way.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    actions: Vec<Action>,
    last_proposal: u64,
    last_round: u64,
    open: BTreeMap<ProposalId, Purpose>,
}

impl Outbox {
    /// Proposes a command.
    pub fn propose(&mut self, purpose: Purpose, command: Command) {
        self.last_proposal += 1;
        let id = ProposalId(self.last_proposal);
        self.open.insert(id, purpose);
        self.actions.push(Action::Propose { id, command });
    }

    /// Starts a round.
    pub fn start_read(&mut self) -> RoundId {
        self.last_round += 1;
        let round = RoundId(self.last_round);
        self.actions.push(Action::StartRead { round });
        round
    }

    /// Sends a message.
    pub fn send(&mut self, session: SessionId, message: ToMember) {
        self.actions.push(Action::Send { session, message });
    }

    /// Closes a stream.
    pub fn close(&mut self, session: SessionId, reason: impl Into<Arc<str>>) {
        self.actions.push(Action::Close { session, reason: reason.into() });
    }

    /// What a proposal was for, once.
    pub fn done(&mut self, id: ProposalId) -> Option<Purpose> {
        self.open.remove(&id)
    }

    /// The actions so far.
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }
}
