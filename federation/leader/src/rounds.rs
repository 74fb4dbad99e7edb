//! Which heartbeats may be acknowledged when. One ReadIndex round at a time serves all members; those that arrive while it
//! is under way wait for the next, since a round vouches only for what arrived before it began (architecture section 5).

use std::collections::BTreeMap;

use muster_model::{DurationMs, MemberName, TimeMs};

use crate::input::{RoundId, SessionId};

/// A heartbeat that arrived. The hello is number 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Whose.
    pub member: MemberName,
    /// On this stream.
    pub session: SessionId,
    /// Its number.
    pub seq: u64,
    /// When it arrived.
    pub received: TimeMs,
}

/// The round under way, and who waits for the next.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    current: Option<Round>,
    waiting: BTreeMap<Slot, Beat>,
}

/// One heartbeat of a session waits, the newest; and its hello in any case, before it.
type Slot = (SessionId, bool);

#[derive(Clone, Debug)]
struct Round {
    id: RoundId,
    began: TimeMs,
    beats: BTreeMap<Slot, Beat>,
}

impl Rounds {
    /// A heartbeat arrived. Of one session the newest is acknowledged, and the hello in any case.
    pub fn arrived(&mut self, beat: Beat) {
        self.waiting.insert((beat.session, beat.seq > 0), beat);
    }

    /// A stream is gone: nobody is left to acknowledge to.
    pub fn forget(&mut self, session: SessionId) {
        self.waiting.remove(&(session, false));
        self.waiting.remove(&(session, true));
    }

    /// Whether a round has to be started. One that takes too long is given up; whom it was for waits again.
    pub fn wants_round(&mut self, now: TimeMs, timeout: DurationMs) -> bool {
        if let Some(late) = self.current.take_if(|round| now.since(round.began) >= timeout) {
            for (slot, beat) in late.beats {
                self.waiting.entry(slot).or_insert(beat);
            }
        }
        self.current.is_none() && !self.waiting.is_empty()
    }

    /// A round begins now for all that wait.
    pub fn begin(&mut self, id: RoundId, now: TimeMs) {
        self.current = Some(Round { id, began: now, beats: std::mem::take(&mut self.waiting) });
    }

    /// A round is done: the heartbeats it vouches for. None if it was given up.
    pub fn done(&mut self, id: RoundId) -> Vec<Beat> {
        self.current
            .take_if(|round| round.id == id)
            .map(|round| round.beats.into_values().collect())
            .unwrap_or_default()
    }
}
