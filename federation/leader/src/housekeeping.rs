//! Expiry and collection: at most one entry of each under way.

use muster_core::State;
use muster_model::{Command, Revision, TimeMs};

use crate::config::Config;
use crate::outbox::{Outbox, Purpose};

/// What is under way.
#[derive(Clone, Debug, Default)]
pub struct Housekeeping {
    expire: Chore,
    collect: Chore,
}

/// One kind of entry.
#[derive(Clone, Copy, Debug, Default)]
struct Chore {
    under_way: bool,
    /// When it was proposed last, and the revision then: where it changed nothing, it waits before it tries again.
    last: Option<(TimeMs, Revision)>,
}

impl Housekeeping {
    /// Proposes what is due.
    pub fn run(&mut self, state: &State, now: TimeMs, config: &Config, out: &mut Outbox) {
        let limit = config.housekeeping_limit;
        let expired = state.next_expiry().is_some_and(|at| at <= now);
        if expired && self.expire.starts(state.revision(), now, config) {
            out.propose(Purpose::Expire, Command::Expire { limit });
        }
        if state.has_garbage() && self.collect.starts(state.revision(), now, config) {
            out.propose(Purpose::Collect, Command::Collect { limit });
        }
    }

    /// An expiry came to its end.
    pub fn expire_done(&mut self) {
        self.expire.under_way = false;
    }

    /// A collection came to its end.
    pub fn collect_done(&mut self) {
        self.collect.under_way = false;
    }
}

impl Chore {
    fn starts(&mut self, revision: Revision, now: TimeMs, config: &Config) -> bool {
        let in_vain = self.last.is_some_and(|(at, then)| then == revision && now.since(at) < config.retry);
        if self.under_way || in_vain {
            return false;
        }
        *self = Chore { under_way: true, last: Some((now, revision)) };
        true
    }
}
