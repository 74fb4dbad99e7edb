//! Which templates become which commands, and which are refused with what words.

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::backend::documents::{DocumentKind, PodDocument};
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
        documents: documents(),
        fence: None,
        data: Vec::new(),
    }
}

/// A ConfigMap `app` and a Secret `keys`.
fn documents() -> Documents {
    let document = |kind, name: &str, entries: &[(&str, &[u8])]| PodDocument {
        kind,
        name: name.to_owned(),
        data: entries.iter().map(|(key, value)| ((*key).to_owned(), Bytes::copy_from_slice(value))).collect(),
    };
    Documents::new(vec![
        document(DocumentKind::ConfigMap, "app", &[("mode", b"fast"), ("conf.ini", b"[a]\nb=1\n")]),
        document(DocumentKind::Secret, "keys", &[("token", b"hush"), ("raw", b"\xff\0")]),
    ])
}

fn read_on(spec: &Value, can_mount: bool) -> Result<PodPlan, BackendError> {
    read_pod(&pod(spec), can_mount)
}

fn read_pod(pod: &PodSpec, can_mount: bool) -> Result<PodPlan, BackendError> {
    let inherited = BTreeMap::new();
    read(pod, &Machine { inherited: &inherited, work: Path::new("/pods/p/work"), can_mount })
}

fn read_spec(spec: &Value) -> Result<PodPlan, BackendError> {
    read_on(spec, true)
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
    read_spec(&with(&json!({"env": env}))).unwrap().containers.remove(0).env
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
            json!({"containers": [{"name": "a"}, {"name": "a"}]}),
            "template.spec.containers[1].name: a DNS label that no other container has is wanted",
        ),
        (
            json!({"containers": [{"name": "../a"}]}),
            "template.spec.containers[0].name: a DNS label that no other container has is wanted",
        ),
        (
            with(
                &json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "raw"}}}]}),
            ),
            "template.spec.containers[0].env[0].valueFrom.secretKeyRef: its value is not text, and no variable can \
             hold it; mount it as a file",
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
            "template.spec.containers[0].env[0].valueFrom: the process backend serves value, fieldRef, configMapKeyRef \
             and secretKeyRef; give the value itself",
        ),
        (
            with(&json!({"workingDir": "../.."})),
            "template.spec.containers[0].workingDir: it may not contain ..",
        ),
        (
            mounted(json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}})),
            "template.spec.volumes[0]: the process backend has emptyDir, configMap, secret, downwardAPI and projected \
             volumes; put the data into one of these, or name it as a Dataset",
        ),
        (
            mounted(json!({"name": "v", "hostPath": {"path": "/data"}})),
            "template.spec.volumes[0].hostPath: volumes of this machine's folders are not mounted; a command of the \
             process backend sees this machine's files under their own paths: leave the volume out",
        ),
        (
            mounted(json!({"name": "v", "emptyDir": {"medium": "HugePages"}})),
            "template.spec.volumes[0].emptyDir.medium: the process backend has \"\" (disk) and Memory",
        ),
        (
            mounted(json!({"name": "v", "emptyDir": {"sizeLimit": "much"}})),
            "template.spec.volumes[0].emptyDir.sizeLimit: not a quantity of bytes such as 64Mi",
        ),
        (
            mounted(json!({"name": "v", "configMap": {"name": "app", "defaultMode": 4096}})),
            "template.spec.volumes[0].configMap.defaultMode: a mode between 0 and 0777 (decimal 511) is wanted",
        ),
        (
            mounted(
                json!({"name": "v", "configMap": {"name": "app", "items": [{"key": "mode", "path": "../x"}]}}),
            ),
            "template.spec.volumes[0].configMap.items[0].path: a relative path without .. is wanted",
        ),
        (
            with(&json!({"volumeMounts": [{"name": "v", "mountPath": "data"}]})),
            "template.spec.containers[0].volumeMounts[0]: there is no volume v",
        ),
        (mounted(json!({"name": "w"})), "template.spec.containers[0].volumeMounts[0]: there is no volume v"),
        (
            json!({"containers": [{"name": "a", "command": ["x"]}], "terminationGracePeriodSeconds": -1}),
            "template.spec.terminationGracePeriodSeconds: not a whole number of 0 or more",
        ),
    ];
    for (spec, want) in table {
        let refused = read_spec(&spec).err().unwrap_or_else(|| panic!("accepted: {spec}"));
        assert!(matches!(refused, BackendError::Refused { .. }), "{spec}");
        assert_eq!(refused.to_string(), want, "{spec}");
    }
}

