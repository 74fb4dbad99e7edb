//! What a job may ask of its place.

use std::sync::Arc;

use crate::{DurationMs, GpuModel, MicroUsd, Selector, TimeMs};

/// How a job says what it asks of its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlacementChoice {
    /// Not at all: the defaults of [`PlacementSpec`].
    #[default]
    Default,
    /// By a `Placement` object of this name in the job's namespace, looked up at each planning.
    Named(Arc<str>),
    /// Inline, in the annotation `muster.sh/placement-spec`.
    Inline(Arc<PlacementSpec>),
}

/// Options of a job, or of many: the spec of a `Placement`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlacementSpec {
    /// Which members are allowed, by their labels.
    pub cluster_selector: Selector,
    /// Which GPUs will do; empty: any model, as many as the pod template asks for.
    pub gpus: GpuChoices,
    /// Names of `Dataset` objects in the job's namespace that the job reads.
    pub datasets: Vec<Arc<str>>,
    /// Whether spot capacity may be used.
    pub spot: SpotUse,
    /// The most that all pods together may cost per hour.
    pub max_hourly_cost: Option<MicroUsd>,
    /// How long the job will run; absent: see [`crate::JobSpec::default_duration`].
    pub expected_duration: Option<DurationMs>,
    /// When it must be done.
    pub deadline: Option<TimeMs>,
    /// Where and how often it saves its progress.
    pub checkpoint: Option<Checkpoint>,
    /// What happens when the member goes out of contact.
    pub partition_policy: PartitionPolicy,
    /// Under `Fence`: how long a loss of contact may be before the attempt is ended. Default 10 minutes.
    pub fence_after: Option<DurationMs>,
}

/// GPU models that will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GpuChoices {
    /// Any model.
    #[default]
    Any,
    /// One of these; cost decides.
    AnyOf(Vec<GpuChoice>),
    /// One of these; the earliest that can be placed wins, whatever it costs.
    Ordered(Vec<GpuChoice>),
}

/// A model and, if it differs from what the pod template asks for, how many of it per pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GpuChoice {
    /// The model.
    pub model: GpuModel,
    /// GPUs per pod; absent: as the pod template says.
    pub count: Option<u32>,
}

/// Whether spot capacity may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpotUse {
    /// Never.
    Never,
    /// Where its price with the expected waste is the lowest.
    #[default]
    Prefer,
    /// Only spot.
    Require,
}

/// Where and how often a job saves its progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// Path or object store URL.
    pub path: Arc<str>,
    /// Time between two.
    pub interval: DurationMs,
    /// Bytes of one.
    pub size_bytes: u64,
}

/// What happens to an attempt when its member is out of contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartitionPolicy {
    /// Never start a second attempt until the first is known dead; nothing is killed.
    #[default]
    Keep,
    /// Loss of contact longer than `fence_after` ends the attempt; only then the next may start.
    Fence,
    /// Replace at once; two attempts may run.
    DuplicateOk,
}

impl PlacementSpec {
    /// `fence_after` unless said otherwise.
    pub const DEFAULT_FENCE_AFTER: DurationMs = DurationMs(600_000);

    /// What `fence_after` must be greater than (guarantee S5): the deadline means dead, so grace, the kill budget of a
    /// member (2 s) and three heartbeats (2 s each) have to fit before it.
    pub fn fence_floor(grace: DurationMs) -> DurationMs {
        DurationMs(grace.0.saturating_add(8_000))
    }
}
