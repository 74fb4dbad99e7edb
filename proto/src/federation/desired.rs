//! An attempt that a member shall run, or end.

use std::sync::Arc;

use muster_model::{
    DesiredAttempt, DurationMs, Epoch, GpuModel, GrantPolicy, PartitionPolicy, PodClaim, StopReason,
};

use super::field::{FieldError, UNKNOWN_VALUE, convert, convert_all, id_bytes, log_forms, required, uid};
use super::pb;
use crate::log::{forms, index_failures_form, read_index_failures};

impl From<&DesiredAttempt> for pb::DesiredAttempt {
    fn from(attempt: &DesiredAttempt) -> Self {
        Self {
            job: Some((&attempt.job).into()),
            uid: id_bytes(attempt.uid.0),
            epoch: attempt.epoch.0,
            spec: Some((&*attempt.spec).into()),
            body: attempt.body.to_string(),
            claims: attempt.claims.iter().map(Into::into).collect(),
            gpu_model: attempt.gpu_model.as_ref().map(ToString::to_string),
            requests: attempt.requests.iter().map(Into::into).collect(),
            policy: Some(attempt.policy.into()),
            stop: stop_to_wire(attempt.stop).into(),
            grace_ms: attempt.grace.0,
            before: Some(attempt.before.into()),
            completed_indexes: attempt.completed_indexes.to_string(),
            active_deadline_left_ms: attempt.active_deadline_left.map(|d| d.0),
            index_failures: index_failures_form(&attempt.index_failures),
            data: forms(&attempt.data),
        }
    }
}

impl TryFrom<pb::DesiredAttempt> for DesiredAttempt {
    type Error = FieldError;

    fn try_from(attempt: pb::DesiredAttempt) -> Result<Self, FieldError> {
        Ok(Self {
            stop: stop_from_wire(attempt.stop)?,
            job: convert(attempt.job, "job")?,
            uid: uid(&attempt.uid, "uid")?,
            epoch: Epoch(attempt.epoch),
            spec: Arc::new(convert(attempt.spec, "spec")?),
            body: attempt.body.into(),
            claims: convert_all(attempt.claims, "claims")?,
            gpu_model: attempt.gpu_model.map(GpuModel::new),
            requests: attempt.requests.into_iter().map(Into::into).collect(),
            policy: convert(attempt.policy, "policy")?,
            grace: DurationMs(attempt.grace_ms),
            before: required(attempt.before, "before")?.into(),
            completed_indexes: attempt.completed_indexes.into(),
            index_failures: read_index_failures(attempt.index_failures),
            active_deadline_left: attempt.active_deadline_left_ms.map(DurationMs),
            data: log_forms(attempt.data, "data")?,
        })
    }
}

impl From<&PodClaim> for pb::PodClaim {
    fn from(claim: &PodClaim) -> Self {
        Self { pod_set: claim.pod_set.into(), node: claim.node, pods: claim.pods }
    }
}

impl TryFrom<pb::PodClaim> for PodClaim {
    type Error = FieldError;

    fn try_from(claim: pb::PodClaim) -> Result<Self, FieldError> {
        let pod_set =
            u16::try_from(claim.pod_set).map_err(|_| FieldError::new("pod_set", "must be below 65536"))?;
        Ok(Self { pod_set, node: claim.node, pods: claim.pods })
    }
}

impl From<GrantPolicy> for pb::GrantPolicy {
    fn from(policy: GrantPolicy) -> Self {
        let partition = match policy.partition {
            PartitionPolicy::Keep => pb::PartitionPolicy::Keep,
            PartitionPolicy::Fence => pb::PartitionPolicy::Fence,
            PartitionPolicy::DuplicateOk => pb::PartitionPolicy::DuplicateOk,
        };
        Self { partition: partition.into(), fence_after_ms: policy.fence_after.0 }
    }
}

impl TryFrom<pb::GrantPolicy> for GrantPolicy {
    type Error = FieldError;

    fn try_from(policy: pb::GrantPolicy) -> Result<Self, FieldError> {
        let partition = match policy.partition() {
            pb::PartitionPolicy::Keep => PartitionPolicy::Keep,
            pb::PartitionPolicy::Fence => PartitionPolicy::Fence,
            pb::PartitionPolicy::DuplicateOk => PartitionPolicy::DuplicateOk,
            pb::PartitionPolicy::Unspecified => return Err(FieldError::new("partition", UNKNOWN_VALUE)),
        };
        Ok(Self { partition, fence_after: DurationMs(policy.fence_after_ms) })
    }
}

fn stop_to_wire(stop: Option<StopReason>) -> pb::StopReason {
    match stop {
        None => pb::StopReason::Unspecified,
        Some(StopReason::Deleted) => pb::StopReason::Deleted,
        Some(StopReason::Suspended) => pb::StopReason::Suspended,
        Some(StopReason::Evicted) => pb::StopReason::Evicted,
    }
}

/// An unknown reason must not read as "shall run", so it is an error, unlike 0.
fn stop_from_wire(stop: i32) -> Result<Option<StopReason>, FieldError> {
    match pb::StopReason::try_from(stop) {
        Ok(pb::StopReason::Unspecified) => Ok(None),
        Ok(pb::StopReason::Deleted) => Ok(Some(StopReason::Deleted)),
        Ok(pb::StopReason::Suspended) => Ok(Some(StopReason::Suspended)),
        Ok(pb::StopReason::Evicted) => Ok(Some(StopReason::Evicted)),
        Err(_) => Err(FieldError::new("stop", UNKNOWN_VALUE)),
    }
}
