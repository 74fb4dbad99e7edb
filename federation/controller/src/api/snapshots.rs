//! Frozen states that the next pages of a list are served from, so that all pages show one revision.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use muster_core::State;
use parking_lot::Mutex;

/// States kept at a time. Each pins what has changed since.
const STATES_MAX: usize = 8;
/// How long one is kept after it was last used, as etcd's compaction interval in kube-apiserver.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// States by revision, the one used last at the back.
#[derive(Default)]
pub struct Snapshots {
    kept: Mutex<VecDeque<(Instant, State)>>,
}

impl Snapshots {
    /// Keeps a state for the next page.
    pub fn keep(&self, state: &State, now: Instant) {
        let mut kept = self.kept.lock();
        kept.retain(|(used, there)| {
            there.revision() != state.revision() && now.saturating_duration_since(*used) < KEPT_FOR
        });
        while kept.len() >= STATES_MAX {
            kept.pop_front();
        }
        kept.push_back((now, state.clone()));
    }

    /// The state of this revision, if it is still kept.
    pub fn at(&self, revision: u64, now: Instant) -> Option<State> {
        let kept = self.kept.lock();
        let fresh = |used: Instant| now.saturating_duration_since(used) < KEPT_FOR;
        kept.iter()
            .find(|(used, state)| state.revision().0 == revision && fresh(*used))
            .map(|(_, state)| state.clone())
    }
}

#[cfg(test)]
mod tests {
    use muster_model::{Command, Document, Entry, Key, Principal, Put, PutMode, Spec, TimeMs, Uid};

    use super::*;

    fn state(objects: u128) -> State {
        let mut state = State::new(0);
        for uid in 0..objects {
            let put = Put {
                key: Key::namespace(&format!("n{uid}")),
                mode: PutMode::Create { uid: Uid(uid) },
                spec: Spec::Opaque,
                typed_version: 1,
                document: Document::default(),
                finalizers: Vec::new(),
                owners: Vec::new(),
                principal: Principal::new("test"),
                idempotency: None,
            };
            state.apply(&Entry { time: TimeMs(1), command: Command::Put(Box::new(put)) });
        }
        state
    }

    #[test]
    fn the_oldest_goes_and_the_old_goes() {
        let (snapshots, start) = (Snapshots::default(), Instant::now());
        let states: Vec<State> = (1..=9).map(state).collect();
        for state in &states {
            snapshots.keep(state, start);
        }
        let revision = |index: usize| states[index].revision().0;
        assert!(snapshots.at(revision(0), start).is_none(), "nine do not fit");
        assert!(snapshots.at(revision(1), start).is_some());
        assert!(snapshots.at(revision(1), start + KEPT_FOR).is_none());
    }
}
