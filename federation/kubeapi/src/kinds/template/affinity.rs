//! Which members a pod may go to: `nodeSelector` and the required node affinity, read as requirements on the member's labels.

use std::sync::Arc;

use muster_model::{GpuModel, Requirement, Selector};

use crate::field::FieldError;
use crate::kinds::at::At;

/// Labels of Nodes that name the GPU product (GPU feature discovery; the AMD and Gaudi counterparts).
const GPU_PRODUCT: [&str; 2] = ["nvidia.com/gpu.product", "amd.com/gpu.product-name"];
/// Every member runs Linux.
const OS: &str = "kubernetes.io/os";

/// What is asked of the place.
#[derive(Default)]
pub(super) struct Place {
    pub(super) node_selector: Selector,
    pub(super) gpu_model: Option<GpuModel>,
    pub(super) warnings: Vec<String>,
}

/// Reads what the pod spec asks of its place.
pub(super) fn place(spec: &At<'_>, errors: &mut Vec<FieldError>) -> Place {
    let mut place = Place::default();
    for (key, value) in spec.field("nodeSelector").entries() {
        place.require(key, Requirement::In(key.into(), vec![value.text().into()]));
    }
    let affinity = spec.down(&["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"]);
    let terms: Vec<_> = affinity.field("nodeSelectorTerms").items().collect();
    match terms.as_slice() {
        [] => {}
        [term] => {
            for expression in term.field("matchExpressions").items() {
                place.expression(&expression, errors);
            }
        }
        _ => place.warnings.push(format!(
            "{}.nodeSelectorTerms has several terms, which placement does not weigh: use a Placement's clusterSelector and gpus",
            affinity.path
        )),
    }
    place
}

impl Place {
    fn require(&mut self, key: &str, requirement: Requirement) {
        match &requirement {
            Requirement::In(_, values) if values.len() == 1 && GPU_PRODUCT.contains(&key) => {
                self.gpu_model = Some(GpuModel::new(Arc::clone(&values[0])));
            }
            Requirement::In(_, values) if key == OS && values.iter().any(|value| &**value == "linux") => {}
            _ if GPU_PRODUCT.contains(&key) => self.warnings.push(format!(
                "the requirement on {key} is not weighed by placement: name several models in a Placement's gpus"
            )),
            _ => self.node_selector.0.push(requirement),
        }
    }

    fn expression(&mut self, at: &At<'_>, errors: &mut Vec<FieldError>) {
        let key = at.field("key").text();
        match requirement(at) {
            Some(requirement) => self.require(key, requirement),
            None if ["Gt", "Lt"].contains(&at.field("operator").text()) => {
                self.warnings.push(format!("{}: the operator is not weighed by placement", at.path));
            }
            None => errors.push(FieldError::not_supported(
                at.child("operator"),
                at.field("operator").text(),
                &["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"],
            )),
        }
    }
}

fn requirement(at: &At<'_>) -> Option<Requirement> {
    let key: Arc<str> = at.field("key").text().into();
    let values = || at.field("values").items().map(|value| value.text().into()).collect();
    match at.field("operator").text() {
        "In" => Some(Requirement::In(key, values())),
        "NotIn" => Some(Requirement::NotIn(key, values())),
        "Exists" => Some(Requirement::Exists(key)),
        "DoesNotExist" => Some(Requirement::Absent(key)),
        _ => None,
    }
}

/// A `metav1.LabelSelector` as requirements.
pub(in crate::kinds) fn label_selector(at: &At<'_>, errors: &mut Vec<FieldError>) -> Selector {
    let mut requirements = Vec::new();
    for (key, value) in at.field("matchLabels").entries() {
        requirements.push(Requirement::In(key.into(), vec![value.text().into()]));
    }
    for expression in at.field("matchExpressions").items() {
        let operator = expression.field("operator");
        let values = expression.field("values");
        let needs_values = matches!(operator.text(), "In" | "NotIn");
        match requirement(&expression) {
            None => errors.push(FieldError::invalid_text(
                operator.path.clone(),
                operator.text(),
                "not a valid selector operator",
            )),
            Some(_) if needs_values && values.items().next().is_none() => {
                errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            Some(_) if !needs_values && values.items().next().is_some() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(values.path, detail));
            }
            Some(requirement) => requirements.push(requirement),
        }
    }
    Selector(requirements)
}
