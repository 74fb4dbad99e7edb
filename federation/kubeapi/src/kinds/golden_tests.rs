//! What a real API server answered about kinds, given here too: same code, message, causes; same defaults.

use serde_json::{Value, json};

use super::samples::{NOW, UID};
use super::{Resource, StoredKind, admit, preview, render};
use crate::document::Encoding;
use crate::patch::{self, PatchKind};
use crate::status::Status;
use crate::validate::{FieldValidation, decode};
use muster_model::Key;

/// It quotes Go's own notation of a struct; field and reason are compared.
const OWN_WORDS: &[&str] = &["invalid-immutable-template"];

fn kind_of(path: &str) -> &'static StoredKind {
    let registry = super::registry();
    let known = ["jobs", "configmaps"].into_iter().find(|plural| path.contains(&format!("/{plural}")));
    let plural = known.unwrap_or("namespaces");
    let resource: &Resource = registry.resources().find(|r| r.plural == plural).unwrap();
    StoredKind::of_resource(resource).unwrap()
}

/// The job that the recording patches.
fn taken(kind: &StoredKind) -> Value {
    let text = "{metadata: {name: taken, namespace: default}, spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}";
    let object = super::samples::object(kind, text);
    render::value(kind, &object)
}

fn proposed(kind: &StoredKind, golden: &Value) -> Result<(Value, Option<Value>), Status> {
    let body = golden["request"]["body"].to_string();
    let resource = &kind.resource;
    if golden["request"]["method"] == "PATCH" {
        let media = golden["request"]["headers"]["Content-Type"].as_str().unwrap();
        let old = taken(kind);
        let how = PatchKind::of(media, resource, &crate::options::Options::default())?;
        let patched = patch::apply(resource, how, &old, body.as_bytes(), FieldValidation::Warn)?;
        return Ok((patched.object, Some(old)));
    }
    let mut object = decode(resource, body.as_bytes(), Encoding::Json, FieldValidation::Warn)?.object;
    object["metadata"]["uid"] = json!(UID.to_string());
    if resource.namespaced {
        object["metadata"]["namespace"] = json!("default");
    }
    Ok((object, None))
}

fn answer(golden: &Value) -> Result<Value, Status> {
    let kind = kind_of(golden["request"]["path"].as_str().unwrap());
    let (object, old) = proposed(kind, golden)?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let admitted = admit(kind, object, old.as_ref())
        .map_err(|errors| Status::invalid(&kind.resource, &name, &errors))?;
    let key = Key { kind: kind.model_kind(), ..Key::new("", "default", &name) };
    Ok(render::value(kind, &preview(&admitted, key, None, (UID, NOW))))
}

/// Server-owned times and numbers are no part of the recording, and a job's status is told more of here.
fn comparable(mut object: Value) -> Value {
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
        object["metadata"].as_object_mut().unwrap().remove(field);
    }
    object.as_object_mut().unwrap().remove("status");
    let text = object.to_string().replace(&UID.to_string(), "UID");
    serde_json::from_str(&text).unwrap()
}

fn check(name: &str, golden: &Value) {
    match answer(golden) {
        Ok(object) => {
            assert_eq!(golden["code"], 201, "{name} was accepted");
            assert_eq!(comparable(object), comparable(golden["body"].clone()), "{name}");
        }
        Err(status) => {
            let (mut got, mut want) = (serde_json::to_value(&status).unwrap(), golden["body"].clone());
            if OWN_WORDS.contains(&name) {
                for body in [&mut got, &mut want] {
                    body["message"].take();
                    body["details"]["causes"][0]["message"].take();
                }
            }
            assert_eq!(got, want, "{name}");
        }
    }
}

#[test]
fn jobs_and_config_maps_as_the_real_server() {
    let about = [
        "invalid-job-",
        "invalid-immutable-",
        "invalid-configmap-",
        "invalid-namespace-name",
        "quantity-invalid",
    ];
    let cases = crate::samples::golden_folder("status");
    let cases: Vec<_> =
        cases.iter().filter(|(name, _)| about.iter().any(|prefix| name.starts_with(prefix))).collect();
    assert!(cases.len() >= 13, "only {} recordings", cases.len());
    for (name, golden) in cases {
        check(name, golden);
    }
}
