//! Bodies and queries that are wrong in one way each.

use bytes::Bytes;
use http::{Method, StatusCode};
use muster_e2e::local::{Federation, job, jobs_path};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A body, and what must become of it.
struct Case {
    what: &'static str,
    media_type: &'static str,
    body: Bytes,
    code: u16,
    /// What the message must contain.
    says: &'static str,
}

fn case(what: &'static str, body: impl Into<Bytes>, code: u16, says: &'static str) -> Case {
    Case { what, media_type: JSON, body: body.into(), code, says }
}

fn case_in(
    media_type: &'static str,
    what: &'static str,
    body: impl Into<Bytes>,
    code: u16,
    says: &'static str,
) -> Case {
    Case { what, media_type, body: body.into(), code, says }
}

/// A good job with one change.
fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut job = job("bad", "true", 1);
    job["spec"]["suspend"] = json!(true);
    change(&mut job);
    job.to_string()
}

fn malformed() -> Vec<Case> {
    let good = with(|_| {});
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    vec![
        case("nothing", "", 400, "EOF"),
        case("cut off", good[..good.len() / 2].to_owned(), 400, "EOF"),
        case("no JSON", "not json", 400, "parse error"),
        case("two documents", format!("{good}{good}"), 400, "trailing"),
        case("an array", "[]", 400, ""),
        case("null", "null", 400, ""),
        case("not UTF-8", [b"{\"kind\":\"\xff\xfe\"}".as_slice()].concat(), 400, ""),
        case("NUL bytes", vec![0; 1000], 400, ""),
        case("nested 100,000 times", deep("[", "]"), 400, "recursion limit"),
        case("nested 100,000 times, cut off", "{\"a\":".repeat(100_000), 400, ""),
        case(
            "nested inside",
            with(|job| job["spec"]["x"] = json!(0)).replace("\"x\":0", &format!("\"x\":{}", deep("[", "]"))),
            400,
            "",
        ),
        case("a number without end", format!("{{\"a\":{}}}", "9".repeat(100_000)), 400, ""),
        case_in(YAML, "YAML nested 100,000 times", deep("[", "]"), 400, ""),
        case_in(YAML, "YAML that grows", yaml_bomb(), 400, ""),
        case_in(YAML, "YAML with a tab", "kind:\n\t- Job", 400, "yaml parse error"),
        case_in(YAML, "two YAML documents", "a: 1\n---\nb: 2\n", 400, "yaml parse error"),
        case_in(PROTOBUF, "no protobuf", good.clone(), 400, "protobuf parse error"),
        case_in(PROTOBUF, "protobuf cut off", b"k8s\0\x0a\x7f".as_slice(), 400, "protobuf parse error"),
        case_in(PROTOBUF, "protobuf nested without end", protobuf_bomb(), 400, ""),
        case_in("application/cbor", "another media type", good.clone(), 415, "accepted media types"),
        case_in("text/plain", "plain text", good, 415, "accepted media types"),
    ]
}

