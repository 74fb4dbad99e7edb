//! A command beside a pod's own, on real processes, under both isolations.

use std::time::Duration;

use bytes::Bytes;
use muster_member_agent::backend::{
    Backend, BackendError, Exec, ExecInput, ExecOptions, ExecOutput, PodSpec,
};
use muster_member_agent::shim::isolation::IsolationRequest;
use muster_proto::federation::{ExecStreams, TerminalSize};
use serde_json::json;

use crate::worlds::{
    PATIENCE, ProcessWorld, await_condition, await_end, await_log, marked, pod, shell, stop,
};

const ISOLATIONS: [IsolationRequest; 2] = [IsolationRequest::Auto, IsolationRequest::Subreaper];
const OUTPUT: ExecStreams = ExecStreams { stdin: false, stdout: true, stderr: true, tty: false };
const ALL: ExecStreams = ExecStreams { stdin: true, ..OUTPUT };

fn command(script: &str, streams: ExecStreams) -> ExecOptions {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    ExecOptions { container: None, command, streams }
}

async fn started(backend: &dyn Backend, pod: &PodSpec) {
    backend.start(pod.clone()).await.unwrap();
}

async fn next(exec: &mut Exec) -> ExecOutput {
    let part = tokio::time::timeout(PATIENCE, exec.output.recv()).await;
    part.expect("it says something in time").expect("its end comes last")
}

/// Everything it says: standard output, standard error, and how it ended.
async fn said(mut exec: Exec) -> (String, String, ExecOutput) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let last = loop {
        match next(&mut exec).await {
            ExecOutput::Stdout(bytes) => out.extend_from_slice(&bytes),
            ExecOutput::Stderr(bytes) => err.extend_from_slice(&bytes),
            last => break last,
        }
    };
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), last)
}

#[tokio::test]
async fn it_has_the_containers_environment_folder_and_limits_and_tells_its_code() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let template = json!({"spec": {"containers": [{"name": "main", "workingDir": "src",
            "command": ["sh", "-c", "sleep 3600"], "env": [{"name": "GREETING", "value": "hi"}]}]}});
        let spec = pod("told", template);
        started(&backend, &spec).await;
        let script =
            "echo \"$GREETING|$MUSTER_JOB|${CARGO_MANIFEST_DIR-unset}\"; pwd; ulimit -c; echo oh >&2; exit 7";
        let (out, err, last) =
            said(backend.exec(spec.id.clone(), command(script, OUTPUT)).await.unwrap()).await;
        let work = world.dir(&spec.id).canonicalize().unwrap().join("work/src");
        assert_eq!(out, format!("hi|team/job|unset\n{}\n0\n", work.display()), "{isolation:?}");
        assert_eq!((err.as_str(), last), ("oh\n", ExecOutput::Exited(7)), "{isolation:?}");
        let missing = ExecOptions { command: vec!["/no/such/program".to_owned()], ..command("", OUTPUT) };
        let (_, err, last) = said(backend.exec(spec.id.clone(), missing).await.unwrap()).await;
        assert!(err.starts_with("/no/such/program: "), "{err}");
        assert_eq!(last, ExecOutput::Exited(127));
        let killed = backend.exec(spec.id.clone(), command("kill -9 $$", OUTPUT)).await.unwrap();
        assert_eq!(said(killed).await.2, ExecOutput::Exited(137));
    }
}

#[tokio::test]
async fn in_a_namespace_it_sees_the_pods_processes() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    if !backend.capabilities().fence {
        // Without permission for namespaces there is nothing to see.
        return;
    }
    let spec = shell("seen", "echo $$; sleep 3600");
    started(&backend, &spec).await;
    await_log(&world, &backend, &spec.id, "\n").await;
    let (out, _, _) =
        said(backend.exec(spec.id.clone(), command("tr '\\0' ' ' </proc/2/cmdline", OUTPUT)).await.unwrap())
            .await;
    assert!(out.contains("sleep 3600"), "the second process is the pod's own: {out:?}");
}

#[tokio::test]
async fn input_comes_back_whole_and_its_end_is_told() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let spec = shell("cat", "sleep 3600");
        started(&backend, &spec).await;
        let mut exec = backend.exec(spec.id.clone(), command("cat", ALL)).await.unwrap();
        let input = exec.input.clone();
        let piece: Vec<u8> = (0..32_768_u32).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
        let pieces = 64;
        let sent = Bytes::from(piece.clone());
        tokio::spawn(async move {
            for _ in 0..pieces {
                input.send(ExecInput::Stdin(sent.clone())).await.unwrap();
            }
            input.send(ExecInput::StdinClosed).await.unwrap();
        });
        let mut back = Vec::new();
        let last = loop {
            match next(&mut exec).await {
                ExecOutput::Stdout(bytes) => back.extend_from_slice(&bytes),
                last => break last,
            }
        };
        assert_eq!(last, ExecOutput::Exited(0));
        assert!(back == piece.repeat(pieces), "{} bytes came back", back.len());
    }
}

