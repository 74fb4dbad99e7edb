//! What the pure leader cannot know: the next times of schedules, by zones that only an edge reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::State;
use muster_kubeapi::cron::Schedule;
use muster_leader::ChaosFacts;
use muster_model::{Kind, TimeMs, kinds};

/// The facts at a time. A schedule that is held has no next time; nor has one whose zone this replica does not know.
pub fn facts(
    state: &State,
    replicas: &[Arc<str>],
    submitted: Option<Result<(), Arc<str>>>,
    now: TimeMs,
) -> ChaosFacts {
    let days = state.list(&Kind::new(kinds::GAME_DAY), None, None).filter_map(|object| {
        let day = object.game_day().filter(|day| !day.spec.suspend && object.meta.deletion.is_none())?;
        let schedule = day.spec.schedule.as_ref()?;
        let next = Schedule::parse(&schedule.cron, &schedule.zone).ok()?.next_after(now)?;
        Some((Arc::clone(&object.key.name), next))
    });
    let next: BTreeMap<Arc<str>, TimeMs> = days.collect();
    ChaosFacts { replicas: replicas.to_vec(), next, submitted }
}
