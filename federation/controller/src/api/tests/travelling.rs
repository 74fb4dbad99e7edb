//! What travels with attempts: a Secret goes to the one session whose attempt names it, opened.

use std::sync::Arc;

use muster_core::State;
use muster_leader::SessionId;
use muster_model::{
    DesiredAttempt, DurationMs, Epoch, Event, GrantPolicy, IndexFailures, Key, PodCounts, Revision, ToMember,
    Uid, kinds,
};
use muster_proto::federation::HubMessage;
use serde_json::json;

use super::world::World;
use crate::agents::TravellingDocuments;
use crate::secrets::add_key;

const PLAIN: &str = "hunter2-plain";
const NAMES_IT: &str =
    r#""spec":{"template":{"spec":{"containers":[{"envFrom":[{"secretRef":{"name":"a"}}]}]}}}"#;
const OWN: SessionId = SessionId(1);
const OTHER: SessionId = SessionId(2);

async fn world() -> World {
    let world = World::new().await;
    world.make_job("j").await;
    let secret = json!({"metadata": {"name": "a"}, "stringData": {"k": PLAIN}}).to_string();
    assert_eq!(world.ask("POST", "/api/v1/namespaces/default/secrets", secret).await.code, 201);
    world
}

fn attempt(state: &State, namespace: &str, body: &str, epoch: u64) -> Arc<DesiredAttempt> {
    let job = state.get(&Key::job("default", "j")).expect("the job");
    Arc::new(DesiredAttempt {
        job: Key::job(namespace, "j"),
        uid: Uid(u128::from(epoch)),
        epoch: Epoch(epoch),
        spec: Arc::clone(&job.job().expect("it is one").spec),
        body: body.into(),
        claims: Vec::new(),
        gpu_model: None,
        requests: Vec::new(),
        policy: GrantPolicy::default(),
        stop: None,
        grace: DurationMs(0),
        before: PodCounts::default(),
        completed_indexes: "".into(),
        index_failures: IndexFailures { failed: "".into(), counts: "".into() },
        active_deadline_left: None,
        data: vec![],
    })
}

fn full(attempts: Vec<Arc<DesiredAttempt>>) -> ToMember {
    ToMember::Full { revision: Revision::default(), attempts }
}

/// The values in messages, as `EPOCH KEY=VALUE`.
fn values<'a>(messages: impl IntoIterator<Item = &'a HubMessage>) -> Vec<String> {
    let mut values = Vec::new();
    for message in messages {
        let HubMessage::Documents(attempts) = message else { panic!("only documents") };
        for attempt in attempts {
            values.push(format!("{}:", attempt.epoch.0));
            for (key, value) in attempt.documents.iter().flat_map(|document| &document.data) {
                values.push(format!("{key}={}", String::from_utf8_lossy(value)));
            }
        }
    }
    values
}

fn changed(state: &State) -> Event {
    let key = Key::new(kinds::SECRET, "default", "a");
    let new = state.get(&key).cloned();
    Event::Changed { key, old: None, new, revision: state.revision() }
}

#[tokio::test]
async fn a_secret_goes_to_the_session_whose_attempt_names_it() {
    let world = world().await;
    let state = world.hub.stale();
    let mut documents = TravellingDocuments::new(world.vault.clone());
    let own = full(vec![attempt(&state, "default", NAMES_IT, 1)]);
    assert_eq!(values(&documents.before(OWN, &own, &state)), ["1:", "k=hunter2-plain"]);
    let nothing = full(vec![attempt(&state, "default", "\"spec\":{}", 2)]);
    assert_eq!(documents.before(OTHER, &nothing, &state), []);
    let elsewhere = ToMember::Delta {
        revision: Revision::default(),
        changed: vec![attempt(&state, "elsewhere", NAMES_IT, 3)],
        gone: Vec::new(),
    };
    assert_eq!(values(&documents.before(OTHER, &elsewhere, &state)), ["3:"], "another namespace's is not it");
    let told = documents.changed(&[changed(&state)], &state);
    assert_eq!(told.iter().map(|(session, _)| *session).collect::<Vec<_>>(), [OWN]);
    let over = ToMember::Delta { revision: Revision::default(), changed: Vec::new(), gone: vec![Epoch(1)] };
    assert_eq!(documents.before(OWN, &over, &state), []);
    assert_eq!(documents.changed(&[changed(&state)], &state), [], "the attempt is over");
}

#[tokio::test]
async fn what_cannot_be_opened_is_not_there_until_the_key_comes() {
    let world = world().await;
    let state = world.hub.stale();
    let mut documents = TravellingDocuments::new(world.vault.clone());
    let kept = std::fs::read(world.key_file()).unwrap();
    std::fs::remove_file(world.key_file()).unwrap();
    add_key(&world.key_file()).unwrap();
    world.vault.follow_file();
    let own = full(vec![attempt(&state, "default", NAMES_IT, 1)]);
    assert_eq!(values(&documents.before(OWN, &own, &state)), ["1:"]);
    documents.keys_changed(&state);
    assert_eq!(documents.keys_changed(&state), [], "nothing new");
    std::fs::write(world.key_file(), kept).unwrap();
    world.vault.follow_file();
    let sent = documents.keys_changed(&state);
    assert_eq!(values(sent.iter().map(|(_, message)| message)), ["1:", "k=hunter2-plain"]);
}
