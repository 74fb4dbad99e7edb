//! Faults that are injected on purpose: what, into whom, for how long, by whose will, and how far each is.
//!
//! ```text
//!  Pending --the host may inject--> Active --time, abort, or the host's word--> Reverted
//!     +---------------- time, abort -------------------------------------------^
//! ```
//!
//! *Host*: the process that injects a fault and takes it back, by its own timer: the agent of the member, the replica, or,
//! for a drain, the hub's state itself.

use std::sync::Arc;

use crate::{DurationMs, MemberName, Principal, TimeMs, Uid};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A member gets no new jobs and what runs there moves elsewhere.
    Drain,
    /// A member's agent and the hub do not hear each other.
    Partition,
    /// The process gets SIGKILL and stays down.
    Kill,
    /// The process stands still: SIGSTOP, and SIGCONT at the end.
    Pause,
}

/// Whom it is done to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultTarget {
    /// A member, or its agent.
    Member(MemberName),
    /// A replica of the hub.
    Replica(Arc<str>),
}

/// One fault as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FaultSpec {
    /// What.
    pub kind: FaultKind,
    /// To whom.
    pub target: FaultTarget,
    /// For how long.
    pub ttl: DurationMs,
}

/// By whose will a fault is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultOwner {
    /// Somebody asked for it.
    Principal(Principal),
    /// A run of a game day asked for it.
    GameDay {
        /// The game day's name.
        day: Arc<str>,
        /// Which run, from 1.
        run: u32,
        /// Which step of its plan, from 0.
        step: u32,
    },
}

/// One fault as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// What was asked for.
    pub spec: FaultSpec,
    /// By whom.
    pub owner: FaultOwner,
    /// When it is over, whatever happens.
    pub expires: TimeMs,
    /// When somebody asked for an earlier end.
    pub aborted: Option<TimeMs>,
    /// Voting replicas of the hub when it was admitted.
    pub voters: u32,
    /// How far it is.
    pub phase: FaultPhase,
}

/// How far a fault is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FaultPhase {
    /// Committed; its host has not said that it injects it.
    Pending,
    /// Its host may have injected it.
    Active {
        /// Since then.
        since: TimeMs,
    },
    /// Over.
    Reverted(FaultEnd),
}

/// The end of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FaultEnd {
    /// When the hub counted it as over.
    pub at: TimeMs,
    /// Since when it was active, if it ever was.
    pub active_since: Option<TimeMs>,
    /// Why.
    pub cause: FaultEndCause,
    /// When its host had taken it back, by the host's own word.
    pub confirmed: Option<TimeMs>,
}

/// Why a fault is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultEndCause {
    /// Its time was up.
    Expired,
    /// Somebody asked for the end.
    Aborted,
    /// Its host ended it: the process it was done to is gone, or the injection failed.
    Host,
}

/// What the host of a fault says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultNews {
    /// It is about to inject it, and will only if the hub agrees.
    Injecting,
    /// Nothing of it is left since then.
    Reverted {
        /// By the host's clock.
        at: TimeMs,
    },
}

/// Admit a fault: the intent, committed before anything is injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFault {
    /// The name it gets.
    pub id: Arc<str>,
    /// The uid it gets.
    pub uid: Uid,
    /// What is asked for.
    pub spec: FaultSpec,
    /// By whose will.
    pub owner: FaultOwner,
    /// Who asked.
    pub principal: Principal,
    /// All voting replicas of the hub.
    pub replicas: Vec<Arc<str>>,
}

/// The host of a fault says how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFault {
    /// The fault's name.
    pub id: Arc<str>,
    /// Its uid.
    pub uid: Uid,
    /// Who says so: what the fault is done to.
    pub host: FaultTarget,
    /// What.
    pub news: FaultNews,
}

/// End faults before their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbortFaults {
    /// This one; absent: all of them, and every run of a game day.
    pub id: Option<Arc<str>>,
    /// Whether new ones are refused from now on.
    pub stop: bool,
    /// Who asked.
    pub principal: Principal,
}

/// Take faults again after a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeChaos {
    /// Who asked.
    pub principal: Principal,
}

/// Keep new jobs from a member and move what runs there, or let go of it. Owners do not undo each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The member.
    pub member: MemberName,
    /// By whose will; lets go of its own only.
    pub owner: Arc<str>,
    /// Whether it is drained.
    pub on: bool,
    /// Who asked.
    pub principal: Principal,
}

/// What the hub wants of the host of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultOrder {
    /// The fault's name.
    pub id: Arc<str>,
    /// Its uid.
    pub uid: Uid,
    /// What.
    pub kind: FaultKind,
    /// Whether it shall be in effect; if not, the hub waits for the word that nothing of it is left.
    pub wanted: bool,
    /// What is left of its time.
    pub left: DurationMs,
    /// When it is over, by the hub's clock.
    pub expires: TimeMs,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [FaultKind; 4] =
        [FaultKind::Drain, FaultKind::Partition, FaultKind::Kill, FaultKind::Pause];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            FaultKind::Drain => "drain",
            FaultKind::Partition => "partition",
            FaultKind::Kill => "kill",
            FaultKind::Pause => "pause",
        }
    }

    /// The kind of this word.
    pub fn of_word(word: &str) -> Option<FaultKind> {
        FaultKind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether a process has to do it, rather than the hub's state alone.
    pub fn needs_host(self) -> bool {
        self != FaultKind::Drain
    }

    /// Whether a replica of the hub cannot vote under it.
    pub fn silences(self) -> bool {
        matches!(self, FaultKind::Kill | FaultKind::Pause | FaultKind::Partition)
    }
}

impl FaultTarget {
    /// The member or replica's name.
    pub fn name(&self) -> &str {
        match self {
            FaultTarget::Member(member) => member.as_str(),
            FaultTarget::Replica(name) => name,
        }
    }

    /// The member, if it is one.
    pub fn member(&self) -> Option<&MemberName> {
        match self {
            FaultTarget::Member(member) => Some(member),
            FaultTarget::Replica(_) => None,
        }
    }
}

impl FaultOwner {
    /// As people read it: a principal's name, or `gameday/NAME/RUN`.
    pub fn text(&self) -> String {
        match self {
            FaultOwner::Principal(principal) => principal.to_string(),
            FaultOwner::GameDay { day, run, .. } => format!("gameday/{day}/{run}"),
        }
    }
}

impl Fault {
    /// The shortest time a fault may be asked for.
    pub const TTL_MIN: DurationMs = DurationMs::from_secs(1);
    /// The longest.
    pub const TTL_MAX: DurationMs = DurationMs::HOUR;

    /// Whether it is not over.
    pub fn is_open(&self) -> bool {
        !matches!(self.phase, FaultPhase::Reverted(_))
    }

    /// Whether its host shall hold it up: it is not over and nobody asked for the end.
    pub fn is_wanted(&self) -> bool {
        self.is_open() && self.aborted.is_none()
    }

    /// Whether its host has still to say that nothing of it is left.
    pub fn is_unconfirmed(&self) -> bool {
        matches!(&self.phase, FaultPhase::Reverted(end) if end.confirmed.is_none())
    }

    /// `pending`, `active` or `reverted`.
    pub fn state(&self) -> &'static str {
        match self.phase {
            FaultPhase::Pending => "pending",
            FaultPhase::Active { .. } => "active",
            FaultPhase::Reverted(_) => "reverted",
        }
    }
}