#[test]
fn what_is_not_honoured_is_warned_about() {
    let mut spec = with(&json!({
        "image": "pytorch:2",
        "resources": {"limits": {"nvidia.com/gpu": "1", "cpu": 1}},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "d", "mountPath": "/data"}],
        "livenessProbe": {"exec": {"command": ["true"]}},
        "lifecycle": {},
    }));
    spec["volumes"] =
        json!([{"name": "shm", "emptyDir": {"medium": "Memory"}}, {"name": "d", "emptyDir": {}}]);
    let warnings = read_spec(&spec).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "image pytorch:2 is ignored: the process backend runs the command on this machine",
            "not honoured by the process backend: template.spec.containers[0].livenessProbe",
            "not honoured by the process backend: template.spec.containers[0].resources.limits (cpu, memory)",
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
        assert_eq!(command.containers[0].working_dir, Path::new(want), "{wanted}");
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
        ("MUSTER_CONTAINER", Some("main")),
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
        let env = read_pod(&pod, true).unwrap().containers.remove(0).env;
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

#[test]
fn documents_become_variables_and_no_secret_is_written_down() {
    let reference =
        |kind: &str, name: &str, key: &str| json!({"valueFrom": {kind: {"name": name, "key": key}}});
    let named = |name: &str, mut value: Value| {
        value["name"] = json!(name);
        value
    };
    let plan = read_spec(&with(&json!({
        "command": ["run", "--mode=$(MODE)", "--token=$(TOKEN)"],
        "envFrom": [{"configMapRef": {"name": "app"}, "prefix": "APP_"},
                    {"secretRef": {"name": "none", "optional": true}}],
        "env": [
            named("MODE", reference("configMapKeyRef", "app", "mode")),
            named("TOKEN", reference("secretKeyRef", "keys", "token")),
            {"name": "URL", "value": "https://$(TOKEN)@host/$(APP_mode)"},
            {"name": "PLAIN", "value": "$(MODE)"},
        ],
    })))
    .unwrap();
    let written = &plan.containers[0];
    let kept = |name: &str| written.env.get(name).map(String::as_str);
    assert_eq!((kept("MODE"), kept("PLAIN"), kept("APP_mode")), (Some("fast"), Some("fast"), Some("fast")));
    assert_eq!(kept("APP_conf.ini"), Some("[a]\nb=1\n"));
    assert_eq!((kept("TOKEN"), kept("URL")), (None, None));
    assert_eq!(written.argv, ["run", "--mode=fast", "--token="]);
    let secret = &plan.confidential.containers["main"];
    assert_eq!(secret.env["TOKEN"], "hush");
    assert_eq!(secret.env["URL"], "https://hush@host/fast");
    assert_eq!(
        secret.argv.as_deref(),
        Some(["run", "--mode=fast", "--token=hush"].map(String::from).as_slice())
    );
    assert!(!format!("{plan:?}").contains("hush"));
}

#[test]
fn a_pod_waits_for_what_it_names_in_the_words_of_the_kubelet() {
    let env = |source: Value| with(&json!({"env": [{"name": "A", "valueFrom": source}]}));
    let mut volume = with(&json!({"volumeMounts": [{"name": "v", "mountPath": "/etc/v"}]}));
    volume["volumes"] = json!([{"name": "v", "secret": {"secretName": "later"}}]);
    let mut item = volume.clone();
    item["volumes"] =
        json!([{"name": "v", "configMap": {"name": "app", "items": [{"key": "x", "path": "x"}]}}]);
    let table = [
        (env(json!({"configMapKeyRef": {"name": "later", "key": "k"}})), "configmap \"later\" not found"),
        (
            env(json!({"secretKeyRef": {"name": "keys", "key": "k"}})),
            "couldn't find key k in secret \"keys\"",
        ),
        (with(&json!({"envFrom": [{"secretRef": {"name": "later"}}]})), "secret \"later\" not found"),
        (volume, "secret \"later\" not found"),
        (item, "references non-existent config key: x"),
    ];
    for (spec, want) in table {
        let waits = read_spec(&spec).unwrap_err();
        assert!(matches!(waits, BackendError::Missing { .. }), "{spec}");
        assert_eq!(waits.to_string(), want);
    }
}

