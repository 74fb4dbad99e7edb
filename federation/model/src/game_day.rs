//! Game days: faults by plan against the real federation, with a schedule, probes, limits, a verdict and a report.
//!
//! ```text
//!  spec --resolved against the fleet--> FaultPlan (hash) --approved by hash--> run: steps, probes, timeline --> verdict
//! ```

use std::sync::Arc;

use crate::{DocumentHash, DurationMs, FaultKind, FaultTarget, MemberName, Principal, Selector, TimeMs, Uid};

/// A game day as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GameDay {
    /// What was asked for.
    pub spec: Arc<GameDaySpec>,
    /// What became of it.
    pub status: GameDayStatus,
}

/// What is said of a game day in its object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GameDaySpec {
    /// When it begins by itself; never if absent.
    pub schedule: Option<GameDaySchedule>,
    /// Whether the schedule is held.
    pub suspend: bool,
    /// Whether a run by schedule only tells its plan.
    pub dry_run: bool,
    /// From which targets are drawn; the same seed over the same fleet draws the same.
    pub seed: u64,
    /// What is injected.
    pub faults: Vec<GameDayFault>,
    /// What must hold all the while.
    pub probes: Vec<ProbeKind>,
    /// What must never be exceeded.
    pub limits: GameDayLimits,
}

/// When a game day begins by itself. The text is checked by the edge that took the object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GameDaySchedule {
    /// Five fields, as cron has them.
    pub cron: Arc<str>,
    /// IANA zone.
    pub zone: Arc<str>,
}

/// One fault of a game day, before its targets are known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GameDayFault {
    /// What.
    pub kind: FaultKind,
    /// How long after the beginning.
    pub after: DurationMs,
    /// For how long.
    pub ttl: DurationMs,
    /// How many targets are drawn.
    pub count: u32,
    /// From which.
    pub targets: TargetChoice,
}

/// The targets that may be drawn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetChoice {
    /// Members that the selector selects; of these names only, if there are any.
    Members {
        /// By labels.
        selector: Selector,
        /// By name.
        names: Vec<MemberName>,
    },
    /// Replicas of the hub; of these names only, if there are any.
    Replicas {
        /// By name.
        names: Vec<Arc<str>>,
    },
}

/// What must hold while a game day runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// No job is gone that nobody deleted.
    NoLostJob,
    /// No job runs twice.
    NoDoubleRun,
    /// A job can be submitted.
    SubmitWorks,
}

/// What a game day must never exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GameDayLimits {
    /// Members under a fault at one time.
    pub members: u32,
    /// Replicas under a fault at one time.
    pub replicas: u32,
    /// GPUs of members under a fault at one time; absent: not limited.
    pub gpus: Option<u64>,
    /// From its beginning to the end of its last fault.
    pub duration: DurationMs,
}

/// A game day's faults with their targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FaultPlan {
    /// In the order of their beginning.
    pub steps: Vec<FaultStep>,
}

/// One step of a fault plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FaultStep {
    /// What.
    pub kind: FaultKind,
    /// To whom.
    pub target: FaultTarget,
    /// Of the member's object, so that another one of the same name is not meant; of a replica 0.
    pub target_uid: Uid,
    /// How long after the beginning.
    pub after: DurationMs,
    /// For how long.
    pub ttl: DurationMs,
}

/// What became of a game day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GameDayStatus {
    /// The plan that may run by schedule.
    pub approval: Option<Approval>,
    /// How often it was run.
    pub runs: u32,
    /// The run under way.
    pub run: Option<Box<GameDayRun>>,
    /// The last run that ended.
    pub last: Option<Box<GameDayRun>>,
    /// The last time that it should have run by schedule and did not.
    pub skipped: Option<SkippedRun>,
}

/// Somebody agreed to a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Approval {
    /// Hash of the plan.
    pub plan: DocumentHash,
    /// Who.
    pub by: Principal,
    /// Until when.
    pub expires: TimeMs,
}

/// A time of the schedule at which nothing was run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SkippedRun {
    /// When.
    pub at: TimeMs,
    /// Why.
    pub reason: Arc<str>,
}

/// One run; of one that has ended, its report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GameDayRun {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub started: TimeMs,
    /// Who approved it.
    pub by: Principal,
    /// From which targets were drawn.
    pub seed: u64,
    /// What is injected.
    pub plan: Arc<FaultPlan>,
    /// Its hash.
    pub hash: DocumentHash,
    /// How far each step is.
    pub steps: Vec<StepState>,
    /// What the probes said.
    pub probes: Vec<ProbeState>,
    /// What happened, the oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// How far it is.
    pub phase: GameDayPhase,
}