fn wrong() -> Vec<Case> {
    let spec = |field: &'static str, value: Value| with(move |job| job["spec"][field] = value);
    let meta = |field: &'static str, value: Value| with(move |job| job["metadata"][field] = value);
    let container = |field: &'static str, value: Value| {
        with(move |job| job["spec"]["template"]["spec"]["containers"][0][field] = value)
    };
    vec![
        case("a text for a number", spec("parallelism", json!("two")), 400, "parallelism"),
        case("a fraction for a number", spec("parallelism", json!(1.5)), 400, "parallelism"),
        case("a number for a label", meta("labels", json!({"a": 1})), 400, "labels"),
        case("a list for a map", meta("labels", json!([])), 400, "labels"),
        case("a map for a list", spec("template", json!({"spec": {"containers": {}}})), 400, "containers"),
        case("a text for a boolean", spec("suspend", json!("yes")), 400, "suspend"),
        case("another kind", with(|job| job["kind"] = json!("Pod")), 400, "Pod"),
        case("another version", with(|job| job["apiVersion"] = json!("batch/v2")), 400, "batch/v2"),
        case("another namespace", meta("namespace", json!("kube-system")), 400, "namespace"),
        case("a revision", meta("resourceVersion", json!("7")), 400, "resourceVersion"),
        case(
            "a field twice",
            with(|_| {}).replacen("\"spec\":", "\"kind\":\"Job\",\"spec\":", 1),
            400,
            "duplicate field \"kind\"",
        ),
        case("an unknown field", spec("paralelism", json!(2)), 400, "unknown field \"spec.paralelism\""),
        case("no name", meta("name", Value::Null), 422, "name or generateName"),
        case("a path for a name", meta("name", json!("../../etc")), 422, "metadata.name"),
        case("capitals in a name", meta("name", json!("BAD")), 422, "metadata.name"),
        case("a long name", meta("name", json!("a".repeat(254))), 422, "metadata.name"),
        case("a label that is none", meta("labels", json!({"a b": "c"})), 422, "metadata.labels"),
        case("a negative number", spec("parallelism", json!(-1)), 422, "spec.parallelism"),
        case("a number too large", spec("backoffLimit", json!(i64::MAX)), 400, "backoffLimit"),
        case("no template", spec("template", Value::Null), 422, "spec.template"),
        case("no such quantity", container("resources", json!({"limits": {"cpu": "many"}})), 400, "quantit"),
        case(
            "no such policy",
            spec(
                "template",
                json!({"spec": {"restartPolicy": "Sometimes", "containers": [{"name": "a", "image": "b"}]}}),
            ),
            422,
            "restartPolicy",
        ),
        case(
            "a name twice",
            spec(
                "template",
                json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}, {"name": "a", "image": "b"}]}}),
            ),
            422,
            "Duplicate",
        ),
        case(
            "too large to be stored",
            meta("annotations", json!({"a": "x".repeat(3 << 19)})),
            422,
            "annotations",
        ),
        case(
            "too large to be read",
            with(|job| job["metadata"]["annotations"] = json!({"a": "x".repeat(3 << 20)})),
            413,
            "",
        ),
    ]
}

/// Nine levels of ten references each: a billion texts.
fn yaml_bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        let ten = vec![before; 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{ten}]\n"));
    }
    text
}

