//! Shims that are killed, frozen, late, or that outlive their agent and their machine.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::Duration;

use muster_member_agent::backend::process::ProcessBackend;
use muster_member_agent::backend::{Backend, BackendError, ExitReason, PodId, PodState, Stop, StopReason};
use muster_member_agent::shim::client;
use muster_member_agent::shim::clock::{Clock, SystemClock};
use muster_member_agent::shim::isolation::{Isolation, IsolationRequest, probe};
use muster_member_agent::shim::protocol::{Refusal, Reply, Request};
use serde_json::Value;

use crate::worlds::{
    ProcessWorld, World, await_condition, await_end, await_log, await_state, grant, kill, marked, shell,
    shim_pid, state, stop,
};

const ANSWER: Duration = Duration::from_secs(10);

/// A pod with a detached child, running.
async fn running_brood(world: &ProcessWorld, backend: &ProcessBackend, name: &str) -> PodId {
    let spec = shell(name, "trap '' TERM; (setsid sleep 3600 &); echo ready; sleep 3600; :");
    backend.start(spec.clone()).await.unwrap();
    await_log(world, backend, &spec.id, "ready").await;
    await_condition("two processes at work", || marked(&spec.id).len() >= 3).await;
    spec.id
}

#[tokio::test]
async fn a_killed_shim_takes_every_process_along() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    assert!(backend.capabilities().fence || probe() == Isolation::Subreaper);
    if !backend.capabilities().fence {
        return;
    }
    let id = running_brood(&world, &backend, "beheaded").await;
    kill(shim_pid(&world, &id), "KILL");
    let exit = await_end(&world, &backend, &id).await;
    assert_eq!(marked(&id), [0; 0], "the end was reported while processes were left");
    assert_eq!((exit.code, exit.reason), (None, ExitReason::Lost));
    assert!(exit.started_at_ms.is_some());
}

#[tokio::test]
async fn without_a_namespace_a_killed_shim_leaves_an_unknown_pod_that_stop_settles() {
    let world = ProcessWorld::with(IsolationRequest::Subreaper);
    let backend = world.backend();
    assert!(!backend.capabilities().fence);
    let id = running_brood(&world, &backend, "unknown").await;
    kill(shim_pid(&world, &id), "KILL");
    await_state(&world, &backend, &id, |state| matches!(state, PodState::Unknown { .. }).then_some(())).await;
    assert!(!marked(&id).is_empty(), "the detached child should have survived: the fallback can not do more");
    backend.stop(id.clone(), stop(0)).await.unwrap();
    assert_eq!(await_end(&world, &backend, &id).await.reason, ExitReason::Lost);
    assert_eq!(marked(&id), [0; 0]);
}

#[tokio::test]
async fn a_frozen_shim_fences_in_time_and_before_anything_else() {
    for isolation in [IsolationRequest::Auto, IsolationRequest::Subreaper] {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let go = world.config.state.join("go");
        let mut spec = shell("frozen", &format!("while [ ! -e {} ]; do sleep 0.02; done", go.display()));
        let sent = world.now();
        spec.fence = Some(grant(sent, 3_000));
        backend.start(spec.clone()).await.unwrap();
        kill(shim_pid(&world, &spec.id), "STOP");
        // While it is frozen a renewal waits for it and the job completes. Nobody thaws it: its own timer does,
        // when the deadline is due, and then neither counts any more.
        let dir = world.dir(&spec.id);
        let offer = Request::Renew(grant(world.now(), 60_000));
        let renewal = tokio::task::spawn_blocking(move || client::request(&dir, &offer, ANSWER));
        std::fs::write(&go, "").unwrap();
        await_condition("the job's own end", || marked(&spec.id).is_empty()).await;
        assert!(world.now().elapsed_ms(sent) < 1_500, "too slow to show anything");
        assert!(matches!(state(&backend, &spec.id).await, Some(PodState::Running { .. })));
        let exit = await_end(&world, &backend, &spec.id).await;
        assert_eq!((exit.code, exit.reason), (Some(0), ExitReason::Fenced), "{isolation:?}");
        let granted = matches!(renewal.await.unwrap(), Ok(Reply::Done));
        assert!(!granted, "a renewal revived a passed deadline");
    }
}

#[tokio::test]
async fn a_job_is_dead_at_its_deadline_though_its_shim_was_frozen() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let mut spec = shell("ice", "trap '' TERM; while :; do sleep 3600; done");
    let sent = world.now();
    spec.fence = Some(grant(sent, 3_000));
    backend.start(spec.clone()).await.unwrap();
    kill(shim_pid(&world, &spec.id), "STOP");
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.signal, exit.reason), (Some(9), ExitReason::Fenced));
    assert!(exit.finished_at_ms - sent.real_ms < 3_000, "it lived past its deadline");
}

