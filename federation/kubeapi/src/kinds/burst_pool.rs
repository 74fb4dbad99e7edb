//! `muster.sh/v1alpha1 BurstPool`: members that Terraform makes when the queue justifies their price.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{
    BurstPool, BurstPoolSpec, DurationMs, GpuModel, Intent, NodeShape, Object, PoolCondition,
    PoolConditionKind, Resources, Spec, TimeMs,
};
use serde_json::{Value, json};

use super::at::{At, set_default};
use super::burst_modules::{self, MODULES, Module, Takes};
use super::column::{AGE, NAME, or_none, text, wide};
use super::json::Fields;
use super::kind::{Live, Reading, StoredKind};
use super::render::{Condition, condition, show_field};
use super::rows::Rows;
use super::{cluster, scalar};
use crate::field::FieldError;
use crate::resource::{ALL_VERBS, Column, NameRule, Origin, Resource, Subresource, Verb};

/// The label that says of which pool a member is.
const POOL_LABEL: &str = "muster.sh/burst-pool";
/// Members a pool may have at a time.
const MEMBERS_MAX: u32 = 100;
/// Nodes a member may have.
const NODES_MAX: u64 = 10_000;
/// A member's name is the pool's, a hyphen and eight digits, and must fit 63 characters.
const NAME_MAX: usize = 54;
/// How long a member may be idle, or take to join, unless the pool says otherwise.
const DEFAULT_TIME: DurationMs = DurationMs::from_secs(300);

const COLUMNS: &[Column] = &[
    NAME,
    text("Module", "Terraform module that makes members."),
    text("Location", "Provider, region and zone."),
    text("Members", "Members there or on their way, of those that may be."),
    text("Ready", "Whether one more could be made."),
    text("Cost", "What all members have cost by now, in USD."),
    AGE,
    wide("Phases", "How far each member is."),
    wide("Price Cap", "Most a member may cost per hour."),
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "muster.sh",
        version: "v1alpha1",
        kind: "BurstPool",
        plural: "burstpools",
        singular: "burstpool",
        short_names: &["bp"],
        categories: &["muster"],
        namespaced: false,
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            kind: "BurstPool",
            verbs: &[Verb::Get, Verb::Patch, Verb::Update],
        }],
        columns: COLUMNS,
        schema: "sh.muster.v1alpha1.BurstPool",
        origin: Origin::Custom,
        name_rule: NameRule::Subdomain,
        field_labels: &[],
        default,
        validate,
    },
    read,
    show,
    cells,
};

fn default(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    set_default(spec, "min", 0);
    set_default(spec, "max", 1);
    set_default(spec, "idleTTL", scalar::duration_text(DEFAULT_TIME));
    set_default(spec, "joinTimeout", scalar::duration_text(DEFAULT_TIME));
    let member = member_document(object);
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for field in ["location", "priceClass"] {
        if !member["spec"][field].is_null() {
            spec.insert(field.to_owned(), member["spec"][field].clone());
        }
    }
}

/// The `Cluster` that a member would be: its fields are the same, at the same paths, and under the same rules.
fn member_document(pool: &Value) -> Value {
    let mut spec = json!({"backend": "process"});
    for field in ["location", "priceClass", "labels", "taints", "nodes"] {
        if let Some(value) = pool["spec"].get(field) {
            spec[field] = value.clone();
        }
    }
    let name = pool["metadata"]["name"].as_str().unwrap_or_default();
    let mut member = json!({"metadata": {"name": name, "labels": {POOL_LABEL: name}}, "spec": spec});
    (cluster::KIND.resource.default)(&mut member);
    member
}

fn validate(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let root = At::root(object, "");
    let spec = root.field("spec");
    let mut errors = (cluster::KIND.resource.validate)(&member_document(object), None);
    let name = root.down(&["metadata", "name"]);
    if name.text().len() > NAME_MAX || name.text().contains('.') {
        errors.push(name.invalid(format!(
            "must have at most {NAME_MAX} characters and no dot: members are named after it"
        )));
    }
    check_module(&spec, &mut errors);
    check_counts(&spec, &mut errors);
    if let Some(old) = old
        && old["spec"]["module"] != object["spec"]["module"]
    {
        errors.push(spec.field("module").invalid("is immutable: make another pool, and delete this one"));
    }
    errors
}

