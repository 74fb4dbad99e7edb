//! `muster.sh/v1alpha1 Placement`: options of a job, or of many.

use std::sync::Arc;

use muster_model::{DurationMs, GpuChoices, Object, PartitionPolicy, PlacementSpec, Spec, SpotUse, Status};
use serde_json::{Value, json};

use super::at::At;
use super::column::{AGE, NAME, NONE, text, wide};
use super::kind::{Reading, StoredKind};
use super::placement_spec;
use super::rows::Rows;
use super::scalar::duration_text;
use crate::field::FieldError;
use crate::resource::{ALL_VERBS, Column, NameRule, Origin, Resource};

const COLUMNS: &[Column] = &[
    NAME,
    text("GPUs", "Models that will do."),
    text("Spot", "Whether spot capacity may be used."),
    text("Max Hourly", "The most it may cost per hour, in USD."),
    text("Partition", "What happens when contact is lost."),
    AGE,
    wide("Duration", "How long jobs are expected to run."),
    wide("Deadline", "When jobs must be done."),
    wide("Datasets", "Datasets that jobs read."),
    wide("Checkpoint", "Time between two checkpoints."),
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "muster.sh",
        version: "v1alpha1",
        kind: "Placement",
        plural: "placements",
        singular: "placement",
        short_names: &["pl"],
        categories: &["muster"],
        namespaced: true,
        verbs: ALL_VERBS,
        subresources: &[],
        columns: COLUMNS,
        schema: "sh.muster.v1alpha1.Placement",
        origin: Origin::Custom,
        name_rule: NameRule::Subdomain,
        field_labels: &[],
        default: |_| {},
        validate: |_, _| Vec::new(),
    },
    read,
    show: |_, _, _| {},
    cells,
};

fn read(object: &Value) -> Result<Reading, Vec<FieldError>> {
    let spec = placement_spec::read(&At::root(object, "").field("spec"), DurationMs(0))?;
    Ok(Reading::of(Spec::Placement(Arc::new(spec))))
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Status::Placement(spec) = &object.status else { return vec![Value::Null; COLUMNS.len()] };
    vec![
        json!(&*object.key.name),
        json!(gpus(spec)),
        json!(spot(spec.spot)),
        json!(spec.max_hourly_cost.map_or(NONE.to_owned(), |cost| cost.to_string())),
        json!(partition(spec)),
        rows.age(object),
        json!(spec.expected_duration.map_or(NONE.to_owned(), duration_text)),
        json!(spec.deadline.map_or(NONE.to_owned(), |at| at.to_string())),
        json!(if spec.datasets.is_empty() { NONE.to_owned() } else { spec.datasets.join(",") }),
        json!(spec.checkpoint.as_ref().map_or(NONE.to_owned(), |c| duration_text(c.interval))),
    ]
}

fn gpus(spec: &PlacementSpec) -> String {
    let (choices, separator) = match &spec.gpus {
        GpuChoices::Any => return "any".to_owned(),
        GpuChoices::AnyOf(choices) => (choices, " | "),
        GpuChoices::Ordered(choices) => (choices, " > "),
    };
    let texts = choices.iter().map(|c| c.count.map_or(c.model.to_string(), |n| format!("{n}x {}", c.model)));
    texts.collect::<Vec<_>>().join(separator)
}

fn spot(spot: SpotUse) -> &'static str {
    match spot {
        SpotUse::Never => "never",
        SpotUse::Prefer => "prefer",
        SpotUse::Require => "require",
    }
}

fn partition(spec: &PlacementSpec) -> String {
    match spec.partition_policy {
        PartitionPolicy::Keep => "Keep".to_owned(),
        PartitionPolicy::DuplicateOk => "DuplicateOk".to_owned(),
        PartitionPolicy::Fence => {
            let after = spec.fence_after.unwrap_or(PlacementSpec::DEFAULT_FENCE_AFTER);
            format!("Fence after {}", duration_text(after))
        }
    }
}
