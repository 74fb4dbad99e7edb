//! `muster.sh/v1alpha1 PriceBook`: what compute and egress cost, each figure with its source and age.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_model::{
    EgressPrice, GpuModel, GpuPrice, HeldPrice, Location, Object, PriceBookSpec, Spec, Status, TimeMs,
};
use serde_json::{Value, json};

use super::at::At;
use super::column::{AGE, NAME, integer, text};
use super::dataset::region;
use super::json::Fields;
use super::kind::{Live, Reading, StoredKind};
use super::render::show_field;
use super::rows::Rows;
use super::scalar;
use crate::field::FieldError;
use crate::resource::{ALL_VERBS, Column, NameRule, Origin, Resource};

/// Speed between two regions when the book does not say: 1 Gbit/s.
const DEFAULT_MBPS: u64 = 1_000;

const COLUMNS: &[Column] = &[
    NAME,
    integer("Compute", "How many GPU prices it has."),
    integer("Egress", "How many prices of moving bytes it has."),
    text("Oldest", "Age of its oldest figure."),
    text("Held", "Figures that are the last good ones, since newer ones were refused."),
    AGE,
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "muster.sh",
        version: "v1alpha1",
        kind: "PriceBook",
        plural: "pricebooks",
        singular: "pricebook",
        short_names: &["pb"],
        categories: &["muster"],
        namespaced: false,
        verbs: ALL_VERBS,
        subresources: &[],
        columns: COLUMNS,
        schema: "sh.muster.v1alpha1.PriceBook",
        origin: Origin::Custom,
        name_rule: NameRule::Subdomain,
        field_labels: &[],
        default: |_| {},
        validate: |_, _| Vec::new(),
    },
    read,
    show,
    cells,
};

fn read(object: &Value) -> Result<Reading, Vec<FieldError>> {
    let at = At::root(object, "").field("spec");
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let spec = PriceBookSpec {
        compute: compute(&at.field("compute"), &mut errors),
        egress: egress(&at.field("egress"), &mut errors),
        max_age: scalar::positive_duration(&at.field("maxAge"), &mut errors),
    };
    for list in ["compute", "egress"] {
        let without = at.field(list).items().filter(|item| !item.field("asOf").is_set()).count();
        if without > 0 {
            warnings.push(format!("{without} figures of spec.{list} have no asOf: their age is unknown"));
        }
    }
    if errors.is_empty() {
        Ok(Reading { spec: Spec::PriceBook(Arc::new(spec)), warnings })
    } else {
        Err(errors)
    }
}

fn compute(at: &At<'_>, errors: &mut Vec<FieldError>) -> Vec<GpuPrice> {
    let mut seen = BTreeSet::new();
    let mut prices = Vec::new();
    for item in at.items() {
        let price = gpu_price(&item, errors);
        if !seen.insert((price.place.clone(), price.gpu_model.clone())) {
            let what = Value::from(format!("{} {}", price.place, price.gpu_model));
            errors.push(FieldError::duplicate(item.path, &what));
        }
        prices.push(price);
    }
    prices
}

fn gpu_price(item: &At<'_>, errors: &mut Vec<FieldError>) -> GpuPrice {
    let model = item.field("gpuModel");
    if model.text().is_empty() {
        errors.push(model.required("such as NVIDIA-A100-SXM4-80GB"));
    }
    let on_demand = item.field("onDemand");
    if !on_demand.is_set() {
        errors.push(
            on_demand
                .required("USD per GPU and hour as a decimal string; on premises, the cost of ownership"),
        );
    }
    let place = Location { zone: item.field("zone").some_text().map(Into::into), ..region(item, errors) };
    GpuPrice {
        place,
        gpu_model: GpuModel::new(model.text()),
        on_demand: scalar::money(&on_demand, errors).unwrap_or_default(),
        spot: scalar::money(&item.field("spot"), errors),
        interruptions_milli_per_hour: scalar::milli(&item.field("interruptionsPerHour"), errors)
            .unwrap_or_default(),
        source: item.field("source").text().into(),
        as_of: scalar::day_or_time(&item.field("asOf"), errors).unwrap_or_default(),
        held: held(&item.field("held"), errors),
    }
}

