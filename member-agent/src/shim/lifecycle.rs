//! Which container of a pod is started when, and when the pod is over. Pure: ends and times in, what to start out.
//!
//! ```text
//!  init --completed--> init --> ... --> all mains --all ended--> over
//!  sidecar: started in its turn, not waited for, started again until the pod is over
//! ```
//!
//! Source: Kubernetes' documentation of init containers, sidecar containers (KEP-753) and restart policies. The first
//! restart is immediate, then 10 s doubling to 5 min, reset after 10 min of running, as the kubelet does.

use super::record::{ContainerEnd, ContainerState, ContainerStatus, ExitReason};
use super::spec::{ContainerRole, ContainerSpec, RestartPolicy};

/// The second restart's delay.
const BACKOFF_FIRST_MS: u64 = 10_000;
/// The longest.
const BACKOFF_MAX_MS: u64 = 300_000;
/// A container that ran so long begins anew.
const BACKOFF_RESET_MS: u64 = 600_000;

/// All containers of one pod.
pub(crate) struct Lifecycle {
    restart: RestartPolicy,
    containers: Vec<Container>,
}

struct Container {
    name: String,
    role: ContainerRole,
    state: State,
    restarts: u32,
    /// Restarts since it last ran for long.
    in_row: u32,
    last: Option<ContainerEnd>,
}

/// Boot milliseconds throughout, but for `since_ms`, which is for people.
enum State {
    Waiting { from_boot_ms: u64 },
    Running { pid: i32, since_boot_ms: u64, since_ms: u64 },
    Ended(ContainerEnd),
}

impl Lifecycle {
    pub(crate) fn new(specs: &[ContainerSpec], restart: RestartPolicy) -> Lifecycle {
        let containers = specs.iter().map(|spec| Container {
            name: spec.name.clone(),
            role: spec.role,
            state: State::Waiting { from_boot_ms: 0 },
            restarts: 0,
            in_row: 0,
            last: None,
        });
        Lifecycle { restart, containers: containers.collect() }
    }

    /// The container to start now, if any. Asked again after it was started or found impossible to start.
    pub(crate) fn due(&self, now_boot_ms: u64) -> Option<usize> {
        let due = |container: &Container| matches!(container.state, State::Waiting { from_boot_ms } if from_boot_ms <= now_boot_ms);
        self.startable().find(|index| due(&self.containers[*index]))
    }

    /// When a container that waits has to be looked at.
    pub(crate) fn next_start(&self) -> Option<u64> {
        let waits = self.startable().filter_map(|index| match self.containers[index].state {
            State::Waiting { from_boot_ms } => Some(from_boot_ms),
            State::Running { .. } | State::Ended(_) => None,
        });
        waits.min()
    }

    /// Containers whose turn has come: everything up to and including the first init container that is not done, and
    /// all if there is none. None once the pod is over.
    fn startable(&self) -> impl Iterator<Item = usize> {
        let blocks = |container: &Container| match container.role {
            ContainerRole::Init => !matches!(container.state, State::Ended(_)),
            ContainerRole::Sidecar => container.is_new(),
            ContainerRole::Main => false,
        };
        let until = self.containers.iter().position(blocks).map_or(self.containers.len(), |first| first + 1);
        0..(if self.is_over() { 0 } else { until })
    }

    pub(crate) fn started(&mut self, index: usize, pid: i32, now_boot_ms: u64, now_ms: u64) {
        self.containers[index].state = State::Running { pid, since_boot_ms: now_boot_ms, since_ms: now_ms };
    }

    /// Takes the end of a container, or of the attempt to start it. `may_restart` is false once the pod is being stopped.
    pub(crate) fn ended(&mut self, index: usize, end: ContainerEnd, now_boot_ms: u64, may_restart: bool) {
        let restart = self.restart;
        let container = &mut self.containers[index];
        if let State::Running { since_boot_ms, .. } = container.state
            && now_boot_ms.saturating_sub(since_boot_ms) >= BACKOFF_RESET_MS
        {
            container.in_row = 0;
        }
        let again = match container.role {
            ContainerRole::Sidecar => true,
            ContainerRole::Init | ContainerRole::Main => {
                restart == RestartPolicy::OnFailure && end.code != Some(0)
            }
        };
        if !(again && may_restart) {
            container.state = State::Ended(end);
            return;
        }
        container.state =
            State::Waiting { from_boot_ms: now_boot_ms.saturating_add(delay_ms(container.in_row)) };
        container.restarts = container.restarts.saturating_add(1);
        container.in_row = container.in_row.saturating_add(1);
        container.last = Some(end);
    }

