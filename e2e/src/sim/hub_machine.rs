//! The state machine behind a simulated log: the real state, and a record of what was applied.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use muster_consensus::{FrozenState, MachineError, StateMachine};
use muster_core::{ChainHead, Header, State};
use muster_model::{Answer, Entry, Event, Object};
use muster_proto::log;

/// One entry as it was applied.
#[derive(Debug)]
pub struct Step {
    /// Its index.
    pub index: u64,
    /// Its bytes.
    pub bytes: Bytes,
    /// The state's digest after it.
    pub digest: u128,
    /// What is looked at where an entry is applied first.
    pub first: Option<First>,
}

/// What followed from an entry.
#[derive(Debug)]
pub struct First {
    /// What it says.
    pub entry: Entry,
    /// The state after it.
    pub after: State,
    /// What followed.
    pub events: Vec<Event>,
    /// What the proposer is told.
    pub answer: Answer,
}

/// What a turn brought about, for the leader task.
#[derive(Clone, Debug)]
pub struct Happened {
    /// The last entry.
    pub applied: u64,
    /// The state after it.
    pub state: Arc<State>,
    /// Its events; none if a snapshot took the state's place.
    pub events: Option<Vec<Event>>,
}

/// What a machine did since somebody looked last.
#[derive(Debug, Default)]
pub struct Outlet {
    /// Entries that were applied.
    pub steps: Vec<Step>,
    /// Index and digest of snapshots that were restored.
    pub restored: Vec<(u64, u128)>,
    /// What the leader task is told.
    pub happened: Vec<Happened>,
}

/// The machine.
pub struct HubMachine {
    state: State,
    events: Vec<Event>,
    applied: u64,
    outlet: Rc<RefCell<Outlet>>,
    /// The last entry that any replica applied.
    newest: Rc<Cell<u64>>,
}

impl HubMachine {
    /// An empty state of generation 1.
    pub fn new(outlet: Rc<RefCell<Outlet>>, newest: Rc<Cell<u64>>) -> HubMachine {
        HubMachine { state: State::new(1), events: Vec::new(), applied: 0, outlet, newest }
    }

    /// The state, and the last entry in it.
    pub fn view(&self) -> (&State, u64) {
        (&self.state, self.applied)
    }
}

impl StateMachine for HubMachine {
    type Answer = Answer;
    type Frozen = Frozen;

    fn apply(&mut self, index: u64, _term: u64, bytes: &Bytes) -> Result<Answer, MachineError> {
        let entry = log::decode_entry(bytes)?;
        let applied = self.state.apply(&entry);
        self.applied = index;
        let is_first = index > self.newest.get();
        let first = is_first.then(|| {
            self.newest.set(index);
            let (after, events, answer) =
                (self.state.clone(), applied.events.clone(), applied.answer.clone());
            First { entry, after, events, answer }
        });
        self.events.extend(applied.events);
        let (bytes, digest) = (bytes.clone(), self.state.digest());
        self.outlet.borrow_mut().steps.push(Step { index, bytes, digest, first });
        Ok(applied.answer)
    }

    fn applied_batch(&mut self, applied: u64) {
        self.applied = applied;
        let events = std::mem::take(&mut self.events);
        let state = Arc::new(self.state.clone());
        self.outlet.borrow_mut().happened.push(Happened { applied, state, events: Some(events) });
    }

    fn freeze(&mut self) -> Frozen {
        Frozen(self.state.clone())
    }

    fn restore(&mut self, index: u64, reader: &mut dyn Read) -> Result<(), MachineError> {
        let (header, objects) = log::read_snapshot(reader)?;
        self.state = State::restore(&from_wire(header), objects.into_iter())?;
        self.applied = index;
        self.events.clear();
        let mut outlet = self.outlet.borrow_mut();
        outlet.restored.push((index, self.state.digest()));
        let state = Arc::new(self.state.clone());
        outlet.happened.push(Happened { applied: index, state, events: None });
        Ok(())
    }
}

/// A state that is written out later.
pub struct Frozen(State);

impl FrozenState for Frozen {
    fn write_to(self, out: &mut dyn Write) -> io::Result<()> {
        let objects = self.0.objects().map(|object| -> &Object { object });
        log::write_snapshot(out, &to_wire(self.0.header()), objects)
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

fn from_wire(header: log::Header) -> Header {
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
