//! What tests of the checks share, and checks of what an entry does.

use std::sync::Arc;

use muster_model::{
    Completion, Document, DurationMs, Job, JobPhase, JobRules, JobSpec, Key, Meta, Object, PlacementChoice,
    PodSet, Resources, Revision, Selector, Status, TimeMs, Uid,
};

use super::s12_legal_transitions::check_transition;
use super::{JobChange, Violation};

/// A queued job of one pod with one GPU.
pub fn object(name: &str) -> Object {
    let request = Resources { gpu_milli: 1_000, cpu_milli: 1_000, memory_bytes: 1 << 30 };
    let spec = JobSpec {
        pod_sets: vec![PodSet { name: "main".into(), count: 1, request }],
        completion: Completion { parallelism: 1, completions: Some(1), indexed: false },
        backoff_limit: 1,
        active_deadline: None,
        ttl_after_finished: None,
        grace: DurationMs(2_000),
        suspend: false,
        placement: PlacementChoice::Default,
        tolerations: Vec::new(),
        node_selector: Selector::default(),
        gpu_model: None,
        rules: JobRules::default(),
    };
    let meta = Meta {
        uid: Uid(7),
        created: TimeMs(1),
        generation: 1,
        revision: Revision(1),
        deletion: None,
        finalizers: Vec::new(),
        owners: Vec::new(),
        idempotency: None,
    };
    let status = Status::Job(Box::new(Job::new(&Arc::new(spec), TimeMs(1))));
    let document = Document { metadata: "".into(), body: "".into() };
    Object { key: Key::job("default", name), meta, document, status }
}

fn with(change: impl FnOnce(&mut Job)) -> Object {
    let mut object = object("job-1");
    let Status::Job(job) = &mut object.status else { panic!("it is a job") };
    change(job);
    object
}

fn transition(old: Option<&Object>, new: &Object) -> Vec<Violation> {
    let mut found = Vec::new();
    check_transition(JobChange { key: &new.key, old, new: Some(new) }, &mut found);
    found
}

#[test]
fn illegal_transitions_are_found() {
    let queued = object("job-1");
    let suspended = with(|job| job.phase = JobPhase::Suspended);
    let active = with(|job| job.phase = JobPhase::Active);
    let finish = muster_model::Finish {
        at: TimeMs(5),
        failure: None,
        member: muster_model::MemberName::new("m"),
        because: "".into(),
        granted_at: TimeMs(2),
    };
    let finished = with(|job| job.phase = JobPhase::Finished(finish));
    let failed_often = with(|job| job.pods.failed = 3);
    let counted = with(|job| job.attempts = 1);
    let legal = [
        (None, &queued),
        (None, &suspended),
        (Some(&queued), &suspended),
        (Some(&suspended), &queued),
        (Some(&active), &finished),
        (Some(&finished), &finished),
    ];
    for (old, new) in legal {
        assert_eq!(transition(old, new), [], "{:?}", new.job().map(|job| &job.phase));
    }
    let illegal = [
        (None, &active),
        (Some(&suspended), &active),
        (Some(&finished), &queued),
        (Some(&queued), &failed_often),
        (Some(&queued), &counted),
    ];
    for (old, new) in illegal {
        assert_eq!(transition(old, new).len(), 1, "{:?}", new.job().map(|job| &job.phase));
    }
}
