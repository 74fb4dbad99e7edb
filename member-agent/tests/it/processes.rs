//! What only real processes show: environment, detached children, start errors, big logs.

use std::time::Duration;

use muster_member_agent::backend::{
    Backend, BackendError, ExitReason, Gang, LogOptions, PodSpec, RefusalReason,
};
use muster_member_agent::shim::isolation::IsolationRequest;
use serde_json::json;

use crate::worlds::{
    PATIENCE, ProcessWorld, await_condition, await_end, await_log, kill, marked, pod, read_log, shell,
    shim_pid, stop,
};

/// A pod of a gang of three, and the addresses that it was told.
async fn gang_pod(world: &ProcessWorld, name: &str) -> (PodSpec, String) {
    let mut spec = shell(name, "echo $MUSTER_PEERS.; exec sleep 3600");
    spec.gang = Some(Gang { size: 3, ports: Vec::new() });
    let backend = world.backend();
    backend.start(spec.clone()).await.unwrap();
    await_log(world, &backend, &spec.id, ".\n").await;
    let peers = read_log(&backend, &spec.id, LogOptions::default()).await;
    (spec, peers)
}

#[tokio::test]
async fn ports_of_a_gang_stay_its_own_while_its_agent_is_away() {
    let (world, beside) = (ProcessWorld::new(), ProcessWorld::new());
    let (first, peers) = gang_pod(&world, "rank").await;
    // Of the same epoch, so that the search for ports begins at the same one.
    let (_, others) = gang_pod(&beside, "other").await;
    let ports = |peers: &str| -> Vec<String> {
        peers.trim().trim_end_matches('.').split(',').map(str::to_owned).collect()
    };
    assert_eq!(ports(&peers).len(), 3, "{peers}");
    assert!(ports(&peers).iter().all(|port| !others.contains(port.as_str())), "{peers} {others}");
    let (_, again) = gang_pod(&world, "late").await;
    assert_eq!(again, peers, "the next agent gives later pods the same");
    world.backend().stop(first.id.clone(), stop(0)).await.unwrap();
}

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
async fn a_pod_can_not_reach_processes_outside() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    if !backend.capabilities().fence {
        return;
    }
    let beside = shell("beside", "sleep 3600; :");
    backend.start(beside.clone()).await.unwrap();
    await_condition("the other pod's processes", || marked(&beside.id).len() == 2).await;
    let before = marked(&beside.id);
    let spec = shell("greedy", "kill -9 -1; exit 6");
    backend.start(spec.clone()).await.unwrap();
    assert_eq!(await_end(&world, &backend, &spec.id).await.code, Some(6));
    assert_eq!(marked(&beside.id), before);
}

#[tokio::test]
async fn a_command_inherits_no_descriptor_and_no_signal_setting() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let look =
            "grep -E 'SigBlk|SigIgn' /proc/self/status; for fd in /proc/self/fd/*; do basename $fd; done";
        let spec = shell("clean", look);
        backend.start(spec.clone()).await.unwrap();
        await_end(&world, &backend, &spec.id).await;
        let log = read_log(&backend, &spec.id, LogOptions::default()).await;
        let (settings, descriptors) = log.split_at(log.find("0\n1\n").unwrap_or(0));
        for line in settings.lines() {
            let mask = u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap();
            // Above 31 are the C library's own.
            assert_eq!(mask & 0x7fff_ffff, 0, "{line}");
        }
        assert_eq!(settings.lines().count(), 2, "{log}");
        // The shell's own descriptor of the folder it lists may come last.
        assert!(descriptors == "0\n1\n2\n" || descriptors == "0\n1\n2\n3\n", "{log}");
    }
}

#[tokio::test]
async fn a_shim_needs_little_memory() {
    const MOST_KIB: u64 = 1024;
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = shell("small", "seq 1 100000; echo ready; sleep 3600");
    backend.start(spec.clone()).await.unwrap();
    await_log(&world, &backend, &spec.id, "ready").await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", shim_pid(&world, &spec.id))).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let own_kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(own_kib <= MOST_KIB, "{own_kib} KiB of its own; the limit is {MOST_KIB}");
}
