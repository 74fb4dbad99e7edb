//! All replicas killed together under load, and the disk under them loses what was not synced: nothing acknowledged is lost.
//!
//! ```text
//! MUSTER_POWER_CUTS=1000 cargo test -p muster-e2e --test it power_loss -- --nocapture
//! ```
//!
//! Without that it is a few times. The disk is ext4 on a loop device that is shut down without a flush in the moment of the
//! kill, so logs, marks, snapshots and history are all cut off alike. That this can fail is shown by replicas whose fsync
//! does nothing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use muster::client::Api;
use muster_e2e::local::{
    Federation, Fsync, Hub, LossyDisk, Options, job, jobs_path, until_within, with_own_mounts,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

const CUTS: u64 = 8;
/// Cuts after which replicas that lie must have been found out.
const LIES: u64 = 3;
const CLIENTS: usize = 4;
/// Acknowledged writes before each cut.
const WRITES: usize = 8;
/// All is looked at after so many cuts, and at the end.
const LOOK_EVERY: u64 = 100;
/// How long replicas may take to serve again.
const BACK: Duration = Duration::from_secs(60);
const DISK_MIB: u64 = 512;

#[test]
fn power_loss_loses_nothing_acknowledged() {
    with_own_mounts(|| on_threads(nothing_acknowledged_is_lost()));
}

#[test]
fn power_loss_finds_a_replica_that_acknowledges_before_its_fsync() {
    with_own_mounts(|| on_threads(a_lying_fsync_is_found_out()));
}

/// Threads see the mounts of who started them.
fn on_threads(test: impl Future<Output = ()>) {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    threads.block_on(test);
}

async fn nothing_acknowledged_is_lost() {
    let cuts = std::env::var("MUSTER_POWER_CUTS").map_or(CUTS, |text| text.parse().expect("a number"));
    let Some(machine) = Machine::new().await else { return };
    let start = Instant::now();
    let found = machine.cut(cuts, Fsync::Works).await;
    println!("{cuts} cuts in {:?}: {found:?}", start.elapsed());
    assert_eq!(found.refused, [""; 0]);
    assert_eq!(found.lost, [""; 0]);
    assert!(found.acknowledged as u64 >= cuts * WRITES as u64, "there was load");
}

async fn a_lying_fsync_is_found_out() {
    let Some(machine) = Machine::new().await else { return };
    let found = machine.cut(LIES, Fsync::Lies).await;
    println!("fsync that does nothing: {found:?}");
    assert!(!found.lost.is_empty() || !found.refused.is_empty(), "nobody noticed");
}

/// A hub on a disk that loses power.
struct Machine {
    // In this order: the disk goes before the folder it is mounted in.
    disk: LossyDisk,
    state: PathBuf,
    _root: TempDir,
}

/// What came of it.
#[derive(Debug, Default)]
struct Found {
    acknowledged: usize,
    lost: Vec<String>,
    refused: Vec<String>,
}

impl Machine {
    /// None where no such disk can be made.
    async fn new() -> Option<Machine> {
        let root = tempfile::tempdir().expect("a folder");
        let state = root.path().join("state");
        let replicas = state.join("controllers");
        std::fs::create_dir_all(&replicas).expect("a folder");
        let disk = LossyDisk::mount(&root.path().join("disk"), &replicas, DISK_MIB)?;
        // Makes keys, certificates and configurations.
        Federation::start(&Options { dir: Some(state.clone()), ..Options::default() }).stop();
        disk.come_back();
        Some(Machine { disk, state, _root: root })
    }

    async fn cut(&self, cuts: u64, fsync: Fsync) -> Found {
        let mut hub = Hub::start(&self.state, fsync);
        let load = Load::start(&hub);
        let mut found = Found::default();
        for cut in 1..=cuts {
            found.refused = load.until_written(&mut hub, WRITES).await;
            if !found.refused.is_empty() {
                break;
            }
            hub.kill(|| self.disk.lose_power());
            self.disk.come_back();
            hub.start_again();
            if cut % LOOK_EVERY == 0 {
                println!("{cut} cuts, {} acknowledged", load.acknowledged().len());
                found.lost = load.lost(&mut hub).await;
                assert_eq!(found.lost, [""; 0], "after {cut} cuts");
            }
        }
        if found.refused.is_empty() {
            found.refused = load.until_written(&mut hub, 1).await;
        }
        if found.refused.is_empty() {
            found.lost = load.lost(&mut hub).await;
        }
        found.acknowledged = load.acknowledged().len();
        found
    }
}

/// Clients that write all the time, each to the next replica where one does not answer.
struct Load {
    acknowledged: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    _clients: JoinSet<()>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Load {
    fn start(hub: &Hub) -> Load {
        let (acknowledged, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let apis: Vec<Api> = (1..=3).map(|replica| hub.api(replica)).collect();
            let (acknowledged, stop) = (Arc::clone(&acknowledged), Arc::clone(&stop));
            clients.spawn(async move {
                for serial in 0.. {
                    let name = format!("kept-{number}-{serial}");
                    if !write(&apis, &name, &stop).await {
                        return;
                    }
                    acknowledged.lock().expect("nobody panicked").push(name);
                }
            });
        }
        Load { acknowledged, stop, _clients: clients }
    }

    fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().expect("nobody panicked").clone()
    }

    /// Waits until so many more are acknowledged. Replicas that end by themselves meanwhile are given.
    async fn until_written(&self, hub: &mut Hub, more: usize) -> Vec<String> {
        let wanted = self.acknowledged().len() + more;
        let hub = Mutex::new(hub);
        until_within(BACK, "writes to be acknowledged", || async {
            let refused = hub.lock().expect("nobody panicked").refused();
            (!refused.is_empty() || self.acknowledged().len() >= wanted).then_some(refused)
        })
        .await
    }

    /// What was acknowledged and is not there.
    async fn lost(&self, hub: &mut Hub) -> Vec<String> {
        let acknowledged = self.acknowledged();
        let mut there = until_within(BACK, "all jobs", || async { names(&hub.api(1)).await }).await;
        there.sort_unstable();
        acknowledged.into_iter().filter(|name| there.binary_search(name).is_err()).collect()
    }
}

/// Repeats until it is stored; false if nobody wants it any more.
async fn write(apis: &[Api], name: &str, stop: &AtomicBool) -> bool {
    let mut suspended = job(name, "true", 1);
    suspended["spec"]["suspend"] = json!(true);
    for api in apis.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        if let Ok(reply) = api.request(Method::POST, &jobs_path(), Some(&suspended)).await
            // A try whose answer was lost may have been stored.
            && [StatusCode::CREATED, StatusCode::CONFLICT].contains(&reply.status)
        {
            return true;
        }
        until_the_next_try().await;
    }
    false
}

/// A replica that is away refuses at once.
async fn until_the_next_try() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

async fn names(api: &Api) -> Option<Vec<String>> {
    let reply = api.request(Method::GET, &jobs_path(), None).await.ok()?;
    let list = (reply.status == StatusCode::OK).then(|| reply.json().expect("a list"))?;
    let name = |item: &Value| item["metadata"]["name"].as_str().map(str::to_owned);
    Some(list["items"].as_array()?.iter().filter_map(name).collect())
}
