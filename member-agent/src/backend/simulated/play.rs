//! One played pod: pure, from script, demands and time to where it stands.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EXIT_CODE, IGNORES_TERM, OUTPUT, SECONDS};
use crate::backend::error::{BackendError, RefusalReason};
use crate::shim::clock::ClockReading;
use crate::shim::deadline::{Deadline, Due, FenceGrant};
use crate::shim::record::{ExitReason, ExitRecord};
use crate::shim::spec::PodIdentity;

const DEFAULT_SECONDS: u64 = 1;
const DEFAULT_GRACE_SECONDS: u64 = 30;

/// What the annotations say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Script {
    pub(crate) runs_ms: u64,
    pub(crate) exit_code: i32,
    pub(crate) ignores_term: bool,
    pub(crate) output: String,
    pub(crate) grace_ms: u64,
    pub(crate) container: String,
}

impl Script {
    /// Reads a pod template.
    pub(crate) fn read(template: &Value) -> Result<Script, BackendError> {
        let spec = &template["spec"];
        Ok(Script {
            runs_ms: number(template, SECONDS)?.unwrap_or(DEFAULT_SECONDS).saturating_mul(1_000),
            exit_code: number(template, EXIT_CODE)?.unwrap_or(0),
            ignores_term: annotation(template, IGNORES_TERM) == Some("true"),
            output: annotation(template, OUTPUT).unwrap_or_default().to_owned(),
            grace_ms: spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(DEFAULT_GRACE_SECONDS) * 1_000,
            container: spec["containers"][0]["name"].as_str().unwrap_or("main").to_owned(),
        })
    }
}

fn annotation<'a>(template: &'a Value, name: &str) -> Option<&'a str> {
    template["metadata"]["annotations"][name].as_str()
}

fn number<N: std::str::FromStr>(template: &Value, name: &str) -> Result<Option<N>, BackendError> {
    let Some(text) = annotation(template, name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| BackendError::Refused {
        reason: RefusalReason::Malformed,
        field: format!("template.metadata.annotations[{name}]"),
        message: format!("{text:?} is not a whole number in range"),
    })
}

/// A demand to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Demand {
    pub(crate) at: ClockReading,
    pub(crate) grace_ms: u64,
    pub(crate) reason: ExitReason,
}

/// A played pod as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Play {
    pub(crate) pod: PodIdentity,
    pub(crate) script: Script,
    pub(crate) started: ClockReading,
    pub(crate) fence: Option<FenceGrant>,
    pub(crate) demand: Option<Demand>,
}

impl Play {
    /// How it ended by `now`, if it did. Of several reasons the earliest counts, and the fence before others.
    pub(crate) fn end(&self, now: ClockReading) -> Option<ExitRecord> {
        let ends = [self.own_end(), self.demanded_end(), self.fenced_end(now)];
        let due = ends.into_iter().flatten().filter(|end| now.elapsed_ms(self.started) >= end.after_ms);
        let first = due.min_by_key(|end| (end.after_ms, end.reason != ExitReason::Fenced))?;
        Some(ExitRecord {
            started_at_ms: Some(self.started.real_ms),
            finished_at_ms: self.started.real_ms.saturating_add(first.after_ms),
            code: Some(first.code),
            signal: (first.code > 128).then_some(first.code - 128),
            reason: first.reason,
            message: "simulated".to_owned(),
            dropped_log_bytes: 0,
            containers: Vec::new(),
        })
    }

    /// The fence's counting at any time.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.fence.map(|grant| Deadline::new(grant, self.script.grace_ms))
    }

    fn own_end(&self) -> Option<End> {
        let code = self.script.exit_code;
        let reason = if code == 0 { ExitReason::Completed } else { ExitReason::Error };
        Some(End { after_ms: self.script.runs_ms, code, reason })
    }

    fn demanded_end(&self) -> Option<End> {
        let demand = self.demand?;
        let after_ms = demand.at.elapsed_ms(self.started);
        Some(self.ended_by_signal(after_ms, demand.grace_ms, demand.reason))
    }

    /// The deadline says whether it is due, by either clock; a clock that jumped makes it due now.
    fn fenced_end(&self, now: ClockReading) -> Option<End> {
        let deadline = self.deadline()?;
        if deadline.due(now) == Due::Nothing {
            return None;
        }
        let lived_ms = now.elapsed_ms(self.started);
        let terminated_ms = deadline.next_check()?.elapsed_ms(self.started).min(lived_ms);
        let mut end = self.ended_by_signal(terminated_ms, self.script.grace_ms, ExitReason::Fenced);
        if deadline.due(now) == Due::Kill {
            end.after_ms = end.after_ms.min(lived_ms);
        }
        Some(end)
    }

    fn ended_by_signal(&self, after_ms: u64, grace_ms: u64, reason: ExitReason) -> End {
        if self.script.ignores_term {
            End { after_ms: after_ms.saturating_add(grace_ms), code: 137, reason }
        } else {
            End { after_ms, code: 143, reason }
        }
    }
}

struct End {
    after_ms: u64,
    code: i32,
    reason: ExitReason,
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: ClockReading = ClockReading { boot_ms: 1_000, real_ms: 9_000_000 };

    fn play() -> Play {
        let template = serde_json::json!({"metadata": {"annotations": {SECONDS: "5", EXIT_CODE: "3"}}});
        let pod = PodIdentity {
            name: "p".to_owned(),
            namespace: "n".to_owned(),
            job: "j".to_owned(),
            job_uid: "u".to_owned(),
            epoch: "1".to_owned(),
            index: None,
            gpus: Vec::new(),
        };
        let script = Script { grace_ms: 500, ..Script::read(&template).unwrap() };
        Play { pod, script, started: START, fence: None, demand: None }
    }

    fn end(play: &Play, after_ms: u64) -> Option<(u64, Option<i32>, ExitReason)> {
        let end = play.end(START.plus_ms(after_ms))?;
        Some((end.finished_at_ms - START.real_ms, end.code, end.reason))
    }

    #[test]
    fn the_script_ends_a_pod_by_itself() {
        assert_eq!(end(&play(), 4_999), None);
        assert_eq!(end(&play(), 60_000), Some((5_000, Some(3), ExitReason::Error)));
    }

    #[test]
    fn a_demand_ends_it_at_once_or_after_the_grace() {
        let demand = Demand { at: START.plus_ms(1_000), grace_ms: 200, reason: ExitReason::Stopped };
        let mut play = Play { demand: Some(demand), ..play() };
        assert_eq!(end(&play, 1_000), Some((1_000, Some(143), ExitReason::Stopped)));
        play.script.ignores_term = true;
        assert_eq!(end(&play, 1_199), None);
        assert_eq!(end(&play, 1_200), Some((1_200, Some(137), ExitReason::Stopped)));
    }

    #[test]
    fn the_fence_ends_it_before_its_deadline_unless_it_ended_before() {
        let fence = |remaining_ms| Some(FenceGrant { base: START, remaining_ms, kill_budget_ms: 100 });
        let mut play = Play { fence: fence(2_000), ..play() };
        assert_eq!(end(&play, 1_399), None);
        assert_eq!(end(&play, 1_400), Some((1_400, Some(143), ExitReason::Fenced)));
        play.script.ignores_term = true;
        assert_eq!(end(&play, 1_899), None);
        assert_eq!(end(&play, 1_900), Some((1_900, Some(137), ExitReason::Fenced)));
        play.fence = fence(60_000);
        assert_eq!(end(&play, 60_000), Some((5_000, Some(3), ExitReason::Error)));
    }
}
