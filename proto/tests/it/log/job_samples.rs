//! What sample jobs need, without and with rules.

use std::sync::Arc;

use muster_model::*;

use super::samples::{a100, at, eight_gpus, job, placement};

pub fn job_spec() -> JobSpec {
    JobSpec {
        pod_sets: vec![PodSet { name: "main".into(), count: 4, request: eight_gpus() }],
        completion: Completion { parallelism: 4, completions: Some(8), indexed: true },
        backoff_limit: 6,
        active_deadline: Some(DurationMs::from_secs(7200)),
        ttl_after_finished: Some(DurationMs(0)),
        grace: DurationMs::from_secs(30),
        suspend: true,
        placement: PlacementChoice::Inline(Arc::new(placement())),
        tolerations: vec![Toleration {
            key: Some("spot".into()),
            value: Some("true".into()),
            effect: Some(TaintEffect::NoExecute),
        }],
        node_selector: Selector(vec![Requirement::In("tier".into(), vec!["gold".into()])]),
        gpu_model: Some(a100()),
        rules: JobRules::default(),
    }
}

/// A job with everything that rules about single pods add.
pub fn ruled_job() -> Job {
    let plain = job(JobPhase::Queued, None);
    let codes = ExitCodes { container: Some("main".into()), negated: true, values: vec![42, -1] };
    let condition = ConditionPattern { kind: "DisruptionTarget".into(), status: "True".into() };
    let rule = |action, pattern| FailureRule { action, pattern };
    let rules = JobRules {
        backoff_limit_per_index: Some(2),
        max_failed_indexes: Some(0),
        on_failure: vec![
            rule(FailureAction::FailJob, FailurePattern::ExitCodes(codes.clone())),
            rule(FailureAction::FailIndex, FailurePattern::ExitCodes(ExitCodes { container: None, ..codes })),
            rule(FailureAction::Ignore, FailurePattern::PodConditions(vec![condition])),
            rule(FailureAction::Count, FailurePattern::PodConditions(vec![])),
        ],
        on_success: vec![
            SuccessRule { indexes: Some("0,2-3".into()), count: Some(2) },
            SuccessRule { indexes: None, count: None },
        ],
        gang_restart: true,
        containers: vec!["main".into(), "side".into()],
    };
    Job {
        spec: Arc::new(JobSpec { rules, ..job_spec() }),
        suspension_changed: Some(at(4)),
        index_failures: IndexFailures { failed: "2".into(), counts: "1:4-6;2:7".into() },
        pods: PodCounts { terminating: 5, ..plain.pods },
        ..plain
    }
}
