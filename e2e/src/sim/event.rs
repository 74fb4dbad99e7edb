//! What is going to happen, in the order of time, then of sequence.

use std::collections::BTreeMap;

use bytes::Bytes;
use muster_member_machine::{Observation, PodId};
use muster_model::{TimeMs, Uid};

use super::client::{Request, Response};

/// Replicas of the hub.
pub const REPLICAS: usize = 3;
/// Members.
pub const MEMBERS: usize = 2;
/// Hosts: replicas first, then members.
pub const HOSTS: usize = REPLICAS + MEMBERS;
/// One more member, for a clone of one of the others.
pub const SPARE: usize = MEMBERS;
/// Hosts with the one of the spare member.
pub const ALL_HOSTS: usize = HOSTS + 1;

/// The host of a member.
pub fn member_host(member: usize) -> usize {
    REPLICAS + member
}

/// Which life of a process an event is for. A process that died does not hear it.
pub type Life = u64;

/// One thing that is going to happen.
#[derive(Debug)]
pub enum Event {
    /// Raft's clock.
    ReplicaTick { replica: usize, life: Life },
    /// The consensus thread takes what lies in its inbox.
    Turn { replica: usize, life: Life },
    /// The leader task's clock.
    TaskTick { replica: usize, life: Life },
    /// The leader task takes what lies in its inbox.
    TaskTurn { replica: usize, life: Life },
    /// A snapshot is written.
    SnapshotWritten { replica: usize, life: Life },
    /// A raft message arrives.
    Peer { from: usize, to: usize, bytes: Bytes },
    /// Something that the network brought while its host stood still.
    Arrived { event: Box<Event> },
    /// The hub no longer has these jobs.
    Forget { member: usize, life: Life, uids: Vec<Uid> },
    /// A client's request arrives.
    Request { replica: usize, request: Box<Request> },
    /// An answer arrives at a client.
    Response { response: Box<Response> },
    /// A client goes on.
    Client { client: usize, turn: u64 },
    /// A member's stream asks to be opened.
    Dial { stream: u64 },
    /// The hub's end of a stream has something to read.
    StreamUp { stream: u64 },
    /// The member's end has something to read.
    StreamDown { stream: u64 },
    /// A member without a stream dials.
    Redial { member: usize, life: Life },
    /// A dialling member waited long enough.
    DialTimeout { stream: u64 },
    /// The agent's clock.
    AgentTick { member: usize, life: Life },
    /// The agent looked at its backend for the first time.
    Adopt { member: usize, life: Life },
    /// The backend tells of a pod.
    Observe { member: usize, life: Life, pod: PodId, seen: Box<Observation> },
    /// A pod's shim looks at the clock.
    Shim { member: usize, boot: u128, pod: PodId },
    /// A process starts again.
    StartReplica { replica: usize, life: Life },
    /// An agent starts again.
    StartAgent { member: usize, life: Life },
    /// An operator looks after a machine that is down.
    DeclareLost { member: usize, life: Life },
    /// An operator looks after a replica that is down.
    CareForReplica { replica: usize, life: Life },
    /// The agent reads its inventory again.
    Inventory { member: usize },
    /// A machine that got a notice is gone.
    Vanish { member: usize },
    /// A member has to join again.
    Rejoin { member: usize },
    /// Whether its new certificate is there.
    Rejoined { member: usize, from: TimeMs },
    /// A planned fault begins.
    Fault { number: usize },
    /// And ends.
    Mend { number: usize },
}

/// Which part of a host an event belongs to: what a pause of it holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A process of Muster.
    Process,
    /// A shim: paused only with the whole host.
    Shim,
}

impl Event {
    /// Whether it is a look at the clock rather than something that arrives.
    pub fn is_timer(&self) -> bool {
        matches!(
            self,
            Event::ReplicaTick { .. }
                | Event::TaskTick { .. }
                | Event::AgentTick { .. }
                | Event::Redial { .. }
                | Event::Shim { .. }
        )
    }
}

/// Everything to come.
#[derive(Debug, Default)]
pub struct Queue {
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
}

impl Queue {
    /// Something is going to happen then, after everything that was planned for the same time before.
    pub fn push(&mut self, at_ms: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((at_ms, self.sequence), event);
    }

    /// The next event, if it is due by then.
    pub fn pop(&mut self, until_ms: u64) -> Option<(u64, Event)> {
        let first = self.events.first_entry().filter(|first| first.key().0 <= until_ms)?;
        let ((at, _), event) = first.remove_entry();
        Some((at, event))
    }
}
