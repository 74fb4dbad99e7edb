//! Why a member will not do for a job, and the smallest change that would make it do.

use std::fmt;
use std::sync::Arc;

use muster_model::{
    DurationMs, GpuModel, Key, Location, MemberName, MicroUsd, PriceClass, Requirement, Resources, Taint,
    TaintEffect, TimeMs,
};

use crate::basis::class_text;
use crate::text::{Human, Milli, count};

/// Why a member, or any member, will not do. `Display` is the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The job names a `Placement` that is not there.
    PlacementMissing(Arc<str>),
    /// Its placement options name a `Dataset` that is not there.
    DatasetMissing(Arc<str>),
    /// Its last attempt may still be alive.
    AttemptNotOver(Arc<str>),
    /// The `Cluster` is being deleted.
    BeingDeleted,
    /// No agent has joined under this name.
    NotJoined,
    /// Labels do not match the placement's `clusterSelector`.
    ClusterSelector(Requirement),
    /// Labels do not match the pod template's `nodeSelector`.
    NodeSelector(Requirement),
    /// A taint that the job does not tolerate.
    Taint(Taint),
    /// `spot: never`, and it is spot.
    SpotForbidden,
    /// `spot: require`, and it is not.
    SpotRequired(PriceClass),
    /// `partitionPolicy: Fence`, which its backend cannot do.
    CannotFence,
    /// `fenceAfter` of the `Placement` that the job names leaves no room for the job's grace.
    FenceTooShort {
        /// As the `Placement` says.
        after: DurationMs,
        /// It must be greater than this.
        needed: DurationMs,
    },
    /// A dataset may not be read there.
    Sovereignty {
        /// The dataset.
        dataset: Arc<str>,
        /// Where.
        place: Location,
        /// Where it may be.
        allowed: Vec<Arc<str>>,
    },
    /// None of its GPU models will do.
    GpuModel {
        /// What would; empty: any.
        wanted: Vec<GpuModel>,
        /// What it has.
        has: Vec<GpuModel>,
    },
    /// No Node is large enough for one pod.
    NodeTooSmall {
        /// One pod's request.
        request: Resources,
        /// The most of each that a suitable Node has.
        largest: Resources,
        /// The GPU model meant.
        model: Option<GpuModel>,
    },
    /// Not all pods at a time, even if nothing else ran.
    GangTooLarge {
        /// Pods at a time.
        pods: u32,
        /// All pods' request.
        request: Resources,
        /// All suitable Nodes' capacity.
        total: Resources,
    },
    /// No price for the model there.
    NoPrice {
        /// The model.
        model: GpuModel,
        /// Where.
        place: Location,
        /// Paid how.
        class: PriceClass,
    },
    /// A dataset has no copy anywhere.
    NoReplica(Arc<str>),
    /// No egress price from any copy to here.
    NoRoute {
        /// The dataset.
        dataset: Arc<str>,
        /// One place that has it.
        from: Location,
        /// Here.
        to: Location,
    },
    /// A carried dataset has no whole copy at any member in contact.
    NoCopy {
        /// The dataset.
        dataset: Arc<str>,
        /// The version.
        version: Arc<str>,
    },
    /// Bringing a dataset here was given up.
    TransferFailed {
        /// The dataset.
        dataset: Arc<str>,
        /// From whom.
        source: MemberName,
        /// Why.
        reason: Arc<str>,
        /// When it is tried again.
        again: TimeMs,
    },
    /// Above `maxHourlyCost`.
    TooExpensive {
        /// Per hour.
        hourly: MicroUsd,
        /// At most.
        max: MicroUsd,
    },
    /// It would be done after the deadline.
    TooLate {
        /// Done at the earliest.
        done: TimeMs,
        /// The deadline.
        deadline: TimeMs,
    },
    /// Cordoned.
    Cordoned,
    /// Never heard of since it joined, or out of contact since then.
    NotReady(Option<TimeMs>),
    /// Not enough is free now.
    Busy {
        /// Pods at a time.
        pods: u32,
        /// All pods' request.
        request: Resources,
        /// Free on all suitable Nodes together.
        free: Resources,
        /// The most GPUs free on one Node, in thousandths.
        most_gpu_milli: u64,
        /// One pod's largest request of GPUs.
        pod_gpu_milli: u64,
    },
    /// It would fit what is free, which is reserved for a job that has waited longer.
    Reserved {
        /// That job.
        job: Key,
        /// Nodes that are reserved for it.
        nodes: usize,
        /// When it can start there at the latest, if that is known.
        ends: Option<TimeMs>,
    },
}

