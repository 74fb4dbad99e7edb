//! What every backend does alike. Each case runs in every world below.

use muster_member_agent::backend::{BackendError, ExecOptions, ExitReason, LogOptions, PodState};
use muster_proto::federation::ExecStreams;

use crate::worlds::{
    PATIENCE, Script, World, await_end, await_log, await_state, grant, pod, read_log, state, stop,
};

macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod process {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::worlds::ProcessWorld::new()).await;
            })*
        }
        mod process_without_namespace {
            use muster_member_agent::shim::isolation::IsolationRequest;
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::worlds::ProcessWorld::with(IsolationRequest::Subreaper)).await;
            })*
        }
        mod simulated {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::worlds::SimulatedWorld::new()).await;
            })*
        }
    };
}

conformance!(
    exit_codes_are_reported,
    a_running_pod_is_observed_with_its_identity,
    stop_ends_a_pod_that_obeys,
    stop_kills_a_pod_that_does_not_obey,
    starting_twice_starts_once,
    a_late_start_runs_nothing,
    the_fence_ends_a_pod_for_good,
    a_renewal_keeps_a_pod_alive,
    a_renewal_needs_a_fence,
    a_new_agent_adopts_what_runs_and_what_ended,
    only_an_ended_pod_can_be_removed,
    logs_are_served_and_followed,
    a_pod_that_is_not_here_is_said_so,
);

async fn exit_codes_are_reported(world: &dyn World) {
    let backend = world.open();
    for (code, reason) in [(0, ExitReason::Completed), (3, ExitReason::Error)] {
        let spec = pod(&format!("exits{code}"), Script::exits(code, "hi").template());
        backend.start(spec.clone()).await.unwrap();
        let exit = await_end(world, &*backend, &spec.id).await;
        assert_eq!((exit.code, exit.signal, exit.reason), (Some(code), None, reason));
        assert!(exit.started_at_ms.is_some_and(|started_ms| started_ms <= exit.finished_at_ms));
    }
}

async fn a_running_pod_is_observed_with_its_identity(world: &dyn World) {
    let backend = world.open();
    let spec = pod("runs", Script::sleeps().template());
    backend.start(spec.clone()).await.unwrap();
    let observed = backend.observe().await.unwrap();
    assert_eq!(observed.len(), 1);
    assert_eq!((&observed[0].id, &observed[0].identity), (&spec.id, &spec.identity));
    assert!(matches!(observed[0].state, PodState::Running { .. }), "{:?}", observed[0].state);
}

async fn stop_ends_a_pod_that_obeys(world: &dyn World) {
    let backend = world.open();
    let spec = pod("obeys", Script::sleeps().template());
    backend.start(spec.clone()).await.unwrap();
    backend.stop(spec.id.clone(), stop(60_000)).await.unwrap();
    let exit = await_end(world, &*backend, &spec.id).await;
    assert_eq!((exit.code, exit.signal, exit.reason), (Some(143), Some(15), ExitReason::Stopped));
    backend.stop(spec.id.clone(), stop(0)).await.unwrap();
    assert_eq!(await_end(world, &*backend, &spec.id).await, exit);
}

async fn stop_kills_a_pod_that_does_not_obey(world: &dyn World) {
    let backend = world.open();
    let spec = pod("stubborn", Script::ignores_term().template());
    backend.start(spec.clone()).await.unwrap();
    await_log(world, &*backend, &spec.id, "ready").await;
    let asked = world.now();
    backend.stop(spec.id.clone(), stop(300)).await.unwrap();
    let exit = await_end(world, &*backend, &spec.id).await;
    assert_eq!((exit.code, exit.signal, exit.reason), (Some(137), Some(9), ExitReason::Stopped));
    assert!(world.now().elapsed_ms(asked) >= 300, "the grace was cut");
}

async fn starting_twice_starts_once(world: &dyn World) {
    let backend = world.open();
    let spec = pod("twice", Script::exits(0, "once").template());
    backend.start(spec.clone()).await.unwrap();
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(world, &*backend, &spec.id).await;
    backend.start(spec.clone()).await.unwrap();
    world.open().start(spec.clone()).await.unwrap();
    assert_eq!(state(&*backend, &spec.id).await, Some(PodState::Ended(exit)));
    let log = read_log(&*backend, &spec.id, LogOptions::default()).await;
    assert_eq!(log.matches("once").count(), 1, "{log}");
}

async fn a_late_start_runs_nothing(world: &dyn World) {
    let backend = world.open();
    let mut spec = pod("late", Script::exits(0, "ran").template());
    let sent = world.now();
    world.tick().await;
    // Grace and budget are 1.5 s of it: SIGTERM would be due at once.
    spec.fence = Some(grant(sent, 1_501));
    while world.now().elapsed_ms(sent) < 2 {
        world.tick().await;
    }
    let refused = backend.start(spec.clone()).await;
    assert!(matches!(&refused, Err(BackendError::TooLate(id)) if *id == spec.id), "{refused:?}");
    assert!(!matches!(state(&*backend, &spec.id).await, Some(PodState::Running { .. })));
}

async fn the_fence_ends_a_pod_for_good(world: &dyn World) {
    let backend = world.open();
    let mut spec = pod("fenced", Script::ignores_term().template());
    let sent = world.now();
    spec.fence = Some(grant(sent, 3_000));
    backend.start(spec.clone()).await.unwrap();
    let exit = await_end(world, &*backend, &spec.id).await;
    let lived_ms = exit.finished_at_ms - sent.real_ms;
    assert!((1_500..3_000).contains(&lived_ms), "it ended {lived_ms} ms after its grant began");
    assert_eq!((exit.signal, exit.reason), (Some(9), ExitReason::Fenced));
    let late = backend.renew(spec.id.clone(), grant(world.now(), 60_000)).await;
    assert!(matches!(late, Err(BackendError::Fenced(_))), "{late:?}");
    assert_eq!(state(&*backend, &spec.id).await, Some(PodState::Ended(exit)));
}