#[test]
fn volumes_hold_files_with_their_paths_and_modes() {
    let mut spec = with(&json!({"volumeMounts": [
        {"name": "all", "mountPath": "/etc/all/", "readOnly": true},
        {"name": "some", "mountPath": "/etc/one", "subPath": "deep/one"},
        {"name": "scratch", "mountPath": "/scratch", "subPathExpr": "$(MUSTER_EPOCH)"},
    ]}));
    spec["volumes"] = json!([
        {"name": "unused", "hostPath": {"path": "/"}},
        {"name": "all", "projected": {"defaultMode": 0o400, "sources": [
            {"configMap": {"name": "app"}},
            {"secret": {"name": "keys", "items": [{"key": "token", "path": "t/token", "mode": 0o600}]}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        ]}},
        {"name": "some", "configMap": {"name": "app", "items": [{"key": "mode", "path": "deep/one"}]}},
        {"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}},
    ]);
    let plan = read_spec(&spec).unwrap();
    let files = |volume: &str| -> Vec<(String, u32, String)> {
        let all = plan.confidential.files[volume].iter();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        all.map(|file| (file.path.display().to_string(), file.mode, text(&file.content))).collect()
    };
    let file = |path: &str, mode, content: &str| (path.to_owned(), mode, content.to_owned());
    let want = [
        file("conf.ini", 0o400, "[a]\nb=1\n"),
        file("mode", 0o400, "fast"),
        file("t/token", 0o600, "hush"),
        file("labels", 0o400, "app=\"x\""),
    ];
    assert_eq!(files("all"), want);
    assert_eq!(files("some"), [file("deep/one", 0o644, "fast")]);
    let kinds: Vec<_> = plan.volumes.iter().map(|volume| (volume.name.as_str(), volume.kind)).collect();
    use crate::shim::spec::VolumeKind::{Files, Folder};
    assert_eq!(kinds, [("all", Files), ("some", Files), ("scratch", Folder)]);
    let mounts: Vec<_> =
        plan.containers[0].mounts.iter().map(|mount| (&*mount.target, &*mount.sub_path)).collect();
    let path = Path::new;
    let want = [("/etc/all", ""), ("/etc/one", "deep/one"), ("/scratch", "5")];
    assert_eq!(mounts, want.map(|(target, sub_path)| (path(target), path(sub_path))));
    assert_eq!(plan.limits.volumes, BTreeMap::from([("scratch".to_owned(), 1 << 20)]));
    let refused = read_on(&spec, false).unwrap_err().to_string();
    assert!(
        refused.starts_with("template.spec.containers[0].volumeMounts[0].mountPath: this machine permits no")
    );
}

#[test]
fn containers_come_in_order_and_their_limits_add_up() {
    let container = |name: &str, limit: &str| json!({"name": name, "command": ["true"], "resources": {"limits": {"ephemeral-storage": limit}}});
    let mut sidecar = container("s", "1Ki");
    sidecar["restartPolicy"] = json!("Always");
    let spec = json!({
        "restartPolicy": "OnFailure",
        "initContainers": [container("i", "1Gi"), sidecar],
        "containers": [container("a", "1Ki"), container("b", "2Ki")],
    });
    let plan = read_spec(&spec).unwrap();
    let roles: Vec<_> =
        plan.containers.iter().map(|container| (container.name.as_str(), container.role)).collect();
    use ContainerRole::{Init, Main, Sidecar};
    assert_eq!(roles, [("i", Init), ("s", Sidecar), ("a", Main), ("b", Main)]);
    assert_eq!((plan.restart, plan.limits.pod_bytes), (RestartPolicy::OnFailure, Some(4096)));
    assert_eq!(read_spec(&with(&json!({}))).unwrap().limits.pod_bytes, None);
}
