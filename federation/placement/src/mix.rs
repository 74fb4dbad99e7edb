//! What jobs typically ask of one Node: how often each request for GPUs was made, by all jobs that are stored.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use muster_model::{GpuChoices, GpuModel, JobSpec, PlacementChoice, Resources};

use crate::typical::Typical;

/// Requests that [`Typical`] keeps at most.
const MAX_KINDS: usize = 96;
/// It keeps the most frequent ones that make up so many of a hundred.
const COVERED_PERCENT: u64 = 98;

/// What one pod asks of its Node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// How much.
    pub request: Resources,
    /// The GPU models that will do, in order of name; empty: any.
    pub models: Vec<GpuModel>,
}

impl Ask {
    /// Whether a Node with this model will do.
    pub fn takes(&self, model: Option<&GpuModel>) -> bool {
        self.request.gpu_milli == 0
            || model.is_some_and(|model| self.models.is_empty() || self.models.contains(model))
    }
}

/// How many pods asked for what. Only requests for GPUs count: what is left of a Node's GPUs is what goes to waste.
#[derive(Clone, Debug, Default)]
pub struct Mix {
    pods: BTreeMap<Ask, u64>,
    most_frequent: BTreeSet<(Reverse<u64>, Ask)>,
    total: u64,
}

impl Mix {
    /// Counts so many pods more. O(log requests)
    pub fn add(&mut self, ask: &Ask, pods: u64) {
        self.change(ask, |count| count.saturating_add(pods));
    }

    /// Counts so many pods less. O(log requests)
    pub fn remove(&mut self, ask: &Ask, pods: u64) {
        self.change(ask, |count| count.saturating_sub(pods));
    }

    /// Counts the pods of a job more.
    pub fn add_job(&mut self, spec: &JobSpec) {
        asks(spec).for_each(|(ask, pods)| self.add(&ask, pods));
    }

    /// Counts the pods of a job less.
    pub fn remove_job(&mut self, spec: &JobSpec) {
        asks(spec).for_each(|(ask, pods)| self.remove(&ask, pods));
    }

    /// The most frequent requests. O(requests kept)
    pub fn typical(&self) -> Typical {
        let mut covered = 0;
        let enough = self.total.saturating_mul(COVERED_PERCENT) / 100;
        let frequent = self.most_frequent.iter().take(MAX_KINDS).take_while(|(Reverse(pods), _)| {
            let goes_on = covered < enough;
            covered += pods;
            goes_on
        });
        Typical::new(frequent.map(|(Reverse(pods), ask)| (ask, *pods)))
    }

    fn change(&mut self, ask: &Ask, change: impl FnOnce(u64) -> u64) {
        if ask.request.gpu_milli == 0 {
            return;
        }
        let before = self.pods.get(ask).copied().unwrap_or_default();
        let after = change(before);
        self.total = self.total.saturating_sub(before).saturating_add(after);
        if before > 0 {
            self.most_frequent.remove(&(Reverse(before), ask.clone()));
            self.pods.remove(ask);
        }
        if after > 0 {
            self.most_frequent.insert((Reverse(after), ask.clone()));
            self.pods.insert(ask.clone(), after);
        }
    }
}

/// What the pods of a job ask for, and how many ask it. Options that a job names rather than carries may change under it,
/// so that models are taken from its own document only.
fn asks(spec: &JobSpec) -> impl Iterator<Item = (Ask, u64)> {
    let mut models: Vec<GpuModel> = match (&spec.gpu_model, &spec.placement) {
        (Some(model), _) => vec![model.clone()],
        (None, PlacementChoice::Inline(options)) => match &options.gpus {
            GpuChoices::Any => Vec::new(),
            GpuChoices::AnyOf(choices) | GpuChoices::Ordered(choices) => {
                choices.iter().map(|choice| choice.model.clone()).collect()
            }
        },
        (None, PlacementChoice::Default | PlacementChoice::Named(_)) => Vec::new(),
    };
    models.sort();
    models.dedup();
    spec.pod_sets
        .iter()
        .map(move |set| (Ask { request: set.request, models: models.clone() }, u64::from(set.count)))
}
