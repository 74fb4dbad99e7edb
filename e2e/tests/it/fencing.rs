//! Members and hub that fall silent, on real processes: what the partition policy promises, in milliseconds.
//!
//! Each job writes a line about every 50 ms as long as it lives; intervals of its epochs must never overlap (S4).

use std::time::Duration;

use muster_e2e::local::{
    Federation, Frozen, Options, Script, Witness, condition, job, job_path, jobs_path, now_ms, runs_of,
    shims, until, until_within,
};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

pub const FENCE_AFTER_MS: u64 = 12_000;
/// What the hub waits beyond the deadline (2 s and two drifting clocks), and what L4 allows on top.
pub const REPLACED_WITHIN_MS: u64 = FENCE_AFTER_MS + 2_005 + 10_000;
pub const LEASE_MS: u64 = 18_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// A job with its witness, submitted and running.
pub struct Watched {
    pub name: &'static str,
    pub witness: Witness,
}

impl Watched {
    pub async fn start(
        federation: &Federation,
        name: &'static str,
        placement: Value,
        script: Script,
    ) -> Watched {
        let witness = Witness::new(&federation.dir, name);
        let mut job = job(name, &witness.script(script), 1);
        job["metadata"]["annotations"] = json!({"muster.sh/placement-spec": placement.to_string()});
        federation.create(&jobs_path(), &job).await;
        until(name, || async { witness.is_alive().then_some(()) }).await;
        Watched { name, witness }
    }

    /// When its second life began.
    pub async fn second_life(&self) -> u64 {
        let what = format!("a second life of {}", self.name);
        until_within(PATIENCE, &what, || async { self.witness.lives().get(1).map(|life| life.first_ms) })
            .await
    }

    /// The last sign of its first life.
    pub fn first_end(&self) -> u64 {
        self.witness.lives()[0].last_ms
    }

    pub async fn phases(&self, federation: &Federation) -> Vec<String> {
        runs_of(federation, self.name).await.into_iter().map(|run| run.phase).collect()
    }

    pub async fn until_phases(&self, federation: &Federation, want: &[&str]) {
        let what = format!("runs of {} to be {want:?}", self.name);
        until_within(PATIENCE, &what, || async { (self.phases(federation).await == want).then_some(()) })
            .await;
    }

    pub async fn cluster(&self, federation: &Federation) -> String {
        runs_of(federation, self.name).await.last().expect("it was placed").cluster.clone()
    }
}

pub fn fence() -> Value {
    json!({"partitionPolicy": "Fence", "fenceAfter": "12s"})
}

