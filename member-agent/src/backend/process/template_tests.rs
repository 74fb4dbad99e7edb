//! Which templates become which commands, and which are refused with what words.

use serde_json::json;

use super::*;
use crate::backend::pod::PodId;
use crate::shim::spec::PodIdentity;

fn pod(spec: &Value) -> PodSpec {
    let identity = PodIdentity {
        name: "train-0".to_owned(),
        namespace: "team".to_owned(),
        job: "train".to_owned(),
        job_uid: "0d7e".to_owned(),
        epoch: "5".to_owned(),
        index: None,
        gpus: Vec::new(),
    };
    PodSpec {
        id: PodId::parse("p").unwrap(),
        identity,
        node: "n1".to_owned(),
        template: json!({"metadata": {"labels": {"app": "x"}}, "spec": spec}),
        gang: None,
        fence: None,
    }
}

fn read_spec(spec: &Value) -> Result<PodCommand, BackendError> {
    read(&pod(spec), &BTreeMap::new(), Path::new("/pods/p/work"))
}

/// A container of these fields, with a name and a command unless they are given.
fn with(fields: &Value) -> Value {
    let mut container = json!({"name": "main", "command": ["true"]});
    for (name, value) in fields.as_object().unwrap() {
        container[name] = value.clone();
    }
    json!({"containers": [container]})
}

fn env_of(env: &Value) -> BTreeMap<String, String> {
    read_spec(&with(&json!({"env": env}))).unwrap().env
}

#[test]
fn refusals_name_field_reason_and_next_step() {
    let mounted = |volume: Value| {
        let mut spec = with(&json!({"volumeMounts": [{"name": "v", "mountPath": "/data"}]}));
        spec["volumes"] = json!([volume]);
        spec
    };
    let table = [
        (json!(null), "template.spec: it is required"),
        (json!({}), "template.spec.containers: one container is required"),
        (json!({"containers": "x"}), "template.spec.containers: not a list"),
        (
            with(&json!({"command": null})),
            "template.spec.containers[0].command: images are not run by the process backend, so their entrypoint \
             is unknown; give a command",
        ),
        (with(&json!({"command": [1]})), "template.spec.containers[0].command: not a list of strings"),
        (with(&json!({"name": null})), "template.spec.containers[0].name: it is required"),
        (
            json!({"containers": [{"name": "a"}, {"name": "b"}]}),
            "template.spec.containers: 2 containers; the process backend runs exactly one for now",
        ),
        (
            json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]}),
            "template.spec.initContainers[0]: the process backend runs no init containers yet; put the steps into \
             the command",
        ),
        (
            with(&json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]})),
            "template.spec.containers[0].env[0].valueFrom.secretKeyRef: ConfigMaps and Secrets do not reach the \
             process backend yet; give the value itself, or make the reference optional",
        ),
        (
            with(&json!({"envFrom": [{"configMapRef": {"name": "c"}}]})),
            "template.spec.containers[0].envFrom[0].configMapRef: ConfigMaps and Secrets do not reach the process \
             backend yet; give the value itself, or make the reference optional",
        ),
        (
            with(
                &json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}}]}),
            ),
            "template.spec.containers[0].env[0].valueFrom.fieldRef: spec.serviceAccountName is not served by the \
             process backend",
        ),
        (
            with(
                &json!({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]}),
            ),
            "template.spec.containers[0].env[0].valueFrom: the process backend serves value and fieldRef; give the \
             value itself",
        ),
        (
            with(&json!({"workingDir": "../.."})),
            "template.spec.containers[0].workingDir: it may not contain ..",
        ),
        (
            mounted(json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}})),
            "template.spec.volumes[0]: the process backend mounts nothing; only emptyDir and a hostPath mounted at \
             its own path can be done without",
        ),
        (mounted(json!({"name": "w"})), "template.spec.containers[0].volumeMounts[0]: there is no volume v"),
        (
            json!({"containers": [{"name": "a", "command": ["x"]}], "terminationGracePeriodSeconds": -1}),
            "template.spec.terminationGracePeriodSeconds: not a whole number of 0 or more",
        ),
    ];
    for (spec, want) in table {
        let refused = read_spec(&spec).unwrap_err();
        assert!(matches!(refused, BackendError::Refused { .. }), "{spec}");
        assert_eq!(refused.to_string(), want, "{spec}");
    }
}

