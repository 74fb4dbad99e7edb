//! Reading of a game day's spec. A schedule is parsed here, and nowhere behind the edge.

use std::sync::Arc;

use muster_model::{
    DurationMs, Fault, FaultKind, GameDayFault, GameDayLimits, GameDaySchedule, GameDaySpec, MemberName,
    ProbeKind, Selector, Spec, TargetChoice,
};
use serde_json::{Value, json};

use crate::cron::Schedule;
use crate::field::FieldError;
use crate::kinds::at::{At, object_in, objects_in, set_default};
use crate::kinds::kind::Reading;
use crate::kinds::{scalar, template};

/// Faults that one game day may have.
const FAULTS_MAX: usize = 32;
/// Targets that one fault may draw.
const COUNT_MAX: u32 = 32;

/// Fills in what a game day does not say: all probes, one target, small limits, and a dry run.
pub(super) fn default(object: &mut Value) {
    let Some(spec) = object.as_object_mut().and_then(|object| object_in(object, "spec")) else { return };
    set_default(spec, "dryRun", true);
    let probes: Vec<&str> = ProbeKind::ALL.iter().map(|kind| kind.word()).collect();
    set_default(spec, "probes", json!(probes));
    if let Some(schedule) = spec.get_mut("schedule").and_then(Value::as_object_mut) {
        set_default(schedule, "timeZone", "UTC");
    }
    if let Some(limits) = object_in(spec, "limits") {
        set_default(limits, "members", 1);
        set_default(limits, "replicas", 1);
        set_default(limits, "duration", "1h");
    }
    for fault in objects_in(spec, "faults") {
        set_default(fault, "after", "0s");
        set_default(fault, "count", 1);
    }
}

/// Reads the spec.
pub(super) fn read(object: &Value) -> Result<Reading, Vec<FieldError>> {
    let at = At::root(object, "").field("spec");
    let mut errors = Vec::new();
    let limits = at.field("limits");
    let spec = GameDaySpec {
        schedule: schedule(&at.field("schedule"), &mut errors),
        suspend: at.field("suspend").is_true(),
        dry_run: at.field("dryRun").is_true(),
        seed: at.field("seed").int().map(|seed| seed.unsigned_abs()).unwrap_or_default(),
        faults: at.field("faults").items().filter_map(|item| fault(&item, &mut errors)).collect(),
        probes: at.field("probes").items().filter_map(|item| probe(&item, &mut errors)).collect(),
        limits: GameDayLimits {
            members: limits.field("members").count().unwrap_or_default(),
            replicas: limits.field("replicas").count().unwrap_or_default(),
            gpus: limits.field("gpus").count().map(u64::from),
            duration: scalar::positive_duration(&limits.field("duration"), &mut errors)
                .unwrap_or(DurationMs(0)),
        },
    };
    let faults = at.field("faults").items().count();
    if faults == 0 {
        errors.push(at.field("faults").required("a game day without faults tests nothing"));
    } else if faults > FAULTS_MAX {
        errors.push(FieldError::too_many("spec.faults", faults, FAULTS_MAX));
    }
    if errors.is_empty() { Ok(Reading::of(Spec::GameDay(Arc::new(spec)))) } else { Err(errors) }
}

fn schedule(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<GameDaySchedule> {
    if !at.is_set() {
        return None;
    }
    let (cron, zone) = (at.field("cron"), at.field("timeZone"));
    match Schedule::parse(cron.text(), zone.text()) {
        Ok(_) => Some(GameDaySchedule { cron: cron.text().into(), zone: zone.text().into() }),
        Err(why) if why.contains("IANA") => {
            errors.push(zone.invalid(why));
            None
        }
        Err(why) => {
            errors.push(cron.invalid(why));
            None
        }
    }
}

fn fault(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<GameDayFault> {
    let words: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.word()).collect();
    let kind = at.field("kind");
    let found = FaultKind::of_word(kind.text());
    if found.is_none() {
        errors.push(FieldError::not_supported(kind.path.clone(), kind.text(), &words));
    }
    let ttl = at.field("for");
    if !ttl.is_set() {
        errors.push(ttl.required("how long it lasts, such as 60s"));
    }
    let lasts = scalar::positive_duration(&ttl, errors);
    if lasts.is_some_and(|lasts| !(Fault::TTL_MIN..=Fault::TTL_MAX).contains(&lasts)) {
        errors.push(ttl.invalid("must be from 1s to 1h"));
    }
    let count = at.field("count").count().unwrap_or(1);
    if !(1..=COUNT_MAX).contains(&count) {
        errors.push(at.field("count").invalid(format!("must be from 1 to {COUNT_MAX}")));
    }
    let after = scalar::duration(&at.field("after"), errors).unwrap_or(DurationMs(0));
    let targets = targets(&at.field("targets"), errors);
    Some(GameDayFault { kind: found?, after, ttl: lasts?, count, targets: targets? })
}

fn targets(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<TargetChoice> {
    let (members, replicas) = (at.field("members"), at.field("replicas"));
    match (members.is_set(), replicas.is_set()) {
        (true, false) => {
            let names = members.field("names").items().map(|item| MemberName::new(item.text())).collect();
            let selector = members.field("selector");
            let selector = match selector.is_set() {
                true => template::label_selector(&selector, errors),
                false => Selector::default(),
            };
            Some(TargetChoice::Members { selector, names })
        }
        (false, true) => {
            let names = replicas.field("names").items().map(|item| item.text().into()).collect();
            Some(TargetChoice::Replicas { names })
        }
        (true, true) | (false, false) => {
            errors.push(at.invalid("must have exactly one of members and replicas"));
            None
        }
    }
}

fn probe(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<ProbeKind> {
    let found = ProbeKind::of_word(at.text());
    if found.is_none() {
        let words: Vec<&str> = ProbeKind::ALL.iter().map(|kind| kind.word()).collect();
        errors.push(FieldError::not_supported(at.path.clone(), at.text(), &words));
    }
    found
}