/// How far a step is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StepState {
    /// The fault's name, once it was admitted.
    pub fault: Option<Arc<str>>,
    /// Since when it was active.
    pub active: Option<TimeMs>,
    /// When it is over, whatever happens.
    pub expires: Option<TimeMs>,
    /// When it was over.
    pub reverted: Option<TimeMs>,
}

/// What one probe said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeState {
    /// Which.
    pub kind: ProbeKind,
    /// Samples so far.
    pub samples: u32,
    /// Of these, those that failed.
    pub failures: u32,
    /// When it said something last.
    pub at: TimeMs,
    /// Whether it held then.
    pub holds: bool,
}

/// One sample of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeSample {
    /// Which.
    pub kind: ProbeKind,
    /// Whether it holds.
    pub holds: bool,
    /// What was seen, if it does not.
    pub seen: Arc<str>,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimelineEntry {
    /// When.
    pub at: TimeMs,
    /// What, as one sentence.
    pub what: Arc<str>,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GameDayPhase {
    /// Steps begin when their time comes.
    Running,
    /// No step begins any more, and what is open is being taken back.
    Stopping(Ruling),
    /// Nothing of it is left.
    Ended {
        /// When.
        at: TimeMs,
        /// What came out.
        ruling: Ruling,
    },
}

/// What came out of a run, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ruling {
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: Arc<str>,
}

/// What came out of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// All that must hold held.
    Passed,
    /// Something that must hold did not.
    Failed,
    /// Somebody ended it.
    Aborted,
}

/// Begin a run of a game day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartGameDay {
    /// Its name.
    pub day: Arc<str>,
    /// Its uid.
    pub uid: Uid,
    /// Its plan as it is now.
    pub plan: FaultPlan,
    /// The plan's hash.
    pub hash: DocumentHash,
    /// The hash that was agreed to; absent: that of the stored approval.
    pub approved: Option<DocumentHash>,
    /// Who asked.
    pub principal: Principal,
}

/// What the probes of a run see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeGameDay {
    /// The game day's name.
    pub day: Arc<str>,
    /// Which run.
    pub run: u32,
    /// One of each probe.
    pub samples: Vec<ProbeSample>,
}

/// Begin no more steps, take back what is open, and close the run with this ruling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopGameDay {
    /// The game day's name.
    pub day: Arc<str>,
    /// Which run; absent: the one under way.
    pub run: Option<u32>,
    /// What came out.
    pub ruling: Ruling,
    /// Who asked.
    pub principal: Principal,
}

/// Agree that a plan of a game day may run by schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApproveGameDay {
    /// The game day's name.
    pub day: Arc<str>,
    /// What was agreed to.
    pub approval: Approval,
}

/// A time of the schedule at which nothing was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipGameDay {
    /// The game day's name.
    pub day: Arc<str>,
    /// When and why.
    pub skipped: SkippedRun,
}

impl GameDayRun {
    /// Entries of a timeline; what comes later is dropped.
    pub const TIMELINE_MAX: usize = 200;

    /// Adds to the timeline.
    pub fn tell(&mut self, at: TimeMs, what: impl Into<Arc<str>>) {
        if self.timeline.len() < Self::TIMELINE_MAX {
            self.timeline.push(TimelineEntry { at, what: what.into() });
        }
    }

    /// Whether every step began and is over.
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(|step| step.reverted.is_some())
    }

    /// Whether a step is open.
    pub fn has_open_faults(&self) -> bool {
        self.steps.iter().any(|step| step.fault.is_some() && step.reverted.is_none())
    }
}

impl ProbeKind {
    /// All of them.
    pub const ALL: [ProbeKind; 3] = [ProbeKind::NoLostJob, ProbeKind::NoDoubleRun, ProbeKind::SubmitWorks];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            ProbeKind::NoLostJob => "noLostJob",
            ProbeKind::NoDoubleRun => "noDoubleRun",
            ProbeKind::SubmitWorks => "submitWorks",
        }
    }

    /// The probe of this word.
    pub fn of_word(word: &str) -> Option<ProbeKind> {
        ProbeKind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl Verdict {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "Passed",
            Verdict::Failed => "Failed",
            Verdict::Aborted => "Aborted",
        }
    }
}
