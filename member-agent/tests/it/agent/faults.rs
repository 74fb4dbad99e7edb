//! Faults on purpose, done to the agent.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use muster_model::*;
use muster_proto::federation::HubMessage;
use tokio::time::Instant;

use super::hub::TestHub;
use super::setup::{Agent, HUB, config};

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

fn partition(id: &str, left_ms: u64) -> FaultOrder {
    FaultOrder {
        id: id.into(),
        uid: Uid(5),
        kind: FaultKind::Partition,
        wanted: true,
        left: DurationMs(left_ms),
        expires: TimeMs(now_ms() + left_ms),
    }
}

/// Records in the agent's folder that are written to their end.
fn records(state: &Path) -> usize {
    let entries = std::fs::read_dir(state.join("faults")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".fault.json")).count()
}

async fn reverted(hub: &TestHub, id: &str) -> u64 {
    let is_it = |(found, news): &(String, FaultNews)| found == id && *news != FaultNews::Injecting;
    let seen = hub.until("the end of the fault", |seen| seen.faults.iter().any(is_it)).await;
    let found = seen.faults.iter().find(|fault| is_it(fault));
    match found.map(|(_, news)| *news) {
        Some(FaultNews::Reverted { at }) => at.0,
        _ => unreachable!("it was waited for"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_outlives_the_agent_and_not_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let hub = TestHub::start(HUB).await;
    let agent = Agent::start(config(dir.path(), &hub, Backend::Simulated));
    hub.until("a hello", |seen| seen.hellos.len() == 1).await;
    let order = partition("p", 3_000);
    let expires = order.expires.0;
    hub.send(HubMessage::Faults(vec![order])).await;
    hub.until("the question", |seen| !seen.faults.is_empty()).await;
    let start = Instant::now();
    while records(dir.path()) == 0 {
        assert!(start.elapsed() < Duration::from_secs(2), "it lies on disk before it is injected");
        tokio::task::yield_now().await;
    }
    agent.kill().await;
    let agent = Agent::start(config(dir.path(), &hub, Backend::Simulated));
    let at = reverted(&hub, "p").await;
    assert!(at >= expires - 100 && at <= expires + 1_000, "{at} for {expires}");
    let seen = hub.until("a second hello", |seen| seen.hellos.len() == 2).await;
    assert_eq!(seen.hellos.len(), 2, "none while it lasted");
    assert!(now_ms() >= expires - 100);
    let start = Instant::now();
    while records(dir.path()) > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "nothing is left");
        tokio::task::yield_now().await;
    }
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_partition_is_over_at_once_and_one_never_begun_is_disowned() {
    let dir = tempfile::tempdir().unwrap();
    let hub = TestHub::start(HUB).await;
    let agent = Agent::start(config(dir.path(), &hub, Backend::Simulated));
    hub.until("a hello", |seen| seen.hellos.len() == 1).await;
    hub.send(HubMessage::Faults(vec![partition("p", 60_000)])).await;
    hub.until("the question", |seen| !seen.faults.is_empty()).await;
    let start = Instant::now();
    let over = |id: &str| FaultOrder { wanted: false, ..partition(id, 60_000) };
    *hub.shared.fault_orders.lock().unwrap() = vec![over("p"), over("never")];
    reverted(&hub, "p").await;
    reverted(&hub, "never").await;
    hub.until("a second hello", |seen| seen.hellos.len() == 2).await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    agent.stop().await;
}
