//! What a job asks for, with everything it names looked up.

use std::sync::Arc;

use muster_model::{
    DurationMs, GpuChoice, GpuChoices, GpuModel, GrantPolicy, JobSpec, MicroUsd, PartitionPolicy,
    PlacementChoice, PlacementSpec, Resources,
};

use crate::basis::DurationSource;
use crate::carried::NeededData;
use crate::rejected::Rejected;
use crate::view::View;

/// What a job asks for.
#[derive(Clone, Debug)]
pub struct Demand {
    /// As its document says.
    pub spec: Arc<JobSpec>,
    /// Its placement options: named, inline, or the defaults.
    pub options: Arc<PlacementSpec>,
    /// The datasets it reads.
    pub datasets: Vec<NeededData>,
    /// How long it is expected to run.
    pub duration: DurationMs,
    /// Where that is from.
    pub duration_source: DurationSource,
    /// What an hour of waiting is worth to its namespace.
    pub wait_cost_per_hour: MicroUsd,
}

/// One way to give a job its GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuUse {
    /// Position among the job's ordered choices; 0 where any of them is as good.
    pub rank: u16,
    /// The model; `None` if no pod asks for GPUs.
    pub model: Option<GpuModel>,
    /// What one pod of each pod set takes.
    pub requests: Vec<Resources>,
}

impl Demand {
    /// Looks up what a job of this namespace names.
    pub fn new(view: &View, namespace: &str, spec: &Arc<JobSpec>) -> Result<Demand, Rejected> {
        let options = match &spec.placement {
            PlacementChoice::Default => Arc::default(),
            PlacementChoice::Inline(options) => Arc::clone(options),
            PlacementChoice::Named(name) => {
                view.placement(namespace, name).ok_or_else(|| Rejected::PlacementMissing(Arc::clone(name)))?
            }
        };
        check_fence(spec, &options)?;
        let dataset = |name: &Arc<str>| NeededData::new(view, namespace, name);
        let datasets = options.datasets.iter().map(dataset).collect::<Result<_, Rejected>>()?;
        let (duration, duration_source) = expected_duration(spec, &options);
        let wait_cost_per_hour = view.wait_cost_per_hour(namespace);
        Ok(Demand {
            spec: Arc::clone(spec),
            options,
            datasets,
            duration,
            duration_source,
            wait_cost_per_hour,
        })
    }

    /// The policy that its grant is made under.
    pub fn policy(&self) -> GrantPolicy {
        let fence_after = fence_after(&self.options).unwrap_or(DurationMs(0));
        GrantPolicy { partition: self.options.partition_policy, fence_after }
    }

    /// The ways to give it its GPUs with these models, best choice first. Empty if none of the models will do.
    pub fn gpu_uses(&self, models: &[GpuModel]) -> Vec<GpuUse> {
        let asked = self.spec.pod_sets.iter().any(|set| set.request.gpu_milli > 0);
        match &self.options.gpus {
            GpuChoices::Any if asked => {
                let any = models.iter().filter(|model| self.selects(model));
                any.map(|model| self.gpu_use(0, &GpuChoice { model: model.clone(), count: None })).collect()
            }
            GpuChoices::AnyOf(choices) | GpuChoices::Ordered(choices)
                if asked || choices.iter().any(|choice| choice.count.is_some_and(|n| n > 0)) =>
            {
                let ordered = matches!(self.options.gpus, GpuChoices::Ordered(_));
                let there =
                    |choice: &GpuChoice| models.contains(&choice.model) && self.selects(&choice.model);
                let ranked = choices.iter().enumerate().filter(|(_, choice)| there(choice));
                ranked.map(|(i, choice)| self.gpu_use(if ordered { i as u16 } else { 0 }, choice)).collect()
            }
            _ => {
                let requests = self.spec.pod_sets.iter().map(|set| set.request).collect();
                vec![GpuUse { rank: 0, model: None, requests }]
            }
        }
    }

    /// The models it asks for by name, for people; empty if any will do.
    pub fn models(&self) -> Vec<GpuModel> {
        match (&self.options.gpus, &self.spec.gpu_model) {
            (_, Some(model)) => vec![model.clone()],
            (GpuChoices::AnyOf(choices) | GpuChoices::Ordered(choices), None) => {
                choices.iter().map(|choice| choice.model.clone()).collect()
            }
            (GpuChoices::Any, None) => Vec::new(),
        }
    }

    fn selects(&self, model: &GpuModel) -> bool {
        self.spec.gpu_model.as_ref().is_none_or(|wanted| wanted == model)
    }

    /// A choice's count goes to the pod sets that ask for GPUs; where none does, to all.
    fn gpu_use(&self, rank: u16, choice: &GpuChoice) -> GpuUse {
        let sets = &self.spec.pod_sets;
        let none_asks = sets.iter().all(|set| set.request.gpu_milli == 0);
        let request = |request: Resources| match choice.count {
            Some(count) if none_asks || request.gpu_milli > 0 => {
                Resources { gpu_milli: u64::from(count) * 1000, ..request }
            }
            _ => request,
        };
        let requests = sets.iter().map(|set| request(set.request)).collect();
        GpuUse { rank, model: Some(choice.model.clone()), requests }
    }
}

impl GpuUse {
    /// Thousandths of GPUs that all pods take together.
    pub fn gpu_milli(&self, spec: &JobSpec) -> u64 {
        let per_set = spec.pod_sets.iter().zip(&self.requests);
        per_set.fold(0, |sum: u64, (set, request)| {
            sum.saturating_add(request.gpu_milli.saturating_mul(u64::from(set.count)))
        })
    }
}

fn expected_duration(spec: &JobSpec, options: &PlacementSpec) -> (DurationMs, DurationSource) {
    match options.expected_duration {
        Some(duration) => (duration, DurationSource::Placement),
        None if spec.active_deadline.is_some_and(|d| d == spec.default_duration()) => {
            (spec.default_duration(), DurationSource::ActiveDeadline)
        }
        None => (spec.default_duration(), DurationSource::Default),
    }
}

/// Under `Fence`, the deadline that attempts are granted under.
fn fence_after(options: &PlacementSpec) -> Option<DurationMs> {
    let fences = options.partition_policy == PartitionPolicy::Fence;
    fences.then(|| options.fence_after.unwrap_or(PlacementSpec::DEFAULT_FENCE_AFTER))
}

/// A `Placement` is checked without knowing the jobs that name it: the grace of this one must fit too.
fn check_fence(spec: &JobSpec, options: &PlacementSpec) -> Result<(), Rejected> {
    let needed = PlacementSpec::fence_floor(spec.grace);
    match fence_after(options) {
        Some(after) if after <= needed => Err(Rejected::FenceTooShort { after, needed }),
        _ => Ok(()),
    }
}
