//! Every refusal recorded from a real server is given here too: same code, reason, message and causes.

use http::Method;
use serde_json::{Map, Value, json};

use super::*;
use crate::negotiate::{self, Endpoint};
use crate::options::Query;
use crate::path::{Request, Route, route};
use crate::resource::Verb;
use crate::samples::{self, CONFIG_MAP, JOB, REGISTRY};
use crate::status::{Attempt, Status};
use crate::table::IncludeObject;

/// Answers that another part gives (a kind's own rules, the store, the authenticator), tested there.
const ELSEWHERE: &[&str] = &[
    "not-found-group",
    "invalid-job-",
    "invalid-immutable-",
    "invalid-configmap-",
    // The real server's CRD-free 404 and 415 for paths are plain text or a proxy's words.
    "patch-unknown-type",
    "not-acceptable-table-proto",
    "list-rv-future",
    "update-conflict",
    "update-uid-conflict",
    "delete-uid-precondition",
    "patch-not-found",
    "delete-not-found",
    "invalid-generate-name",
];

/// Same code and reason in our own words: the original quotes a Go parser, its own scheme, or 400 is the better code.
const OWN_WORDS: &[&str] = &[
    "body-not-json",
    "body-empty",
    "body-list",
    "wrong-kind",
    "list-continue-bad",
    "list-continue-with-rv",
    "not-acceptable",
    "field-selector-unknown",
    "strict-yaml",
    // It quotes the owners with their fields in the order of a Go struct.
    "invalid-owner-two-controllers",
];

fn method(golden: &Value) -> Method {
    golden["request"]["method"].as_str().unwrap().parse().unwrap()
}

fn resource_request(golden: &Value) -> Result<Box<Request>, Status> {
    let (path, query) = {
        let whole = golden["request"]["path"].as_str().unwrap();
        whole.split_once('?').unwrap_or((whole, ""))
    };
    match route(&REGISTRY, &method(golden), path, query)? {
        Route::Resource(request) => Ok(request),
        other => panic!("{path} is {other:?}"),
    }
}

fn header<'a>(golden: &'a Value, name: &str) -> Option<&'a str> {
    golden["request"]["headers"].get(name).and_then(Value::as_str)
}

/// Carries a request as far as it goes without a store.
fn answer(golden: &Value) -> Result<Vec<String>, Status> {
    let request = resource_request(golden)?;
    let endpoint = if request.name.is_some() { Endpoint::Object } else { Endpoint::Collection };
    negotiate::accept(header(golden, "Accept"), endpoint)?;
    IncludeObject::parse(&request.query)?;
    if request.resource.plural == "configmaps" && !request.options.continue_token.is_empty() {
        crate::list::ContinueToken::open(
            &request.options.continue_token,
            &crate::list::TokenKey([1; 16]),
            "",
        )?;
    }
    match request.verb {
        Verb::Create | Verb::Update => write(&request, golden),
        Verb::Patch => patch(&request, golden),
        _ => Ok(Vec::new()),
    }
}

fn body(golden: &Value) -> Vec<u8> {
    match &golden["request"]["body"] {
        Value::String(text) => text.clone().into_bytes(),
        Value::Null => Vec::new(),
        other => other.to_string().into_bytes(),
    }
}

fn write(request: &Request, golden: &Value) -> Result<Vec<String>, Status> {
    let encoding = negotiate::content_type(header(golden, "Content-Type"))?;
    let decoded = decode(request.resource, &body(golden), encoding, request.options.field_validation)?;
    let mut object = decoded.object;
    identity(&mut object, request.namespace.as_deref(), request.name.as_deref())?;
    let errors = metadata(request.resource, &object);
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if errors.is_empty() {
        Ok(decoded.warnings)
    } else {
        Err(Status::invalid(request.resource, name, &errors))
    }
}

fn patch(request: &Request, golden: &Value) -> Result<Vec<String>, Status> {
    let kind = crate::patch::PatchKind::of(
        header(golden, "Content-Type").unwrap_or_default(),
        request.resource,
        &request.options,
    )?;
    let stored = json!({"apiVersion": request.resource.api_version(), "kind": request.resource.kind,
        "metadata": {"name": request.name}});
    crate::patch::apply(request.resource, kind, &stored, &body(golden), request.options.field_validation)
        .map(|patched| patched.warnings)
}