#[tokio::test]
async fn a_shim_thawed_after_its_deadline_gives_no_second_grace() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let mut spec = shell("thawed", "trap '' TERM; while :; do sleep 3600; done");
    let sent = world.now();
    spec.fence = Some(grant(sent, 3_000));
    backend.start(spec.clone()).await.unwrap();
    // Held down by repetition, as its own timer would continue it.
    let shim = shim_pid(&world, &spec.id);
    await_condition("the deadline", || {
        kill(shim, "STOP");
        world.now().elapsed_ms(sent) > 3_000
    })
    .await;
    kill(shim, "CONT");
    let thawed = world.now();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.signal, exit.reason), (Some(9), ExitReason::Fenced));
    assert!(exit.finished_at_ms < thawed.real_ms + 900, "it was given its grace again");
}

#[tokio::test]
async fn a_shim_that_is_stopped_each_time_its_timer_continues_it_is_continued_again() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let mut spec = shell("cold", "trap '' TERM; while :; do sleep 3600; done");
    let sent = world.now();
    spec.fence = Some(grant(sent, 3_000));
    backend.start(spec.clone()).await.unwrap();
    let shim = shim_pid(&world, &spec.id);
    // From before SIGTERM is due until after SIGKILL was, it is left no moment to do either. Then nobody thaws it.
    let held = tokio::task::spawn_blocking(move || {
        while SystemClock.now().elapsed_ms(sent) < 3_000 {
            kill(shim, "STOP");
        }
    });
    held.await.unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.signal, exit.reason), (Some(9), ExitReason::Fenced));
}

#[tokio::test]
async fn stop_ends_a_pod_whose_shim_is_frozen() {
    for isolation in [IsolationRequest::Auto, IsolationRequest::Subreaper] {
        let world = ProcessWorld::with(isolation);
        let backend = world.backend();
        let id = running_brood(&world, &backend, "ice").await;
        kill(shim_pid(&world, &id), "STOP");
        backend.stop(id.clone(), Stop { grace_ms: 100, reason: StopReason::Fenced }).await.unwrap();
        let exit = await_end(&world, &backend, &id).await;
        assert_eq!((exit.code, exit.reason), (None, ExitReason::Fenced), "{isolation:?}");
        assert_eq!(marked(&id), [0; 0], "{isolation:?}");
    }
}

#[tokio::test]
async fn a_pod_outlives_the_agent_and_its_process_group() {
    let mut world = ProcessWorld::new();
    let real_shim = std::mem::replace(&mut world.config.shim.program, PathBuf::from("true"));
    let spec = shell("orphaned", "echo ready; sleep 3600");
    world.backend().start(spec.clone()).await.unwrap();
    world.config.shim.program = real_shim;
    // A shell plays the agent: it starts the shim and is killed with its whole group.
    let mut agent = std::process::Command::new("sh")
        .args(["-c", "\"$0\" --dir \"$1\"; exec sleep 3600"])
        .arg(&world.config.shim.program)
        .arg(world.dir(&spec.id))
        .process_group(0)
        .spawn()
        .unwrap();
    let backend = world.backend();
    await_log(&world, &backend, &spec.id, "ready").await;
    let group = nix::unistd::Pid::from_raw(i32::try_from(agent.id()).unwrap());
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
    agent.wait().unwrap();
    let found = state(&backend, &spec.id).await;
    assert!(matches!(found, Some(PodState::Running { .. })), "{found:?}");
    assert!(!marked(&spec.id).is_empty());
    backend.stop(spec.id.clone(), stop(0)).await.unwrap();
    assert_eq!(await_end(&world, &backend, &spec.id).await.reason, ExitReason::Stopped);
}

#[tokio::test]
async fn a_shim_told_to_end_by_the_system_stops_its_pod() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = shell("shutdown", "sleep 3600");
    backend.start(spec.clone()).await.unwrap();
    kill(shim_pid(&world, &spec.id), "TERM");
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.code, exit.reason), (Some(143), ExitReason::Stopped));
}

#[tokio::test]
async fn a_pod_of_an_earlier_boot_is_lost_and_not_mistaken_for_a_process_of_this_one() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = shell("rebooted", "exec sleep 3600");
    backend.start(spec.clone()).await.unwrap();
    let shim = shim_pid(&world, &spec.id);
    kill(shim, "KILL");
    await_condition("its processes' end", || marked(&spec.id).is_empty()).await;
    let path = world.dir(&spec.id).join("spec.json");
    let mut written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    written["boot_id"] = "an earlier one".into();
    std::fs::write(&path, written.to_string()).unwrap();
    // What a power failure leaves of a record that was not synced.
    std::fs::write(world.dir(&spec.id).join("shim.json"), "").unwrap();
    let exit = await_end(&world, &backend, &spec.id).await;
    assert_eq!((exit.reason, exit.code), (ExitReason::Lost, None));
    assert_eq!(exit.message, "the machine was booted since");
}