async fn a_renewal_keeps_a_pod_alive(world: &dyn World) {
    let backend = world.open();
    let mut spec = pod("renewed", Script::sleeps().template());
    let sent = world.now();
    // SIGTERM would be due 2 s after it, and the pod obeys it.
    spec.fence = Some(grant(sent, 3_500));
    backend.start(spec.clone()).await.unwrap();
    backend.renew(spec.id.clone(), grant(world.now(), 60_000)).await.unwrap();
    // An ack that was overtaken does not take the longer one back.
    backend.renew(spec.id.clone(), grant(sent, 3_500)).await.unwrap();
    let past_first_deadline = |state: &PodState| {
        assert!(matches!(state, PodState::Running { .. }), "{state:?}");
        (world.now().elapsed_ms(sent) > 2_300).then_some(())
    };
    await_state(world, &*backend, &spec.id, past_first_deadline).await;
}

async fn a_renewal_needs_a_fence(world: &dyn World) {
    let backend = world.open();
    let spec = pod("unfenced", Script::sleeps().template());
    backend.start(spec.clone()).await.unwrap();
    let refused = backend.renew(spec.id.clone(), grant(world.now(), 60_000)).await;
    assert!(matches!(refused, Err(BackendError::NotFenced(_))), "{refused:?}");
    backend.stop(spec.id.clone(), stop(0)).await.unwrap();
    await_end(world, &*backend, &spec.id).await;
    let ended = backend.renew(spec.id.clone(), grant(world.now(), 60_000)).await;
    assert!(matches!(ended, Err(BackendError::Ended(_))), "{ended:?}");
}

async fn a_new_agent_adopts_what_runs_and_what_ended(world: &dyn World) {
    let first = world.open();
    let ended = pod("ended", Script::exits(7, "").template());
    let running = pod("running", Script::sleeps().template());
    first.start(ended.clone()).await.unwrap();
    first.start(running.clone()).await.unwrap();
    drop(first);
    let second = world.open();
    assert_eq!(await_end(world, &*second, &ended.id).await.code, Some(7));
    let adopted = state(&*second, &running.id).await;
    assert!(matches!(adopted, Some(PodState::Running { .. })), "{adopted:?}");
    second.stop(running.id.clone(), stop(1_000)).await.unwrap();
    assert_eq!(await_end(world, &*second, &running.id).await.reason, ExitReason::Stopped);
}

async fn only_an_ended_pod_can_be_removed(world: &dyn World) {
    let backend = world.open();
    let spec = pod("removed", Script::sleeps().template());
    backend.start(spec.clone()).await.unwrap();
    let refused = backend.remove(spec.id.clone()).await;
    assert!(matches!(refused, Err(BackendError::NotEnded(_))), "{refused:?}");
    backend.stop(spec.id.clone(), stop(0)).await.unwrap();
    await_end(world, &*backend, &spec.id).await;
    backend.remove(spec.id.clone()).await.unwrap();
    backend.remove(spec.id.clone()).await.unwrap();
    assert_eq!(backend.observe().await.unwrap(), []);
    assert_eq!(world.open().observe().await.unwrap(), []);
}

async fn logs_are_served_and_followed(world: &dyn World) {
    let backend = world.open();
    let script = Script { output: "one\ntwo\nthree", ..Script::exits(0, "one\\ntwo\\nthree") };
    let spec = pod("logs", script.template());
    backend.start(spec.clone()).await.unwrap();
    let following = read_log(&*backend, &spec.id, LogOptions { follow: true, ..LogOptions::default() });
    let time_passes = async {
        loop {
            world.tick().await;
            tokio::task::yield_now().await;
        }
    };
    let followed = tokio::select! {
        log = tokio::time::timeout(PATIENCE, following) => log.unwrap(),
        () = time_passes => unreachable!("time does not end"),
    };
    assert!(followed.ends_with("one\ntwo\nthree\n"), "{followed}");
    let tail =
        LogOptions { tail_lines: Some(2), container: Some("main".to_owned()), ..LogOptions::default() };
    assert_eq!(read_log(&*backend, &spec.id, tail).await, "two\nthree\n");
    let wrong = LogOptions { container: Some("sidecar".to_owned()), ..LogOptions::default() };
    let refused = backend.logs(spec.id.clone(), wrong).await.err();
    assert!(matches!(&refused, Some(BackendError::NoSuchContainer { .. })), "{refused:?}");
}

async fn a_pod_that_is_not_here_is_said_so(world: &dyn World) {
    let backend = world.open();
    let id = pod("nobody", Script::sleeps().template()).id;
    let answers = [
        backend.stop(id.clone(), stop(0)).await.err(),
        backend.renew(id.clone(), grant(world.now(), 60_000)).await.err(),
        backend.logs(id.clone(), LogOptions::default()).await.err(),
        backend.exec(id.clone(), ls()).await.err(),
    ];
    for answer in answers {
        assert!(matches!(answer, Some(BackendError::NotFound(_))), "{answer:?}");
    }
    assert_eq!(state(&*backend, &id).await, None);
}

fn ls() -> ExecOptions {
    ExecOptions { container: None, command: vec!["ls".to_owned()], streams: ExecStreams::default() }
}
