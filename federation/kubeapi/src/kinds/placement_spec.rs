//! The options of a job, read from a `Placement` or from JSON inside a job's annotation by the same rules.

use std::collections::BTreeSet;

use muster_model::{
    Checkpoint, DurationMs, GpuChoice, GpuChoices, GpuModel, PartitionPolicy, PlacementSpec, SpotUse,
};
use serde_json::Value;

use super::at::At;
use super::{scalar, template};
use crate::document::{self, Encoding};
use crate::field::FieldError;
use crate::schema::Schemas;
use crate::validate::{names, structure};

const SCHEMA: &str = "sh.muster.v1alpha1.PlacementSpec";

/// Reads a spec whose types are right. `grace` is what pods of jobs under it get at least.
pub(super) fn read(at: &At<'_>, grace: DurationMs) -> Result<PlacementSpec, Vec<FieldError>> {
    let mut errors = Vec::new();
    let spec = PlacementSpec {
        cluster_selector: template::label_selector(&at.field("clusterSelector"), &mut errors),
        gpus: gpus(&at.field("gpus"), &mut errors),
        datasets: datasets(&at.field("datasets"), &mut errors),
        spot: spot(&at.field("spot"), &mut errors),
        max_hourly_cost: scalar::money(&at.field("maxHourlyCost"), &mut errors),
        expected_duration: scalar::positive_duration(&at.field("expectedDuration"), &mut errors),
        deadline: scalar::time(&at.field("deadline"), &mut errors),
        checkpoint: checkpoint(&at.field("checkpoint"), &mut errors),
        partition_policy: partition_policy(&at.field("partitionPolicy"), &mut errors),
        fence_after: scalar::positive_duration(&at.field("fenceAfter"), &mut errors),
    };
    check_fence(at, &spec, grace, &mut errors);
    if errors.is_empty() { Ok(spec) } else { Err(errors) }
}

/// Reads a spec written as JSON in an annotation. Whatever a strict reader objects to is refused: nobody sees warnings of
/// a text inside a text.
pub(super) fn read_inline(at: &At<'_>, grace: DurationMs) -> Result<PlacementSpec, Vec<FieldError>> {
    let schemas = Schemas::embedded();
    let about = |why: String| vec![FieldError::invalid_text(at.path.clone(), at.text(), why)];
    let parsed = document::parse(at.text().as_bytes(), Encoding::Json, Some((schemas, SCHEMA)))
        .map_err(|error| about(format!("must be the spec of a Placement as JSON: {error}")))?;
    if !parsed.value.is_object() {
        return Err(about("must be the spec of a Placement as a JSON object".to_owned()));
    }
    let inner = At::root(&parsed.value, at.path.clone());
    let mut errors: Vec<FieldError> =
        parsed.findings.iter().flat_map(|finding| about(finding.clone())).collect();
    errors.extend(structure(schemas, SCHEMA, &parsed.value).iter().map(|wrong| {
        let error = wrong.field_error().clone();
        FieldError { field: inner.child(&error.field), ..error }
    }));
    match read(&inner, grace) {
        Ok(spec) if errors.is_empty() => Ok(spec),
        Ok(_) => Err(errors),
        Err(more) => {
            let told: BTreeSet<String> = errors.iter().map(|error| error.field.clone()).collect();
            errors.extend(more.into_iter().filter(|error| !told.contains(&error.field)));
            Err(errors)
        }
    }
}

fn gpus(at: &At<'_>, errors: &mut Vec<FieldError>) -> GpuChoices {
    let (any_of, ordered) = (at.field("anyOf"), at.field("ordered"));
    match (any_of.is_set(), ordered.is_set()) {
        (false, false) => GpuChoices::Any,
        (true, false) => GpuChoices::AnyOf(choices(&any_of, errors)),
        (false, true) => GpuChoices::Ordered(choices(&ordered, errors)),
        (true, true) => {
            errors.push(FieldError::forbidden(ordered.path, "may not be given together with anyOf"));
            GpuChoices::Any
        }
    }
}