impl Rejected {
    /// Whether waiting may be enough.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Rejected::AttemptNotOver(_)
                | Rejected::NotJoined
                | Rejected::Cordoned
                | Rejected::NotReady(_)
                | Rejected::NoCopy { .. }
                | Rejected::TransferFailed { .. }
                | Rejected::Busy { .. }
                | Rejected::Reserved { .. }
        )
    }

    /// How much would have to change for the cluster to take the job: hardware least likely, an option most. The more,
    /// the closer.
    pub fn depth(&self) -> u8 {
        match self {
            Rejected::PlacementMissing(_)
            | Rejected::DatasetMissing(_)
            | Rejected::FenceTooShort { .. }
            | Rejected::AttemptNotOver(_) => 0,
            Rejected::BeingDeleted => 1,
            Rejected::NotJoined => 2,
            Rejected::GpuModel { .. } => 3,
            Rejected::NodeTooSmall { .. } | Rejected::GangTooLarge { .. } => 4,
            Rejected::Sovereignty { .. } => 5,
            Rejected::ClusterSelector(_) | Rejected::NodeSelector(_) | Rejected::Taint(_) => 6,
            Rejected::SpotForbidden | Rejected::SpotRequired(_) | Rejected::CannotFence => 7,
            Rejected::NoPrice { .. }
            | Rejected::NoReplica(_)
            | Rejected::NoRoute { .. }
            | Rejected::NoCopy { .. } => 8,
            Rejected::TooExpensive { .. } | Rejected::TooLate { .. } => 9,
            Rejected::Cordoned | Rejected::NotReady(_) | Rejected::TransferFailed { .. } => 10,
            Rejected::Busy { .. } | Rejected::Reserved { .. } => 11,
        }
    }

    /// The smallest change that would admit the job.
    pub fn fix(&self) -> String {
        match self {
            Rejected::PlacementMissing(name) => format!(
                "create Placement {name:?} in the job's namespace, or correct the annotation muster.sh/placement"
            ),
            Rejected::DatasetMissing(name) => {
                format!("create Dataset {name:?} in the job's namespace, or correct spec.datasets")
            }
            Rejected::AttemptNotOver(_) => {
                "wait for its end, or declare the cluster lost if it is".to_owned()
            }
            Rejected::BeingDeleted => "use another cluster".to_owned(),
            Rejected::NotJoined => {
                "run on it the line that `muster cluster join` prints for its name".to_owned()
            }
            Rejected::ClusterSelector(requirement) => {
                format!(
                    "give the cluster a label so that {requirement} holds, or change spec.clusterSelector"
                )
            }
            Rejected::NodeSelector(requirement) => {
                format!("give the cluster a label so that {requirement} holds, or change nodeSelector")
            }
            Rejected::Taint(taint) => {
                format!("tolerate {} in the pod template, or remove the taint", TaintText(taint))
            }
            Rejected::SpotForbidden => "set spec.spot to prefer".to_owned(),
            Rejected::SpotRequired(_) => "set spec.spot to prefer".to_owned(),
            Rejected::CannotFence => "set spec.partitionPolicy to Keep or DuplicateOk".to_owned(),
            Rejected::FenceTooShort { needed, .. } => format!(
                "set spec.fenceAfter of the Placement above {}, or lower terminationGracePeriodSeconds",
                Human(*needed)
            ),
            Rejected::Sovereignty { dataset, place, .. } => format!(
                "add {}/{} to spec.allowedRegions of Dataset {dataset:?} if its data may be read there",
                place.provider, place.region
            ),
            Rejected::GpuModel { has, .. } if has.is_empty() => "use a cluster with GPUs".to_owned(),
            Rejected::GpuModel { has, .. } => format!("allow {} in spec.gpus or nodeSelector", models(has)),
            Rejected::NodeTooSmall { largest, .. } => {
                format!("ask for at most {largest} per pod, or add larger Nodes")
            }
            Rejected::GangTooLarge { .. } => "lower parallelism, or add Nodes".to_owned(),
            Rejected::NoPrice { model, place, class } => {
                let field = if *class == PriceClass::Spot { "a spot price" } else { "an on-demand price" };
                format!("add {field} of {model} in {}/{} to a PriceBook", place.provider, place.region)
            }
            Rejected::NoReplica(dataset) => format!("name a replica in spec.replicas of Dataset {dataset:?}"),
            Rejected::NoRoute { from, to, .. } => {
                format!(
                    "add egress from {}/{} to {}/{} to a PriceBook",
                    from.provider, from.region, to.provider, to.region
                )
            }
            Rejected::NoCopy { dataset, version } => format!(
                "put its files into datasets/NAMESPACE/{dataset}/{version} of a member's state folder; spec.digest must be what `muster dataset digest` prints for them"
            ),
            Rejected::TransferFailed { dataset, again, .. } => {
                format!("wait until {again}, or look at `kubectl describe dataset {dataset}`")
            }
            Rejected::TooExpensive { hourly, .. } => format!("raise spec.maxHourlyCost to {hourly}"),
            Rejected::TooLate { done, .. } => {
                format!("set spec.deadline to {done} or later, or correct spec.expectedDuration")
            }
            Rejected::Cordoned => "wait, or uncordon it".to_owned(),
            Rejected::NotReady(_) => "wait, or look why its agent is out of contact".to_owned(),
            Rejected::Busy { .. } => "wait for running jobs to end, or ask for less".to_owned(),
            Rejected::Reserved { job, ends: None, .. } => {
                format!("wait until {}/{} has started", job.namespace, job.name)
            }
            Rejected::Reserved { job, ends: Some(ends), .. } => format!(
                "wait until {}/{} has started, or set activeDeadlineSeconds so that this job ends before {ends}",
                job.namespace, job.name
            ),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejected::PlacementMissing(name) => write!(f, "Placement {name:?} is not there"),
            Rejected::DatasetMissing(name) => write!(f, "Dataset {name:?} is not there"),
            Rejected::AttemptNotOver(member) => write!(f, "the last attempt on {member} has not ended"),
            Rejected::BeingDeleted => f.write_str("is being deleted"),
            Rejected::NotJoined => f.write_str("no agent has joined"),
            Rejected::ClusterSelector(requirement) => {
                write!(f, "its labels do not match clusterSelector {requirement}")
            }
            Rejected::NodeSelector(requirement) => {
                write!(f, "its labels do not match nodeSelector {requirement}")
            }
            Rejected::Taint(taint) => {
                write!(f, "has taint {}, which the job does not tolerate", TaintText(taint))
            }
            Rejected::SpotForbidden => f.write_str("is spot, and the job's placement says spot: never"),
            Rejected::SpotRequired(class) => {
                write!(f, "is {}, and the job's placement says spot: require", class_text(*class))
            }
            Rejected::CannotFence => f.write_str(
                "its backend cannot end an attempt at a deadline, which partitionPolicy Fence needs",
            ),
            Rejected::FenceTooShort { after, needed } => write!(
                f,
                "fenceAfter {} is not above {}: the job's grace, the kill budget and three heartbeats",
                Human(*after),
                Human(*needed)
            ),
            Rejected::Sovereignty { dataset, place, allowed } => {
                write!(f, "dataset {dataset} may not be read in {place}, only in {}", allowed.join(", "))
            }
            Rejected::GpuModel { wanted, has } => gpu_model(f, wanted, has),
            Rejected::NodeTooSmall { request, largest, model } => {
                node_too_small(f, request, largest, model.as_ref())
            }
            Rejected::GangTooLarge { pods, request, total } => write!(
                f,
                "{} at a time with {request} together do not fit its Nodes even when these are empty ({total})",
                count(u64::from(*pods), "pod")
            ),
            Rejected::NoPrice { model, place, class } => {
                let kind = if *class == PriceClass::Spot { "spot price" } else { "price" };
                write!(f, "no {kind} for {model} in {place}")
            }
            Rejected::NoReplica(dataset) => write!(f, "dataset {dataset} has no replica to copy from"),
            Rejected::NoRoute { dataset, from, to } => {
                write!(f, "no egress price for dataset {dataset} from {from} to {to}")
            }
            Rejected::NoCopy { dataset, version } => {
                write!(f, "no member in contact holds a whole copy of dataset {dataset} {version}")
            }
            Rejected::TransferFailed { dataset, source, reason, .. } => {
                write!(f, "dataset {dataset} could not be brought from {source}: {reason}")
            }
            Rejected::TooExpensive { hourly, max } => {
                write!(f, "costs ${hourly} an hour, more than maxHourlyCost ${max}")
            }
            Rejected::TooLate { done, deadline } => {
                let late = Human(DurationMs(done.since(*deadline).0));
                write!(f, "would be done {late} after the deadline {deadline}")
            }
            Rejected::Cordoned => f.write_str("is cordoned"),
            Rejected::NotReady(None) => f.write_str("is not ready: its agent has not been in contact"),
            Rejected::NotReady(Some(since)) => write!(f, "is not ready: out of contact since {since}"),
            Rejected::Busy { .. } => self.busy(f),
            Rejected::Reserved { job, nodes, .. } => {
                let (nodes, name) = (count(*nodes as u64, "Node"), &job.name);
                write!(f, "{nodes} with room reserved for {}/{name}, which has waited longer", job.namespace)
            }
        }
    }
}

