//! What only real processes show: environment, detached children, start errors, big logs.

use std::time::Duration;

use muster_member_agent::backend::{Backend, BackendError, ExitReason, LogOptions, RefusalReason};
use muster_member_agent::shim::isolation::IsolationRequest;
use serde_json::json;

use crate::worlds::{
    PATIENCE, ProcessWorld, await_condition, await_end, await_log, kill, marked, pod, read_log, shell, stop,
};

const ISOLATIONS: [IsolationRequest; 2] = [IsolationRequest::Auto, IsolationRequest::Subreaper];

#[tokio::test]
async fn the_command_sees_what_the_template_and_muster_say() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let script = "echo \"$0|$1|$GREETING|$EPOCH_COPY|$MUSTER_EPOCH|$MUSTER_JOB|$JOB_COMPLETION_INDEX|\
                  $CUDA_VISIBLE_DEVICES|$POD|$NODE|$INDEX|${CARGO_MANIFEST_DIR-unset}\"; pwd; ulimit -c";
    let mut spec = pod(
        "env",
        json!({"spec": {"containers": [{
            "name": "main",
            "image": "pytorch:2",
            "command": ["sh", "-c", script, "$(GREETING)"],
            "args": ["$$(GREETING)"],
            "workingDir": "src/deep",
            "env": [
                {"name": "NAME", "value": "you"},
                {"name": "GREETING", "value": "hi $(NAME)"},
                {"name": "EPOCH_COPY", "value": "$(MUSTER_EPOCH)"},
                {"name": "CUDA_VISIBLE_DEVICES", "value": "all of them"},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "INDEX", "valueFrom": {"fieldRef": {
                    "fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}},
            ],
        }]}}),
    );
    spec.identity.index = Some(2);
    let started = backend.start(spec.clone()).await.unwrap();
    assert_eq!(
        started.warnings,
        ["image pytorch:2 is ignored: the process backend runs the command on this machine"]
    );
    await_end(&world, &backend, &spec.id).await;
    let work = world.dir(&spec.id).canonicalize().unwrap().join("work/src/deep");
    let want = format!(
        "hi you|$(GREETING)|hi you|281474976710657|281474976710657|team/job|2|GPU-0,GPU-3|job-env|node-1|2|unset\n\
         {}\n0\n",
        work.display()
    );
    assert_eq!(read_log(&backend, &spec.id, LogOptions::default()).await, want);
}

#[tokio::test]
async fn a_command_that_can_not_be_executed_ends_with_the_reason() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    for (name, command, code) in [("missing", "/no/such/program", 127), ("folder", "/tmp", 126)] {
        let template = json!({"spec": {"containers": [{"name": "main", "command": [command]}]}});
        let spec = pod(name, template);
        backend.start(spec.clone()).await.unwrap();
        let exit = await_end(&world, &backend, &spec.id).await;
        assert_eq!((exit.code, exit.reason), (Some(code), ExitReason::StartError), "{exit:?}");
        assert!(exit.message.starts_with(command), "{exit:?}");
    }
}

#[tokio::test]
async fn a_refused_template_leaves_nothing_behind() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = pod("image", json!({"spec": {"containers": [{"name": "main", "image": "busybox"}]}}));
    let refused = backend.start(spec).await;
    assert!(
        matches!(&refused, Err(BackendError::Refused { reason: RefusalReason::NoCommand, field, .. })
            if field == "template.spec.containers[0].command"),
        "{refused:?}"
    );
    assert_eq!(backend.observe().await.unwrap(), []);
}

#[tokio::test]
async fn detached_children_end_with_the_main_process() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let script = "(setsid sh -c 'trap \"\" TERM HUP; sleep 3600; :' >/dev/null 2>&1 &); exit 5";
        let spec = shell("orphan", script);
        backend.start(spec.clone()).await.unwrap();
        let exit = await_end(&world, &backend, &spec.id).await;
        assert_eq!((exit.code, exit.reason), (Some(5), ExitReason::Error));
        assert_eq!(marked(&spec.id), [0; 0], "left behind with {isolation:?}");
    }
}

#[tokio::test]
async fn detached_children_end_with_a_stop() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let script =
            "trap '' TERM; for i in 1 2 3; do (setsid setsid sleep 3600 &); done; echo ready; sleep 3600";
        let spec = shell("brood", script);
        backend.start(spec.clone()).await.unwrap();
        await_log(&world, &backend, &spec.id, "ready").await;
        assert!(!marked(&spec.id).is_empty());
        backend.stop(spec.id.clone(), stop(100)).await.unwrap();
        await_end(&world, &backend, &spec.id).await;
        assert_eq!(marked(&spec.id), [0; 0], "left behind with {isolation:?}");
    }
}

#[tokio::test]
async fn a_killed_main_process_is_told_from_an_exit() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    // As in Kubernetes, `$$` in a command stands for one `$`.
    let spec = shell("suicide", "kill -SEGV $$$$");
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.code, exit.signal, exit.reason), (Some(139), Some(11), ExitReason::Error));
}

#[tokio::test]
async fn a_log_without_end_keeps_its_newest_lines_under_the_cap() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = shell("chatty", "seq 1 2000000; echo the end");
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.code, exit.dropped_log_bytes), (Some(0), 0));
    let size = |name: &str| std::fs::metadata(world.dir(&spec.id).join(name)).unwrap().len();
    let kept = size("log") + size("log.1");
    let cap = world.config.log_cap_bytes;
    assert!(kept <= cap && kept > cap / 3, "{kept} of {cap}");
    let tail = LogOptions { tail_lines: Some(3), ..LogOptions::default() };
    let tail = read_log(&backend, &spec.id, tail).await;
    assert!(tail.contains("2000000\n") && tail.contains("the end\n"), "{tail}");
    let numbers: Vec<u32> = read_log(&backend, &spec.id, LogOptions::default())
        .await
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "lines are missing in between");
}

#[tokio::test]
async fn a_change_is_told_without_polling() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = shell("told", "sleep 3600");
    backend.start(spec.clone()).await.unwrap();
    backend.observe().await.unwrap();
    let too_early = tokio::time::timeout(Duration::from_millis(50), backend.changed()).await;
    assert!(too_early.is_err(), "nothing has changed yet");
    marked(&spec.id).into_iter().for_each(|pid| kill(pid, "KILL"));
    tokio::time::timeout(PATIENCE, backend.changed()).await.unwrap();
    assert_eq!(await_end(&world, &backend, &spec.id).await.code, Some(137));
}

#[tokio::test]
async fn a_pod_sees_only_its_own_processes() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = shell("alone", "kill -9 -1; echo still here");
    if !backend.capabilities().fence {
        return;
    }
    backend.start(spec.clone()).await.unwrap();
    await_condition("the pod's end", || world.dir(&spec.id).join("exit.json").exists()).await;
}
