//! The state machine behind the log: decodes entries, applies them to the state, and publishes what follows.
//!
//! ```text
//!  consensus thread: apply, apply, apply, applied_batch --> watch cache, view, event channel
//! ```
//!
//! Readers take the published view: a frozen state, a few pointers to clone.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use muster_consensus::{FrozenState, MachineError, StateMachine};
use muster_core::{ChainHead, Header, State};
use muster_model::{Answer, Event, Object};
use muster_proto::log;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::history::{Heads, History, Item, items_of};
use crate::watch_cache::WatchCache;

/// Answers kept for requests that were forwarded to the leader and wait for their entry to be applied here.
const ANSWERS_MAX: usize = 16_384;

/// The state as of an index.
#[derive(Clone, Debug)]
pub struct View {
    /// The state.
    pub state: State,
    /// The last entry in it.
    pub applied: u64,
}

/// What happened up to an index, in order.
#[derive(Clone, Debug)]
pub struct Happened {
    /// The last entry of the batch.
    pub applied: u64,
    /// The state after it.
    pub state: Arc<State>,
    /// Its events. `None`: the state was replaced by a snapshot, whoever follows must start anew.
    pub events: Option<Arc<Vec<Event>>>,
}

/// What the rest of the replica sees of the machine.
pub struct Published {
    /// The newest view.
    pub view: watch::Receiver<View>,
    /// Changes by kind.
    pub watch_cache: Arc<WatchCache>,
    /// Everything that happens, for the leader.
    pub happened: mpsc::UnboundedReceiver<Happened>,
    /// Answers of the last entries by index.
    pub answers: Arc<RecentAnswers>,
}

/// Answers of the last entries by index.
#[derive(Default)]
pub struct RecentAnswers(Mutex<VecDeque<(u64, Answer)>>);

impl RecentAnswers {
    /// The answer of this entry, if it was applied here not too long ago.
    pub fn get(&self, index: u64) -> Option<Answer> {
        let answers = self.0.lock();
        let at = answers.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(answers[at].1.clone())
    }

    fn push(&self, index: u64, answer: Answer) {
        let mut answers = self.0.lock();
        if answers.len() >= ANSWERS_MAX {
            answers.pop_front();
        }
        answers.push_back((index, answer));
    }
}

/// The machine that consensus drives.
pub struct HubMachine {
    state: State,
    events: Vec<Event>,
    view: watch::Sender<View>,
    watch_cache: Arc<WatchCache>,
    happened: mpsc::UnboundedSender<Happened>,
    answers: Arc<RecentAnswers>,
    history: History,
    emitted: Vec<Item>,
}

impl HubMachine {
    /// A machine with an empty state, and what it publishes. What it emits goes into `history`.
    pub fn new(history: History) -> (HubMachine, Published) {
        let state = State::new(0);
        let (view, view_receiver) = watch::channel(View { state: state.clone(), applied: 0 });
        let (happened, happened_receiver) = mpsc::unbounded_channel();
        let watch_cache = Arc::<WatchCache>::default();
        let answers = Arc::<RecentAnswers>::default();
        let published = Published {
            view: view_receiver,
            watch_cache: Arc::clone(&watch_cache),
            happened: happened_receiver,
            answers: Arc::clone(&answers),
        };
        let (events, emitted) = (Vec::new(), Vec::new());
        (HubMachine { state, events, view, watch_cache, happened, answers, history, emitted }, published)
    }

    /// Hands over what was emitted up to now.
    fn hand_over(&mut self) {
        if !self.emitted.is_empty() {
            self.history.append(std::mem::take(&mut self.emitted), self.state.revision().0);
        }
    }

    fn publish(&self, applied: u64, events: Option<Arc<Vec<Event>>>) {
        self.view.send_replace(View { state: self.state.clone(), applied });
        // Nobody follows while the replica is being shut down.
        let _ = self.happened.send(Happened { applied, state: Arc::new(self.state.clone()), events });
    }
}

impl StateMachine for HubMachine {
    type Answer = Answer;
    type Frozen = Frozen;