fn want(golden: &Value) -> Value {
    let mut body = golden["body"].clone();
    if let Some(map) = body.as_object_mut() {
        map.retain(|key, _| key != "metadata");
    }
    body
}

fn check(name: &str, golden: &Value) -> Result<(), String> {
    let code = golden["code"].as_u64().unwrap();
    match answer(golden) {
        Ok(warnings) if code < 300 => {
            let got: Vec<_> = warnings.iter().map(|text| warning_header(text)).collect();
            // One of the headers was recorded, and golden files do not keep the order of fields.
            let recorded = golden.get("warning").and_then(Value::as_str).map(str::to_owned);
            if recorded.map_or(got.is_empty(), |warning| got.contains(&warning)) {
                Ok(())
            } else {
                Err(format!("{name}: warnings {got:?}"))
            }
        }
        Ok(_) => Err(format!("{name}: accepted, want {}", golden["body"])),
        Err(status) => compare(name, &serde_json::to_value(&status).unwrap(), &want(golden)),
    }
}

fn compare(name: &str, got: &Value, want: &Value) -> Result<(), String> {
    let strip = |value: &Value| -> Value {
        let mut map = value.as_object().cloned().unwrap_or_else(Map::new);
        map.remove("metadata");
        if OWN_WORDS.contains(&name) || shows_stored_object(name) {
            map.remove("message");
            map.remove("details");
        }
        Value::Object(map)
    };
    let (got, want) = (strip(got), strip(want));
    if got == want { Ok(()) } else { Err(format!("{name}:\n got {got}\nwant {want}")) }
}

/// The message quotes the whole stored object.
fn shows_stored_object(name: &str) -> bool {
    name == "patch-strict-unknown-merge"
}

fn applies(name: &str) -> bool {
    !name.starts_with("forbidden")
        && !["unauthorized", "already-exists", "not-found-job", "not-found-configmap", "watch-rv-bad"].contains(&name)
        // Too large to be kept: patch::golden_tests and the annotation test below make their own.
        && !["patch-json-too-many", "invalid-annotation-size"].contains(&name)
        && !ELSEWHERE.iter().any(|prefix| name.starts_with(prefix))
}

#[test]
fn refusals_as_the_real_server() {
    let cases = samples::golden_folder("status");
    let applied: Vec<_> = cases.iter().filter(|(name, _)| applies(name)).collect();
    assert!(applied.len() >= 80, "only {} of {} cases apply", applied.len(), cases.len());
    let wrong: Vec<_> = applied.iter().filter_map(|(name, golden)| check(name, golden).err()).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), applied.len(), wrong.join("\n"));
}

#[test]
fn statuses_as_the_real_server() {
    let attempt = Attempt {
        user: "nobody",
        verb: "get",
        name: "taken",
        namespace: Some("default"),
        subresource: "",
        advice: "",
    };
    let list = Attempt { verb: "list", name: "", ..attempt };
    let everywhere = Attempt { namespace: None, ..list };
    let cases = samples::golden_folder("status");
    let built = [
        ("not-found-job", Status::not_found(&JOB, "nope")),
        ("not-found-configmap", Status::not_found(&CONFIG_MAP, "nope")),
        ("already-exists", Status::already_exists(&CONFIG_MAP, "taken")),
        ("update-conflict", Status::conflict(&CONFIG_MAP, "taken")),
        ("unauthorized", Status::unauthorized()),
        ("list-rv-future", Status::too_large_resource_version(99_999_999, current_revision(&cases))),
        ("forbidden-get", Status::forbidden(&JOB, &attempt)),
        ("forbidden-list", Status::forbidden(&JOB, &list)),
        ("forbidden-status", Status::forbidden(&JOB, &Attempt { subresource: "status", ..attempt })),
        ("forbidden-cluster", Status::forbidden(&samples::NODE, &everywhere)),
        ("forbidden-all-namespaces", Status::forbidden(&JOB, &everywhere)),
        ("forbidden-path", Status::forbidden_path("nobody", "get", "/metrics")),
    ];
    for (name, status) in built {
        let (_, golden) = cases.iter().find(|(known, _)| known == name).unwrap();
        compare(name, &serde_json::to_value(&status).unwrap(), &want(golden)).unwrap();
    }
}

