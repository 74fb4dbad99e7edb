//! Joining, identity, renewal.

use std::time::Duration;

use muster_member_agent::run;
use muster_model::Backend;
use tokio_util::sync::CancellationToken;

use super::hub::TestHub;
use super::setup::{Agent, HUB, config};

#[tokio::test(flavor = "multi_thread")]
async fn it_joins_once_and_comes_back_with_its_own_identity() {
    let dir = tempfile::tempdir().unwrap();
    let hub = TestHub::start(HUB).await;
    let agent = Agent::start(config(dir.path(), &hub, Backend::Simulated));
    let seen = hub.until("a hello and heartbeats", |seen| seen.heartbeats > 1).await;
    assert_eq!(seen.joins, ["m"]);
    assert_eq!(seen.hellos[0].capacity.shapes[0].allocatable.gpu_milli, 2000);
    agent.stop().await;
    let mut again = config(dir.path(), &hub, Backend::Simulated);
    again.join = None;
    let agent = Agent::start(again);
    let seen = hub.until("a second hello", |seen| seen.hellos.len() > 1).await;
    assert_eq!(seen.hellos[0].incarnation, seen.hellos[1].incarnation);
    assert_eq!(seen.joins, ["m"]);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_join_is_said() {
    let hub = TestHub::start(HUB).await;
    let other = TestHub::start(HUB).await;
    let impostor = TestHub::start("spiffe://muster/member/m").await;
    let refused = async |change: &dyn Fn(&mut muster_member_agent::JoinInfo), hub: &TestHub| {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path(), hub, Backend::Simulated);
        change(config.join.as_mut().unwrap());
        format!("{:#}", run(config, CancellationToken::new()).await.unwrap_err())
    };
    let wrong_token = refused(&|join| join.token = "old".to_owned(), &hub).await;
    assert!(wrong_token.contains("the token is unknown or was used"), "{wrong_token}");
    let pin = other.shared.authority.pin();
    let wrong_ca = refused(&|join| join.ca_pin.clone_from(&pin), &hub).await;
    assert!(wrong_ca.contains("no hub with the pinned authority"), "{wrong_ca}");
    let no_hub = refused(&|_| {}, &impostor).await;
    assert!(no_hub.contains("no hub with the pinned authority"), "{no_hub}");
    let no_pin = refused(&|join| join.ca_pin = "sha256:no".to_owned(), &hub).await;
    assert!(no_pin.contains("--ca-pin"), "{no_pin}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_renewed_before_it_ends_without_a_new_session() {
    let dir = tempfile::tempdir().unwrap();
    let hub = TestHub::start(HUB).await;
    *hub.shared.certificate_life.lock().unwrap() = Duration::from_secs(8);
    let agent = Agent::start(config(dir.path(), &hub, Backend::Simulated));
    let seen = hub.until("a renewal", |seen| seen.renewals == 1 && seen.heartbeats > 0).await;
    assert_eq!(seen.hellos.len(), 1);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_follows_the_hint_to_the_leader() {
    let dir = tempfile::tempdir().unwrap();
    let leader = TestHub::start(HUB).await;
    let mut through = config(dir.path(), &leader, Backend::Simulated);
    let agent = Agent::start(config(dir.path(), &leader, Backend::Simulated));
    leader.until("a hello", |seen| !seen.hellos.is_empty()).await;
    agent.stop().await;
    let follower = leader.replica().await;
    *follower.shared.hint.lock().unwrap() = Some(leader.address.clone());
    through.hub_addresses = vec![follower.address.clone()];
    let agent = Agent::start(through);
    leader.until("a hello by the hint", |seen| seen.hellos.len() > 1).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let hub = TestHub::start(HUB).await;
    let agent = Agent::start(config(dir.path(), &hub, Backend::Simulated));
    hub.until("a hello", |seen| !seen.hellos.is_empty()).await;
    let second = run(config(dir.path(), &hub, Backend::Simulated), CancellationToken::new()).await;
    let error = format!("{:#}", second.unwrap_err());
    assert!(error.contains("is in use by another agent"), "{error}");
    agent.stop().await;
}