/// A Job whose spec's template's spec's volumes hold messages in messages, each saying that it is as long as the rest.
fn protobuf_bomb() -> Vec<u8> {
    let mut message = Vec::new();
    for _ in 0..2_000 {
        let mut outer = vec![0x12];
        let mut length = message.len();
        while length >= 0x80 {
            outer.push((length & 0x7f | 0x80) as u8);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(message);
        message = outer;
    }
    [b"k8s\0".as_slice(), &message].concat()
}

pub async fn each_is_answered(federation: &Federation) {
    let path = format!("{}?fieldValidation=Strict", jobs_path());
    let api = federation.api();
    let mut unexpected = Vec::new();
    for Case { what, media_type, body, code, says } in malformed().into_iter().chain(wrong()) {
        let reply = api.request_as(Method::POST, &path, JSON, Some((media_type, body))).await;
        let reply = reply.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
        let status: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let message = status["message"].as_str().unwrap_or_default();
        let is_status = status["kind"] == "Status" && status["code"] == reply.status.as_u16();
        if reply.status.as_u16() != code || !is_status || !message.contains(says) {
            let message: String = message.chars().take(200).collect();
            unexpected.push(format!("{what}: {} {message:?}, want {code} with {says:?}", reply.status));
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    nothing_is_stored(federation).await;
    large_objects_have_a_limit(federation).await;
}

async fn nothing_is_stored(federation: &Federation) {
    let jobs = federation.get(&jobs_path()).await.expect("a list");
    assert_eq!(jobs["items"], json!([]));
}

/// A ConfigMap may be 1 MiB by its own rule; what is around it counts too.
async fn large_objects_have_a_limit(federation: &Federation) {
    let map = |name: &str, bytes: usize| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "x".repeat(bytes)}});
    let api = federation.api();
    let large =
        api.request(Method::POST, CONFIG_MAPS, Some(&map("large", 1_000_000))).await.expect("an answer");
    assert_eq!(large.status, StatusCode::CREATED);
    let larger =
        api.request(Method::POST, CONFIG_MAPS, Some(&map("larger", 1_100_000))).await.expect("an answer");
    assert_eq!(larger.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", String::from_utf8_lossy(&larger.body));
    // A patch may not make what a create may not.
    let patch = json!({"binaryData": {"b": "A".repeat(1 << 20)}}).to_string();
    let path = format!("{CONFIG_MAPS}/large");
    let body = Some(("application/merge-patch+json", patch.into()));
    let patched = api.request_as(Method::PATCH, &path, JSON, body).await.expect("an answer");
    assert!(patched.status.is_client_error(), "{}", patched.status);
    let mut job = job("huge", "true", 1);
    job["spec"]["suspend"] = json!(true);
    job["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["x".repeat(3 << 19)]);
    let huge = api.request(Method::POST, &jobs_path(), Some(&job)).await.expect("an answer");
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", String::from_utf8_lossy(&huge.body));
    let deleted = api.request(Method::DELETE, &path, None).await.expect("an answer");
    assert_eq!(deleted.status, StatusCode::OK);
    nothing_is_stored(federation).await;
}

pub async fn queries_are_read(federation: &Federation) {
    let api = federation.api();
    let jobs = jobs_path();
    let post = with(|_| {});
    let list = |query: &str| (Method::GET, format!("{jobs}?{query}"), "", 400);
    let cases = [
        list("limit=many"),
        list("continue=nonsense"),
        list("resourceVersion=new"),
        list("labelSelector=a%3D%3D%3Db"),
        list("labelSelector=%21%21"),
        list("fieldSelector=spec.nonsense%3D1"),
        list("watch=true&timeoutSeconds=soon"),
        list("watch=true&resourceVersion=-1"),
        list("resourceVersion=1&resourceVersionMatch=Sometimes"),
        (Method::POST, format!("{jobs}?dryRun=Some"), &post, 400),
        (Method::POST, format!("{jobs}?fieldValidation=Perhaps"), &post, 400),
        (Method::DELETE, format!("{jobs}/a?propagationPolicy=Sideways"), "", 400),
        (Method::DELETE, format!("{jobs}/a?gracePeriodSeconds=long"), "", 400),
        (Method::PUT, jobs.clone(), &post, 405),
        (Method::POST, format!("{jobs}/a"), &post, 405),
        (Method::TRACE, jobs.clone(), "", 405),
        (Method::GET, format!("{jobs}/a/b/c/d"), "", 404),
        (Method::GET, "/apis/batch/v9/jobs".to_owned(), "", 404),
        (Method::GET, "/../../etc/passwd".to_owned(), "", 404),
        (Method::GET, format!("/api/v1/namespaces/{}/configmaps", "n".repeat(5_000)), "", 200),
        (Method::POST, "/muster/v1/jointokens".to_owned(), "{\"name\":\"../a\"}", 400),
        (Method::POST, "/muster/v1/credentials".to_owned(), "{\"user\":\"system:hub\"}", 400),
        (Method::POST, "/muster/v1/clusters/nowhere/revoke".to_owned(), "", 404),
    ];
    let mut unexpected = Vec::new();
    for (method, path, body, code) in cases {
        let body = (!body.is_empty()).then(|| (JSON, Bytes::from(body.to_owned())));
        let reply = api.request_as(method.clone(), &path, JSON, body).await.expect("an answer");
        // 422 is the real server's word for options that it could read and does not like.
        let fits = reply.status.as_u16() == code
            || (code == 400 && reply.status == StatusCode::UNPROCESSABLE_ENTITY);
        if !fits {
            let said = String::from_utf8_lossy(&reply.body).chars().take(200).collect::<String>();
            unexpected.push(format!("{method} {path}: {} {said}, want {code}", reply.status));
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    let nothing_fits = api.request_as(Method::GET, &jobs, "text/html", None).await.expect("an answer");
    assert_eq!(nothing_fits.status, StatusCode::NOT_ACCEPTABLE);
    nothing_is_stored(federation).await;
}
