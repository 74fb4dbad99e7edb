//! L1 and L3, after the faults are lifted: there is a leader and it writes, members are ready, and every job that is
//! wanted comes to its end. How long each may take is the run's business; here is what is still missing.

use muster_core::State;
use muster_model::{Key, Readiness, kinds};

/// Jobs that are neither finished nor suspended.
pub fn unfinished_jobs(state: &State) -> Vec<Key> {
    let unfinished = |key: &&Key| {
        let job = state.get(key).and_then(|object| object.job());
        job.is_some_and(|job| !job.is_finished() && (!job.spec.suspend || job.is_live()))
    };
    state.live_jobs().filter(unfinished).cloned().collect()
}

/// Members that are not ready.
pub fn unready_members(state: &State) -> Vec<Key> {
    let clusters = state.objects().filter(|object| object.key.is(kinds::CLUSTER));
    clusters
        .filter(|object| !object.cluster().is_some_and(|c| matches!(c.status.ready, Readiness::Ready { .. })))
        .map(|object| object.key.clone())
        .collect()
}