fn check_module(spec: &At<'_>, errors: &mut Vec<FieldError>) {
    let module = spec.field("module");
    let Some(known) = burst_modules::find(module.text()) else {
        let names: Vec<&str> = MODULES.iter().map(|module| module.name).collect();
        errors.push(module.invalid(format!("there is no such module; there is {}", names.join(", "))));
        return;
    };
    for (name, value) in spec.field("variables").entries() {
        check_variable(known, name, &value, errors);
    }
}

fn check_variable(module: &Module, name: &str, value: &At<'_>, errors: &mut Vec<FieldError>) {
    if module.of_the_hub.contains(&name) {
        errors.push(value.invalid("is set by the hub: leave it out"));
        return;
    }
    let Some(variable) = module.variables.iter().find(|variable| variable.name == name) else {
        let names: Vec<&str> = module.variables.iter().map(|variable| variable.name).collect();
        let known = names.join(", ");
        errors.push(value.invalid(format!("module {} has no such variable; it has {known}", module.name)));
        return;
    };
    let fits = match variable.takes {
        Takes::Text => value.value.as_str().is_some_and(|text| !text.contains('\0')),
        Takes::Number => value.value.as_u64().is_some(),
    };
    if !fits {
        errors.push(value.invalid(match variable.takes {
            Takes::Text => "must be text",
            Takes::Number => "must be a whole number, 0 or more",
        }));
    }
}

fn check_counts(spec: &At<'_>, errors: &mut Vec<FieldError>) {
    let (min, max) = (spec.field("min"), spec.field("max"));
    let count = |at: &At<'_>| at.int().unwrap_or_default();
    if !(1..=i64::from(MEMBERS_MAX)).contains(&count(&max)) {
        errors.push(max.invalid(format!("must be 1 to {MEMBERS_MAX}; delete the pool to have none")));
    }
    if count(&min) < 0 || count(&min) > count(&max) {
        errors.push(min.invalid("must be 0 to spec.max"));
    }
    let nodes = spec.field("nodes");
    let total: u64 =
        nodes.items().map(|node| u64::from(node.field("count").count().unwrap_or_default())).sum();
    if total == 0 || total > NODES_MAX {
        errors
            .push(nodes.invalid(format!("a member must have 1 to {NODES_MAX} nodes, and this has {total}")));
    }
}

fn read(object: &Value) -> Result<Reading, Vec<FieldError>> {
    let spec = At::root(object, "").field("spec");
    let mut errors = Vec::new();
    let Spec::Cluster(member) = (cluster::KIND.read)(&member_document(object))?.spec else {
        return Err(vec![spec.field("location").invalid("cannot be read")]);
    };
    let price_cap = spec.field("priceCap");
    if !price_cap.is_set() {
        errors.push(price_cap.required("USD per hour as a decimal string, such as \"12.50\""));
    }
    let pool = BurstPoolSpec {
        module: spec.field("module").text().into(),
        variables: variables(&spec),
        member,
        shapes: spec.field("nodes").items().map(|node| shape(&node, &mut errors)).collect(),
        min: spec.field("min").count().unwrap_or_default(),
        max: spec.field("max").count().unwrap_or(1),
        price_cap: scalar::money(&price_cap, &mut errors).unwrap_or_default(),
        idle_ttl: scalar::positive_duration(&spec.field("idleTTL"), &mut errors).unwrap_or(DEFAULT_TIME),
        join_timeout: scalar::positive_duration(&spec.field("joinTimeout"), &mut errors)
            .unwrap_or(DEFAULT_TIME),
    };
    if errors.is_empty() { Ok(Reading::of(Spec::BurstPool(Arc::new(pool)))) } else { Err(errors) }
}

fn variables(spec: &At<'_>) -> BTreeMap<Arc<str>, Arc<str>> {
    spec.field("variables").entries().map(|(name, at)| (name.into(), at.value.to_string().into())).collect()
}