fn egress(at: &At<'_>, errors: &mut Vec<FieldError>) -> Vec<EgressPrice> {
    let mut seen = BTreeSet::new();
    let mut prices = Vec::new();
    for item in at.items() {
        let price = egress_price(&item, errors);
        if !seen.insert((price.from.clone(), price.to.clone())) {
            let what = Value::from(format!("{} to {}", price.from, price.to));
            errors.push(FieldError::duplicate(item.path, &what));
        }
        prices.push(price);
    }
    prices
}

fn egress_price(item: &At<'_>, errors: &mut Vec<FieldError>) -> EgressPrice {
    let (per_gib, gbps) = (item.field("perGiB"), item.field("gbps"));
    if !per_gib.is_set() {
        errors.push(per_gib.required("USD per GiB as a decimal string"));
    }
    let mbps = scalar::milli(&gbps, errors).unwrap_or(DEFAULT_MBPS);
    if mbps == 0 {
        errors.push(gbps.invalid("must be greater than 0"));
    }
    EgressPrice {
        from: region(&item.field("from"), errors),
        to: region(&item.field("to"), errors),
        per_gib: scalar::money(&per_gib, errors).unwrap_or_default(),
        mbps,
        source: item.field("source").text().into(),
        as_of: scalar::day_or_time(&item.field("asOf"), errors).unwrap_or_default(),
        held: held(&item.field("held"), errors),
    }
}

fn held(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<HeldPrice> {
    if !at.is_set() {
        return None;
    }
    let refused_at = scalar::day_or_time(&at.field("at"), errors).unwrap_or_default();
    Some(HeldPrice { reason: at.field("reason").text().into(), at: refused_at })
}

/// One condition: whether every figure is the newest that was offered.
fn show(object: &Object, _: &Live<'_>, out: &mut String) {
    let Status::PriceBook(spec) = &object.status else { return };
    let compute = spec
        .compute
        .iter()
        .filter_map(|price| Some((format!("{} in {}", price.gpu_model, price.place), price.held.as_ref()?)));
    let egress = spec
        .egress
        .iter()
        .filter_map(|price| Some((format!("egress {} to {}", price.from, price.to), price.held.as_ref()?)));
    let held: Vec<(String, &HeldPrice)> = compute.chain(egress).collect();
    let since = held.iter().map(|(_, held)| held.at).max().unwrap_or(object.meta.created);
    let message = match held.first() {
        None => "every figure is the newest that was offered".to_owned(),
        Some((what, first)) => format!(
            "{} figures are the last good ones, newer ones were refused; {what}: {}",
            held.len(),
            first.reason
        ),
    };
    let mut status = Fields::open(show_field(out, "status"));
    status.list("conditions", &[()], |out, ()| {
        let mut condition = Fields::open(out);
        condition.text("type", "PricesGood");
        condition.text("status", if held.is_empty() { "True" } else { "False" });
        condition.text("reason", if held.is_empty() { "AllTaken" } else { "LastGoodKept" });
        condition.text("message", &message);
        condition.time("lastTransitionTime", since);
        condition.close();
    });
    status.close();
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Status::PriceBook(spec) = &object.status else { return vec![Value::Null; COLUMNS.len()] };
    let held = spec.compute.iter().filter(|price| price.held.is_some()).count()
        + spec.egress.iter().filter(|price| price.held.is_some()).count();
    let days =
        spec.compute.iter().map(|price| price.as_of).chain(spec.egress.iter().map(|price| price.as_of));
    let oldest = match days.min() {
        None => json!("<none>"),
        Some(TimeMs(0)) => json!("<unknown>"),
        Some(day) => rows.since(day),
    };
    vec![
        json!(&*object.key.name),
        json!(spec.compute.len()),
        json!(spec.egress.len()),
        oldest,
        json!(held.to_string()),
        rows.age(object),
    ]
}
