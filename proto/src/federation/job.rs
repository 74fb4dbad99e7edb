//! What a member needs of a job.

use muster_model::{Completion, DurationMs, JobSpec, Key, PlacementChoice, PodCounts, PodSet, Selector};

use super::field::{FieldError, UNKNOWN_VALUE, convert_all, nonempty, required};
use super::pb;
use crate::log::{read_rules, rules_form};

impl From<&Key> for pb::Key {
    fn from(key: &Key) -> Self {
        Self { kind: key.kind.to_string(), namespace: key.namespace.to_string(), name: key.name.to_string() }
    }
}

impl TryFrom<pb::Key> for Key {
    type Error = FieldError;

    fn try_from(key: pb::Key) -> Result<Self, FieldError> {
        let kind = nonempty(key.kind, "kind")?;
        Ok(Key::new(&kind, &key.namespace, &nonempty(key.name, "name")?))
    }
}

impl From<&JobSpec> for pb::JobSpec {
    fn from(spec: &JobSpec) -> Self {
        Self {
            pod_sets: spec.pod_sets.iter().map(Into::into).collect(),
            completion: Some(spec.completion.into()),
            backoff_limit: spec.backoff_limit,
            active_deadline_ms: spec.active_deadline.map(|d| d.0),
            ttl_after_finished_ms: spec.ttl_after_finished.map(|d| d.0),
            grace_ms: spec.grace.0,
            suspend: spec.suspend,
            rules: rules_form(&spec.rules),
        }
    }
}

impl TryFrom<pb::JobSpec> for JobSpec {
    type Error = FieldError;

    /// How the place was chosen is not sent: those fields get their defaults.
    fn try_from(spec: pb::JobSpec) -> Result<Self, FieldError> {
        Ok(Self {
            pod_sets: convert_all(spec.pod_sets, "pod_sets")?,
            completion: required(spec.completion, "completion")?.into(),
            backoff_limit: spec.backoff_limit,
            active_deadline: spec.active_deadline_ms.map(DurationMs),
            ttl_after_finished: spec.ttl_after_finished_ms.map(DurationMs),
            grace: DurationMs(spec.grace_ms),
            suspend: spec.suspend,
            placement: PlacementChoice::Default,
            tolerations: Vec::new(),
            node_selector: Selector::default(),
            gpu_model: None,
            rules: read_rules(spec.rules).map_err(|_| FieldError::new("rules", UNKNOWN_VALUE))?,
        })
    }
}

impl From<&PodSet> for pb::PodSet {
    fn from(set: &PodSet) -> Self {
        Self { name: set.name.to_string(), count: set.count, request: Some((&set.request).into()) }
    }
}

impl TryFrom<pb::PodSet> for PodSet {
    type Error = FieldError;

    fn try_from(set: pb::PodSet) -> Result<Self, FieldError> {
        Ok(Self {
            name: set.name.into(),
            count: set.count,
            request: required(set.request, "request")?.into(),
        })
    }
}

impl From<Completion> for pb::Completion {
    fn from(completion: Completion) -> Self {
        Self {
            parallelism: completion.parallelism,
            completions: completion.completions,
            indexed: completion.indexed,
        }
    }
}

impl From<pb::Completion> for Completion {
    fn from(completion: pb::Completion) -> Self {
        Self {
            parallelism: completion.parallelism,
            completions: completion.completions,
            indexed: completion.indexed,
        }
    }
}

impl From<PodCounts> for pb::PodCounts {
    fn from(pods: PodCounts) -> Self {
        Self {
            active: pods.active,
            ready: pods.ready,
            succeeded: pods.succeeded,
            failed: pods.failed,
            terminating: pods.terminating,
        }
    }
}

impl From<pb::PodCounts> for PodCounts {
    fn from(pods: pb::PodCounts) -> Self {
        Self {
            active: pods.active,
            ready: pods.ready,
            succeeded: pods.succeeded,
            failed: pods.failed,
            terminating: pods.terminating,
        }
    }
}
