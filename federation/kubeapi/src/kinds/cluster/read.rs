//! The spec of a member: from its `Cluster` object, or as its agent describes itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{Backend, ClusterSpec, Document, Location, PriceClass, Spec, Taint, TaintEffect};
use serde_json::{Map, Value, json};

use crate::field::FieldError;
use crate::kinds::admit::document;
use crate::kinds::at::{At, object_in, set_default};
use crate::kinds::kind::Reading;
use crate::kinds::{scalar, template};
use crate::validate::{check_labels, names};

/// The provider of what is owned.
const ON_PREMISES: &str = "onprem";

const PROVIDER: &str = "muster.sh/provider";
const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";
const PRICE_CLASS: &str = "muster.sh/price-class";

/// Completes a member's spec: a site is a region on premises, and what is not said is the ordinary.
pub(super) fn default(object: &mut Value) {
    let Some(spec) = object.as_object_mut().and_then(|top| object_in(top, "spec")) else { return };
    let mut is_owned = true;
    if let Some(location) = object_in(spec, "location") {
        if let Some(site) = location.get("site").cloned().filter(|site| !site.is_null()) {
            set_default(location, "region", site);
            set_default(location, "provider", ON_PREMISES);
        }
        is_owned = location.get("provider").is_some_and(|provider| provider == ON_PREMISES);
    }
    set_default(spec, "priceClass", if is_owned { "onPrem" } else { "onDemand" });
    set_default(spec, "backend", "process");
}

/// Everything wrong with a member's spec.
pub(super) fn validate(object: &Value, _: Option<&Value>) -> Vec<FieldError> {
    let root = At::root(object, "");
    let spec = root.field("spec");
    let mut errors = Vec::new();
    let name = root.down(&["metadata", "name"]);
    // The name is a label's value on pods.
    errors.extend(names::label_value(name.text()).into_iter().map(|rule| name.invalid(rule)));
    for field in ["provider", "region", "zone"] {
        let at = spec.field("location").field(field);
        match at.some_text() {
            None if field != "zone" => errors.push(at.required("")),
            None => {}
            Some(text) => errors.extend(names::label_value(text).into_iter().map(|rule| at.invalid(rule))),
        }
    }
    if let Some(map) = spec.map() {
        check_labels(map, "spec.labels", &mut errors);
    }
    for taint in spec.field("taints").items() {
        check_taint(&taint, &mut errors);
    }
    let limit = spec.field("transferLimit");
    if scalar::units(&limit, &mut errors) == Some(0) {
        errors.push(limit.invalid("must be greater than 0"));
    }
    spec.field("nodes").items().for_each(|node| check_node(&node, &mut errors));
    errors
}

fn check_taint(taint: &At<'_>, errors: &mut Vec<FieldError>) {
    let (key, value) = (taint.field("key"), taint.field("value"));
    errors.extend(names::qualified_name(key.text()).into_iter().map(|rule| key.invalid(rule)));
    errors.extend(names::label_value(value.text()).into_iter().map(|rule| value.invalid(rule)));
}

fn check_node(node: &At<'_>, errors: &mut Vec<FieldError>) {
    let gpu = node.field("gpu");
    for count in [node.field("count"), gpu.field("count")] {
        if count.int().is_some_and(|n| n < 0) {
            errors.push(count.invalid("must be greater than or equal to 0"));
        }
    }
    if gpu.is_set() && gpu.field("model").text().is_empty() {
        errors.push(gpu.field("model").required("such as NVIDIA-A100-SXM4-80GB"));
    }
    scalar::milli(&node.field("cpu"), errors);
    scalar::units(&node.field("memory"), errors);
}

