//! Writing to what a container reads, on real processes, under both isolations.

use std::time::Duration;

use bytes::Bytes;
use muster_member_agent::backend::{
    Backend, BackendError, Exec, ExecInput, ExecOptions, ExecOutput, LogOptions, PodSpec,
};
use muster_member_agent::shim::isolation::IsolationRequest;
use muster_proto::federation::{ExecStreams, TerminalSize};
use serde_json::{Value, json};

use crate::worlds::{
    PATIENCE, ProcessWorld, await_condition, await_end, await_log, marked, pod, read_log, shell, stop,
};

const ISOLATIONS: [IsolationRequest; 2] = [IsolationRequest::Auto, IsolationRequest::Subreaper];
const OUTPUT: ExecStreams = ExecStreams { stdin: false, stdout: true, stderr: true, tty: false };
const ALL: ExecStreams = ExecStreams { stdin: true, ..OUTPUT };
const TERMINAL: ExecStreams = ExecStreams { stdin: true, stdout: true, stderr: false, tty: true };
/// Answers each line, and says when there are no more.
const ECHO: &str = "while read line; do echo \"got $line\"; done; echo end; exit 3";

/// A pod whose container has these fields too.
fn talker(name: &str, script: &str, fields: &Value) -> PodSpec {
    let mut container = json!({"name": "main", "command": ["sh", "-c", script]});
    let fields = fields.as_object().unwrap().clone();
    container.as_object_mut().unwrap().extend(fields);
    pod(name, json!({"spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}))
}

async fn attach(backend: &dyn Backend, spec: &PodSpec, streams: ExecStreams) -> Exec {
    let options = ExecOptions { container: None, command: Vec::new(), streams };
    backend.exec(spec.id.clone(), options).await.unwrap()
}

async fn write(exec: &Exec, text: &str) {
    exec.input.send(ExecInput::Stdin(Bytes::copy_from_slice(text.as_bytes()))).await.unwrap();
}

/// Its standard output up to where this is in it.
async fn read_to(exec: &mut Exec, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let part = tokio::time::timeout(PATIENCE, exec.output.recv()).await;
        match part.unwrap_or_else(|_| panic!("no {wanted:?} in {text:?}")) {
            Some(ExecOutput::Stdout(bytes)) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            other => panic!("{other:?} before {wanted:?}: {text:?}"),
        }
    }
    text
}

/// What it still says, and how it ended.
async fn rest(mut exec: Exec) -> (String, ExecOutput) {
    let mut text = String::new();
    loop {
        let part = tokio::time::timeout(PATIENCE, exec.output.recv()).await;
        match part.expect("it ends in time").expect("its end comes last") {
            ExecOutput::Stdout(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            ExecOutput::Stderr(bytes) => panic!("{bytes:?}"),
            last => return (text, last),
        }
    }
}

#[tokio::test]
async fn an_input_stays_open_between_clients_and_over_a_new_agent() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let spec = talker("open", ECHO, &json!({"stdin": true}));
        backend.start(spec.clone()).await.unwrap();
        let mut first = attach(&backend, &spec, ALL).await;
        write(&first, "one\n").await;
        assert_eq!(read_to(&mut first, "one\n").await, "got one\n", "{isolation:?}");
        // The client's input ends: so does the conversation, and the container's input does not.
        first.input.send(ExecInput::StdinClosed).await.unwrap();
        assert_eq!(rest(first).await, (String::new(), ExecOutput::Exited(0)));
        drop(backend);
        let backend = world.backend();
        let mut second = attach(&backend, &spec, ALL).await;
        let mut beside = attach(&backend, &spec, ALL).await;
        write(&second, "two\n").await;
        read_to(&mut second, "got two\n").await;
        drop(second);
        write(&beside, "three\n").await;
        assert_eq!(read_to(&mut beside, "three\n").await, "got two\ngot three\n");
        backend.stop(spec.id.clone(), stop(100)).await.unwrap();
        assert_eq!(rest(beside).await, (String::new(), ExecOutput::Exited(0)), "ends with the pod");
        await_end(&world, &backend, &spec.id).await;
        let log = read_log(&backend, &spec.id, LogOptions::default()).await;
        assert_eq!(log, "got one\ngot two\ngot three\n", "it never saw an end");
    }
}

#[tokio::test]
async fn an_input_for_once_ends_with_the_first_client() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let once = json!({"stdin": true, "stdinOnce": true});
        let told = talker("told", ECHO, &once);
        backend.start(told.clone()).await.unwrap();
        // One that only looks is not the first.
        drop(attach(&backend, &told, OUTPUT).await);
        let client = attach(&backend, &told, ALL).await;
        write(&client, "one\ntwo\n").await;
        client.input.send(ExecInput::StdinClosed).await.unwrap();
        let said = rest(client).await;
        assert_eq!(said, ("got one\ngot two\nend\n".to_owned(), ExecOutput::Exited(0)), "{isolation:?}");
        assert_eq!(await_end(&world, &backend, &told.id).await.code, Some(3));
        // One whose client goes without a word.
        let left = talker("left", ECHO, &once);
        backend.start(left.clone()).await.unwrap();
        let mut client = attach(&backend, &left, ALL).await;
        write(&client, "one\n").await;
        read_to(&mut client, "got one\n").await;
        drop(client);
        assert_eq!(await_end(&world, &backend, &left.id).await.code, Some(3), "{isolation:?}");
    }
}

