//! What a job needs.

use muster_model::{
    Checkpoint, Completion, GpuChoice, GpuChoices, JobSpec, PartitionPolicy, PlacementChoice, PlacementSpec,
    PodSet, SpotUse,
};

use super::FieldError;
use super::durable::{Durable, value};
use super::pb::{self, gpu_choices, placement_choice};

durable_enums! {
    SpotUse { Never, Prefer, Require }
    PartitionPolicy { Keep, Fence, DuplicateOk }
}

durable_structs! {
    JobSpec => JobSpec {
        pod_sets: pod_sets,
        completion: completion required,
        backoff_limit: backoff_limit,
        active_deadline: active_deadline_ms,
        ttl_after_finished: ttl_after_finished_ms,
        grace: grace_ms,
        suspend: suspend,
        placement: placement required,
        tolerations: tolerations,
        node_selector: node_selector required,
        gpu_model: gpu_model,
        rules: rules,
    }
    PodSet => PodSet { name: name, count: count, request: request required }
    Completion => Completion { parallelism: parallelism, completions: completions, indexed: indexed }
    PlacementSpec => PlacementSpec {
        cluster_selector: cluster_selector required,
        gpus: gpus required,
        datasets: datasets,
        spot: spot,
        max_hourly_cost: max_hourly_cost_micro_usd,
        expected_duration: expected_duration_ms,
        deadline: deadline_ms,
        checkpoint: checkpoint,
        partition_policy: partition_policy,
        fence_after: fence_after_ms,
    }
    GpuChoice => GpuChoice { model: model, count: count }
    Checkpoint => Checkpoint { path: path, interval: interval_ms, size_bytes: size_bytes }
}

impl Durable for PlacementChoice {
    type Form = pb::PlacementChoice;

    fn form(&self) -> pb::PlacementChoice {
        let choice = match self {
            PlacementChoice::Default => placement_choice::Choice::Defaults(placement_choice::Defaults {}),
            PlacementChoice::Named(name) => placement_choice::Choice::Named(name.form()),
            PlacementChoice::Inline(spec) => placement_choice::Choice::Inline(spec.form()),
        };
        pb::PlacementChoice { choice: Some(choice) }
    }

    fn read(form: pb::PlacementChoice) -> Result<PlacementChoice, FieldError> {
        match form.choice.ok_or_else(|| FieldError::missing("choice"))? {
            placement_choice::Choice::Defaults(placement_choice::Defaults {}) => Ok(PlacementChoice::Default),
            placement_choice::Choice::Named(name) => Ok(PlacementChoice::Named(name.into())),
            placement_choice::Choice::Inline(spec) => value("inline", spec).map(PlacementChoice::Inline),
        }
    }
}

impl Durable for GpuChoices {
    type Form = pb::GpuChoices;

    fn form(&self) -> pb::GpuChoices {
        let list = |choices: &Vec<GpuChoice>| gpu_choices::List { choices: choices.form() };
        let choices = match self {
            GpuChoices::Any => gpu_choices::Choices::Any(gpu_choices::Any {}),
            GpuChoices::AnyOf(choices) => gpu_choices::Choices::AnyOf(list(choices)),
            GpuChoices::Ordered(choices) => gpu_choices::Choices::Ordered(list(choices)),
        };
        pb::GpuChoices { choices: Some(choices) }
    }

    fn read(form: pb::GpuChoices) -> Result<GpuChoices, FieldError> {
        match form.choices.ok_or_else(|| FieldError::missing("choices"))? {
            gpu_choices::Choices::Any(gpu_choices::Any {}) => Ok(GpuChoices::Any),
            gpu_choices::Choices::AnyOf(list) => value("any_of", list.choices).map(GpuChoices::AnyOf),
            gpu_choices::Choices::Ordered(list) => value("ordered", list.choices).map(GpuChoices::Ordered),
        }
    }
}