/// Reads a spec that follows the rules.
pub(super) fn read(object: &Value) -> Result<Reading, Vec<FieldError>> {
    let root = At::root(object, "");
    let spec = root.field("spec");
    let location = spec.field("location");
    let mut labels = BTreeMap::new();
    for source in [spec.field("labels"), root.down(&["metadata", "labels"])] {
        labels.extend(source.entries().map(|(key, value)| (key.into(), value.text().into())));
    }
    let mut cluster = ClusterSpec {
        location: Location {
            provider: location.field("provider").text().into(),
            region: location.field("region").text().into(),
            zone: location.field("zone").some_text().map(Into::into),
        },
        price_class: price_class(spec.field("priceClass").text()),
        backend: backend(spec.field("backend").text()),
        labels,
        taints: spec.field("taints").items().map(|item| taint(&item)).collect(),
        unschedulable: spec.field("unschedulable").is_true(),
        transfer_bytes_per_second: scalar::units(&spec.field("transferLimit"), &mut Vec::new()),
    };
    complete_labels(&mut cluster);
    Ok(Reading::of(Spec::Cluster(cluster)))
}

/// Adds the well-known labels of a member's place and price, which selectors rely on.
pub fn complete_labels(spec: &mut ClusterSpec) {
    let zone = spec.location.zone.clone();
    let known = [
        (PROVIDER, Some(Arc::clone(&spec.location.provider))),
        (REGION, Some(Arc::clone(&spec.location.region))),
        (ZONE, zone),
        (PRICE_CLASS, Some(price_class_word(spec.price_class).into())),
    ];
    for (key, value) in known {
        if let Some(value) = value {
            spec.labels.insert(key.into(), value);
        }
    }
}

/// The document of a member's object, made from how its agent describes itself.
pub fn cluster_document(spec: &ClusterSpec) -> Document {
    let mut location = json!({"provider": &*spec.location.provider, "region": &*spec.location.region});
    if let Some(zone) = &spec.location.zone {
        location["zone"] = json!(&**zone);
    }
    let mut inner = json!({
        "location": location,
        "priceClass": price_class_word(spec.price_class),
        "backend": backend_word(spec.backend),
    });
    if !spec.taints.is_empty() {
        inner["taints"] = spec.taints.iter().map(taint_value).collect();
    }
    if let Some(limit) = spec.transfer_bytes_per_second {
        inner["transferLimit"] = json!(limit.to_string());
    }
    if spec.unschedulable {
        inner["unschedulable"] = json!(true);
    }
    let mut metadata = Map::new();
    let own = |key: &str| ![PROVIDER, REGION, ZONE, PRICE_CLASS].contains(&key);
    let labels: Map<String, Value> = spec
        .labels
        .iter()
        .filter(|(key, _)| own(key))
        .map(|(key, value)| (key.to_string(), json!(&**value)))
        .collect();
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(labels));
    }
    let body = Map::from_iter([("spec".to_owned(), inner)]);
    document(&metadata, &body, ("", ""))
}

fn taint_value(taint: &Taint) -> Value {
    json!({"key": &*taint.key, "value": &*taint.value, "effect": effect_word(taint.effect)})
}

fn taint(item: &At<'_>) -> Taint {
    Taint {
        key: item.field("key").text().into(),
        value: item.field("value").text().into(),
        effect: template::effect_of(item.field("effect").text()).unwrap_or(TaintEffect::NoSchedule),
    }
}

fn price_class(word: &str) -> PriceClass {
    match word {
        "spot" => PriceClass::Spot,
        "onDemand" => PriceClass::OnDemand,
        _ => PriceClass::OnPrem,
    }
}

/// A price class by its word.
pub(super) fn price_class_word(class: PriceClass) -> &'static str {
    match class {
        PriceClass::OnPrem => "onPrem",
        PriceClass::OnDemand => "onDemand",
        PriceClass::Spot => "spot",
    }
}

fn backend(word: &str) -> Backend {
    match word {
        "kubernetes" => Backend::Kubernetes,
        "simulated" => Backend::Simulated,
        _ => Backend::Process,
    }
}

/// A backend by its word.
pub(super) fn backend_word(backend: Backend) -> &'static str {
    match backend {
        Backend::Process => "process",
        Backend::Simulated => "simulated",
        Backend::Kubernetes => "kubernetes",
    }
}

/// A taint's effect by its word.
pub(super) fn effect_word(effect: TaintEffect) -> &'static str {
    match effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    }
}