#[test]
fn what_is_not_honoured_is_warned_about() {
    let mut spec = with(&json!({
        "image": "pytorch:2",
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "d", "mountPath": "/data"}],
        "livenessProbe": {"exec": {"command": ["true"]}},
        "lifecycle": {},
    }));
    spec["volumes"] = json!([{"name": "shm", "emptyDir": {"medium": "Memory"}},
                             {"name": "d", "hostPath": {"path": "/data"}}]);
    let warnings = read_spec(&spec).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "image pytorch:2 is ignored: the process backend runs the command on this machine",
            "not honoured by the process backend: template.spec.containers[0].volumeMounts, \
             template.spec.containers[0].livenessProbe, template.spec.containers[0].resources.limits (cpu, memory)",
        ]
    );
    assert_eq!(read_spec(&with(&json!({}))).unwrap().warnings, [""; 0]);
}

#[test]
fn the_working_folder_lies_inside_unless_it_exists() {
    let table = [
        (json!(null), "/pods/p/work"),
        (json!(""), "/pods/p/work"),
        (json!("src"), "/pods/p/work/src"),
        (json!("/"), "/"),
        (json!("/no/such/folder"), "/pods/p/work/no/such/folder"),
    ];
    for (wanted, want) in table {
        let command = read_spec(&with(&json!({"workingDir": wanted}))).unwrap();
        assert_eq!(command.working_dir, Path::new(want), "{wanted}");
        assert_eq!(command.warnings.len(), usize::from(wanted == "/no/such/folder"), "{wanted}");
    }
}

#[test]
fn values_refer_to_earlier_ones_and_to_ours() {
    let env = env_of(&json!([
        {"name": "LATER", "value": "$(A)"},
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)$(MUSTER_JOB)"},
        {"name": "MUSTER_EPOCH", "value": "forged"},
        {"name": "EMPTY"},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "NONE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['none']"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}},
    ]));
    let want = [
        ("LATER", Some("$(A)")),
        ("A", Some("1")),
        ("B", Some("1team/train")),
        ("MUSTER_EPOCH", Some("5")),
        ("EMPTY", Some("")),
        ("LABEL", Some("x")),
        ("NONE", Some("")),
        ("SECRET", None),
        ("CUDA_VISIBLE_DEVICES", Some("")),
        ("HOSTNAME", Some("train-0")),
        ("JOB_COMPLETION_INDEX", None),
    ];
    for (name, value) in want {
        assert_eq!(env.get(name).map(String::as_str), value, "{name}");
    }
}

#[test]
fn the_grace_is_the_templates_or_thirty_seconds() {
    assert_eq!(read_spec(&with(&json!({}))).unwrap().grace_ms, 30_000);
    let mut spec = with(&json!({}));
    spec["terminationGracePeriodSeconds"] = json!(5);
    assert_eq!(read_spec(&spec).unwrap().grace_ms, 5_000);
}

#[test]
fn the_pods_of_a_gang_know_each_other() {
    let of = |size, ports: Vec<u16>, env: &Value| {
        let mut pod = pod(&with(&json!({"env": env})));
        pod.identity.index = Some(1);
        pod.gang = Some(crate::backend::pod::Gang { size, ports });
        let env = read(&pod, &BTreeMap::new(), Path::new("/pods/p/work")).unwrap().env;
        let names = ["RANK", "WORLD", "MASTER", "PEERS"];
        let about = env.iter().filter(|(name, _)| names.iter().any(|word| name.contains(word)));
        about.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
    };
    expect_test::expect![[r#"
        LOCAL_RANK=0
        LOCAL_WORLD_SIZE=1
        MASTER_ADDR=127.0.0.1
        MASTER_PORT=20000
        MUSTER_LOCAL_RANK=0
        MUSTER_LOCAL_WORLD_SIZE=1
        MUSTER_MASTER_ADDR=127.0.0.1
        MUSTER_MASTER_PORT=20000
        MUSTER_PEERS=127.0.0.1:20000,127.0.0.1:20001
        MUSTER_RANK=1
        MUSTER_WORLD_SIZE=2
        RANK=1
        WORLD_SIZE=2"#]]
    .assert_eq(&of(2, vec![20_000, 20_001], &json!([])));
    expect_test::expect![[r#"
        LOCAL_RANK=0
        LOCAL_WORLD_SIZE=1
        MASTER_ADDR=own
        MASTER_PORT=20000
        MUSTER_LOCAL_RANK=0
        MUSTER_LOCAL_WORLD_SIZE=1
        MUSTER_MASTER_ADDR=127.0.0.1
        MUSTER_MASTER_PORT=20000
        MUSTER_RANK=1
        MUSTER_WORLD_SIZE=300
        RANK=1
        WORLD_SIZE=300"#]]
    .assert_eq(&of(
        300,
        vec![20_000],
        &json!([{"name": "MASTER_ADDR", "value": "own"}, {"name": "MUSTER_RANK", "value": "own"}]),
    ));
}
