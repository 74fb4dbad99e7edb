//! `muster.sh/v1alpha1 Transfer`: bytes of a dataset on their way to a member. Made by the hub, read by people.

use muster_model::{Object, Spec, Status, Transfer, TransferPhase};
use serde_json::{Value, json};

use super::column::{AGE, NAME, text, wide};
use super::json::Fields;
use super::kind::{Live, Reading, StoredKind};
use super::quantity::bytes_text;
use super::render::show_field;
use super::rows::Rows;
use crate::resource::{Column, FieldLabel, NameRule, Origin, READ_VERBS, Resource};

const COLUMNS: &[Column] = &[
    NAME,
    text("Version", "Version of the dataset."),
    text("Source", "The member the bytes come from."),
    text("Target", "The member they go to."),
    text("Phase", "How it stands."),
    text("Progress", "Bytes that are there, of a whole copy's missing ones."),
    AGE,
    wide("Egress", "USD."),
    wide("Reason", "Why it failed."),
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "muster.sh",
        version: "v1alpha1",
        kind: "Transfer",
        plural: "transfers",
        singular: "transfer",
        short_names: &[],
        categories: &["muster"],
        namespaced: true,
        verbs: READ_VERBS,
        subresources: &[],
        columns: COLUMNS,
        schema: "sh.muster.v1alpha1.Transfer",
        origin: Origin::Custom,
        name_rule: NameRule::Subdomain,
        field_labels: &[
            FieldLabel { label: "spec.dataset", pointer: "/spec/dataset", fallback: "" },
            FieldLabel { label: "spec.target", pointer: "/spec/target", fallback: "" },
            FieldLabel { label: "status.phase", pointer: "/status/phase", fallback: "" },
        ],
        default: |_| {},
        validate: |_, _| Vec::new(),
    },
    read: |_| Ok(Reading::of(Spec::Opaque)),
    show,
    cells,
};

/// A phase by its word, and why it failed.
fn phase(phase: &TransferPhase) -> (&'static str, &str) {
    match phase {
        TransferPhase::Open => ("Open", ""),
        TransferPhase::Complete { .. } => ("Complete", ""),
        TransferPhase::Failed { reason, .. } => ("Failed", reason),
    }
}

fn show(object: &Object, _: &Live<'_>, out: &mut String) {
    let Status::Transfer(transfer) = &object.status else { return };
    let mut spec = Fields::open(show_field(out, "spec"));
    spec.text("dataset", &transfer.data.dataset);
    spec.text("version", &transfer.data.version);
    spec.plain("digest", &transfer.data.digest);
    spec.text("source", transfer.source.as_str());
    spec.text("target", transfer.target.as_str());
    spec.literal("bytes", &transfer.bytes);
    spec.text("job", &transfer.job.name);
    spec.plain("egress", &transfer.egress);
    spec.close();
    show_status(transfer, out);
}

fn show_status(transfer: &Transfer, out: &mut String) {
    let (word, reason) = phase(&transfer.phase);
    let mut status = Fields::open(show_field(out, "status"));
    status.text("phase", word);
    status.time("start", transfer.started);
    match transfer.phase {
        TransferPhase::Open => {}
        TransferPhase::Complete { at } | TransferPhase::Failed { at, .. } => status.time("end", at),
    }
    status.literal("missingBytes", &transfer.progress.missing_bytes);
    status.literal("fetchedBytes", &transfer.progress.fetched_bytes);
    status.literal("refetchedChunks", &transfer.progress.refetched_chunks);
    status.filled("reason", reason);
    status.close();
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Status::Transfer(transfer) = &object.status else { return vec![Value::Null; COLUMNS.len()] };
    let (word, reason) = phase(&transfer.phase);
    let there = transfer.bytes.saturating_sub(transfer.progress.missing_bytes);
    vec![
        json!(&*object.key.name),
        json!(&*transfer.data.version),
        json!(transfer.source.as_str()),
        json!(transfer.target.as_str()),
        json!(word),
        json!(format!("{}/{}", bytes_text(there), bytes_text(transfer.bytes))),
        rows.age(object),
        json!(transfer.egress.to_string()),
        json!(if reason.is_empty() { "<none>" } else { reason }),
    ]
}
