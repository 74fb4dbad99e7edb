//! Mirrors of Pods and their logs.

use axum::body::Body;
use bytes::Bytes;
use muster_leader::SessionId;
use muster_model::{Epoch, Key, MemberName, Uid};
use muster_proto::federation::{
    HubMessage, PodMirror, PodPhase, PodRef, PodUpdates, StreamChunk, StreamError, StreamErrorCode,
};
use serde_json::json;
use tokio::sync::mpsc;

use super::world::{World, admin};
use crate::agents::SessionOutbox;
use crate::api::Handoff;
use crate::identity::MemberCertificate;

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod(name: &str, phase: PodPhase) -> PodMirror {
    PodMirror {
        job: Key::job("default", "train"),
        job_uid: Uid(5),
        epoch: Epoch(9),
        name: name.to_owned(),
        index: None,
        phase,
        container: "main".to_owned(),
        node: "node-1".to_owned(),
        started: None,
        finished: None,
        exit_code: None,
        signal: None,
        reason: String::new(),
        message: String::new(),
        gpus: Vec::new(),
        restarts: 0,
        containers: Vec::new(),
    }
}

fn shows(world: &World, pods: Vec<PodMirror>, removed: Vec<PodRef>) {
    let updates = PodUpdates { resync: false, pods, removed };
    world.mirrors.update(&MemberName::new("onprem-a"), updates);
}

/// A member that is in contact: what the hub says to it.
fn in_contact(world: &World) -> mpsc::Receiver<HubMessage> {
    let (outbox, messages) = SessionOutbox::new();
    world.sessions.set(SessionId(1), outbox, MemberCertificate::ageless("onprem-a"));
    messages
}

#[tokio::test]
async fn pods_are_shown_and_watched() {
    let world = World::new().await;
    shows(&world, vec![pod("train-a", PodPhase::Running)], Vec::new());
    let list = world.get(PODS).await.json();
    assert_eq!(list["items"][0]["metadata"]["name"], "train-a");
    assert_eq!(list["items"][0]["metadata"]["labels"]["job-name"], "train");
    assert_eq!(list["items"][0]["metadata"]["labels"]["muster.sh/cluster"], "onprem-a");
    assert_eq!(world.get(&format!("{PODS}/train-a")).await.text("/status/phase"), "Running");
    assert_eq!(world.get(&format!("{PODS}/none")).await.code, 404);
    let chosen = world.get(&format!("{PODS}?labelSelector=job-name%3Dother")).await.json();
    assert_eq!(chosen["items"], json!([]));
    let table = world.get_as(PODS, "application/json;as=Table;v=v1;g=meta.k8s.io").await.json();
    assert_eq!(
        (&table["rows"][0]["cells"][0], &table["rows"][0]["cells"][2]),
        (&json!("train-a"), &json!("Running"))
    );
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = world.watch(&format!("{PODS}?watch=true&resourceVersion={version}")).await;
    shows(&world, vec![pod("train-a", PodPhase::Succeeded)], Vec::new());
    assert_eq!(watch.next_short().await, "MODIFIED train-a");
    shows(&world, Vec::new(), vec![PodRef { job_uid: Uid(5), name: "train-a".to_owned() }]);
    assert_eq!(watch.next_short().await, "DELETED train-a");
    let mut old = world.watch(&format!("{PODS}?watch=true&resourceVersion=7")).await;
    let event = old.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(410)),
        "of another leader"
    );
    let refused = world.ask("DELETE", &format!("{PODS}/train-a"), "").await;
    assert_eq!(refused.code, 405);
    assert!(refused.text("/message").contains("delete the Job"), "{refused:?}");
}

#[tokio::test]
async fn a_pod_has_its_jobs_labels() {
    let world = World::new().await;
    let mut job: serde_json::Value = serde_json::from_str(&super::world::job("train")).unwrap();
    job["spec"]["template"]["metadata"] = json!({"labels": {"tier": "gold"}});
    let made = world.ask("POST", "/apis/batch/v1/namespaces/default/jobs", job.to_string()).await;
    let uid: Uid = made.text("/metadata/uid").parse().unwrap();
    shows(&world, vec![PodMirror { job_uid: uid, ..pod("train-a", PodPhase::Running) }], Vec::new());
    let list = world.get(&format!("{PODS}?labelSelector=tier%3Dgold")).await.json();
    assert_eq!(list["items"][0]["metadata"]["name"], "train-a", "{list}");
    assert_eq!(list["items"][0]["spec"]["containers"][0]["image"], "busybox");
}

