//! Jobs as real processes, through restarts and shutdown.

use muster_model::*;
use muster_proto::federation::{HubMessage, LogRequest, PodPhase, StreamErrorCode};

use super::hub::TestHub;
use super::setup::{Agent, HUB, config, job, outcome, shell};

const EPOCH: Epoch = Epoch(7);

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_is_mirrored_logged_reported_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let hub = TestHub::start(HUB).await;
    let agent = Agent::start(config(dir.path(), &hub, Backend::Process));
    hub.want(vec![job(7, &shell("echo hello $MUSTER_EPOCH"))]).await;
    let seen = hub.until("the end", |seen| outcome(seen.reports.get(&EPOCH)).is_some()).await;
    let report = &seen.reports[&EPOCH];
    assert_eq!(outcome(Some(report)), Some(AttemptOutcome::Succeeded));
    assert_eq!(report.pods, PodCounts { succeeded: 1, ..PodCounts::default() });
    let seen =
        hub.until("the mirror", |seen| seen.pods.values().any(|p| p.phase == PodPhase::Succeeded)).await;
    let pod = seen.pods.values().next().unwrap().clone();
    assert_eq!((pod.exit_code, pod.node.as_str(), pod.gpus.len()), (Some(0), "m-0", 1));
    assert!(seen.notes.iter().any(|note| note.message.contains("image")), "{:?}", seen.notes);

    let request = LogRequest {
        request: 1,
        namespace: "default".into(),
        pod: pod.name.clone(),
        ..LogRequest::default()
    };
    hub.send(HubMessage::Log(request.clone())).await;
    let seen = hub.until("the log", |seen| seen.log_end.is_some()).await;
    assert_eq!(String::from_utf8_lossy(&seen.log), "hello 7\n");
    hub.send(HubMessage::Log(LogRequest { request: 2, pod: "none".into(), ..request })).await;
    let missing = |seen: &super::hub::Seen| {
        seen.log_end
            .as_ref()
            .is_some_and(|c| c.error.as_ref().is_some_and(|e| e.code == StreamErrorCode::NotFound))
    };
    hub.until("no such pod", missing).await;

    hub.want(vec![]).await;
    hub.send(HubMessage::ForgetJobs { uids: vec![Uid(0xfeed << 112)] }).await;
    hub.until("no pod left", |seen| seen.pods.is_empty()).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_disturbs_nothing_and_its_successor_tells_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("go");
    let hub = TestHub::start(HUB).await;
    let agent = Agent::start(config(&dir.path().join("state"), &hub, Backend::Process));
    let script = format!("until [ -e {} ]; do sleep 0.05; done; exit 3", gate.display());
    hub.want(vec![job(7, &shell(&script))]).await;
    hub.until("running", |seen| seen.reports.contains_key(&EPOCH)).await;
    agent.kill().await;
    std::fs::write(&gate, "").unwrap();
    let agent = Agent::start(config(&dir.path().join("state"), &hub, Backend::Process));
    let seen = hub.until("the end", |seen| outcome(seen.reports.get(&EPOCH)).is_some()).await;
    let ReportedState::Ended { exit_code, .. } = seen.reports[&EPOCH].state else { panic!("ended") };
    assert_eq!(exit_code, Some(3));
    assert_eq!(seen.pods.len(), 1, "started once: {:?}", seen.pods);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn going_down_stops_what_runs_and_reports_it_as_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let hub = TestHub::start(HUB).await;
    let agent = Agent::start(config(dir.path(), &hub, Backend::Process));
    hub.want(vec![job(7, &shell("exec sleep 600"))]).await;
    hub.until("running", |seen| seen.reports.contains_key(&EPOCH)).await;
    agent.stop().await;
    let report = hub.until("the report", |seen| outcome(seen.reports.get(&EPOCH)).is_some()).await;
    assert_eq!(outcome(report.reports.get(&EPOCH)), Some(AttemptOutcome::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_without_a_command_fails_the_job_with_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let hub = TestHub::start(HUB).await;
    let agent = Agent::start(config(dir.path(), &hub, Backend::Process));
    hub.want(vec![job(7, r#"{"spec":{"containers":[{"name":"main","image":"any"}]}}"#)]).await;
    let seen = hub.until("the end", |seen| outcome(seen.reports.get(&EPOCH)).is_some()).await;
    let Some(AttemptOutcome::Failed(why)) = outcome(seen.reports.get(&EPOCH)) else { panic!("{seen:?}") };
    assert_eq!(&*why.reason, "InvalidTemplate");
    assert!(why.message.contains("command"), "{}", why.message);
    agent.stop().await;
}
