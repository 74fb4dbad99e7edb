//! A game day's plan as the leader has it now, for people: steps, hash, predicted effect.

use muster_core::State;
use muster_kubeapi::cron::Schedule;
use muster_kubeapi::kinds::exact_time;
use muster_leader::{DayPlan, Leader};
use muster_model::{FaultKind, FaultStep, FaultTarget, Key};
use serde_json::{Value, json};

use crate::hub::now;

/// Times of the schedule that a plan tells.
const TIMES_TOLD: usize = 3;

/// The leader's answer: a plan, or what is in its way.
pub struct DayAnswer(Result<DayPlan, String>);

impl DayAnswer {
    /// What this leader says; `None`: there is no such game day.
    pub fn of(leader: &Leader, day: &str) -> Option<DayAnswer> {
        Some(DayAnswer(leader.day_plan(day)?.map_err(|error| error.to_string())))
    }

    /// The plan, if it may run.
    ///
    /// # Errors
    /// The first field that is in its way, and why.
    pub fn may_run(self) -> Result<DayPlan, String> {
        let planned = self.0?;
        match planned.verdict.clone() {
            Ok(()) => Ok(planned),
            Err(error) => Err(error.to_string()),
        }
    }

    /// As `muster gameday plan -o json` prints it.
    pub fn json(&self, day: &str, state: &State) -> Value {
        let mut out = json!({"gameDay": day, "mayRun": false, "next": next(day, state)});
        match &self.0 {
            Err(reason) => out["refused"] = json!(reason),
            Ok(planned) => {
                out["planHash"] = json!(format!("{:032x}", planned.hash.0));
                out["steps"] = planned.plan.steps.iter().map(|step| step_json(step, state)).collect();
                match &planned.verdict {
                    Ok(()) => out["mayRun"] = json!(true),
                    Err(error) => out["refused"] = json!(error.to_string()),
                }
            }
        }
        out
    }
}

fn step_json(step: &FaultStep, state: &State) -> Value {
    json!({
        "kind": step.kind.word(),
        "target": step.target.name(),
        "afterSeconds": step.after.0 / 1000,
        "forSeconds": step.ttl.0 / 1000,
        "effect": effect(step, state),
    })
}

/// What a step would do, by what runs there now.
fn effect(step: &FaultStep, state: &State) -> String {
    let FaultTarget::Member(member) = &step.target else {
        return match step.kind {
            FaultKind::Kill => "the replica is down and stays down; another one leads if it led".to_owned(),
            _ => "the replica stands still; another one leads if it led".to_owned(),
        };
    };
    let attempts = state.jobs_on(member).count();
    let cluster = state.get(&Key::cluster(member.as_str())).and_then(|object| object.cluster());
    let gpus: u64 =
        cluster.map_or(0, |c| c.status.nodes.gpus().iter().map(|(_, total, _)| total / 1000).sum());
    let what = match step.kind {
        FaultKind::Drain => format!("gets no new jobs; {attempts} jobs move elsewhere"),
        FaultKind::Partition => {
            format!("is out of contact; {attempts} jobs run on or are fenced, as each job's policy says")
        }
        FaultKind::Kill => format!("has no agent; {attempts} jobs run on under their shims"),
        FaultKind::Pause => {
            format!("has an agent that stands still; {attempts} jobs run on under their shims")
        }
    };
    format!("{member} ({gpus} GPUs) {what}")
}

fn next(day: &str, state: &State) -> Vec<String> {
    let spec = state.get(&Key::game_day(day)).and_then(|object| object.game_day()).map(|day| &day.spec);
    let schedule = spec.filter(|spec| !spec.suspend).and_then(|spec| spec.schedule.as_ref());
    let schedule = schedule.and_then(|s| Schedule::parse(&s.cron, &s.zone).ok());
    let first = schedule.as_ref().and_then(|schedule| schedule.next_after(now()));
    let after = |at: &muster_model::TimeMs| schedule.as_ref()?.next_after(*at);
    std::iter::successors(first, after).take(TIMES_TOLD).map(exact_time).collect()
}
