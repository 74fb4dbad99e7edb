//! Which of the places that will do is best. Fields in order of weight; the name last, so that no two are equal.

use muster_model::{MemberName, MicroUsd, PriceClass};

/// What a place is worth before anyone looks at its Nodes. The lesser is the better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// Position among the job's ordered GPU choices.
    pub choice: u16,
    /// What it costs in all.
    pub total: MicroUsd,
    /// Taints that ask jobs to go elsewhere if they can.
    pub soft_taints: u32,
    /// Owned before rented before spot.
    pub class: PriceClass,
}

/// What a place is worth with the Nodes the gang would take. The lesser is the better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// Before the Nodes.
    pub standing: Standing,
    /// What the Nodes taken from are worth less to typical jobs.
    pub lost: u64,
    /// Thousandths of GPUs, then of CPU, left in pieces on the Nodes taken from.
    pub left_in_pieces: (u64, u64),
    /// The member.
    pub member: MemberName,
}