#[tokio::test]
async fn a_terminal_has_the_size_it_is_given() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let spec = shell("terminal", "sleep 3600");
        started(&backend, &spec).await;
        let streams = ExecStreams { stdin: true, stdout: true, stderr: false, tty: true };
        let script = "trap 'stty size; tty; exit 3' WINCH; echo \"$TERM\"; while :; do sleep 0.05; done";
        let mut exec = backend.exec(spec.id.clone(), command(script, streams)).await.unwrap();
        let first = next(&mut exec).await;
        assert_eq!(first, ExecOutput::Stdout(Bytes::from_static(b"xterm\r\n")), "{isolation:?}");
        exec.input.send(ExecInput::Resize(TerminalSize { columns: 111, rows: 33 })).await.unwrap();
        let (out, _, last) = said(exec).await;
        assert!(out.starts_with("33 111\r\n/dev/pts/"), "{isolation:?}: {out:?}");
        assert_eq!(last, ExecOutput::Exited(3));
    }
}

#[tokio::test]
async fn it_dies_with_whoever_asked_for_it_and_the_pod_runs_on() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let spec = shell("left", "exec sleep 3600");
        started(&backend, &spec).await;
        let script = "trap '' TERM HUP; (setsid sleep 3600 &); sleep 3600 & echo ready; wait";
        let mut exec = backend.exec(spec.id.clone(), command(script, OUTPUT)).await.unwrap();
        assert_eq!(next(&mut exec).await, ExecOutput::Stdout(Bytes::from_static(b"ready\n")));
        await_condition("the pod's own, the command and two children", || marked(&spec.id).len() >= 4).await;
        drop(exec);
        await_condition("only the pod's own process is left", || own_only(&spec)).await;
        backend.stop(spec.id.clone(), stop(100)).await.unwrap();
        await_end(&world, &backend, &spec.id).await;
    }
}

/// Whether one process carries the pod's mark.
fn own_only(spec: &PodSpec) -> bool {
    marked(&spec.id).len() == 1
}

#[tokio::test]
async fn it_dies_with_the_pod() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let spec = shell("ends", "exec sleep 3600");
        started(&backend, &spec).await;
        let mut exec = backend
            .exec(spec.id.clone(), command("trap '' TERM; echo ready; while :; do sleep 0.1; done", OUTPUT))
            .await
            .unwrap();
        assert_eq!(next(&mut exec).await, ExecOutput::Stdout(Bytes::from_static(b"ready\n")));
        backend.stop(spec.id.clone(), stop(100)).await.unwrap();
        await_end(&world, &backend, &spec.id).await;
        let (_, _, last) = said(exec).await;
        assert_eq!(last, ExecOutput::Exited(137), "{isolation:?}");
        let after = backend.exec(spec.id.clone(), command("true", OUTPUT)).await;
        assert!(matches!(after, Err(BackendError::Ended(_))), "{isolation:?}");
    }
}

#[tokio::test]
async fn who_does_not_read_holds_it_back() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = shell("slow", "sleep 3600");
    started(&backend, &spec).await;
    let count = world.config.state.join("count");
    let script =
        format!("i=0; while :; do printf '%01023d\\n' $i; i=$((i+1)); echo $i >{}; done", count.display());
    let exec = backend.exec(spec.id.clone(), command(&script, OUTPUT)).await.unwrap();
    let written =
        || std::fs::read_to_string(&count).ok().and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    let mut before = u64::MAX;
    while before != written() || before == 0 {
        before = written();
        tokio::time::timeout(Duration::from_millis(500), std::future::pending::<()>()).await.unwrap_err();
    }
    assert!(before < 1_024, "{before} KiB were taken without a reader");
    drop(exec);
}

#[tokio::test]
async fn attach_shows_what_is_written_from_now_on_by_stream_and_ends_with_the_pod() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let go = world.config.state.join("go");
    let script = format!(
        "echo before; until [ -e {} ]; do sleep 0.01; done; echo after; echo oh >&2; exit 3",
        go.display()
    );
    let spec = shell("attached", &script);
    started(&backend, &spec).await;
    await_log(&world, &backend, &spec.id, "before\n").await;
    let attach = ExecOptions { container: None, command: Vec::new(), streams: OUTPUT };
    let exec = backend.exec(spec.id.clone(), attach).await.unwrap();
    tokio::task::yield_now().await;
    std::fs::write(&go, "").unwrap();
    let (out, err, last) = said(exec).await;
    assert!(out == "after\n", "{out:?}");
    assert_eq!((err.as_str(), last), ("oh\n", ExecOutput::Exited(0)));
    let other = shell("no-input", "sleep 3600");
    started(&backend, &other).await;
    let unknown = ExecOptions { container: Some("side".to_owned()), ..command("true", OUTPUT) };
    assert!(matches!(
        backend.exec(other.id.clone(), unknown).await,
        Err(BackendError::NoSuchContainer { .. })
    ));
}