#[tokio::test]
async fn an_input_that_ended_takes_nothing_from_later_clients() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let script = "cat; echo end; until [ -e go ]; do sleep 0.01; done; echo gone";
    let spec = talker("ended", script, &json!({"stdin": true, "stdinOnce": true}));
    backend.start(spec.clone()).await.unwrap();
    drop(attach(&backend, &spec, ALL).await);
    await_log(&world, &backend, &spec.id, "end\n").await;
    let later = attach(&backend, &spec, ALL).await;
    write(&later, "lost\n").await;
    later.input.send(ExecInput::StdinClosed).await.unwrap();
    std::fs::write(world.dir(&spec.id).join("work/go"), "").unwrap();
    assert_eq!(rest(later).await, ("gone\n".to_owned(), ExecOutput::Exited(0)));
}

#[tokio::test]
async fn without_stdin_the_container_sees_the_end_and_a_client_its_output() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let spec = shell("closed", "cat; echo end; until [ -e go ]; do sleep 0.01; done; echo gone");
        backend.start(spec.clone()).await.unwrap();
        await_log(&world, &backend, &spec.id, "end\n").await;
        let client = attach(&backend, &spec, ALL).await;
        write(&client, "lost\n").await;
        client.input.send(ExecInput::StdinClosed).await.unwrap();
        std::fs::write(world.dir(&spec.id).join("work/go"), "").unwrap();
        assert_eq!(rest(client).await, ("gone\n".to_owned(), ExecOutput::Exited(0)), "{isolation:?}");
    }
}

#[tokio::test]
async fn a_terminal_has_a_size_echoes_and_interrupts() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let script = "trap 'stty size' WINCH; test -t 0 && test -t 1 && test -t 2 && echo \"$TERM\"; printf 'name? '; \
                      until read name; do :; done; trap 'echo bye; exit 4' INT; echo \"hi $name\"; \
                      while :; do sleep 0.05; done";
        let spec = talker("terminal", script, &json!({"stdin": true, "tty": true}));
        backend.start(spec.clone()).await.unwrap();
        // A prompt is shown though its line has not ended.
        await_log(&world, &backend, &spec.id, "xterm\r\nname? ").await;
        let mut client = attach(&backend, &spec, TERMINAL).await;
        client.input.send(ExecInput::Resize(TerminalSize { columns: 101, rows: 31 })).await.unwrap();
        read_to(&mut client, "31 101\r\n").await;
        write(&client, "ada\r").await;
        let shown = read_to(&mut client, "hi ada\r\n").await;
        assert!(shown.contains("ada\r\n"), "what is typed is echoed: {shown:?}");
        write(&client, "\x03").await;
        let (shown, last) = rest(client).await;
        assert!(shown.contains("bye\r\n"), "{isolation:?}: {shown:?}");
        assert_eq!(last, ExecOutput::Exited(0));
        assert_eq!(await_end(&world, &backend, &spec.id).await.code, Some(4));
    }
}

#[tokio::test]
async fn who_does_not_read_holds_its_client_back_and_nothing_is_kept() {
    for isolation in ISOLATIONS {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let script = "until [ -e go ]; do sleep 0.01; done; head -c 100000000 | wc -c";
        let spec = talker("slow", script, &json!({"stdin": true, "stdinOnce": true}));
        backend.start(spec.clone()).await.unwrap();
        let client = attach(&backend, &spec, ALL).await;
        let piece = Bytes::from(vec![b'x'; 32 << 10]);
        let mut taken = 0_usize;
        let full = async {
            loop {
                client.input.send(ExecInput::Stdin(piece.clone())).await.unwrap();
                taken += piece.len();
            }
        };
        tokio::time::timeout(Duration::from_millis(500), full).await.unwrap_err();
        assert!((64 << 10..1 << 20).contains(&taken), "{taken} bytes were taken without a reader");
        // What was taken arrives; what was not is the client's.
        std::fs::write(world.dir(&spec.id).join("work/go"), "").unwrap();
        client.input.send(ExecInput::StdinClosed).await.unwrap();
        let (said, _) = rest(client).await;
        assert_eq!(said.trim(), taken.to_string(), "{isolation:?}");
    }
}

#[tokio::test]
async fn a_container_that_is_started_again_has_a_new_input() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let container = json!({"name": "main", "stdin": true, "stdinOnce": true,
        "command": ["sh", "-c", "if read line; then echo \"got $line\"; [ $line = good ]; else exit 9; fi"]});
    let template = json!({"spec": {"restartPolicy": "OnFailure", "containers": [container]}});
    let spec = pod("again", template);
    backend.start(spec.clone()).await.unwrap();
    let mut first = attach(&backend, &spec, ALL).await;
    write(&first, "bad\n").await;
    read_to(&mut first, "got bad\n").await;
    assert_eq!(rest(first).await, (String::new(), ExecOutput::Exited(0)), "ends with the run");
    let second = attach(&backend, &spec, ALL).await;
    write(&second, "good\n").await;
    assert_eq!(rest(second).await, ("got good\n".to_owned(), ExecOutput::Exited(0)));
    assert_eq!(await_end(&world, &backend, &spec.id).await.code, Some(0));
}

#[tokio::test]
async fn so_many_may_write_at_once_and_the_shim_still_answers() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = talker("crowd", ECHO, &json!({"stdin": true}));
    backend.start(spec.clone()).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(attach(&backend, &spec, ALL).await);
    }
    let options = ExecOptions { container: None, command: Vec::new(), streams: ALL };
    let refused = backend.exec(spec.id.clone(), options).await;
    assert!(matches!(refused, Err(BackendError::NoExec(why)) if why.contains("as many are attached")));
    clients.pop();
    let mut one = clients.pop().unwrap();
    write(&one, "hello\n").await;
    read_to(&mut one, "got hello\n").await;
    backend.stop(spec.id.clone(), stop(100)).await.unwrap();
    await_end(&world, &backend, &spec.id).await;
    await_condition("nothing to be left", || marked(&spec.id).is_empty()).await;
}
