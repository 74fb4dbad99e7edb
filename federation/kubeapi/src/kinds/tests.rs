//! Reading and showing of the smaller kinds.

use expect_test::{Expect, expect};
use muster_model::{Deletion, Key, Object, Spec, TimeMs};
use serde_json::{Value, json};

use super::samples::{self, NOW, UID, lines, object, reading, row, shown};
use super::*;
use crate::document;

fn check_read(kind: &StoredKind, text: &str, want: &Expect) {
    want.assert_eq(&reading(kind, text));
}

#[test]
fn namespaces() {
    let kind = &namespace::KIND;
    check_read(
        kind,
        "metadata: {name: a, annotations: {muster.sh/wait-cost-per-hour: '0.75'}}",
        &expect![[r#"
        Namespace(
            NamespaceSpec {
                wait_cost_per_hour: MicroUsd(
                    750000,
                ),
            },
        )
    "#]],
    );
    check_read(
        kind,
        "metadata: {name: a, annotations: {muster.sh/wait-cost-per-hour: '-1'}}",
        &expect![[
            r#"metadata.annotations[muster.sh/wait-cost-per-hour]: Invalid value: "-1": must be greater than or equal to 0"#
        ]],
    );
    let mut object = object(kind, "metadata: {name: a}");
    expect![[r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"7","creationTimestamp":"2026-11-20T10:44:05Z","labels":{"kubernetes.io/metadata.name":"a"}},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}"#]].assert_eq(&shown(kind, &object));
    object.meta.deletion = Some(Deletion { at: NOW, grace_s: 0 });
    expect![[r#"
        Name: "a"
        Status: "Terminating"
        Age: "0s""#]]
    .assert_eq(&row(kind, &object, NOW));
}

#[test]
fn the_default_namespace_can_be_stored() {
    let muster_model::Command::Put(put) = default_namespace() else { panic!("a put") };
    assert_eq!(put.key, Key::namespace("default"));
    assert_eq!(put.spec, Spec::Namespace(muster_model::NamespaceSpec::default()));
    assert!(
        put.document.metadata_text("default", "u").contains("\"kubernetes.io/metadata.name\":\"default\"")
    );
}

#[test]
fn config_maps() {
    let kind = &config_map::KIND;
    let meta = "metadata: {name: c, namespace: a}\n";
    let object = object(kind, &format!("{meta}data: {{a: '1', b: c}}\nbinaryData: {{x: AAE=}}\n"));
    expect![[r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"7","creationTimestamp":"2026-11-20T10:44:05Z"},"binaryData":{"x":"AAE="},"data":{"a":"1","b":"c"}}"#]].assert_eq(&shown(kind, &object));
    expect![[r#"
        Name: "c"
        Data: 3
        Age: "0s""#]]
    .assert_eq(&row(kind, &object, NOW));
    check_read(
        kind,
        &format!("{meta}data: {{'..': x}}\nbinaryData: {{y: '%'}}"),
        &expect![[r#"
        data[..]: Invalid value: "..": must not be '..'
        binaryData[y]: Invalid value: "%": must be base64: Invalid symbol 37, offset 0."#]],
    );
    let large = format!("{meta}data: {{a: {}}}", "x".repeat(1024 * 1024 + 1));
    check_read(kind, &large, &expect!["[]: Too long: may not be more than 1048576 bytes"]);
}

#[test]
fn immutable_config_maps_stay() {
    let kind = &config_map::KIND;
    let old = render::value(
        kind,
        &object(kind, "metadata: {name: c, namespace: a}\nimmutable: true\ndata: {a: '1'}"),
    );
    let change = |field: &str, value: Value| {
        let mut new = old.clone();
        new[field] = value;
        admit(kind, new, Some(&old)).err().unwrap_or_default()
    };
    expect!["data: Forbidden: field is immutable when `immutable` is set"]
        .assert_eq(&lines(&change("data", json!({"a": "2"}))));
    expect!["immutable: Forbidden: field is immutable when `immutable` is set"]
        .assert_eq(&lines(&change("immutable", json!(false))));
    assert_eq!(change("binaryData", json!({})), []);
}

#[test]
fn events() {
    let kind = &event::KIND;
    expect![[r#"{"apiVersion":"v1","kind":"Event","metadata":{"name":"train.00000000000000ff","namespace":"team-a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"8","creationTimestamp":"2026-11-20T10:44:05Z"},"involvedObject":{"kind":"Job","apiVersion":"batch/v1","namespace":"team-a","name":"train","uid":"0a1b2c3d-0000-4000-8000-0000000000ff"},"reason":"Placed","message":"on onprem-a because \"near\"","source":{"component":"muster"},"firstTimestamp":"2026-11-20T10:44:05Z","lastTimestamp":"2026-11-20T10:44:10Z","count":2,"type":"Normal","eventTime":null,"reportingComponent":"muster","reportingInstance":""}"#]].assert_eq(&shown(kind, &samples::event()));
    expect![[r#"
        Last Seen: "60s"
        Type: "Normal"
        Reason: "Placed"
        Object: "job/train"
        Subobject: ""
        Source: "muster"
        Message: "on onprem-a because \"near\""
        First Seen: "65s"
        Count: 2
        Name: "train.00000000000000ff""#]]
    .assert_eq(&row(kind, &samples::event(), TimeMs(NOW.0 + 65_000)));
    let text = "
metadata: {name: e, namespace: a}
involvedObject: {kind: Pod, name: p, namespace: a, fieldPath: 'spec.containers{c}'}
reason: Pulled
message: done
type: Normal
source: {component: kubelet}
firstTimestamp: 2026-11-20T10:43:05Z
lastTimestamp: 2026-11-20T10:44:05Z
count: 3
";
    expect![[r#"
        Last Seen: "0s"
        Type: "Normal"
        Reason: "Pulled"
        Object: "pod/p"
        Subobject: "spec.containers{c}"
        Source: "kubelet"
        Message: "done"
        First Seen: "60s"
        Count: 3
        Name: "e""#]]
    .assert_eq(&row(kind, &object(kind, text), NOW));
    check_read(
        kind,
        &text.replace("namespace: a, fieldPath", "namespace: b, fieldPath"),
        &expect![[r#"involvedObject.namespace: Invalid value: "b": does not match event.namespace"#]],
    );
}

#[test]
fn an_event_of_the_hub_that_a_client_labels_is_shown_once() {
    let kind = &event::KIND;
    let mut written = render::value(kind, &samples::event());
    written["metadata"]["labels"] = json!({"seen": "yes"});
    let admitted = admit(kind, written, None).unwrap();
    let labelled = Object { document: admitted.document, ..samples::event() };
    let text = shown(kind, &labelled);
    let parsed = document::parse(text.as_bytes(), document::Encoding::Json, None).unwrap();
    assert_eq!(parsed.findings, Vec::<String>::new(), "no field twice");
    assert_eq!(parsed.value["metadata"]["labels"]["seen"], "yes");
}

#[test]
fn runs() {
    let kind = &run::KIND;
    expect![[r#"{"apiVersion":"muster.sh/v1alpha1","kind":"Run","metadata":{"name":"train-1000000000009","namespace":"team-a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"8","creationTimestamp":"2026-11-20T10:44:05Z"},"spec":{"job":"train","epoch":"281474976710665","cluster":"onprem-a"},"status":{"phase":"Failed","start":"2026-11-20T10:44:05Z","end":"2026-11-20T10:45:35Z","exitCode":3,"cost":[{"line":"compute","amount":"1.25"},{"line":"egress","amount":"0.09"}],"lostGpuSeconds":61}}"#]].assert_eq(&shown(kind, &samples::run()));
    expect![[r#"
        Name: "train-1000000000009"
        Job: "train"
        Cluster: "onprem-a"
        Phase: "Failed"
        Epoch: "281474976710665"
        Cost: "1.34"
        Duration: "90s"
        Age: "60m"
        Exit Code: "3"
        Lost GPU Time: "61s""#]]
    .assert_eq(&row(kind, &samples::run(), TimeMs(NOW.0 + 3_600_000)));
}

fn pod(phase: PodPhase) -> PodMirror {
    PodMirror {
        namespace: "team-a".to_owned(),
        name: "train-1-abcde".to_owned(),
        job: "train".to_owned(),
        job_uid: UID,
        epoch: 9,
        index: Some(1),
        labels: vec![("app".to_owned(), "train".to_owned())],
        cluster: "onprem-a".to_owned(),
        node: "node-0".to_owned(),
        container: "main".to_owned(),
        phase,
        started: Some(NOW),
        version: (2 << 40) | 7,
        ..PodMirror::default()
    }
}

#[test]
fn pods() {
    let text = |pod: &PodMirror| {
        let mut out = String::new();
        pod_into(&mut out, pod);
        out
    };
    expect![[r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"train-1-abcde","namespace":"team-a","uid":"766f3578-ee05-9ad3-2cc4-ea36bd41f8ba","resourceVersion":"2199023255559","creationTimestamp":"2026-11-20T10:44:05Z","labels":{"app":"train","batch.kubernetes.io/controller-uid":"0a1b2c3d-0000-4000-8000-0000000000ff","batch.kubernetes.io/job-completion-index":"1","batch.kubernetes.io/job-name":"train","controller-uid":"0a1b2c3d-0000-4000-8000-0000000000ff","job-name":"train","muster.sh/cluster":"onprem-a"},"annotations":{"muster.sh/epoch":"9","batch.kubernetes.io/job-completion-index":"1"},"ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"train","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","controller":true,"blockOwnerDeletion":true}]},"spec":{"restartPolicy":"Never","nodeName":"node-0","containers":[{"name":"main"}]},"status":{"phase":"Running","startTime":"2026-11-20T10:44:05Z","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-11-20T10:44:05Z"}],"containerStatuses":[{"name":"main","image":"","imageID":"","ready":true,"started":true,"restartCount":0,"state":{"running":{"startedAt":"2026-11-20T10:44:05Z"}}}]}}"#]].assert_eq(&text(&pod(PodPhase::Running)));
    let killed = PodMirror { signal: Some(9), finished: Some(NOW), ..pod(PodPhase::Failed) };
    let shown: Value = serde_json::from_str(&text(&killed)).unwrap();
    expect![[r#"{"conditions":[{"lastTransitionTime":"2026-11-20T10:44:05Z","status":"False","type":"Ready"}],"containerStatuses":[{"image":"","imageID":"","name":"main","ready":false,"restartCount":0,"started":false,"state":{"terminated":{"exitCode":137,"finishedAt":"2026-11-20T10:44:05Z","reason":"Error","signal":9,"startedAt":"2026-11-20T10:44:05Z"}}}],"phase":"Failed","startTime":"2026-11-20T10:44:05Z"}"#]].assert_eq(&shown["status"].to_string());
    let waiting = PodMirror { started: None, ..pod(PodPhase::Pending) };
    let shown: Value = serde_json::from_str(&text(&waiting)).unwrap();
    expect![[r#"{"waiting":{"reason":"ContainerCreating"}}"#]]
        .assert_eq(&shown["status"]["containerStatuses"][0]["state"].to_string());
    for (pod, want) in [
        (
            pod(PodPhase::Running),
            json!(["train-1-abcde", "1/1", "Running", "0", "60s", "<none>", "node-0", "onprem-a", "<none>"]),
        ),
        (
            killed,
            json!(["train-1-abcde", "0/1", "Error", "0", "60s", "<none>", "node-0", "onprem-a", "<none>"]),
        ),
        (
            waiting,
            json!([
                "train-1-abcde",
                "0/1",
                "Pending",
                "0",
                "<unknown>",
                "<none>",
                "node-0",
                "onprem-a",
                "<none>"
            ]),
        ),
    ] {
        let cells = pod_cells(&pod, TimeMs(NOW.0 + 60_000));
        assert_eq!(Value::Array(cells), want);
    }
}

#[test]
fn containers_of_a_pod_are_shown_one_by_one() {
    let end = |exit_code| ContainerEnd {
        started: Some(NOW),
        finished: Some(NOW),
        exit_code,
        reason: if exit_code == 0 { "Completed" } else { "Error" }.to_owned(),
        ..ContainerEnd::default()
    };
    let container = |name: &str, init, state, last: bool| ContainerMirror {
        name: name.to_owned(),
        image: format!("{name}:1"),
        init,
        state,
        restarts: u32::from(last),
        last: last.then(|| end(7)),
        streams: ContainerStreams { stdin: name == "main", stdin_once: false, tty: name == "main" },
    };
    let waiting =
        |reason: &str| ContainerState::Waiting { reason: reason.to_owned(), message: String::new() };
    let pod = PodMirror {
        containers: vec![
            container("fetch", true, ContainerState::Terminated(end(0)), false),
            container("main", false, ContainerState::Running { since: Some(NOW) }, false),
            container("flaky", false, waiting("CrashLoopBackOff"), true),
        ],
        restarts: 1,
        ..pod(PodPhase::Running)
    };
    let mut out = String::new();
    pod_into(&mut out, &pod);
    let shown: Value = serde_json::from_str(&out).unwrap();
    let names = |pointer: &str| -> Vec<String> {
        let items = shown.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        items.map(|item| format!("{} {}", item["name"].as_str().unwrap(), item["ready"])).collect()
    };
    assert_eq!(names("/status/initContainerStatuses"), ["fetch true"]);
    assert_eq!(names("/status/containerStatuses"), ["main true", "flaky false"]);
    assert_eq!(
        shown["spec"]["containers"],
        json!([
            {"name": "main", "image": "main:1", "stdin": true, "tty": true},
            {"name": "flaky", "image": "flaky:1"},
        ])
    );
    assert_eq!(shown["status"]["conditions"][0]["status"], "False");
    let flaky = &shown["status"]["containerStatuses"][1];
    assert_eq!(flaky["lastState"]["terminated"]["exitCode"], 7);
    assert_eq!(
        (&flaky["restartCount"], &flaky["state"]["waiting"]["reason"]),
        (&json!(1), &json!("CrashLoopBackOff"))
    );
    let cells = pod_cells(&pod, NOW);
    assert_eq!(cells[1..4], [json!("1/2"), json!("CrashLoopBackOff"), json!("1")]);
}
