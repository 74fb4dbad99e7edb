//! What became of a game day: its approval, the run under way, and the report of the last one.

use muster_model::{
    GameDay, GameDayPhase, GameDayRun, GameDayStatus, Object, ProbeState, StepState, TimeMs, Verdict,
};
use serde_json::{Value, json};

use super::COLUMNS;
use crate::kinds::column::NONE;
use crate::kinds::kind::Live;
use crate::kinds::render::show_field;
use crate::kinds::rows::Rows;
use crate::kinds::scalar::{duration_text, exact_time};

/// Appends `,"status":{...}`.
pub(super) fn show(object: &Object, _: &Live<'_>, out: &mut String) {
    let Some(day) = object.game_day() else { return };
    show_field(out, "status").push_str(&status(&day.status).to_string());
}

fn status(status: &GameDayStatus) -> Value {
    let mut out = json!({"phase": phase(status), "runs": status.runs});
    if let Some(approval) = &status.approval {
        out["approval"] = json!({
            "planHash": format!("{:032x}", approval.plan.0),
            "by": approval.by.as_str(),
            "expiresAt": exact_time(approval.expires),
        });
    }
    if let Some(run) = &status.run {
        out["run"] = run_json(run);
    }
    if let Some(run) = &status.last {
        out["report"] = run_json(run);
    }
    if let Some(skipped) = &status.skipped {
        out["skipped"] = json!({"at": exact_time(skipped.at), "reason": &*skipped.reason});
    }
    out
}

fn phase(status: &GameDayStatus) -> &'static str {
    match status.run.as_deref().map(|run| &run.phase) {
        None => "Idle",
        Some(GameDayPhase::Running) => "Running",
        Some(GameDayPhase::Stopping(_)) => "Stopping",
        Some(GameDayPhase::Ended { .. }) => "Ended",
    }
}

/// A run, or the report of one that has ended.
pub fn run_json(run: &GameDayRun) -> Value {
    let steps: Vec<Value> = run.plan.steps.iter().zip(&run.steps).map(step_json).collect();
    let probes: Vec<Value> = run.probes.iter().map(probe_json).collect();
    let timeline = run.timeline.iter().map(|entry| json!({"at": exact_time(entry.at), "what": &*entry.what}));
    let mut out = json!({
        "number": run.number,
        "startedAt": exact_time(run.started),
        "approvedBy": run.by.as_str(),
        // A seed has 64 bits, which a JSON number does not.
        "seed": run.seed.to_string(),
        "planHash": format!("{:032x}", run.hash.0),
        "steps": steps,
        "probes": probes,
        "timeline": timeline.collect::<Vec<_>>(),
    });
    let (ruling, ended) = match &run.phase {
        GameDayPhase::Running => return out,
        GameDayPhase::Stopping(ruling) => (ruling, None),
        GameDayPhase::Ended { at, ruling } => (ruling, Some(*at)),
    };
    out["verdict"] = json!(ruling.verdict.word());
    out["reason"] = json!(&*ruling.reason);
    if let Some(ended) = ended {
        out["endedAt"] = json!(exact_time(ended));
        out["duration"] = json!(duration_text(ended.since(run.started)));
    }
    out
}

fn step_json((step, state): (&muster_model::FaultStep, &StepState)) -> Value {
    let mut out = json!({
        "kind": step.kind.word(),
        "target": step.target.name(),
        "after": duration_text(step.after),
        "for": duration_text(step.ttl),
    });
    if let Some(id) = &state.fault {
        out["fault"] = json!(&**id);
    }
    let times = [("activeAt", state.active), ("expiresAt", state.expires), ("revertedAt", state.reverted)];
    for (name, at) in times {
        if let Some(at) = at {
            out[name] = json!(exact_time(at));
        }
    }
    if let (Some(expires), Some(reverted)) = (state.expires, state.reverted) {
        out["revertLatencyMs"] = json!(late_ms(expires, reverted));
    }
    out
}

/// How long after its time a fault was taken back; 0 if before.
fn late_ms(expires: TimeMs, reverted: TimeMs) -> u64 {
    reverted.since(expires).0
}

fn probe_json(probe: &ProbeState) -> Value {
    json!({
        "probe": probe.kind.word(),
        "samples": probe.samples,
        "failures": probe.failures,
        "holds": probe.holds,
        "lastAt": exact_time(probe.at),
    })
}

/// Cells of one game day.
pub(super) fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Some(GameDay { spec, status }) = object.game_day() else { return vec![Value::Null; COLUMNS.len()] };
    let schedule = spec.schedule.as_ref();
    let verdict = status.last.as_deref().map_or(NONE, |run| match &run.phase {
        GameDayPhase::Ended { ruling, .. } => Verdict::word(ruling.verdict),
        GameDayPhase::Running | GameDayPhase::Stopping(_) => NONE,
    });
    let held = if spec.suspend { " (suspended)" } else { "" };
    vec![
        json!(&*object.key.name),
        json!(schedule.map_or(NONE.to_owned(), |schedule| format!("{}{held}", schedule.cron))),
        json!(if spec.dry_run { "yes" } else { "no" }),
        json!(phase(status)),
        json!(verdict),
        rows.age(object),
        json!(status.runs.to_string()),
        json!(schedule.map_or(NONE, |schedule| &*schedule.zone)),
    ]
}