#[tokio::test]
async fn a_log_comes_from_its_member() {
    let world = World::new().await;
    shows(&world, vec![pod("train-a", PodPhase::Running)], Vec::new());
    let path = format!("{PODS}/train-a/log?container=main&tailLines=5&timestamps=true");
    let away = world.get(&path).await;
    assert_eq!(away.code, 503);
    assert!(away.text("/message").contains("out of contact"), "{away:?}");
    let mut member = in_contact(&world);
    let streams = world.streams.clone();
    let plays = tokio::spawn(async move {
        let Some(HubMessage::Log(asked)) = member.recv().await else { panic!("a log is asked for") };
        assert_eq!(
            (asked.pod.as_str(), asked.tail_lines, asked.timestamps, asked.follow),
            ("train-a", Some(5), true, false)
        );
        let chunk = |data: &'static str, eof| StreamChunk {
            request: asked.request,
            data: Bytes::from(data),
            eof,
            error: None,
        };
        streams.deliver(chunk("one\n", false)).await;
        streams.deliver(chunk("two\n", true)).await;
        let Some(HubMessage::Log(asked)) = member.recv().await else { panic!("a log is asked for") };
        let error = StreamError { code: StreamErrorCode::NotFound, message: "no such pod".to_owned() };
        streams
            .deliver(StreamChunk {
                request: asked.request,
                data: Bytes::new(),
                eof: true,
                error: Some(error),
            })
            .await;
    });
    let log = world.get(&path).await;
    assert_eq!((log.code.as_u16(), log.bytes), (200, Bytes::from_static(b"one\ntwo\n")));
    assert!(log.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(world.get(&path).await.code, 404, "an error before the first byte is an error of the request");
    plays.await.unwrap();
}

#[tokio::test]
async fn logs_that_cannot_be() {
    let world = World::new().await;
    shows(&world, vec![pod("train-a", PodPhase::Running), pod("train-b", PodPhase::Pending)], Vec::new());
    for (path, code, says) in [
        ("train-a/log?previous=true", 400, "previous terminated container"),
        ("train-a/log?container=other", 400, "container other is not valid for pod train-a"),
        ("train-b/log", 400, "is waiting to start"),
        ("train-a/log?tailLines=-1", 422, "tailLines"),
        ("train-a/log?tailLines=x", 400, ""),
        ("none/log", 404, "not found"),
    ] {
        let answer = world.get(&format!("{PODS}/{path}")).await;
        assert_eq!(answer.code.as_u16(), code, "{path}: {answer:?}");
        assert!(answer.text("/message").contains(says), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn commands_that_cannot_be() {
    let world = World::new().await;
    let ended = pod("train-c", PodPhase::Succeeded);
    shows(
        &world,
        vec![pod("train-a", PodPhase::Running), pod("train-b", PodPhase::Pending), ended],
        Vec::new(),
    );
    for (path, code, says) in [
        ("train-a/exec?stdout=true", 400, "at least 1 command"),
        ("train-a/exec?command=ls", 400, "at least 1 of stdin, stdout, stderr"),
        ("train-b/exec?command=ls&stdout=true", 400, "it has not started"),
        ("train-c/attach?stdout=true", 400, "it has ended"),
        ("none/exec?command=ls&stdout=true", 404, "not found"),
        ("train-a/exec?command=ls&stdout=true", 400, "speaks WebSocket"),
    ] {
        for method in ["GET", "POST"] {
            let answer = world.ask(method, &format!("{PODS}/{path}"), "").await;
            assert_eq!(answer.code.as_u16(), code, "{path}: {answer:?}");
            assert!(answer.text("/message").contains(says), "{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_command_is_asked_of_the_pods_member() {
    let world = World::new().await;
    shows(&world, vec![pod("train-a", PodPhase::Running)], Vec::new());
    let path = format!("{PODS}/train-a/exec?command=ls&command=-l&stdout=true&stdin=true");
    let ask = || async {
        let request = admin("GET", &path).extension(Handoff::default()).body(Body::empty()).unwrap();
        world.send(request).await
    };
    let away = ask().await;
    assert_eq!(away.code, 503);
    assert!(away.text("/message").contains("onprem-a: the member is out of contact"), "{away:?}");
    let mut member = in_contact(&world);
    let goes = async {
        let Some(HubMessage::Exec(asked)) = member.recv().await else { panic!("a command is asked for") };
        assert_eq!((asked.pod.as_str(), asked.command.join(" ")), ("train-a", "ls -l".to_owned()));
        assert!(asked.streams.stdin && asked.streams.stdout && !asked.streams.stderr && asked.ticket != 0);
        drop(member);
    };
    let (lost, ()) = tokio::join!(ask(), goes);
    assert_eq!(lost.code, 503, "the session ended before the member called: {lost:?}");
}
