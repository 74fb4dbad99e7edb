//! `muster.sh/v1alpha1 Run`: one attempt of a job. Made by the hub, read by people.

use muster_model::{CostKind, CostLine, MicroUsd, Object, Run, RunPhase, Spec, Status};
use serde_json::{Value, json};

use super::column::{AGE, NAME, text, wide};
use super::json::{Fields, push_text};
use super::kind::{Live, Reading, StoredKind};
use super::render::show_field;
use super::rows::Rows;
use crate::resource::{Column, FieldLabel, NameRule, Origin, READ_VERBS, Resource};

const COLUMNS: &[Column] = &[
    NAME,
    text("Job", "The job it is an attempt of."),
    text("Cluster", "The member it ran on."),
    text("Phase", "How it stands."),
    text("Epoch", "Its fencing number."),
    text("Cost", "USD; while it runs what is paid once only."),
    text("Duration", "Time from its grant to its end."),
    AGE,
    wide("Exit Code", "Exit code of the pod that decided it."),
    wide("Lost GPU Time", "GPU-seconds of work lost."),
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "muster.sh",
        version: "v1alpha1",
        kind: "Run",
        plural: "runs",
        singular: "run",
        short_names: &[],
        categories: &["muster"],
        namespaced: true,
        verbs: READ_VERBS,
        subresources: &[],
        columns: COLUMNS,
        schema: "sh.muster.v1alpha1.Run",
        origin: Origin::Custom,
        name_rule: NameRule::Subdomain,
        field_labels: &[
            FieldLabel { label: "spec.job", pointer: "/spec/job", fallback: "" },
            FieldLabel { label: "spec.cluster", pointer: "/spec/cluster", fallback: "" },
            FieldLabel { label: "status.phase", pointer: "/status/phase", fallback: "" },
        ],
        default: |_| {},
        validate: |_, _| Vec::new(),
    },
    read: |_| Ok(Reading::of(Spec::Opaque)),
    show,
    cells,
};

/// A phase by its word.
fn phase(phase: RunPhase) -> &'static str {
    match phase {
        RunPhase::Granted => "Granted",
        RunPhase::Running => "Running",
        RunPhase::Succeeded => "Succeeded",
        RunPhase::Failed => "Failed",
        RunPhase::Stopped => "Stopped",
        RunPhase::Fenced => "Fenced",
        RunPhase::Lost => "Lost",
    }
}

/// A line of the bill by its word.
fn line(kind: CostKind) -> &'static str {
    match kind {
        CostKind::Compute => "compute",
        CostKind::Waste => "waste",
        CostKind::Egress => "egress",
        CostKind::TransferWait => "transferWait",
        CostKind::QueueWait => "queueWait",
    }
}

fn show(object: &Object, _: &Live<'_>, out: &mut String) {
    let Status::Run(run) = &object.status else { return };
    let mut spec = Fields::open(show_field(out, "spec"));
    spec.text("job", &run.job.name);
    spec.plain("epoch", &run.epoch.0);
    spec.text("cluster", run.cluster.as_str());
    spec.close();
    let mut status = Fields::open(show_field(out, "status"));
    status.text("phase", phase(run.phase));
    status.time("start", run.start);
    if let Some(end) = run.end {
        status.time("end", end);
    }
    if let Some(code) = run.exit_code {
        status.literal("exitCode", &code);
    }
    status.list("cost", &run.cost, cost);
    status.literal("lostGpuSeconds", &(run.lost_gpu_ms / 1000));
    status.close();
}

fn cost(out: &mut String, one: &CostLine) {
    let mut fields = Fields::open(out);
    push_text(fields.name("line"), line(one.kind));
    fields.plain("amount", &one.amount);
    fields.close();
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Status::Run(run) = &object.status else { return vec![Value::Null; COLUMNS.len()] };
    let total: MicroUsd = run.cost.iter().map(|one| one.amount).sum();
    vec![
        json!(&*object.key.name),
        json!(&*run.job.name),
        json!(run.cluster.as_str()),
        json!(phase(run.phase)),
        json!(run.epoch.0.to_string()),
        json!(total.to_string()),
        duration(run, rows),
        rows.age(object),
        run.exit_code.map_or(json!("<none>"), |code| json!(code.to_string())),
        json!(format!("{}s", run.lost_gpu_ms / 1000)),
    ]
}

fn duration(run: &Run, rows: &Rows) -> Value {
    run.end.map_or_else(|| rows.since(run.start), |end| rows.between(run.start, end))
}