    fn apply(&mut self, index: u64, _term: u64, bytes: &Bytes) -> Result<Answer, MachineError> {
        let entry = log::decode_entry(bytes)?;
        let applied = self.state.apply(&entry);
        items_of(&applied.events, &mut self.emitted);
        self.events.extend(applied.events);
        self.answers.push(index, applied.answer.clone());
        Ok(applied.answer)
    }

    fn applied_batch(&mut self, applied: u64) {
        let events = std::mem::take(&mut self.events);
        self.hand_over();
        self.watch_cache.push(&events);
        self.publish(applied, Some(Arc::new(events)));
    }

    fn freeze(&mut self) -> Frozen {
        self.hand_over();
        Frozen { state: self.state.clone(), history: self.history.clone() }
    }

    fn restore(&mut self, index: u64, reader: &mut dyn Read) -> Result<(), MachineError> {
        let (header, objects) = log::read_snapshot(reader)?;
        self.state = State::restore(&from_wire(header), objects.into_iter())?;
        self.events.clear();
        self.emitted.clear();
        self.history.restored(heads_of(&self.state));
        self.watch_cache.reset(self.state.revision());
        self.publish(index, None);
        Ok(())
    }
}

fn heads_of(state: &State) -> Heads {
    Heads { audit: state.audit(), ledger: state.ledger(), revision: state.revision().0 }
}

/// A state that is written out on another thread.
pub struct Frozen {
    state: State,
    history: History,
}

impl FrozenState for Frozen {
    fn write_to(self, out: &mut dyn Write) -> std::io::Result<()> {
        // The log is cut behind a snapshot: what apply emitted before must not be lost with it.
        if !muster_model::mutant!(snapshot_before_history) {
            self.history.sync().map_err(std::io::Error::other)?;
        }
        let objects = self.state.objects().map(|object| -> &Object { object });
        log::write_snapshot(out, &to_wire(self.state.header()), objects)
    }
}

fn to_wire(header: Header) -> log::Header {
    log::Header {
        revision: header.revision,
        time: header.time,
        generation: header.generation,
        audit_sequence: header.audit_sequence,
        audit_hash: header.audit_hash,
        garbage_namespaces: header.garbage_namespaces,
        garbage_dependents: header.garbage_dependents,
        garbage_orphans: header.garbage_orphans,
        digest: header.digest,
        ledger: (header.ledger.sequence > 0)
            .then_some(log::LedgerHead { sequence: header.ledger.sequence, hash: header.ledger.hash }),
    }
}

/// A snapshot's header as the core has it.
pub(crate) fn from_wire(header: log::Header) -> Header {
    Header {
        revision: header.revision,
        time: header.time,
        generation: header.generation,
        audit_sequence: header.audit_sequence,
        audit_hash: header.audit_hash,
        garbage_namespaces: header.garbage_namespaces,
        garbage_dependents: header.garbage_dependents,
        garbage_orphans: header.garbage_orphans,
        digest: header.digest,
        ledger: header
            .ledger
            .map_or_else(ChainHead::default, |head| ChainHead { sequence: head.sequence, hash: head.hash }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryConfig;

    /// The log is cut behind a snapshot, so one is not written when history could not be.
    #[test]
    fn no_snapshot_without_its_history() {
        let written = |progress: &str| {
            let folder = tempfile::TempDir::new().expect("a folder");
            std::fs::write(folder.path().join("progress.json"), progress).expect("a file");
            let history = History::start(folder.path(), HistoryConfig::default()).expect("a thread");
            Frozen { state: State::new(0), history }.write_to(&mut Vec::new())
        };
        assert!(written("{}").is_ok());
        assert!(written("not JSON").is_err());
    }

    /// Run alone, since a bug is switched on for the whole process: `cargo xtask mutants`.
    #[cfg(mutants)]
    #[test]
    fn mutants_are_caught_by_the_rule_above() {
        let caught_by: (&str, fn()) = ("snapshot_before_history", no_snapshot_without_its_history);
        muster_model::mutants::assert_each_is_caught(&[caught_by]);
    }
}
