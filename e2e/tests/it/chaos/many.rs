//! Many faults, and SIGKILL for whoever is to take them back: each is over one second after its end.
//!
//! ```text
//! MUSTER_CHAOS_FAULTS=300 MUSTER_SEED=7 cargo test -p muster-e2e --test it chaos::many -- --nocapture
//! ```
//!
//! Without these it is two rounds of a fixed seed. What is believed is not what the hub tells but what the hosts' own records
//! and the states of the processes say, looked at all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use muster_e2e::local::{Federation, Options, until, until_within};
use muster_e2e::splitmix::SplitMix64;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::faults::{is_ready, state_of};
use super::verbs::{faults, ms, muster, records};

/// How long a fault may outlive its end.
const SLACK_MS: i64 = 1_000;

/// How long a process that was started may take to read what its folder holds.
const BOOT: Duration = Duration::from_millis(400);

struct Begun {
    id: String,
    kind: &'static str,
    target: String,
    expires: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_end_in_time_whoever_is_killed() {
    let wanted = from_environment("MUSTER_CHAOS_FAULTS", 10);
    let seed = from_environment("MUSTER_SEED", 5);
    println!("MUSTER_CHAOS_FAULTS={wanted} MUSTER_SEED={seed}");
    let federation = Federation::start(&Options::default());
    let mut random = SplitMix64(seed);
    let (mut late, mut kills) = (Vec::new(), 0);
    while late.len() < wanted as usize {
        let begun = begin_a_round(&federation, &mut random).await;
        let ends = begun.iter().map(|fault| fault.expires).max().expect("five faults");
        let mut last_seen = BTreeMap::new();
        while now_ms() < ends + SLACK_MS {
            if now_ms() < ends && random.below(12) == 0 {
                kills += kill_some(&federation, &mut random);
            }
            look(&federation, &begun, &mut last_seen);
            tick().await;
        }
        let overdue = |fault: &Begun| last_seen.get(&fault.id).map_or(0, |seen: &i64| seen - fault.expires);
        late.extend(begun.iter().map(overdue));
        let worst = begun.iter().max_by_key(|fault| overdue(fault)).expect("five faults");
        assert!(overdue(worst) < SLACK_MS, "{} of {}: {} ms", worst.kind, worst.target, overdue(worst));
        all_is_told(&federation, &begun).await;
    }
    late.sort_unstable();
    println!(
        "{} faults, {kills} kills: in effect after their end p50 {} ms, worst {} ms",
        late.len(),
        late[late.len() / 2],
        late[late.len() - 1]
    );
    assert!(kills as usize >= late.len() / 5, "{kills} kills");
    until("no residue", || async { records(&federation).is_empty().then_some(()) }).await;
}

/// One fault for each member and one for a replica, of 2 to 5 seconds.
async fn begin_a_round(federation: &Federation, random: &mut SplitMix64) -> Vec<Begun> {
    let mut begun = Vec::new();
    for member in federation.names("agent") {
        until_within(Duration::from_secs(60), "contact", || is_ready(federation, &member)).await;
        let kind = ["partition", "kill", "pause", "drain"][random.index(4)];
        begun.push(begin(federation, kind, member, 2 + random.below(4)).await);
    }
    let replicas = federation.names("controller");
    let kind = ["kill", "pause"][random.index(2)];
    let replica = replicas[random.index(replicas.len())].clone();
    begun.push(begin(federation, kind, replica, 2 + random.below(4)).await);
    begun
}

async fn begin(federation: &Federation, kind: &'static str, target: String, seconds: u64) -> Begun {
    let ttl = format!("{seconds}s");
    let told = until_within(Duration::from_secs(60), &format!("{kind} of {target}"), || async {
        let output = muster(federation, &["chaos", kind, &target, "--for", &ttl, "-o", "json"]);
        output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).expect("JSON"))
    })
    .await;
    Begun {
        id: told["id"].as_str().expect("an id").to_owned(),
        kind,
        target,
        expires: ms(&told["expiresAt"]),
    }
}

/// SIGKILLs an agent, a replica, or the whole hub.
fn kill_some(federation: &Federation, random: &mut SplitMix64) -> u64 {
    let (agents, controllers) = (federation.names("agent"), federation.names("controller"));
    let victims = match random.below(5) {
        0 => controllers,
        1 | 2 => vec![controllers[random.index(controllers.len())].clone()],
        _ => vec![agents[random.index(agents.len())].clone()],
    };
    victims.iter().filter(|name| federation.signal(name, Signal::SIGKILL)).count() as u64
}

/// Notes which faults are in effect now: a pause by how its process stands, others by what their host keeps. What is dead has
/// no fault, and what was started just now is given a moment to read its folder.
fn look(federation: &Federation, begun: &[Begun], last_seen: &mut BTreeMap<String, i64>) {
    let now = now_ms();
    let open: BTreeSet<String> = records(federation).iter().filter_map(|path| open_record(path)).collect();
    for fault in begun {
        let pid = federation.pid(&fault.target);
        let in_effect = match fault.kind {
            "pause" => state_of(pid) == Some('T'),
            _ => open.contains(&fault.id) && age(pid).is_some_and(|age| age > BOOT),
        };
        if in_effect {
            last_seen.insert(fault.id.clone(), now);
        }
    }
}

/// The fault of a host's record, if it is not taken back. None as well for one that is just being written or removed: the next
/// look sees it.
fn open_record(path: &Path) -> Option<String> {
    let record: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    record["revertedMs"].is_null().then(|| record["id"].as_str().unwrap_or_default().to_owned())
}

/// How long ago a process was started; none if it is not there.
fn age(pid: i32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22, in hundredths of a second since the boot; the name before may hold anything but the last parenthesis.
    let started: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_secs_f64(uptime).saturating_sub(Duration::from_millis(started * 10)))
}

/// The hub has heard the end of each from its host, and no member is drained.
async fn all_is_told(federation: &Federation, begun: &[Begun]) {
    until_within(Duration::from_secs(60), "the hub knows all ends", || async {
        let told = faults(federation).await;
        let over = |fault: &Begun| {
            let found = told.iter().find(|told| told["id"] == fault.id.as_str());
            found.is_some_and(|told| told["state"] == "reverted" && told["confirmed"] == true)
        };
        begun.iter().all(over).then_some(())
    })
    .await;
    for drain in begun.iter().filter(|fault| fault.kind == "drain") {
        let path = format!("/apis/muster.sh/v1alpha1/clusters/{}", drain.target);
        let cluster = until("the member", || async { federation.get(&path).await }).await;
        assert_eq!(cluster["status"]["drainedBy"], Value::Null, "{}", drain.target);
    }
}

/// The time between two looks.
async fn tick() {
    tokio::time::sleep(Duration::from_millis(40)).await;
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    i64::try_from(now).expect("a time of our days")
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