#[tokio::test]
async fn a_reused_pid_is_not_taken_for_the_shim() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    if !backend.capabilities().fence {
        return;
    }
    let spec = shell("reused", "exec sleep 3600");
    backend.start(spec.clone()).await.unwrap();
    kill(shim_pid(&world, &spec.id), "KILL");
    await_condition("its processes' end", || marked(&spec.id).is_empty()).await;
    let path = world.dir(&spec.id).join("shim.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["shim"]["pid"] = std::process::id().into();
    std::fs::write(&path, record.to_string()).unwrap();
    assert_eq!(await_end(&world, &backend, &spec.id).await.reason, ExitReason::Lost);
    backend.stop(spec.id.clone(), stop(0)).await.unwrap();
}

#[tokio::test]
async fn a_start_that_never_came_up_is_unknown_until_it_is_settled() {
    let mut world = ProcessWorld::new();
    let real_shim = std::mem::replace(&mut world.config.shim.program, PathBuf::from("true"));
    let backend = world.backend();
    let spec = shell("stillborn", "echo ran");
    backend.start(spec.clone()).await.unwrap();
    let found = state(&backend, &spec.id).await;
    assert!(matches!(found, Some(PodState::Unknown { .. })), "{found:?}");
    backend.stop(spec.id.clone(), stop(0)).await.unwrap();
    assert_eq!(await_end(&world, &backend, &spec.id).await.reason, ExitReason::NotStarted);
    // The launcher that was on its way all the time comes too late.
    let late = std::process::Command::new(real_shim).arg("--dir").arg(world.dir(&spec.id)).status().unwrap();
    assert_eq!(late.code(), Some(1));
    assert_eq!(await_end(&world, &backend, &spec.id).await.reason, ExitReason::NotStarted);
}

#[tokio::test]
async fn a_start_that_an_earlier_agent_began_is_completed() {
    let mut world = ProcessWorld::new();
    let real_shim = std::mem::replace(&mut world.config.shim.program, PathBuf::from("true"));
    let spec = shell("resumed", "exit 4");
    world.backend().start(spec.clone()).await.unwrap();
    world.config.shim.program = real_shim;
    let second = world.backend();
    second.start(spec.clone()).await.unwrap();
    assert_eq!(await_end(&world, &second, &spec.id).await.code, Some(4));
}

#[tokio::test]
async fn a_shim_that_can_not_work_says_why() {
    let mut world = ProcessWorld::new();
    world.config.log_cap_bytes = 1;
    let backend = world.backend();
    let refused = backend.start(shell("capless", "true")).await;
    let Err(BackendError::Launch(message)) = refused else { panic!("{refused:?}") };
    assert!(message.contains("containers.log_cap_bytes: at least 131072"), "{message}");
}

#[tokio::test]
async fn the_control_socket_answers_in_its_language_only() {
    let world = ProcessWorld::new();
    let backend = world.backend();
    let spec = shell("asked", "trap 'echo checkpoint' USR1; echo ready; while :; do sleep 0.02; done");
    backend.start(spec.clone()).await.unwrap();
    await_log(&world, &backend, &spec.id, "ready").await;
    let dir = world.dir(&spec.id);
    let ask = |request: Request| client::request(&dir, &request, ANSWER).unwrap();
    assert!(matches!(ask(Request::Status), Reply::Status(status) if status.fence_left_ms.is_none()));
    assert_eq!(ask(Request::Signal { number: 10 }), Reply::Done);
    await_log(&world, &backend, &spec.id, "checkpoint").await;
    assert!(matches!(ask(Request::Signal { number: 99 }), Reply::Refused { reason: Refusal::Malformed, .. }));
    let answer = exchange(&dir, "nonsense\n{\"op\":\"status\"}\n");
    assert!(answer[0].contains("Malformed") && answer[1].contains("Running"), "{answer:?}");
    // A client that sends without end is cut off, and others are still answered.
    let endless = exchange(&dir, &"x".repeat(100_000));
    assert_eq!(endless, [""; 0]);
    assert!(matches!(ask(Request::Status), Reply::Status(_)));
}

/// Sends bytes and reads the lines that come back.
fn exchange(dir: &std::path::Path, text: &str) -> Vec<String> {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(dir.join("shim.sock")).unwrap();
    let _cut_off = stream.write_all(text.as_bytes());
    let _cut_off = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = String::new();
    let _cut_off = stream.read_to_string(&mut answer);
    answer.lines().map(str::to_owned).collect()
}