    /// Whether nothing is started any more: an init container failed for good, or every main container has ended.
    pub(crate) fn is_over(&self) -> bool {
        let is_done = |container: &Container| matches!(container.state, State::Ended(_));
        let mut mains = self.containers.iter().filter(|container| container.role == ContainerRole::Main);
        mains.all(is_done) || self.failed_init().is_some()
    }

    /// The running container whose first process this is.
    pub(crate) fn by_pid(&self, wanted: i32) -> Option<usize> {
        self.containers
            .iter()
            .position(|container| matches!(container.state, State::Running { pid, .. } if pid == wanted))
    }

    /// When a running container was started, for people.
    pub(crate) fn since_ms(&self, index: usize) -> Option<u64> {
        if let State::Running { since_ms, .. } = self.containers[index].state { Some(since_ms) } else { None }
    }

    /// First processes of running containers.
    pub(crate) fn pids(&self) -> impl Iterator<Item = i32> {
        self.containers.iter().filter_map(|container| match container.state {
            State::Running { pid, .. } => Some(pid),
            State::Waiting { .. } | State::Ended(_) => None,
        })
    }

    /// The end that decides the pod's: of the init container that failed, else of the first main container that failed,
    /// else of the first main container. None if that never ended.
    pub(crate) fn deciding_end(&self) -> Option<&ContainerEnd> {
        let mains = || self.containers.iter().filter(|container| container.role == ContainerRole::Main);
        let failed = mains().find_map(|main| main.last_end().filter(|end| end.code != Some(0)));
        self.failed_init().or(failed).or_else(|| mains().find_map(Container::last_end))
    }

    /// Every container as it stands.
    pub(crate) fn statuses(&self) -> Vec<ContainerStatus> {
        let waits_for_init = self.containers.iter().any(|container| {
            container.role == ContainerRole::Init && !matches!(container.state, State::Ended(_))
        });
        self.containers.iter().map(|container| container.status(waits_for_init)).collect()
    }

    fn failed_init(&self) -> Option<&ContainerEnd> {
        let inits = self.containers.iter().filter(|container| container.role == ContainerRole::Init);
        inits.filter_map(Container::final_end).find(|end| end.code != Some(0))
    }
}

impl Container {
    fn is_new(&self) -> bool {
        matches!(self.state, State::Waiting { .. }) && self.last.is_none()
    }

    fn final_end(&self) -> Option<&ContainerEnd> {
        if let State::Ended(end) = &self.state { Some(end) } else { None }
    }

    fn last_end(&self) -> Option<&ContainerEnd> {
        self.final_end().or(self.last.as_ref())
    }

    fn status(&self, waits_for_init: bool) -> ContainerStatus {
        let state = match &self.state {
            State::Waiting { .. } if self.last.is_some() => waiting("CrashLoopBackOff"),
            State::Waiting { .. } if waits_for_init => waiting("PodInitializing"),
            State::Waiting { .. } => waiting("ContainerCreating"),
            State::Running { since_ms, .. } => ContainerState::Running { since_ms: *since_ms },
            State::Ended(end) => ContainerState::Ended(end.clone()),
        };
        ContainerStatus {
            name: self.name.clone(),
            init: self.role != ContainerRole::Main,
            restarts: self.restarts,
            state,
            last: self.last.clone(),
        }
    }
}

impl ContainerEnd {
    /// The end of a process.
    pub(crate) fn of_process(
        started_at_ms: u64,
        finished_at_ms: u64,
        code: Option<i32>,
        signal: Option<i32>,
    ) -> Self {
        let code = code.or(signal.map(|signal| 128 + signal));
        let reason = if code == Some(0) { ExitReason::Completed } else { ExitReason::Error };
        let started_at_ms = Some(started_at_ms);
        ContainerEnd { started_at_ms, finished_at_ms, code, signal, reason, message: String::new() }
    }
}

fn waiting(reason: &str) -> ContainerState {
    ContainerState::Waiting { reason: reason.to_owned() }
}

fn delay_ms(restarts_in_row: u32) -> u64 {
    match restarts_in_row {
        0 => 0,
        n => (BACKOFF_FIRST_MS << (n - 1).min(6)).min(BACKOFF_MAX_MS),
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