fn shape(node: &At<'_>, errors: &mut Vec<FieldError>) -> NodeShape {
    let gpu = node.field("gpu");
    let gpus = u64::from(gpu.field("count").count().unwrap_or_default());
    NodeShape {
        gpu_model: gpu.is_set().then(|| GpuModel::new(gpu.field("model").text())),
        allocatable: Resources {
            gpu_milli: gpus * 1000,
            cpu_milli: scalar::milli(&node.field("cpu"), errors).unwrap_or_default(),
            memory_bytes: scalar::units(&node.field("memory"), errors).unwrap_or_default(),
        },
        nodes: node.field("count").count().unwrap_or_default(),
    }
}

fn show(object: &Object, live: &Live<'_>, out: &mut String) {
    let Some(pool) = object.burst_pool() else { return };
    let status = &pool.status;
    let last = status.intents.iter().map(|intent| intent.since).max();
    let now = live.now.or(last).unwrap_or_default();
    let mut fields = Fields::open(show_field(out, "status"));
    fields.list("conditions", conditions(pool, object.meta.created), |out, (kind, told)| {
        condition(out, &shown(kind, &told));
    });
    fields.literal("active", &pool.active().count());
    fields.literal("failures", &status.failures);
    fields.plain("costSoFar", &pool.cost_at(now));
    fields.list("members", &status.intents, |out, intent| member(out, intent, now));
    fields.close();
}

fn member(out: &mut String, intent: &Intent, now: TimeMs) {
    let mut fields = Fields::open(out);
    fields.text("name", intent.member.as_str());
    fields.plain("intent", &intent.id);
    fields.text("phase", intent.phase.as_str());
    fields.time("since", intent.since);
    fields.time("requestedAt", intent.requested_at);
    fields.plain("hourly", &intent.hourly);
    fields.plain("cost", &intent.cost_at(now));
    fields.filled("because", &intent.because);
    if let Some(failure) = &intent.failure {
        fields.text("failure", failure);
    }
    if intent.unwanted {
        fields.literal("unwanted", &true);
    }
    fields.close();
}

/// `Ready` first: whether one more member could be made, by the worst of what is known.
fn conditions(pool: &BurstPool, made: TimeMs) -> Vec<(&'static str, PoolCondition)> {
    let known = |kind, name| pool.condition(kind).map(|told| (name, told.clone()));
    let sides = [known(PoolConditionKind::Terraform, "Terraform"), known(PoolConditionKind::Price, "Price")];
    let ready = match &sides {
        [Some((_, terraform)), Some((_, price))] => {
            let worst = if terraform.holds { price } else { terraform };
            let since = terraform.since.max(price.since);
            let (reason, message) = match worst.holds {
                true => ("Ready".into(), "One more member could be made".into()),
                false => (Arc::clone(&worst.reason), Arc::clone(&worst.message)),
            };
            PoolCondition { holds: worst.holds, reason, message, since, kind: worst.kind }
        }
        [terraform, _] => terraform.as_ref().filter(|(_, told)| !told.holds).map_or_else(
            || PoolCondition {
                kind: PoolConditionKind::Terraform,
                holds: false,
                reason: "NotLookedAt".into(),
                message: "The leader has not looked at this pool yet".into(),
                since: made,
            },
            |(_, told)| told.clone(),
        ),
    };
    std::iter::once(("Ready", ready)).chain(sides.into_iter().flatten()).collect()
}

fn shown<'a>(kind: &'static str, told: &'a PoolCondition) -> Condition<'a> {
    let status = if told.holds { "True" } else { "False" };
    Condition { kind, status, since: told.since, reason: &told.reason, message: &told.message }
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Some(pool) = object.burst_pool() else { return vec![Value::Null; COLUMNS.len()] };
    let phases: Vec<_> =
        pool.active().map(|intent| format!("{}={}", intent.member, intent.phase.as_str())).collect();
    let ready = conditions(pool, object.meta.created).into_iter().next();
    let ready = ready.map_or_else(String::new, |(_, told)| match told.holds {
        true => "True".to_owned(),
        false => told.reason.to_string(),
    });
    vec![
        json!(&*object.key.name),
        json!(&*pool.spec.module),
        json!(pool.spec.member.location.to_string()),
        json!(format!("{}/{}", pool.active().count(), pool.spec.max)),
        json!(ready),
        json!(format!("${}", pool.cost_at(rows.now()))),
        rows.age(object),
        or_none(&phases.join(",")),
        json!(format!("${}/h", pool.spec.price_cap)),
    ]
}
