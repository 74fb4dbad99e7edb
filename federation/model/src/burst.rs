//! Burst pools: members that are made when the queue justifies their price, and removed when it no longer does.
//!
//! ```text
//!  Requested --> Applying --> Joining --> Ready --> Draining --> Destroying --> Gone
//!      |             \___________\_______________________________^    \------> Failed
//!      \--> Gone
//! ```
//!
//! One intent is one member, from the wish for it to its end. Each arrow is a log entry: a leader that dies leaves behind
//! how far its intents are, and the next one goes on from there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{ClusterSpec, DurationMs, Key, MemberName, MicroUsd, NodeShape, Principal, TimeMs, Uid};

/// A pool: what was asked for, and how far its intents are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BurstPool {
    /// What was asked for.
    pub spec: Arc<BurstPoolSpec>,
    /// What became of it.
    pub status: BurstPoolStatus,
}

/// What is said of a pool in its `BurstPool` object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BurstPoolSpec {
    /// The Terraform module that makes a member.
    pub module: Arc<str>,
    /// The module's variables by name; each value is JSON.
    pub variables: BTreeMap<Arc<str>, Arc<str>>,
    /// What each member is.
    pub member: ClusterSpec,
    /// The Nodes each member has.
    pub shapes: Vec<NodeShape>,
    /// Members that stay even when they are idle, once they were made.
    pub min: u32,
    /// Members at a time.
    pub max: u32,
    /// What one member may cost per hour.
    pub price_cap: MicroUsd,
    /// How long a member may be idle.
    pub idle_ttl: DurationMs,
    /// How long a member may take to join once it was made.
    pub join_timeout: DurationMs,
}

/// What became of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BurstPoolStatus {
    /// Intents that are not over, and the last ones that are, the oldest first.
    pub intents: Vec<Intent>,
    /// What was found out about the pool, one of each kind.
    pub conditions: Vec<PoolCondition>,
    /// Intents that came to nothing since the last one that was of use.
    pub failures: u32,
    /// When the last intent came to nothing.
    pub failed_at: TimeMs,
    /// What the intents that are over have cost together.
    pub booked: MicroUsd,
}

/// The number of an intent. Whatever a module makes for it is tagged with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntentId(pub u64);

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One member of a pool, from the wish for it to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    /// Its number.
    pub id: IntentId,
    /// The name the member has.
    pub member: MemberName,
    /// How far it is.
    pub phase: IntentPhase,
    /// Since when.
    pub since: TimeMs,
    /// When it was asked for.
    pub requested_at: TimeMs,
    /// From when on it costs money: when the first run of Terraform began.
    pub billed_from: Option<TimeMs>,
    /// What an hour of it costs, as priced when it was asked for.
    pub hourly: MicroUsd,
    /// What it has cost, once it is over.
    pub cost: MicroUsd,
    /// Whether somebody asked for its end.
    pub unwanted: bool,
    /// Why it came to nothing, if it did.
    pub failure: Option<Arc<str>>,
    /// Why it was asked for, in one sentence.
    pub because: Arc<str>,
}

/// How far an intent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntentPhase {
    /// Wanted; nothing was made.
    Requested,
    /// Terraform makes it, or may have made parts of it.
    Applying,
    /// It was made; its agent is to join.
    Joining,
    /// It takes jobs.
    Ready,
    /// It gets no new jobs, and goes when those it has are over.
    Draining,
    /// Terraform removes it.
    Destroying,
    /// Removed.
    Gone,
    /// Removed, without having been of use.
    Failed,
}