async fn until_ready(federation: &Federation, member: &str) {
    let path = format!("/apis/muster.sh/v1alpha1/clusters/{member}");
    until_within(PATIENCE, "the member to be Ready", || async {
        let cluster = federation.get(&path).await?;
        (condition(&cluster, "Ready")?.0 == "True").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_member_ends_its_fenced_attempts_before_the_hub_starts_the_next() {
    let federation = Federation::start(&Options::default());
    // Deaf to SIGTERM: only the deadline's SIGKILL ends it.
    let fenced = Watched::start(&federation, "fenced", fence(), Script::Stubborn).await;
    let kept = Watched::start(&federation, "kept", json!({"partitionPolicy": "Keep"}), Script::Endless).await;
    let doubled =
        Watched::start(&federation, "doubled", json!({"partitionPolicy": "DuplicateOk"}), Script::Endless)
            .await;
    let member = fenced.cluster(&federation).await;
    for job in [&fenced, &kept, &doubled] {
        job.until_phases(&federation, &["Running"]).await;
        assert_eq!(job.cluster(&federation).await, member);
    }

    let frozen = Frozen::freeze(&federation, &member);
    let since = frozen.since_ms;
    let again = fenced.second_life().await - since;
    let dead = fenced.first_end() - since;
    let replaced = doubled.second_life().await - since;
    println!("ms after SIGSTOP of the agent: fenced dead {dead}, fenced again {again}, duplicate {replaced}");
    assert!(dead < FENCE_AFTER_MS, "the deadline means dead: {dead} ms");
    assert!(again < REPLACED_WITHIN_MS, "{again} ms");
    assert!(replaced < LEASE_MS + 10_000, "{replaced} ms");
    fenced.witness.assert_alone();
    assert_eq!(fenced.phases(&federation).await, ["Fenced", "Running"]);
    assert_ne!(fenced.cluster(&federation).await, member);
    assert_eq!(kept.witness.lives().len(), 1);
    assert!(kept.witness.is_alive(), "nothing of a job under Keep is killed because contact was lost");
    assert!(doubled.first_end() + 1_000 > since + replaced, "the first of the two is not killed either");

    frozen.thaw();
    until_ready(&federation, &member).await;
    println!("ms after SIGSTOP of the agent: Ready again {}", now_ms() - since);
    the_old_ends(&doubled).await;
    // The member takes new work, so it has seen what it shall not run any more.
    let probe = Watched::start(&federation, "probe", json!({}), Script::Endless).await;
    assert_eq!(probe.cluster(&federation).await, member);
    fenced.witness.assert_alone();
    assert_eq!(fenced.witness.lives().len(), 2, "the old epoch did not come back");
    assert_eq!(doubled.witness.lives().len(), 2);
    assert_eq!(kept.witness.lives().len(), 1);
    assert!(kept.witness.is_alive() && fenced.witness.is_alive() && doubled.witness.is_alive());
    assert_eq!(kept.phases(&federation).await, ["Running"]);
}

/// Of two lives the first one ends, the second goes on.
pub async fn the_old_ends(job: &Watched) {
    until("the replaced attempt to end", || async {
        let lives = job.witness.lives();
        (lives[0].last_ms + 1_000 < lives[1].last_ms).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_hub_fences_what_asked_for_it_and_nothing_else() {
    let federation = Federation::start(&Options::default());
    let fenced = Watched::start(&federation, "fenced", fence(), Script::Stubborn).await;
    let kept = Watched::start(&federation, "kept", json!({"partitionPolicy": "Keep"}), Script::Endless).await;
    let doubled =
        Watched::start(&federation, "doubled", json!({"partitionPolicy": "DuplicateOk"}), Script::Endless)
            .await;
    for job in [&fenced, &kept, &doubled] {
        job.until_phases(&federation, &["Running"]).await;
    }

    let frozen: Vec<Frozen> =
        federation.names("controller").iter().map(|name| Frozen::freeze(&federation, name)).collect();
    let since = frozen[0].since_ms;
    // Longer than every lease, too.
    until("the silence to last", || async { (now_ms() > since + LEASE_MS + 1_000).then_some(()) }).await;
    let dead = fenced.first_end() - since;
    assert!(dead < FENCE_AFTER_MS, "the deadline means dead, whoever is silent: {dead} ms");
    assert!(kept.witness.is_alive() && doubled.witness.is_alive());
    let thawed = now_ms();
    frozen.into_iter().for_each(Frozen::thaw);
    let again = fenced.second_life().await;
    println!(
        "hub silent for {} ms: fenced dead at {dead}, again {} ms after",
        thawed - since,
        again - thawed
    );
    fenced.until_phases(&federation, &["Fenced", "Running"]).await;
    for member in federation.names("agent") {
        until_ready(&federation, &member).await;
    }
    fenced.witness.assert_alone();
    assert_eq!(fenced.witness.lives().len(), 2, "requeued once");
    for job in [&kept, &doubled] {
        assert_eq!(job.phases(&federation).await, ["Running"], "{}", job.name);
        assert_eq!(job.witness.lives().len(), 1, "{}", job.name);
        assert!(job.witness.is_alive(), "{}", job.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_shim_takes_its_processes_along() {
    let federation = Federation::start(&Options::default());
    let retried = Watched::start(&federation, "retried", json!({}), Script::Beats(100)).await;
    let witness = Witness::new(&federation.dir, "once");
    let mut once = job("once", &witness.script(Script::Stubborn), 1);
    once["spec"]["backoffLimit"] = json!(0);
    federation.create(&jobs_path(), &once).await;
    let once = Watched { name: "once", witness };
    until("it runs", || async { once.witness.is_alive().then_some(()) }).await;
    for job in [&retried, &once] {
        job.until_phases(&federation, &["Running"]).await;
    }

    let shims = shims(&federation.dir);
    assert!(shims.len() >= 2, "{shims:?}");
    let killed = now_ms();
    for shim in shims {
        // The death of one may be that of another.
        let _ = kill(shim, Signal::SIGKILL);
    }
    let job = until("the job without retries to fail", || async {
        let job = federation.get(&job_path("once")).await?;
        condition(&job, "Failed").map(|failed| (failed, job))
    })
    .await;
    println!("told after {} ms: {:?}", now_ms() - killed, job.0);
    assert_eq!(job.0.0, "True");
    assert!(once.first_end() < killed + 500, "its processes died with the shim");
    assert_eq!(once.phases(&federation).await, ["Failed"]);

    let again = retried.second_life().await - killed;
    println!("started again after {again} ms");
    until("it completes", || async {
        let job = federation.get(&job_path("retried")).await?;
        (condition(&job, "Complete")?.0 == "True").then_some(())
    })
    .await;
    retried.witness.assert_alone();
    let lives = retried.witness.lives();
    assert_eq!(lives.iter().map(|life| life.ended).collect::<Vec<_>>(), [false, true], "{lives:?}");
    assert_eq!(once.witness.lives().len(), 1);
}
