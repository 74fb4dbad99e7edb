//! Game days: dry run, approval by hash, run, verdict, report, abort.

use muster_e2e::local::{Federation, Options, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::verbs::{faults, json as shown, muster, records, refusal};

const GAME_DAYS: &str = "/apis/muster.sh/v1alpha1/gamedays";

fn day(name: &str, faults: &Value) -> Value {
    json!({
        "apiVersion": "muster.sh/v1alpha1",
        "kind": "GameDay",
        "metadata": {"name": name},
        "spec": {"faults": faults, "limits": {"members": 1, "replicas": 1, "duration": "2m"}},
    })
}

async fn status(federation: &Federation, name: &str) -> Option<Value> {
    Some(federation.get(&format!("{GAME_DAYS}/{name}")).await?["status"].clone())
}

fn plan_hash(federation: &Federation, name: &str) -> String {
    let plan = shown(federation, &["gameday", "plan", name]);
    plan["planHash"].as_str().expect("a hash").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_game_day_passes_through_a_change_of_leader() {
    let federation = Federation::start(&Options::default());
    let member = federation.names("agent").remove(0);
    let targets = json!({"members": {"names": [&member]}});
    let faults_wanted = json!([
        {"kind": "partition", "for": "4s", "targets": targets},
        {"kind": "kill", "after": "5s", "for": "2s", "targets": targets},
    ]);
    federation.create(GAME_DAYS, &day("small", &faults_wanted)).await;
    let hash = plan_hash(&federation, "small");
    assert_eq!(hash, plan_hash(&federation, "small"), "a dry run changes nothing");
    assert!(faults(&federation).await.is_empty());
    let wrong = refusal(&federation, &["gameday", "run", "small", "--plan-hash", &"0".repeat(32)]);
    assert!(wrong.contains(&format!("planHash: the plan is {hash} now")), "{wrong}");
    assert!(muster(&federation, &["gameday", "run", "small", "--plan-hash", &hash]).status.success());
    let leader = federation.leader().await;
    until("the first fault", || async { (!faults(&federation).await.is_empty()).then_some(()) }).await;
    assert!(federation.signal(&leader, Signal::SIGKILL));
    until("its end", || async { (status(&federation, "small").await?["phase"] == "Idle").then_some(()) })
        .await;
    let text = muster(&federation, &["gameday", "report", "small"]);
    let report = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.status.success() && report.contains("small run 1: Passed"), "{report}");
    let file = federation.dir.join("report.json");
    let path = file.display().to_string();
    assert!(
        muster(&federation, &["gameday", "report", "small", "-o", "json", "--file", &path]).status.success()
    );
    let report: Value = serde_json::from_slice(&std::fs::read(&file).expect("the file")).expect("JSON");
    assert_eq!(report["planHash"], hash.as_str());
    let late = report["steps"].as_array().expect("steps").iter().map(|step| step["revertLatencyMs"].as_u64());
    assert!(late.into_iter().all(|ms| ms.is_some_and(|ms| ms <= 1_000)), "{report:#}");
    assert!(report["probes"].as_array().is_some_and(|probes| probes.len() == 3), "{report:#}");
    until("no residue", || async { records(&federation).is_empty().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_game_day_heals_and_two_never_overlap() {
    let federation = Federation::start(&Options::default());
    let member = federation.names("agent").remove(0);
    let targets = json!({"members": {"names": [&member]}});
    for name in ["first", "second"] {
        let fault = json!([{"kind": "partition", "for": "60s", "targets": targets}]);
        federation.create(GAME_DAYS, &day(name, &fault)).await;
    }
    let far = day("far", &json!([{"kind": "drain", "for": "5s", "count": 9, "targets": {"members": {}}}]));
    federation.create(GAME_DAYS, &far).await;
    let refused = muster(&federation, &["gameday", "plan", "far"]);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(said.contains("spec.faults[0].targets: 9 wanted, 4 in contact match"), "{said}");
    let run = |name: &str| {
        let hash = plan_hash(&federation, name);
        muster(&federation, &["gameday", "run", name, "--plan-hash", &hash])
    };
    let second = plan_hash(&federation, "second");
    assert!(run("first").status.success());
    until("its fault", || async { faults(&federation).await.into_iter().find(|f| f["state"] == "active") })
        .await;
    let overlap = refusal(&federation, &["gameday", "run", "second", "--plan-hash", &second]);
    assert!(overlap.contains("game day first is under way"), "{overlap}");
    let start = std::time::Instant::now();
    assert!(muster(&federation, &["gameday", "abort", "first"]).status.success());
    let status = until("its end", || async {
        status(&federation, "first").await.filter(|status| status["phase"] == "Idle")
    })
    .await;
    assert!(start.elapsed().as_secs() < 3, "{:?}", start.elapsed());
    assert_eq!(status["report"]["verdict"], "Aborted");
    // A member that has gone since the dry run is another plan.
    assert!(muster(&federation, &["delete", "cluster", &member]).status.success());
    let gone = refusal(&federation, &["gameday", "run", "second", "--plan-hash", &second]);
    assert!(gone.contains("1 wanted, 0 in contact match"), "{gone}");
}