impl IntentPhase {
    /// All of them, in order.
    pub const ALL: [IntentPhase; 8] = [
        IntentPhase::Requested,
        IntentPhase::Applying,
        IntentPhase::Joining,
        IntentPhase::Ready,
        IntentPhase::Draining,
        IntentPhase::Destroying,
        IntentPhase::Gone,
        IntentPhase::Failed,
    ];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            IntentPhase::Requested => "Requested",
            IntentPhase::Applying => "Applying",
            IntentPhase::Joining => "Joining",
            IntentPhase::Ready => "Ready",
            IntentPhase::Draining => "Draining",
            IntentPhase::Destroying => "Destroying",
            IntentPhase::Gone => "Gone",
            IntentPhase::Failed => "Failed",
        }
    }

    /// Whether nothing is left of it.
    pub fn is_over(self) -> bool {
        matches!(self, IntentPhase::Gone | IntentPhase::Failed)
    }

    /// Whether it is on the way to take jobs.
    pub fn is_coming(self) -> bool {
        matches!(self, IntentPhase::Requested | IntentPhase::Applying | IntentPhase::Joining)
    }

    /// Whether this step is an arrow of the picture above.
    pub fn may_become(self, next: IntentPhase) -> bool {
        use IntentPhase::{Applying, Destroying, Draining, Failed, Gone, Joining, Ready, Requested};
        matches!(
            (self, next),
            (Requested, Applying | Gone)
                | (Applying, Joining | Destroying)
                | (Joining, Ready | Destroying)
                | (Ready, Draining)
                | (Draining, Destroying)
                | (Destroying, Gone | Failed)
        )
    }
}

impl Intent {
    /// What it has cost by now.
    pub fn cost_at(&self, now: TimeMs) -> MicroUsd {
        match self.billed_from {
            Some(from) if !self.phase.is_over() => self.hourly.for_duration(now.since(from)),
            _ => self.cost,
        }
    }
}

impl BurstPool {
    /// A pool without a past.
    pub fn new(spec: &Arc<BurstPoolSpec>) -> BurstPool {
        BurstPool { spec: Arc::clone(spec), status: BurstPoolStatus::default() }
    }

    /// Intents that are not over.
    pub fn active(&self) -> impl Iterator<Item = &Intent> {
        self.status.intents.iter().filter(|intent| !intent.phase.is_over())
    }

    /// An intent by its number.
    pub fn intent(&self, id: IntentId) -> Option<&Intent> {
        self.status.intents.iter().find(|intent| intent.id == id)
    }

    /// What is known of one side of the pool.
    pub fn condition(&self, kind: PoolConditionKind) -> Option<&PoolCondition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// What all its members have cost by now.
    pub fn cost_at(&self, now: TimeMs) -> MicroUsd {
        self.active().map(|intent| intent.cost_at(now)).fold(self.status.booked, |sum, cost| sum + cost)
    }
}

/// What was found out about a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolCondition {
    /// Of which side of it.
    pub kind: PoolConditionKind,
    /// Whether it is as it should be.
    pub holds: bool,
    /// One word.
    pub reason: Arc<str>,
    /// One sentence, with the next step where there is one.
    pub message: Arc<str>,
    /// Since when it holds, or does not.
    pub since: TimeMs,
}

/// A side of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolConditionKind {
    /// The leader can run Terraform, and its last run did what it should.
    Terraform,
    /// A member has a price, and it is under the cap.
    Price,
}

/// What is done to a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BurstCommand {
    /// Ask for one more member.
    Request {
        /// The pool.
        pool: Key,
        /// Its uid.
        uid: Uid,
        /// What an hour of it costs.
        hourly: MicroUsd,
        /// Why, in one sentence.
        because: Arc<str>,
    },
    /// An intent takes a step.
    Step(IntentStep),
    /// Someone wants members of a pool gone.
    Destroy {
        /// The pool.
        pool: Key,
        /// The member; none: all.
        member: Option<MemberName>,
        /// Who asked.
        principal: Principal,
    },
    /// Something was found out about a pool.
    Tell {
        /// The pool.
        pool: Key,
        /// What; its time is the entry's.
        condition: PoolCondition,
    },
}

/// One step of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentStep {
    /// The pool.
    pub pool: Key,
    /// The intent.
    pub intent: IntentId,
    /// Where whoever proposes it believes it to be; if it is not there any more, nothing happens.
    pub from: IntentPhase,
    /// Where it goes.
    pub to: IntentPhase,
    /// Why it comes to nothing, if it does.
    pub failure: Option<Arc<str>>,
}
