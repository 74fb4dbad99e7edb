//! A pool under test: its members, what of them is there as processes, and its books.

use std::path::{Path, PathBuf};
use std::time::Duration;

use muster_e2e::local::{Federation, condition, job, until, until_within};
use serde_json::{Value, json};

/// Where pools are.
pub const POOLS: &str = "/apis/muster.sh/v1alpha1/burstpools";

/// GPUs of a member's Node: more than any member of the default federation has on one, so that the job fits nowhere else.
const GPUS: u32 = 12;

/// A step in the middle of which the leader may be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Requested,
    Applying,
    Joining,
    Ready,
    Draining,
    Destroying,
}

impl Step {
    pub const ALL: [Step; 6] =
        [Step::Applying, Step::Joining, Step::Ready, Step::Draining, Step::Destroying, Step::Requested];

    /// How far a phase is.
    fn of(phase: &str) -> Option<Step> {
        Some(match phase {
            "Requested" => Step::Requested,
            "Applying" => Step::Applying,
            "Joining" => Step::Joining,
            "Ready" => Step::Ready,
            "Draining" => Step::Draining,
            "Destroying" => Step::Destroying,
            _ => return None,
        })
    }
}

/// The `terraform` to test with, or why there is none. Continuous integration has one: there its absence is a failure.
pub fn terraform() -> Option<String> {
    if let Some(path) = std::env::var_os("MUSTER_TERRAFORM") {
        return Some(path.to_string_lossy().into_owned());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&paths).map(|folder| folder.join("terraform")).find(|path| path.is_file());
    if found.is_none() {
        let why = "`terraform` is not on PATH: install 1.5 or newer, or set MUSTER_TERRAFORM";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("skipped: {why}");
    }
    found.map(|path| path.to_string_lossy().into_owned())
}

/// A pool whose members cost $12 per hour and go after a second without a job.
pub fn pool_document(name: &str) -> Value {
    json!({
        "apiVersion": "muster.sh/v1alpha1",
        "kind": "BurstPool",
        "metadata": {"name": name},
        "spec": {
            "module": "process-cluster",
            "variables": {"stop_seconds": 5},
            "location": {"provider": "onprem", "region": "berlin"},
            "priceClass": "onPrem",
            "nodes": [{"count": 1, "cpu": "96", "memory": "512Gi", "gpu": {"model": "NVIDIA-A100-SXM4-80GB", "count": GPUS}}],
            "max": 2,
            "priceCap": "100.00",
            "idleTTL": "1s",
            "joinTimeout": "30s",
        },
    })
}

/// A job that only a member of the pool can hold.
pub fn burst_job(name: &str, script: &str) -> Value {
    job(name, script, GPUS)
}

pub struct Pool {
    pub name: String,
    /// Where its members lie.
    pub root: PathBuf,
}

impl Pool {
    pub async fn create(federation: &Federation, document: &Value) -> Pool {
        federation.create(POOLS, document).await;
        let name = document["metadata"]["name"].as_str().expect("a name").to_owned();
        let root = federation.dir.join("burst").join(&name);
        let pool = Pool { name, root };
        until("the pool is ready", || async {
            (condition(&pool.get(federation).await?, "Ready")?.0 == "True").then_some(())
        })
        .await;
        pool
    }

    async fn get(&self, federation: &Federation) -> Option<Value> {
        federation.get(&format!("{POOLS}/{}", self.name)).await
    }

    async fn members(&self, federation: &Federation) -> Option<Vec<Value>> {
        Some(self.get(federation).await?["status"]["members"].as_array().cloned().unwrap_or_default())
    }

    /// The name of the member that was asked for last.
    pub async fn newest(&self, federation: &Federation) -> Option<String> {
        until("an answer", || async { self.members(federation).await }).await.last().map(name_of)
    }

    /// Waits until a member is at a step; gives its name.
    pub async fn member_at(&self, federation: &Federation, step: Step) -> String {
        self.wait_for(federation, step, |at| at == Some(step)).await
    }

    /// Waits until a member is at a step or past it: short steps may not be seen.
    pub async fn member_past(&self, federation: &Federation, step: Step) -> String {
        self.wait_for(federation, step, |at| at.is_none_or(|at| at >= step)).await
    }

    async fn wait_for(
        &self,
        federation: &Federation,
        step: Step,
        suits: impl Fn(Option<Step>) -> bool,
    ) -> String {
        until_within(Duration::from_secs(60), &format!("a member at {step:?}"), || async {
            let members = self.members(federation).await?;
            let newest = members.last()?;
            let phase = newest["phase"].as_str().unwrap_or_default();
            suits(Step::of(phase)).then(|| name_of(newest))
        })
        .await
    }

    /// Waits until a member is gone, and checks that nothing of it is left.
    pub async fn gone(&self, federation: &Federation, member: &str) {
        let last = until_within(Duration::from_secs(60), &format!("the end of {member}"), || async {
            let members = self.members(federation).await?;
            let one = members.into_iter().find(|one| one["name"] == member)?;
            matches!(one["phase"].as_str(), Some("Gone" | "Failed")).then_some(one)
        })
        .await;
        assert_eq!(last["phase"], "Gone", "{last}");
        assert_eq!(agents_below(&self.root), Vec::<i32>::new(), "no orphan of {member}");
        let cluster = format!("/apis/muster.sh/v1alpha1/clusters/{member}");
        until("its Cluster is gone", || async { federation.get(&cluster).await.is_none().then_some(()) })
            .await;
        let state = format!("/terraform/state/{member}");
        assert!(federation.get(&state).await.is_none(), "its state is gone");
    }

    /// Every intent has one member, and what they cost is what the pool costs. At least so many were made.
    pub async fn check_books(&self, federation: &Federation, at_least: usize) {
        let pool = until("the pool", || async { self.get(federation).await }).await;
        let members = pool["status"]["members"].as_array().cloned().unwrap_or_default();
        assert!(members.len() >= at_least, "{pool}");
        assert_eq!(pool["status"]["active"], 0, "{pool}");
        let mut intents: Vec<&str> = members.iter().filter_map(|one| one["intent"].as_str()).collect();
        intents.sort_unstable();
        intents.dedup();
        assert_eq!(intents.len(), members.len(), "no intent comes twice: {pool}");
        let micro = |value: &Value| {
            let text = value.as_str().expect("money is text");
            let (whole, fraction) = text.split_once('.').expect("with decimals");
            format!("{whole}{fraction:0<6}").parse::<u64>().expect("digits")
        };
        let sum: u64 = members.iter().map(|one| micro(&one["cost"])).sum();
        if members.len() < 16 {
            assert_eq!(sum, micro(&pool["status"]["costSoFar"]), "{pool}");
        }
    }
}

fn name_of(member: &Value) -> String {
    member["name"].as_str().unwrap_or_default().to_owned()
}

/// Processes that have something below the folder as an argument: agents and their shims.
pub fn agents_below(root: &Path) -> Vec<i32> {
    let root = format!("{}/", root.display());
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_below = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = line.split(|byte| *byte == 0);
        let is_agent = arguments.clone().any(|argument| argument == b"agent");
        is_agent && arguments.any(|argument| argument.starts_with(root.as_bytes()))
    };
    pids.filter(is_below).collect()
}
