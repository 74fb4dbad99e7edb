//! Jobs, placements and attempts.

use std::sync::Arc;

use muster_model::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Of;
use super::clusters::incarnation;
use super::data::cost_line;
use super::transfers::data_need;
use super::words::*;

pub fn job_spec() -> Of<JobSpec> {
    let pod_set = each!(PodSet { name: text(), count: any::<u32>(), request: resources() });
    let completion = each!(Completion {
        parallelism: any::<u32>(),
        completions: option::of(any::<u32>()),
        indexed: any::<bool>(),
    });
    let toleration = each!(Toleration {
        key: option::of(text()),
        value: option::of(text()),
        effect: option::of(taint_effect()),
    });
    let placement = prop_oneof![
        Just(PlacementChoice::Default),
        text().prop_map(PlacementChoice::Named),
        placement().prop_map(|spec| PlacementChoice::Inline(Arc::new(spec))),
    ];
    each!(JobSpec {
        pod_sets: vec(pod_set, 0..3),
        completion: completion,
        backoff_limit: any::<u32>(),
        active_deadline: option::of(duration()),
        ttl_after_finished: option::of(duration()),
        grace: duration(),
        suspend: any::<bool>(),
        placement: placement,
        tolerations: vec(toleration, 0..3),
        node_selector: selector(),
        gpu_model: option::of(gpu_model()),
        rules: rules(),
    })
}

fn rules() -> Of<JobRules> {
    let action = one_of![
        FailureAction::Count,
        FailureAction::FailIndex,
        FailureAction::FailJob,
        FailureAction::Ignore,
    ];
    let codes = each!(ExitCodes {
        container: option::of(text()),
        negated: any::<bool>(),
        values: vec(any::<i32>(), 0..3),
    });
    let conditions = vec(each!(ConditionPattern { kind: text(), status: text() }), 0..3);
    let pattern = prop_oneof![
        codes.prop_map(FailurePattern::ExitCodes),
        conditions.prop_map(FailurePattern::PodConditions),
    ];
    each!(JobRules {
        backoff_limit_per_index: option::of(any::<u32>()),
        max_failed_indexes: option::of(any::<u32>()),
        on_failure: vec(each!(FailureRule { action: action, pattern: pattern }), 0..3),
        on_success: vec(
            each!(SuccessRule { indexes: option::of(text()), count: option::of(any::<u32>()) }),
            0..3
        ),
        gang_restart: any::<bool>(),
        containers: vec(text(), 0..3),
    })
}

fn index_failures() -> Of<IndexFailures> {
    each!(IndexFailures { failed: text(), counts: text() })
}

pub fn placement() -> Of<PlacementSpec> {
    let choice = || vec(each!(GpuChoice { model: gpu_model(), count: option::of(any::<u32>()) }), 0..3);
    let gpus = prop_oneof![
        Just(GpuChoices::Any),
        choice().prop_map(GpuChoices::AnyOf),
        choice().prop_map(GpuChoices::Ordered),
    ];
    let checkpoint = each!(Checkpoint { path: text(), interval: duration(), size_bytes: any::<u64>() });
    each!(PlacementSpec {
        cluster_selector: selector(),
        gpus: gpus,
        datasets: texts(),
        spot: one_of![SpotUse::Never, SpotUse::Prefer, SpotUse::Require],
        max_hourly_cost: option::of(money()),
        expected_duration: option::of(duration()),
        deadline: option::of(time()),
        checkpoint: option::of(checkpoint),
        partition_policy: partition_policy(),
        fence_after: option::of(duration()),
    })
}

pub fn partition_policy() -> Of<PartitionPolicy> {
    one_of![PartitionPolicy::Keep, PartitionPolicy::Fence, PartitionPolicy::DuplicateOk]
}

pub fn assignment() -> Of<Assignment> {
    let claim = each!(PodClaim { pod_set: any::<u16>(), node: any::<u32>(), pods: any::<u32>() });
    let policy = each!(GrantPolicy { partition: partition_policy(), fence_after: duration() });
    each!(Assignment {
        member: member(),
        claims: vec(claim, 0..3),
        gpu_model: option::of(gpu_model()),
        requests: vec(resources(), 0..3),
        hourly: money(),
        one_off: vec(cost_line(), 0..3),
        policy: policy,
        after: vec((key(), epoch()), 0..3),
        because: text(),
        data: vec(data_need(), 0..3),
    })
}

pub fn job() -> Of<Job> {
    let reservation = each!(Reservation { assignment: assignment(), expires: time(), held: any::<bool>() });
    let finish = each!(Finish {
        at: time(),
        failure: option::of(finish_reason()),
        member: member(),
        because: text(),
        granted_at: time(),
    });
    let phase = prop_oneof![
        Just(JobPhase::Suspended),
        Just(JobPhase::Queued),
        reservation.prop_map(|reservation| JobPhase::Reserved(Box::new(reservation))),
        Just(JobPhase::Active),
        finish.prop_map(JobPhase::Finished),
    ];
    each!(Job {
        spec: job_spec().prop_map(Arc::new),
        phase: phase,
        attempt: option::of(attempt().prop_map(Box::new)),
        start_time: option::of(time()),
        pods: pod_counts(),
        completed_indexes: text(),
        attempts: any::<u32>(),
        queued_at: time(),
        suspension_changed: option::of(time()),
        index_failures: index_failures(),
    })
}

pub fn finish_reason() -> Of<FinishReason> {
    each!(FinishReason { reason: text(), message: text() })
}

pub fn attempt() -> Of<Attempt> {
    let reason = one_of![StopReason::Deleted, StopReason::Suspended, StopReason::Evicted];
    let state =
        prop_oneof![
            Just(AttemptState::Granted),
            time().prop_map(|since| AttemptState::Running { since }),
            (reason, time(), option::of(time()))
                .prop_map(|(reason, since, started)| AttemptState::Stopping { reason, since, started }),
        ];
    each!(Attempt {
        epoch: epoch(),
        assignment: assignment(),
        granted_at: time(),
        incarnation: option::of(incarnation()),
        state: state,
    })
}

pub fn pod_counts() -> Of<PodCounts> {
    each!(PodCounts {
        active: any::<u32>(),
        ready: any::<u32>(),
        succeeded: any::<u32>(),
        failed: any::<u32>(),
        terminating: any::<u32>(),
    })
}

pub fn attempt_report() -> Of<AttemptReport> {
    let outcome = prop_oneof![
        Just(AttemptOutcome::Succeeded),
        finish_reason().prop_map(AttemptOutcome::Failed),
        Just(AttemptOutcome::Stopped),
        Just(AttemptOutcome::Fenced),
        Just(AttemptOutcome::Lost),
    ];
    let state = prop_oneof![
        time().prop_map(|since| ReportedState::Running { since }),
        (outcome, option::of(any::<i32>()), time())
            .prop_map(|(outcome, exit_code, at)| ReportedState::Ended { outcome, exit_code, at }),
    ];
    each!(AttemptReport {
        job: key(),
        uid: uid(),
        epoch: epoch(),
        state: state,
        pods: pod_counts(),
        completed_indexes: text(),
        index_failures: index_failures(),
    })
}