fn choices(at: &At<'_>, errors: &mut Vec<FieldError>) -> Vec<GpuChoice> {
    let mut seen = BTreeSet::new();
    let mut choices = Vec::new();
    for item in at.items() {
        let (model, count) = (item.field("model"), item.field("count"));
        if model.text().is_empty() {
            errors.push(model.required("such as NVIDIA-A100-SXM4-80GB"));
        }
        if count.int().is_some_and(|n| n < 1) {
            errors.push(count.invalid("must be greater than or equal to 1"));
        }
        if !seen.insert(model.text()) {
            errors.push(FieldError::duplicate(model.path.clone(), model.value));
        }
        choices.push(GpuChoice { model: GpuModel::new(model.text()), count: count.count() });
    }
    if choices.is_empty() {
        errors.push(at.required("name at least one model, or leave the list out"));
    }
    choices
}

fn datasets(at: &At<'_>, errors: &mut Vec<FieldError>) -> Vec<std::sync::Arc<str>> {
    let mut seen = BTreeSet::new();
    for item in at.items() {
        errors.extend(names::dns_subdomain(item.text()).into_iter().map(|rule| item.invalid(rule)));
        if !seen.insert(item.text()) {
            errors.push(FieldError::duplicate(item.path, item.value));
        }
    }
    at.items().map(|item| item.text().into()).collect()
}

fn spot(at: &At<'_>, errors: &mut Vec<FieldError>) -> SpotUse {
    match at.text() {
        "" | "prefer" => SpotUse::Prefer,
        "never" => SpotUse::Never,
        "require" => SpotUse::Require,
        other => {
            errors.push(FieldError::not_supported(at.path.clone(), other, &["never", "prefer", "require"]));
            SpotUse::Prefer
        }
    }
}

fn partition_policy(at: &At<'_>, errors: &mut Vec<FieldError>) -> PartitionPolicy {
    match at.text() {
        "" | "Keep" => PartitionPolicy::Keep,
        "Fence" => PartitionPolicy::Fence,
        "DuplicateOk" => PartitionPolicy::DuplicateOk,
        other => {
            errors.push(FieldError::not_supported(at.path.clone(), other, &["Keep", "Fence", "DuplicateOk"]));
            PartitionPolicy::Keep
        }
    }
}

fn checkpoint(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<Checkpoint> {
    if !at.is_set() {
        return None;
    }
    let interval = at.field("interval");
    if !interval.is_set() {
        errors.push(interval.required("the time between two checkpoints, such as 10m"));
    }
    let size_bytes = scalar::units(&at.field("size"), errors).unwrap_or_default();
    let interval = scalar::positive_duration(&interval, errors)?;
    Some(Checkpoint { path: at.field("path").text().into(), interval, size_bytes })
}

/// A fence deadline means dead: grace and kill must fit before it (guarantee S5).
fn check_fence(at: &At<'_>, spec: &PlacementSpec, grace: DurationMs, errors: &mut Vec<FieldError>) {
    let field = at.field("fenceAfter");
    if spec.partition_policy != PartitionPolicy::Fence {
        if field.is_set() {
            errors.push(FieldError::forbidden(field.path, "may only be set when partitionPolicy is Fence"));
        }
        return;
    }
    let after = spec.fence_after.unwrap_or(PlacementSpec::DEFAULT_FENCE_AFTER);
    let needed = PlacementSpec::fence_floor(grace);
    if after <= needed {
        let detail = format!(
            "must be greater than {}: terminationGracePeriodSeconds, the kill budget and three heartbeats",
            scalar::duration_text(needed)
        );
        let shown =
            if field.is_set() { field.value.clone() } else { Value::from(scalar::duration_text(after)) };
        errors.push(FieldError::invalid(field.path, &shown, detail));
    }
}
