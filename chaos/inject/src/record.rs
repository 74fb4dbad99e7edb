//! A fault as its host keeps it on disk: enough to take it back without the hub.

use muster_model::{FaultKind, FaultOrder, TimeMs, Uid};
use serde::{Deserialize, Serialize};

use crate::clock::{Deadline, Moment};

/// A fault as its host keeps it on disk. Written before anything is injected; gone when the hub knows that nothing is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRecord {
    /// The fault's name.
    pub id: String,
    /// Its uid.
    uid: String,
    /// What is done: a kind's word.
    kind: String,
    /// When it is over.
    pub deadline: Deadline,
    /// When it was taken back; absent: it may be in effect.
    reverted_ms: Option<u64>,
}

impl FaultRecord {
    /// The record of an order that is about to be carried out.
    pub fn new(order: &FaultOrder, now: &Moment) -> FaultRecord {
        FaultRecord {
            id: order.id.to_string(),
            uid: order.uid.to_string(),
            kind: order.kind.word().to_owned(),
            deadline: Deadline::after(now, order.left, order.expires),
            reverted_ms: None,
        }
    }

    /// The fault's uid; none if the file was tampered with.
    pub fn uid(&self) -> Option<Uid> {
        self.uid.parse().ok()
    }

    /// What is done; none if the file was tampered with.
    pub fn kind(&self) -> Option<FaultKind> {
        FaultKind::of_word(&self.kind)
    }

    /// The same, taken back at this time.
    pub fn ended(self, at: TimeMs) -> FaultRecord {
        FaultRecord { reverted_ms: Some(at.0), ..self }
    }

    /// Whether it may be in effect.
    pub fn is_in_effect(&self) -> bool {
        self.reverted_ms.is_none()
    }

    /// When it was taken back.
    pub fn reverted(&self) -> Option<TimeMs> {
        self.reverted_ms.map(TimeMs)
    }

    /// Whether it is still in effect so long after its end: what must never be.
    pub fn is_residue(&self, now: &Moment, slack_ms: u64) -> bool {
        let earlier = Moment {
            boot_id: now.boot_id.clone(),
            boot_ms: now.boot_ms.saturating_sub(slack_ms),
            real_ms: now.real_ms.saturating_sub(slack_ms),
        };
        self.is_in_effect() && self.deadline.is_over(&earlier)
    }
}
