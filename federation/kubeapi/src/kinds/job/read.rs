//! What the hub decides on in a job.

use std::sync::Arc;

use muster_model::{Completion, DurationMs, JobSpec, PlacementChoice, PodSet, Spec};
use serde_json::Value;

use super::policies;
use super::validate::is_indexed;
use crate::field::FieldError;
use crate::kinds::at::{At, Path};
use crate::kinds::kind::Reading;
use crate::kinds::{placement_spec, template};
use crate::validate::names;

/// Names a `Placement` of the job's namespace.
const PLACEMENT: &str = "muster.sh/placement";
/// Holds the spec of a `Placement` as JSON.
const PLACEMENT_SPEC: &str = "muster.sh/placement-spec";
/// Failures that a job without a limit of its own is granted.
const BACKOFF_LIMIT: u32 = 6;

/// Reads a job that follows the rules.
pub(super) fn read(object: &Value) -> Result<Reading, Vec<FieldError>> {
    let root = At::root(object, "");
    let spec = root.field("spec");
    let mut errors = Vec::new();
    let needs = template::needs(&spec.field("template"), &mut errors);
    let placement = placement(&root, needs.grace, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let completion = completion(&spec);
    let rules = policies::read(&root, &completion, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let count = completion.completions.map_or(completion.parallelism, |n| n.min(completion.parallelism));
    let seconds = |field: &str| spec.field(field).int().map(|n| DurationMs::from_secs(n.max(0) as u64));
    let job = JobSpec {
        pod_sets: vec![PodSet { name: "main".into(), count, request: needs.request }],
        completion,
        backoff_limit: spec.field("backoffLimit").count().unwrap_or(BACKOFF_LIMIT),
        active_deadline: seconds("activeDeadlineSeconds"),
        ttl_after_finished: seconds("ttlSecondsAfterFinished"),
        grace: needs.grace,
        suspend: spec.field("suspend").is_true(),
        placement,
        tolerations: needs.tolerations,
        node_selector: needs.node_selector,
        gpu_model: needs.gpu_model,
        rules,
    };
    Ok(Reading { spec: Spec::Job(Arc::new(job)), warnings: needs.warnings })
}

fn completion(spec: &At<'_>) -> Completion {
    Completion {
        parallelism: spec.field("parallelism").count().unwrap_or(1),
        completions: spec.field("completions").count(),
        indexed: is_indexed(spec),
    }
}

fn placement(root: &At<'_>, grace: DurationMs, errors: &mut Vec<FieldError>) -> PlacementChoice {
    let annotations = root.down(&["metadata", "annotations"]);
    let at = |key: &'static str| At {
        path: Path::root(format!("metadata.annotations[{key}]")),
        ..annotations.field(key)
    };
    let (named, inline) = (at(PLACEMENT), at(PLACEMENT_SPEC));
    match (named.some_text(), inline.some_text()) {
        (None, None) => PlacementChoice::Default,
        (Some(_), Some(_)) => {
            errors.push(
                inline.invalid(format!("must not be given together with {PLACEMENT}: keep one of the two")),
            );
            PlacementChoice::Default
        }
        (Some(name), None) => {
            errors.extend(names::dns_subdomain(name).into_iter().map(|rule| named.invalid(rule)));
            PlacementChoice::Named(name.into())
        }
        (None, Some(_)) => match placement_spec::read_inline(&inline, grace) {
            Ok(spec) => PlacementChoice::Inline(Arc::new(spec)),
            Err(found) => {
                errors.extend(found);
                PlacementChoice::Default
            }
        },
    }
}
