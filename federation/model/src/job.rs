//! A job: what it needs, and how far it is.
//!
//! ```text
//!            suspend                 plan              report             report
//!  Suspended <-----> Queued ------------------> Active --------> ... ----------> Finished
//!      ^                ^   \-> Reserved ------>  |  granted at the end of the old attempt
//!      +----------------+------ stopped, fenced, lost
//! ```

use std::sync::Arc;

use crate::{
    Assignment, Attempt, DurationMs, GpuModel, IndexFailures, JobRules, MemberName, PartitionPolicy,
    PlacementChoice, PlacementSpec, PodCounts, Resources, Selector, TimeMs, Toleration,
};

/// A job: spec and status.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// What it needs. Jobs of one template share it.
    pub spec: Arc<JobSpec>,
    /// How far it is.
    pub phase: JobPhase,
    /// The attempt that may be alive: granted, running, stopping. A member may still run its pods.
    pub attempt: Option<Box<Attempt>>,
    /// When it was first granted since it was last resumed; `status.startTime`.
    pub start_time: Option<TimeMs>,
    /// Pods of the attempt, and of ended ones those that count.
    pub pods: PodCounts,
    /// Of an Indexed job: completed indexes as `0-3,7`.
    pub completed_indexes: Arc<str>,
    /// Of an Indexed job with a backoff limit per index: failures.
    pub index_failures: IndexFailures,
    /// Attempts granted so far.
    pub attempts: u32,
    /// When it entered the queue last.
    pub queued_at: TimeMs,
    /// When `spec.suspend` last changed; `None` if it never was set.
    pub suspension_changed: Option<TimeMs>,
}

impl Job {
    /// A job that was just created.
    pub fn new(spec: &Arc<JobSpec>, now: TimeMs) -> Job {
        let held = spec.is_held();
        let mut job = Job {
            spec: Arc::clone(spec),
            phase: if held { JobPhase::Suspended } else { JobPhase::Queued },
            attempt: None,
            start_time: None,
            pods: PodCounts::default(),
            completed_indexes: "".into(),
            index_failures: IndexFailures::default(),
            attempts: 0,
            queued_at: now,
            suspension_changed: spec.suspend.then_some(now),
        };
        job.complete_if_empty(now);
        job
    }

    /// A job that wants no completions is complete without ever having a place.
    pub fn complete_if_empty(&mut self, now: TimeMs) {
        if self.phase != JobPhase::Queued || self.is_live() || self.spec.completion.completions != Some(0) {
            return;
        }
        self.start_time.get_or_insert(now);
        self.phase = JobPhase::Finished(Finish {
            at: now,
            failure: None,
            member: MemberName::new(""),
            because: "".into(),
            granted_at: now,
        });
    }

    /// Whether a member may be running pods of it.
    pub fn is_live(&self) -> bool {
        self.attempt.is_some()
    }

    /// Whether it has ended for good.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, JobPhase::Finished(_))
    }
}

/// Where a job is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobPhase {
    /// Held by `spec.suspend`, or by a parallelism of 0.
    Suspended,
    /// Waits for a place.
    Queued,
    /// Has a place that it gets once the attempts in the way have ended.
    Reserved(Box<Reservation>),
    /// Has a grant; see [`Job::attempt`].
    Active,
    /// Over.
    Finished(Finish),
}

/// A place held for a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reservation {
    /// The place.
    pub assignment: Assignment,
    /// When it lapses.
    pub expires: TimeMs,
    /// Whether its claims are already taken from the member's Nodes; if not, they are taken when it is granted.
    pub held: bool,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finish {
    /// When.
    pub at: TimeMs,
    /// Why; `None` if it completed.
    pub failure: Option<FinishReason>,
    /// Where its last attempt was; empty if it never had one.
    pub member: MemberName,
    /// Why there, in one sentence, for people.
    pub because: Arc<str>,
    /// When that attempt was granted.
    pub granted_at: TimeMs,
}

/// Why a job failed, with Kubernetes' reason and a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FinishReason {
    /// `BackoffLimitExceeded`, `DeadlineExceeded`, `InvalidTemplate`, ...
    pub reason: Arc<str>,
    /// One sentence.
    pub message: Arc<str>,
}

/// What a job needs, read from its document by the edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobSpec {
    /// Pods that are alike; a `batch/v1 Job` has one set.
    pub pod_sets: Vec<PodSet>,
    /// When it is complete.
    pub completion: Completion,
    /// Pod failures after which the job fails.
    pub backoff_limit: u32,
    /// How long it may be active, from `start_time`.
    pub active_deadline: Option<DurationMs>,
    /// When it goes after it finished; absent: the hub's default of 7 days.
    pub ttl_after_finished: Option<DurationMs>,
    /// How long its pods get between SIGTERM and SIGKILL.
    pub grace: DurationMs,
    /// Whether it is held.
    pub suspend: bool,
    /// What it asks of its place.
    pub placement: PlacementChoice,
    /// Taints it tolerates.
    pub tolerations: Vec<Toleration>,
    /// What `nodeSelector` asks of the member's labels.
    pub node_selector: Selector,
    /// GPU model that `nodeSelector` asks for (`nvidia.com/gpu.product`).
    pub gpu_model: Option<GpuModel>,
    /// What ends and successes of single pods decide.
    pub rules: JobRules,
}

/// `count` pods that run at the same time and ask for the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodSet {
    /// Its name within the job; `main` for a `batch/v1 Job`.
    pub name: Arc<str>,
    /// How many at a time: `min(parallelism, completions)`.
    pub count: u32,
    /// What one pod asks for.
    pub request: Resources,
}

/// When a job is complete, by the rules of `batch/v1 Job`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Completion {
    /// Pods at a time.
    pub parallelism: u32,
    /// Successes needed; absent: any success completes the job (a work queue).
    pub completions: Option<u32>,
    /// Whether each completion has an index of its own.
    pub indexed: bool,
}

impl Completion {
    /// How many pods run together as a gang, each with a rank of its own: those of an Indexed job that starts all at once.
    pub fn gang(&self) -> Option<u32> {
        self.completions.filter(|all| self.indexed && *all == self.parallelism && *all > 0)
    }
}

impl JobSpec {
    /// Whether it waits until its spec is changed: suspended, or without parallelism and not without completions.
    pub fn is_held(&self) -> bool {
        self.suspend || (self.completion.parallelism == 0 && self.completion.completions != Some(0))
    }

    /// Expected duration unless `Placement` says otherwise: the active deadline if it is below one hour, else one hour.
    pub fn default_duration(&self) -> DurationMs {
        self.active_deadline.filter(|d| *d < DurationMs::HOUR).unwrap_or(DurationMs::HOUR)
    }

    /// The inline options, if the job carries them.
    pub fn inline_placement(&self) -> Option<&PlacementSpec> {
        match &self.placement {
            PlacementChoice::Inline(spec) => Some(spec),
            PlacementChoice::Default | PlacementChoice::Named(_) => None,
        }
    }

    /// What all pods that run at a time ask for together.
    pub fn total_request(&self) -> Resources {
        self.pod_sets
            .iter()
            .fold(Resources::default(), |sum, set| sum.plus(&set.request.times(u64::from(set.count))))
    }
}

/// The policy an attempt was granted under, kept in the grant so that a later change of the `Placement` cannot shorten
/// or lengthen a deadline that a member already counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantPolicy {
    /// What happens out of contact.
    pub partition: PartitionPolicy,
    /// Under `Fence`, after how long.
    pub fence_after: DurationMs,
}
