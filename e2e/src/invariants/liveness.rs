//! L1 and L3, after the faults are lifted: there is a leader and it writes, members are ready, and every job that is
//! wanted comes to its end. How long each may take is the run's business; here is what is still missing.

use std::collections::BTreeMap;

use muster_core::State;
use muster_model::{Incarnation, Key, MemberName, Readiness};

/// Jobs that are neither finished nor suspended.
pub fn unfinished_jobs(state: &State) -> Vec<Key> {
    let unfinished = |key: &&Key| {
        let job = state.get(key).and_then(|object| object.job());
        job.is_some_and(|job| !job.is_finished() && (!job.spec.suspend || job.is_live()))
    };
    state.live_jobs().filter(unfinished).cloned().collect()
}

/// Members that are not ready as what they are now: the hub may still hold an earlier incarnation for alive.
pub fn unready_members(state: &State, incarnations: &BTreeMap<MemberName, Incarnation>) -> Vec<Key> {
    let is_ready = |name: &MemberName, incarnation: &Incarnation| {
        let cluster = state.get(&Key::cluster(name.as_str())).and_then(|object| object.cluster());
        cluster.is_some_and(|cluster| {
            let status = &cluster.status;
            matches!(status.ready, Readiness::Ready { .. })
                && status.incarnation.as_ref() == Some(incarnation)
        })
    };
    let unready = incarnations.iter().filter(|(name, incarnation)| !is_ready(name, incarnation));
    unready.map(|(name, _)| Key::cluster(name.as_str())).collect()
}
