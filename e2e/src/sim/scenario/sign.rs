//! What stages wait for, besides what they can see in the world.

use muster_member_machine::PodId;
use muster_model::Epoch;

/// Something that happened in this very event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Nothing in particular: the world may be looked at.
    Step,
    /// An agent sent a heartbeat.
    Beat { member: usize },
    /// An agent is about to take an acknowledgement.
    Ack { member: usize, epochs: Vec<Epoch> },
    /// An agent is about to take an order: a full set or a change that names these.
    Order { member: usize, epochs: Vec<Epoch> },
    /// An agent looked at its clock.
    Tick { member: usize },
    /// A pod's processes run.
    Runs { member: usize, pod: PodId },
    /// An agent heard that a pod ended.
    SeenEnded { member: usize, pod: PodId },
    /// A replica that thinks it leads took a heartbeat.
    BeatAtHub { replica: usize, member: usize },
    /// An entry changed so many objects.
    Applied { changed: usize },
    /// A watcher was given a piece, and there is more.
    Piece { watcher: usize },
}
