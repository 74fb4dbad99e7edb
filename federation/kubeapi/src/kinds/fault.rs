//! `muster.sh/v1alpha1 Fault`: one fault that was injected on purpose. Made by the hub, read by people.

use muster_model::{Fault, FaultEndCause, FaultPhase, FaultTarget, Object, Spec, Status};
use serde_json::{Value, json};

use super::column::{AGE, NAME, text, wide};
use super::kind::{Live, Reading, StoredKind};
use super::render::show_field;
use super::rows::Rows;
use super::scalar::{duration_text, exact_time};
use crate::resource::{Column, FieldLabel, NameRule, Origin, READ_VERBS, Resource};

const COLUMNS: &[Column] = &[
    NAME,
    text("Fault", "What is done."),
    text("Target", "To whom."),
    text("State", "How far it is."),
    text("For", "For how long it was asked for."),
    text("Owner", "By whose will."),
    AGE,
    wide("Expires", "When it is over, whatever happens."),
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "muster.sh",
        version: "v1alpha1",
        kind: "Fault",
        plural: "faults",
        singular: "fault",
        short_names: &[],
        categories: &["muster"],
        namespaced: false,
        verbs: READ_VERBS,
        subresources: &[],
        columns: COLUMNS,
        schema: "sh.muster.v1alpha1.Fault",
        origin: Origin::Custom,
        name_rule: NameRule::Subdomain,
        field_labels: &[
            FieldLabel { label: "spec.target", pointer: "/spec/target", fallback: "" },
            FieldLabel { label: "status.state", pointer: "/status/state", fallback: "" },
        ],
        default: |_| {},
        validate: |_, _| Vec::new(),
    },
    read: |_| Ok(Reading::of(Spec::Opaque)),
    show,
    cells,
};

fn cause(cause: FaultEndCause) -> &'static str {
    match cause {
        FaultEndCause::Expired => "Expired",
        FaultEndCause::Aborted => "Aborted",
        FaultEndCause::Host => "EndedByHost",
    }
}

/// A fault as `muster chaos` prints it: `id`, `kind`, `target`, `owner`, `expiresAt`, then what else is known.
pub fn fault_json(id: &str, fault: &Fault) -> Value {
    let mut out = json!({
        "id": id,
        "kind": fault.spec.kind.word(),
        "target": fault.spec.target.name(),
        "owner": fault.owner.text(),
        "expiresAt": exact_time(fault.expires),
        "state": fault.state(),
    });
    if let Some(at) = fault.aborted {
        out["abortedAt"] = json!(exact_time(at));
    }
    match &fault.phase {
        FaultPhase::Pending => {}
        FaultPhase::Active { since } => out["activeAt"] = json!(exact_time(*since)),
        FaultPhase::Reverted(end) => {
            if let Some(at) = end.active_since {
                out["activeAt"] = json!(exact_time(at));
            }
            out["revertedAt"] = json!(exact_time(end.confirmed.unwrap_or(end.at)));
            out["confirmed"] = json!(end.confirmed.is_some());
            out["cause"] = json!(cause(end.cause));
        }
    }
    out
}

fn show(object: &Object, _: &Live<'_>, out: &mut String) {
    let Some(fault) = object.fault() else { return };
    let scope = match fault.spec.target {
        FaultTarget::Member(_) => "member",
        FaultTarget::Replica(_) => "replica",
    };
    let spec = json!({
        "fault": fault.spec.kind.word(),
        "target": fault.spec.target.name(),
        "scope": scope,
        "for": duration_text(fault.spec.ttl),
        "owner": fault.owner.text(),
    });
    show_field(out, "spec").push_str(&spec.to_string());
    let mut status = fault_json(&object.key.name, fault);
    if let Some(map) = status.as_object_mut() {
        ["id", "kind", "target", "owner"].iter().for_each(|field| drop(map.remove(*field)));
    }
    show_field(out, "status").push_str(&status.to_string());
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Status::Fault(fault) = &object.status else { return vec![Value::Null; COLUMNS.len()] };
    vec![
        json!(&*object.key.name),
        json!(fault.spec.kind.word()),
        json!(fault.spec.target.name()),
        json!(fault.state()),
        json!(duration_text(fault.spec.ttl)),
        json!(fault.owner.text()),
        rows.age(object),
        json!(exact_time(fault.expires)),
    ]
}
