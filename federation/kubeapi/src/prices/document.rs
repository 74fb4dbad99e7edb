//! A `PriceBook` as a document, from its figures.

use muster_model::{DurationMs, EgressPrice, GpuPrice, HeldPrice, Location, PriceBookSpec};
use serde_json::{Map, Value, json};

/// The document of a book: what was there, with other figures.
pub fn with_figures(old: Option<&Value>, name: &str, spec: &PriceBookSpec) -> Value {
    let mut document = old.cloned().unwrap_or_else(
        || json!({"apiVersion": "muster.sh/v1alpha1", "kind": "PriceBook", "metadata": {"name": name}}),
    );
    if let Some(fields) = document.as_object_mut() {
        fields.remove("status");
    }
    let mut figures = document["spec"].as_object().cloned().unwrap_or_default();
    figures.insert("compute".to_owned(), spec.compute.iter().map(compute).collect());
    figures.insert("egress".to_owned(), spec.egress.iter().map(egress).collect());
    if let Some(max_age) = spec.max_age {
        figures.insert("maxAge".to_owned(), json!(duration(max_age)));
    }
    document["spec"] = Value::Object(figures);
    document
}

fn compute(price: &GpuPrice) -> Value {
    let mut fields = place(&price.place);
    fields.insert("gpuModel".to_owned(), json!(price.gpu_model.to_string()));
    fields.insert("onDemand".to_owned(), json!(price.on_demand.to_string()));
    if let Some(spot) = price.spot {
        fields.insert("spot".to_owned(), json!(spot.to_string()));
    }
    if price.interruptions_milli_per_hour > 0 {
        let text = thousandths(price.interruptions_milli_per_hour);
        fields.insert("interruptionsPerHour".to_owned(), json!(text));
    }
    provenance(&mut fields, &price.source, &price.as_of.to_string(), price.held.as_ref());
    Value::Object(fields)
}

fn egress(price: &EgressPrice) -> Value {
    let mut fields = Map::new();
    fields.insert("from".to_owned(), Value::Object(place(&price.from)));
    fields.insert("to".to_owned(), Value::Object(place(&price.to)));
    fields.insert("perGiB".to_owned(), json!(price.per_gib.to_string()));
    fields.insert("gbps".to_owned(), json!(thousandths(price.mbps)));
    provenance(&mut fields, &price.source, &price.as_of.to_string(), price.held.as_ref());
    Value::Object(fields)
}

fn place(place: &Location) -> Map<String, Value> {
    let parts =
        [("provider", Some(&place.provider)), ("region", Some(&place.region)), ("zone", place.zone.as_ref())];
    let given = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), json!(**part?))));
    given.collect()
}

fn provenance(fields: &mut Map<String, Value>, source: &str, as_of: &str, held: Option<&HeldPrice>) {
    fields.insert("source".to_owned(), json!(source));
    if as_of != "1970-01-01T00:00:00Z" {
        fields.insert("asOf".to_owned(), json!(as_of));
    }
    if let Some(held) = held {
        fields.insert("held".to_owned(), json!({"reason": &*held.reason, "at": held.at.to_string()}));
    }
}

fn thousandths(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whole seconds, as `90d` if they are whole days.
fn duration(duration: DurationMs) -> String {
    let seconds = duration.0 / 1000;
    if seconds.is_multiple_of(86_400) { format!("{}d", seconds / 86_400) } else { format!("{seconds}s") }
}
