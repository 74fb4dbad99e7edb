//! Agents and jobs for these tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_member_agent::{AgentConfig, GuardCommand, JoinInfo, MemberEntry, ShimCommand, run};
use muster_model::*;
use nix::fcntl::{Flock, FlockArg};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::hub::{TOKEN, TestHub};

pub const HUB: &str = "spiffe://muster/hub/controller-1";

pub fn config(state: &Path, hub: &TestHub, backend: Backend) -> AgentConfig {
    let spec = ClusterSpec {
        location: Location::region("onprem", "here"),
        price_class: PriceClass::OnPrem,
        backend,
        labels: BTreeMap::new(),
        taints: vec![],
        unschedulable: false,
        transfer_bytes_per_second: None,
    };
    let allocatable = Resources { gpu_milli: 2000, cpu_milli: 8000, memory_bytes: 1 << 34 };
    let nodes = vec![NodeShape { gpu_model: Some(GpuModel::new("G")), allocatable, nodes: 1 }];
    AgentConfig {
        name: "m".to_owned(),
        state: state.to_owned(),
        entry: Some(MemberEntry { spec, nodes }),
        join: Some(JoinInfo {
            url: format!("https://{}", hub.address),
            token: TOKEN.to_owned(),
            ca_pin: hub.shared.authority.pin(),
            patience: Duration::ZERO,
        }),
        hub_addresses: vec![],
        shim: ShimCommand { program: env!("CARGO_BIN_EXE_muster-shim").into(), args: vec![] },
        // Nothing is paused in these tests.
        guard: GuardCommand { program: "/bin/false".into(), args: vec![] },
    }
}

/// An agent in the background.
pub struct Agent {
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    lock: PathBuf,
}

impl Agent {
    pub fn start(config: AgentConfig) -> Agent {
        let shutdown = CancellationToken::new();
        let lock = config.state.join("lock");
        let task = tokio::spawn(run(config, shutdown.clone()));
        Agent { shutdown, task, lock }
    }

    /// Goes down in good order.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Goes at once, as if it were killed.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        wait_for_lock(&self.lock).await;
    }
}

/// A child that another test is about to start holds what this process has locked, until its exec.
async fn wait_for_lock(path: &Path) {
    let start = Instant::now();
    while let Ok(file) = File::open(path)
        && let Err((_, error)) = Flock::lock(file, FlockArg::LockExclusiveNonblock)
    {
        assert!(start.elapsed() < Duration::from_secs(10), "{}: {error}", path.display());
        tokio::task::yield_now().await;
    }
}

/// A job of one pod with this pod template.
pub fn job(epoch: u64, template: &str) -> DesiredAttempt {
    let request = Resources { gpu_milli: 1000, ..Resources::default() };
    DesiredAttempt {
        job: Key::job("default", "train"),
        uid: Uid(0xfeed << 112),
        epoch: Epoch(epoch),
        spec: Arc::new(JobSpec {
            pod_sets: vec![PodSet { name: "main".into(), count: 1, request }],
            completion: Completion { parallelism: 1, completions: Some(1), indexed: false },
            backoff_limit: 0,
            active_deadline: None,
            ttl_after_finished: None,
            grace: DurationMs(5_000),
            suspend: false,
            placement: PlacementChoice::Default,
            tolerations: vec![],
            node_selector: Selector::default(),
            gpu_model: None,
            rules: JobRules::default(),
        }),
        body: format!("\"spec\":{{\"template\":{template}}}").into(),
        claims: vec![PodClaim { pod_set: 0, node: 0, pods: 1 }],
        gpu_model: Some(GpuModel::new("G")),
        requests: vec![request],
        policy: GrantPolicy::default(),
        stop: None,
        grace: DurationMs(5_000),
        before: PodCounts::default(),
        completed_indexes: "".into(),
        index_failures: IndexFailures::default(),
        active_deadline_left: None,
        data: vec![],
    }
}

/// A pod template of a shell command.
pub fn shell(script: &str) -> String {
    let container = serde_json::json!({"name": "main", "image": "any", "command": ["/bin/sh", "-c", script]});
    serde_json::json!({"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": [container]}}).to_string()
}

/// How an attempt was reported to have ended, if it was.
pub fn outcome(report: Option<&AttemptReport>) -> Option<AttemptOutcome> {
    match &report?.state {
        ReportedState::Ended { outcome, .. } => Some(outcome.clone()),
        ReportedState::Running { .. } => None,
    }
}
