//! What came out of a run.

use muster_model::{DurationMs, GameDayRun, GameDaySpec, ProbeKind, Ruling, TimeMs, Verdict};

/// How late a fault may be taken back (S23).
const REVERT_SLACK: DurationMs = DurationMs::from_secs(1);

/// A probe that said nothing for too long. It counts as failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingProbe(pub ProbeKind);

/// The first probe that has said nothing for `patience`, counted from `since` if it never did.
pub fn missing_probe(
    spec: &GameDaySpec,
    run: &GameDayRun,
    (since, now): (TimeMs, TimeMs),
    patience: DurationMs,
) -> Option<MissingProbe> {
    let last =
        |kind| run.probes.iter().find(|probe| probe.kind == kind).map_or(since, |probe| probe.at.max(since));
    let silent = |kind: &&ProbeKind| now.since(last(**kind)) > patience;
    spec.probes.iter().find(silent).map(|kind| MissingProbe(*kind))
}

/// The verdict over a run whose steps are all over.
pub fn judge(spec: &GameDaySpec, run: &GameDayRun) -> Ruling {
    let failed = |reason: String| Ruling { verdict: Verdict::Failed, reason: reason.into() };
    if let Some(probe) = run.probes.iter().find(|probe| probe.failures > 0) {
        return failed(format!("{} failed {} of {} times", probe.kind.word(), probe.failures, probe.samples));
    }
    if let Some(kind) = spec.probes.iter().find(|kind| run.probes.iter().all(|probe| probe.kind != **kind)) {
        return failed(format!("{} never said anything", kind.word()));
    }
    for (step, state) in run.plan.steps.iter().zip(&run.steps) {
        let name = state.fault.as_deref().unwrap_or("a fault");
        if state.active.is_none() {
            return failed(format!(
                "{name}: {} of {} was never injected",
                step.kind.word(),
                step.target.name()
            ));
        }
        let latest = state.expires.map(|expires| expires.plus(REVERT_SLACK));
        if state.reverted.zip(latest).is_some_and(|(at, latest)| at > latest) {
            return failed(format!("{name} was taken back too late"));
        }
    }
    let held = run.probes.iter().map(|probe| probe.samples).min().unwrap_or_default();
    let reason =
        format!("{} faults injected and taken back; every probe held, {held} samples each", run.steps.len());
    Ruling { verdict: Verdict::Passed, reason: reason.into() }
}
