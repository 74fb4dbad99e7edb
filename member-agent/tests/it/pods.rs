//! Pods as people write them: several containers, volumes, restarts in place, and what must not get out of hand.

use std::time::{Duration, Instant};

use bytes::Bytes;
use muster_member_agent::backend::{
    Backend, BackendError, ContainerState, DocumentKind, Documents, ExitReason, LogOptions, PodDocument,
    PodSpec,
};
use serde_json::{Value, json};

use crate::worlds::{ProcessWorld, await_condition, await_end, await_log, marked, pod, read_log, stop};

fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "command": ["sh", "-c", script]})
}

fn of(name: &str, mut spec: Value) -> PodSpec {
    spec["terminationGracePeriodSeconds"] = json!(1);
    pod(name, json!({"spec": spec}))
}

async fn log_of(backend: &dyn Backend, spec: &PodSpec, container: &str) -> String {
    let options = LogOptions { container: Some(container.to_owned()), ..LogOptions::default() };
    read_log(backend, &spec.id, options).await
}

fn document(kind: DocumentKind, name: &str, key: &str, value: &str) -> PodDocument {
    let data = [(key.to_owned(), Bytes::copy_from_slice(value.as_bytes()))].into();
    PodDocument { kind, name: name.to_owned(), data }
}

#[tokio::test]
async fn init_containers_prepare_what_two_containers_share() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    if !backend.capabilities().fence {
        return;
    }
    let mount = |path: &str| json!([{"name": "shared", "mountPath": path}]);
    let mut first = container("first", "echo one > /in-no-machine/a/step");
    first["volumeMounts"] = mount("/in-no-machine/a");
    let mut second = container("second", "cat /srv/muster-test/step; echo two >> /srv/muster-test/step");
    second["volumeMounts"] = mount("/srv/muster-test");
    let mut left = container("left", "while [ ! -e done ]; do sleep 0.02; done; cat done; pwd");
    left["volumeMounts"] = mount("/in-no-machine/left");
    left["workingDir"] = json!("/in-no-machine/left");
    let mut right = container("right", "cp /tmp/step /tmp/.done && mv /tmp/.done /tmp/done; exit 3");
    right["volumeMounts"] = mount("/tmp");
    let spec = of(
        "shared",
        json!({"initContainers": [first, second], "containers": [left, right],
               "volumes": [{"name": "shared", "emptyDir": {}}]}),
    );
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.code, exit.reason), (Some(3), ExitReason::Error), "{exit:?}");
    assert_eq!(log_of(&backend, &spec, "second").await, "one\n");
    assert_eq!(log_of(&backend, &spec, "left").await, "one\ntwo\n/in-no-machine/left\n");
    let codes: Vec<_> = exit
        .containers
        .iter()
        .map(|container| match &container.state {
            ContainerState::Ended(end) => (container.name.as_str(), container.init, end.code),
            other => panic!("{other:?}"),
        })
        .collect();
    let want = [
        ("first", true, Some(0)),
        ("second", true, Some(0)),
        ("left", false, Some(0)),
        ("right", false, Some(3)),
    ];
    assert_eq!(codes, want);
    assert!(!std::path::Path::new("/in-no-machine").exists(), "nothing is made on the machine itself");
    assert!(!std::path::Path::new("/srv/muster-test").exists(), "nothing is made on the machine itself");
}

#[tokio::test]
async fn secrets_reach_the_pod_and_no_disk() {
    const SECRET: &str = "correct-horse-battery";
    let world = ProcessWorld::new();
    let backend = world.backend();
    if !backend.capabilities().fence {
        return;
    }
    let mut main = container(
        "main",
        "test \"$TOKEN\" = \"$(cat /etc/muster-keys/token)\" && cat /etc/app.ini; \
        test $1 = $TOKEN && echo same; stat -c %a /etc/muster-keys/token; echo x > /etc/muster-keys/token || echo kept; sleep 3600",
    );
    main["command"].as_array_mut().unwrap().extend([json!("script"), json!("$(TOKEN)")]);
    main["env"] = json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}]);
    main["volumeMounts"] = json!([
        {"name": "keys", "mountPath": "/etc/muster-keys", "readOnly": true},
        {"name": "app", "mountPath": "/etc/app.ini", "subPath": "app.ini"},
    ]);
    let mut spec = of(
        "secrets",
        json!({"containers": [main], "volumes": [
            {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
            {"name": "app", "configMap": {"name": "app"}},
        ]}),
    );
    let missing = backend.start(spec.clone()).await;
    assert!(
        matches!(&missing, Err(BackendError::Missing { message }) if message == "secret \"keys\" not found")
    );
    assert_eq!(backend.observe().await.unwrap(), [], "a pod that waits leaves nothing behind");
    spec.documents = Documents::new(vec![
        document(DocumentKind::Secret, "keys", "token", SECRET),
        document(DocumentKind::ConfigMap, "app", "app.ini", "[app]\n"),
    ]);
    backend.start(spec.clone()).await.unwrap();
    await_log(&world, &backend, &spec.id, "kept").await;
    let log = log_of(&backend, &spec, "main").await;
    assert!(log.starts_with("[app]\nsame\n400\n") && log.contains("Read-only file system"), "{log}");
    let found =
        std::process::Command::new("grep").args(["-rl", SECRET]).arg(&world.config.state).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "the secret is on disk");
    backend.stop(spec.id.clone(), stop(0)).await.unwrap();
    await_end(&world, &backend, &spec.id).await;
}