/// The revision the server had reached when it was asked for a later one.
fn current_revision(cases: &[(String, Value)]) -> u64 {
    let (_, golden) = cases.iter().find(|(name, _)| name == "list-rv-future").unwrap();
    golden["body"]["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn generated_names_are_valid_and_differ() {
    assert_eq!(names::generated("job-", 0), "job-bbbbb");
    assert_ne!(names::generated("job-", 1), names::generated("job-", 2));
    let long = names::generated(&"a".repeat(80), u64::MAX);
    assert_eq!((long.len(), names::dns_label(&long)), (63, Vec::<String>::new()));
}

#[test]
fn annotations_together_are_limited() {
    let object =
        json!({"metadata": {"name": "y", "namespace": "d", "annotations": {"a": "x".repeat(262_144)}}});
    let errors = metadata(&CONFIG_MAP, &object);
    assert_eq!(errors[0].to_string(), "metadata.annotations: Too long: may not be more than 262144 bytes");
}

#[test]
fn a_kind_as_from_a_crd_lists_all_that_is_wrong() {
    let body = br#"{"spec":{"priceClass":"cheap","taints":[{"key":1}],"nodes":[{"count":"two"}]},"metadata":{"name":"c"}}"#;
    let status = decode(&samples::CLUSTER, body, crate::document::Encoding::Json, FieldValidation::Ignore)
        .unwrap_err();
    assert_eq!(status.code, 422);
    let fields: Vec<_> =
        status.details.unwrap().causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    assert_eq!(
        fields,
        [
            "spec.nodes[0].count: Invalid value: \"string\": spec.nodes[0].count in body must be of type integer: \"string\"",
            "spec.priceClass: Unsupported value: \"cheap\": supported values: \"onPrem\", \"onDemand\", \"spot\"",
            "spec.taints[0].effect: Required value",
            "spec.taints[0].key: Invalid value: \"number\": spec.taints[0].key in body must be of type string: \"number\"",
        ]
    );
}

#[test]
fn an_update_may_not_change_identity() {
    let old = json!({"metadata": {"name": "a", "uid": "1", "deletionTimestamp": "t", "finalizers": ["x/a"]}});
    let new = json!({"metadata": {"name": "b", "uid": "1", "finalizers": ["x/a", "x/b"]}});
    let texts: Vec<_> = metadata_update(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(texts[0], "metadata.name: Invalid value: \"b\": field is immutable");
    assert!(texts[1].ends_with("found new finalizers []string{\"x/b\"}"), "{}", texts[1]);
}

#[test]
fn paths_lead_to_kinds() {
    let go = |method: Method, path: &str| route(&REGISTRY, &method, path, "");
    let verb = |method: Method, path: &str| match go(method, path) {
        Ok(Route::Resource(request)) => {
            Ok((request.resource.kind, request.verb, request.name, request.namespace))
        }
        Ok(other) => panic!("{other:?}"),
        Err(status) => Err(status.code),
    };
    let text = |t: &str| Some(t.to_owned());
    let status = "/api/v1/namespaces/a/configmaps";
    assert_eq!(verb(Method::GET, status), Ok(("ConfigMap", Verb::List, None, text("a"))));
    assert_eq!(verb(Method::GET, "/api/v1/namespaces/a"), Ok(("Namespace", Verb::Get, text("a"), None)));
    assert_eq!(verb(Method::GET, "/api/v1/configmaps"), Ok(("ConfigMap", Verb::List, None, None)));
    assert_eq!(verb(Method::POST, "/api/v1/configmaps"), Err(405));
    assert_eq!(verb(Method::POST, "/api/v1/namespaces/a/configmaps/b"), Err(405));
    assert_eq!(verb(Method::DELETE, "/api/v1/nodes/n"), Err(405));
    assert_eq!(verb(Method::GET, "/apis/batch/v1/namespaces/a/jobs/b%2Bc/log"), Err(404));
    assert_eq!(
        verb(Method::PATCH, "/apis/batch/v1/namespaces/a/jobs/b%2Bc/status"),
        Ok(("Job", Verb::Patch, text("b+c"), text("a")))
    );
    assert_eq!(
        go(Method::GET, "/openapi/v3/apis/batch/v1"),
        Ok(Route::OpenApiDocument("apis/batch/v1".to_owned()))
    );
    assert_eq!(go(Method::GET, "/healthz"), Ok(Route::Other));
    assert_eq!(Query::parse("a=1%202+3&b").get("a"), Some("1 2 3"));
}
