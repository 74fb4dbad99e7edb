//! Single faults: the interface, their limits, and their end whatever dies.

use std::time::{Duration, Instant};

use muster_e2e::local::{Federation, Options, job_path, jobs_path, runs_of, sleep_job, until, until_within};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::verbs::{fault, faults, json, ms, muster, records, refusal};

async fn until_state(federation: &Federation, id: &str, state: &str) -> Value {
    until(&format!("{id} {state}"), || async { fault(federation, id).await.filter(|f| f["state"] == state) })
        .await
}

fn id_of(fault: &Value) -> String {
    fault["id"].as_str().expect("an id").to_owned()
}

/// Whether the member's lease is held.
pub async fn is_ready(federation: &Federation, member: &str) -> Option<()> {
    let cluster = federation.get(&format!("/apis/muster.sh/v1alpha1/clusters/{member}")).await?;
    let conditions = cluster["status"]["conditions"].as_array()?;
    conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True").then_some(())
}

/// The state letter of a process.
pub fn state_of(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_taken_back_in_time_though_hub_and_agent_are_killed() {
    let federation = Federation::start(&Options::default());
    let member = federation.names("agent").remove(0);
    let begun = json(&federation, &["chaos", "partition", &member, "--for", "6s"]);
    let keys: Vec<&String> = begun.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["expiresAt", "id", "kind", "owner", "target"]);
    let id = id_of(&begun);
    until_state(&federation, &id, "active").await;
    assert!(federation.signal(&member, Signal::SIGKILL));
    for controller in federation.names("controller") {
        assert!(federation.signal(&controller, Signal::SIGKILL));
    }
    let confirmed = until("its host's word", || async {
        fault(&federation, &id).await.filter(|fault| fault["confirmed"] == true)
    })
    .await;
    let late = ms(&confirmed["revertedAt"]) - ms(&confirmed["expiresAt"]);
    assert!((-200..=1_000).contains(&late), "{late} ms late");
    until("contact", || is_ready(&federation, &member)).await;
    until("no residue", || async { records(&federation).is_empty().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_aborted_is_healed() {
    let federation = Federation::start(&Options::default());
    let members = federation.names("agent");
    // A leader that stands still cannot tell that it does, and for a moment nobody answers.
    let leader = federation.leader().await;
    let replica = federation.names("controller").into_iter().find(|name| *name != leader);
    let replica = replica.expect("three replicas");
    let begin =
        |verb: &str, target: &str| id_of(&json(&federation, &["chaos", verb, target, "--for", "60s"]));
    let ids = [
        begin("partition", &members[0]),
        begin("kill", &members[1]),
        begin("pause", &members[2]),
        begin("drain", &members[3]),
        begin("pause", &replica),
    ];
    for id in &ids {
        until_state(&federation, id, "active").await;
    }
    until("the agent stands still", || async {
        (state_of(federation.pid(&members[2])) == Some('T')).then_some(())
    })
    .await;
    until("the replica stands still", || async {
        (state_of(federation.pid(&replica)) == Some('T')).then_some(())
    })
    .await;
    let refused = refusal(&federation, &["chaos", "kill", &leader, "--for", "5s"]);
    assert!(refused.contains("target: "), "{refused}");
    let start = Instant::now();
    let listed = json(&federation, &["chaos", "abort", "--all"]);
    assert!(listed.as_array().is_some_and(|all| all.iter().all(|fault| fault["state"].is_string())));
    until_within(Duration::from_secs(10), "all healed", || async {
        let all = faults(&federation).await;
        let healed = all.iter().all(|fault| fault["state"] == "reverted" && fault["confirmed"] == true);
        (healed && all.len() == ids.len()).then_some(())
    })
    .await;
    // 3 s is the figure of a machine that has time for it; a busy one gets three times that above.
    println!("healed {:?} after the abort", start.elapsed());
    assert_eq!(state_of(federation.pid(&replica)), Some('S'));
    until("no residue", || async { records(&federation).is_empty().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_with_its_guard_and_one_lever_refuses_new_faults() {
    let federation = Federation::start(&Options::default());
    let member = federation.names("agent").remove(0);
    let agent = federation.pid(&member);
    let id = id_of(&json(&federation, &["chaos", "pause", &member, "--for", "60s"]));
    until("it stands still", || async { (state_of(agent) == Some('T')).then_some(()) }).await;
    let guard = child_of(agent).expect("its guard");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(guard), Signal::SIGKILL).expect("it is there");
    until("it goes on", || async { (state_of(agent) != Some('T')).then_some(()) }).await;
    let ended = until_state(&federation, &id, "reverted").await;
    assert_eq!(ended["cause"], "EndedByHost");
    for args in [&["chaos", "stop"], &["chaos", "resume"]] {
        let refused = args[1] == "stop";
        assert!(muster(&federation, args).status.success());
        let drain = ["chaos", "drain", &member, "--for", "1s"];
        if refused {
            assert!(refusal(&federation, &drain).contains("chaos: is stopped by"));
        } else {
            json(&federation, &drain);
        }
    }
    for (args, why) in [
        (["chaos", "partition", "nobody", "--for", "5s"], "target: there is no member or replica"),
        (["chaos", "partition", &member, "--for", "2h"], "ttl: must be from 1s to 1h"),
        (["chaos", "partition", &member, "--for", "soon"], "for: must be a duration"),
        (["chaos", "drain", "controller-1", "--for", "5s"], "target: controller-1 is a replica"),
    ] {
        let refused = refusal(&federation, &args);
        assert!(refused.contains(why), "{refused}");
    }
}

/// The guard that a process started.
fn child_of(parent: i32) -> Option<i32> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.into_iter().find(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let of =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
        of == Some(parent) && line.split(|byte| *byte == 0).nth(1) == Some(b"guard")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn drains_compose_and_move_what_runs() {
    let federation = Federation::start(&Options::default());
    federation.create(&jobs_path(), &sleep_job("steady", 1)).await;
    let first = until("it runs", || async {
        let runs = runs_of(&federation, "steady").await;
        runs.into_iter().find(|run| run.phase == "Running")
    })
    .await;
    assert!(
        muster(&federation, &["cluster", "drain", &first.cluster, "--owner", "upgrade"]).status.success()
    );
    let id = id_of(&json(&federation, &["chaos", "drain", &first.cluster, "--for", "60s"]));
    let second = until("it runs elsewhere", || async {
        let runs = runs_of(&federation, "steady").await;
        runs.into_iter().find(|run| run.phase == "Running" && run.cluster != first.cluster)
    })
    .await;
    assert_ne!(second.epoch, first.epoch);
    let drained_by = || async {
        let path = format!("/apis/muster.sh/v1alpha1/clusters/{}", first.cluster);
        federation.get(&path).await.map(|cluster| cluster["status"]["drainedBy"].clone())
    };
    assert_eq!(drained_by().await, Some(serde_json::json!([id, "upgrade"])));
    json(&federation, &["chaos", "abort", &id]);
    assert_eq!(drained_by().await, Some(serde_json::json!(["upgrade"])));
    assert!(
        muster(&federation, &["cluster", "undrain", &first.cluster, "--owner", "upgrade"]).status.success()
    );
    assert_eq!(drained_by().await, Some(Value::Null));
    assert!(federation.get(&job_path("steady")).await.is_some());
}