#[tokio::test]
async fn a_failed_container_is_started_again_in_place() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let script = "(setsid sleep 3600 &); echo try >> tries; test $(wc -l < tries) -ge 2";
    let spec = of(
        "again",
        json!({"restartPolicy": "OnFailure", "containers": [container("main", script), container("other", "exit 0")]}),
    );
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.code, exit.reason), (Some(0), ExitReason::Completed), "{exit:?}");
    assert_eq!(exit.containers[0].restarts, 1);
    assert_eq!(exit.containers[0].last.as_ref().unwrap().code, Some(1));
    assert_eq!(marked(&spec.id), [0; 0]);
    let observed = backend.observe().await.unwrap();
    assert_eq!(observed[0].restarts, 1);
}

#[tokio::test]
async fn a_sidecar_goes_when_the_others_have_ended() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let script = "trap 'echo bye; exit 0' TERM; echo up; touch up; while :; do sleep 0.02; done";
    let mut sidecar = container("proxy", script);
    sidecar["restartPolicy"] = json!("Always");
    let main = container("main", "until [ -e up ]; do sleep 0.02; done; exit 4");
    let spec = of("sidecar", json!({"initContainers": [sidecar], "containers": [main]}));
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.code, exit.reason), (Some(4), ExitReason::Error));
    let log = log_of(&backend, &spec, "proxy").await;
    // A shell may add that the signal, which goes to the whole group, ended its `sleep`.
    assert!(log.starts_with("up\n") && log.contains("bye\n"), "{log}");
}

#[tokio::test]
async fn a_container_that_ignores_sigterm_and_detaches_is_gone_after_the_grace() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let stubborn = "trap '' TERM HUP INT; for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM; (setsid sleep 3600 &); \
                    sleep 3600' &); done; echo ready; while :; do sleep 3600; done";
    let spec =
        of("stubborn", json!({"containers": [container("main", stubborn), container("other", stubborn)]}));
    backend.start(spec.clone()).await.unwrap();
    await_log(&world, &backend, &spec.id, "ready").await;
    await_condition("its processes", || marked(&spec.id).len() >= 12).await;
    let asked = Instant::now();
    backend.stop(spec.id.clone(), stop(300)).await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.code, exit.reason), (Some(137), ExitReason::Stopped), "{exit:?}");
    assert!(asked.elapsed() >= Duration::from_millis(300), "the grace was cut");
    assert_eq!(marked(&spec.id), [0; 0], "something is left");
}

#[tokio::test]
async fn a_pod_that_fills_its_folder_is_evicted_with_a_reason() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let fills = "while :; do head -c 1000000 /dev/zero >> big; sleep 0.05; done";
    let mut main = container("main", fills);
    main["resources"] = json!({"limits": {"ephemeral-storage": "8Mi"}});
    let spec = of("full", json!({"containers": [main]}));
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!(exit.reason, ExitReason::Evicted, "{exit:?}");
    assert!(exit.message.contains("its limit is 8388608 (ephemeral-storage)"), "{}", exit.message);
    assert_eq!(marked(&spec.id), [0; 0]);
}

#[tokio::test]
async fn volumes_are_kept_to_their_size() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    if !backend.capabilities().fence {
        return;
    }
    let mut memory =
        container("main", "head -c 4000000 /dev/zero > /dev/shm/big; echo \"code $?\"; sleep 3600");
    memory["volumeMounts"] =
        json!([{"name": "shm", "mountPath": "/dev/shm"}, {"name": "disk", "mountPath": "/muster-disk"}]);
    let mut disk =
        container("disk", "while :; do head -c 1000000 /dev/zero >> /muster-disk/big; sleep 0.05; done");
    disk["volumeMounts"] = json!([{"name": "disk", "mountPath": "/muster-disk"}]);
    let spec = of(
        "sizes",
        json!({"containers": [memory, disk], "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "disk", "emptyDir": {"sizeLimit": "4Mi"}},
        ]}),
    );
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!(exit.reason, ExitReason::Evicted, "{exit:?}");
    assert!(exit.message.contains("emptyDir volume \"disk\" exceeds its sizeLimit"), "{}", exit.message);
    let log = log_of(&backend, &spec, "main").await;
    assert!(log.contains("No space left") && log.contains("code 1"), "{log}");
}

#[tokio::test]
async fn a_mount_that_can_not_be_had_says_which() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    if !backend.capabilities().fence {
        return;
    }
    let mut main = container("main", "true");
    main["volumeMounts"] = json!([{"name": "v", "mountPath": "/etc/passwd"}]);
    let spec = of("onto-a-file", json!({"containers": [main], "volumes": [{"name": "v", "emptyDir": {}}]}));
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.code, exit.reason), (Some(128), ExitReason::StartError));
    assert_eq!(exit.message, "volumeMounts: /etc/passwd is no folder on this machine");
}
