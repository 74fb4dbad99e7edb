//! A pod template as placement sees it.

use muster_model::{DurationMs, GpuModel, Resources, Selector, Toleration};

use super::affinity::place;
use super::request;
use super::validate::effect_of;
use crate::field::FieldError;
use crate::kinds::at::At;

/// What pods of a template need.
pub(in crate::kinds) struct PodNeeds {
    /// What one pod asks for.
    pub(in crate::kinds) request: Resources,
    /// Between SIGTERM and SIGKILL.
    pub(in crate::kinds) grace: DurationMs,
    /// Taints it tolerates.
    pub(in crate::kinds) tolerations: Vec<Toleration>,
    /// Requirements on the member's labels.
    pub(in crate::kinds) node_selector: Selector,
    /// The GPU model it names.
    pub(in crate::kinds) gpu_model: Option<GpuModel>,
    /// What people should know.
    pub(in crate::kinds) warnings: Vec<String>,
}

/// Reads a template that follows the rules.
pub(in crate::kinds) fn needs(template: &At<'_>, errors: &mut Vec<FieldError>) -> PodNeeds {
    let spec = template.field("spec");
    let mut place = place(&spec, errors);
    place.warnings.extend(request::warnings(&spec));
    place.warnings.extend(spec.field("containers").items().filter_map(|item| image_warning(&item)));
    let grace_s = spec.field("terminationGracePeriodSeconds").count().unwrap_or(30);
    PodNeeds {
        request: request::request(&spec),
        grace: DurationMs::from_secs(u64::from(grace_s)),
        tolerations: spec.field("tolerations").items().map(|item| toleration(&item)).collect(),
        node_selector: place.node_selector,
        gpu_model: place.gpu_model,
        warnings: place.warnings,
    }
}

/// The process backend runs commands, not images: told once, when the job is handed in.
fn image_warning(container: &At<'_>) -> Option<String> {
    let image = container.field("image");
    if container.field("command").items().next().is_none() {
        return Some(format!(
            "{} is not given: members with the process backend refuse a container without a command",
            container.child("command")
        ));
    }
    image.some_text().map(|_| format!("{} is ignored by members with the process backend", image.path))
}

fn toleration(item: &At<'_>) -> Toleration {
    let any_value = item.field("operator").text() == "Exists";
    Toleration {
        key: item.field("key").some_text().map(Into::into),
        value: if any_value { None } else { Some(item.field("value").text().into()) },
        effect: effect_of(item.field("effect").text()),
    }
}