impl Rejected {
    fn busy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rejected::Busy { pods, request, free, most_gpu_milli, pod_gpu_milli } = self else {
            return Ok(());
        };
        if request.gpu_milli > free.gpu_milli {
            return write!(f, "{} GPU needed, {} free now", Milli(request.gpu_milli), Milli(free.gpu_milli));
        }
        if pod_gpu_milli > most_gpu_milli {
            return write!(
                f,
                "{} GPU on one Node needed, at most {} free on one Node now ({} in all)",
                Milli(*pod_gpu_milli),
                Milli(*most_gpu_milli),
                Milli(free.gpu_milli)
            );
        }
        let pods = count(u64::from(*pods), "pod");
        write!(f, "{pods} with {request} together do not fit what is free on its Nodes now ({free})")
    }
}

fn gpu_model(f: &mut fmt::Formatter<'_>, wanted: &[GpuModel], has: &[GpuModel]) -> fmt::Result {
    let has = if has.is_empty() { "no GPUs".to_owned() } else { models(has) };
    let wanted = if wanted.is_empty() { "GPUs".to_owned() } else { models(wanted) };
    write!(f, "has {has}, the job asks for {wanted}")
}

fn node_too_small(
    f: &mut fmt::Formatter<'_>,
    request: &Resources,
    largest: &Resources,
    model: Option<&GpuModel>,
) -> fmt::Result {
    let model = model.map(|m| format!(" with {m}")).unwrap_or_default();
    if request.gpu_milli > largest.gpu_milli {
        let (asked, has) = (Milli(request.gpu_milli), Milli(largest.gpu_milli));
        return write!(f, "{asked} GPU on one Node needed; the largest Node{model} has {has}");
    }
    if largest.holds(request) {
        return write!(f, "{request} on one Node needed; no Node{model} has all of that");
    }
    let short = if request.cpu_milli > largest.cpu_milli {
        |r: &Resources| Resources { gpu_milli: 0, memory_bytes: 0, ..*r }
    } else {
        |r: &Resources| Resources { gpu_milli: 0, cpu_milli: 0, ..*r }
    };
    write!(f, "{} on one Node needed; the largest Node{model} has {}", short(request), short(largest))
}

fn models(models: &[GpuModel]) -> String {
    models.iter().map(GpuModel::as_str).collect::<Vec<_>>().join(" or ")
}

/// A taint as kubectl writes it.
struct TaintText<'a>(&'a Taint);

impl fmt::Display for TaintText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.0.effect {
            TaintEffect::NoSchedule => "NoSchedule",
            TaintEffect::PreferNoSchedule => "PreferNoSchedule",
            TaintEffect::NoExecute => "NoExecute",
        };
        let value = if self.0.value.is_empty() { String::new() } else { format!("={}", self.0.value) };
        write!(f, "{}{value}:{effect}", self.0.key)
    }
}
