//! S21: sovereignty and data rules hold for every placement. At each grant what the job asks of its place is looked at
//! again, against the member as it was when the grant was committed.

use muster_core::State;
use muster_model::{Job, Key, PlacementSpec};

use super::{JobChange, Violation, note};

/// An entry changed a job, and gave this state.
pub(crate) fn check_place(change: JobChange<'_>, after: &State, found: &mut Vec<Violation>) {
    let epoch = |job: Option<&Job>| job?.attempt.as_ref().map(|attempt| attempt.epoch);
    let Some(job) = change.new_job().filter(|job| epoch(Some(job)) != epoch(change.old_job())) else {
        return;
    };
    let Some(assignment) = job.attempt.as_ref().map(|attempt| &attempt.assignment) else { return };
    let Some(spec) = job.spec.inline_placement() else { return };
    let object = after.get(&Key::cluster(assignment.member.as_str()));
    let Some(cluster) = object.and_then(|object| object.cluster()) else {
        return note(found, "S21", format!("{} was granted to a member that is not there", change.key));
    };
    if let Err(rule) = spec.cluster_selector.check(&cluster.spec.labels) {
        let seen = format!("{} asks for {rule}, it was granted to {}", change.key, assignment.member);
        note(found, "S21", seen);
    }
    if !allows_model(spec, job, assignment.gpu_model.as_ref()) {
        let seen = format!("{} was granted GPUs of model {:?}", change.key, assignment.gpu_model);
        note(found, "S21", seen);
    }
}

fn allows_model(spec: &PlacementSpec, job: &Job, model: Option<&muster_model::GpuModel>) -> bool {
    use muster_model::GpuChoices::{Any, AnyOf, Ordered};
    match (&spec.gpus, model) {
        (Any, Some(model)) => job.spec.gpu_model.as_ref().is_none_or(|wanted| wanted == model),
        (AnyOf(choices) | Ordered(choices), Some(model)) => {
            choices.iter().any(|choice| choice.model == *model)
        }
        (_, None) => job.spec.gpu_model.is_none(),
    }
}
