//! The children: each a process with a pipe from us as standard input, so that it ends when we do, however we end.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::layout::{Layout, controller_name};
use super::state_file::{ProcessEntry, Role, StateFile, write_by_rename};

/// First wait before a second start in a row.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// After so long a life the next death counts as the first.
const HEALTHY_AFTER: Duration = Duration::from_secs(5);

/// Every child's process group, for the end that does not wait.
static PIDS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Kills every child at once.
pub fn kill_all_now() {
    for pid in PIDS.lock().iter() {
        signal_child(*pid, Signal::SIGKILL);
    }
}

/// All children.
pub struct Children {
    table: Arc<Table>,
    exe: PathBuf,
    plans: Vec<Plan>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    stops: BTreeMap<Role, CancellationToken>,
}

/// What everyone may see of the children; each change is published.
struct Table {
    path: PathBuf,
    file: Mutex<StateFile>,
}

/// How to start one child.
#[derive(Clone)]
struct Plan {
    entry: ProcessEntry,
    args: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Children {
    /// No child yet.
    pub fn new(layout: &Layout, cancel: &CancellationToken) -> anyhow::Result<Children> {
        let file = StateFile {
            version: 1,
            ready: false,
            started_at: jiff::Timestamp::now().to_string(),
            pid: std::process::id(),
            kubeconfig: layout.kubeconfig(),
            front: format!("https://{}", layout.ports.front),
            processes: Vec::new(),
        };
        // A file of an earlier run would say that it is ready.
        for stale in [layout.dir.join("up.json"), layout.kubeconfig()] {
            if stale.exists() {
                fs::remove_file(stale)?;
            }
        }
        let table = Table { path: layout.dir.join("up.json"), file: Mutex::new(file) };
        let stops = [Role::Controller, Role::Agent].map(|role| (role, cancel.child_token()));
        let plans = controllers(layout).chain(agents(layout)).collect();
        let exe = std::env::current_exe().context("this executable's own path")?;
        Ok(Children { table: Arc::new(table), exe, plans, tasks: Vec::new(), stops: stops.into() })
    }

    /// Starts the replicas.
    pub fn start_controllers(&mut self) -> anyhow::Result<()> {
        self.start(Role::Controller, &BTreeMap::new())
    }

    /// Starts the agents; those that have not joined yet get a token.
    pub fn start_agents(&mut self, tokens: &BTreeMap<String, String>) -> anyhow::Result<()> {
        self.start(Role::Agent, tokens)
    }

    fn start(&mut self, role: Role, tokens: &BTreeMap<String, String>) -> anyhow::Result<()> {
        for plan in self.plans.iter().filter(|plan| plan.entry.role == role) {
            let mut plan = plan.clone();
            if let Some(token) = tokens.get(&plan.entry.name) {
                plan.environment.push(("MUSTER_JOIN_TOKEN".to_owned(), token.clone()));
            }
            self.table.file.lock().processes.push(plan.entry.clone());
            let keeper = Keeper {
                plan,
                exe: self.exe.clone(),
                table: Arc::clone(&self.table),
                stop: self.stops[&role].clone(),
            };
            self.tasks.push(tokio::spawn(keeper.keep()));
        }
        Ok(())
    }

    /// Writes `up.json`; from now on every change does.
    pub fn publish(&self, ready: bool) -> anyhow::Result<()> {
        self.table.file.lock().ready = ready;
        self.table.write()
    }

    /// Waits for what should never happen: that a keeper ends by itself.
    pub async fn watch(&mut self) -> anyhow::Error {
        let (ended, _, _) = futures::future::select_all(self.tasks.iter_mut()).await;
        anyhow::anyhow!("a supervisor task ended: {ended:?}")
    }

    /// Ends all children of a role: SIGTERM, and SIGKILL for those still there after `grace`.
    pub async fn stop_role(&mut self, role: Role, grace: Duration) {
        self.stops[&role].cancel();
        let running = || self.table.file.lock().processes.iter().any(|p| p.role == role && p.pid != 0);
        let deadline = Instant::now() + grace;
        while running() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let left: Vec<u32> = self
            .table
            .file
            .lock()
            .processes
            .iter()
            .filter(|p| p.role == role && p.pid != 0)
            .map(|p| p.pid)
            .collect();
        for pid in left {
            signal_child(pid, Signal::SIGKILL);
        }
    }
}

impl Table {
    fn write(&self) -> anyhow::Result<()> {
        let file = self.file.lock();
        let text = serde_json::to_vec_pretty(&*file)?;
        write_by_rename(&self.path, &text, 0o600).with_context(|| self.path.display().to_string())
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut ProcessEntry)) {
        let ready = {
            let mut file = self.file.lock();
            if let Some(entry) = file.processes.iter_mut().find(|entry| entry.name == name) {
                change(entry);
            }
            file.ready
        };
        if ready && let Err(error) = self.write() {
            eprintln!("muster: up.json: {error:#}");
        }
    }
}

/// Keeps one child alive.
struct Keeper {
    plan: Plan,
    exe: PathBuf,
    table: Arc<Table>,
    stop: CancellationToken,
}

impl Keeper {
    async fn keep(self) {
        let mut deaths = 0_u32;
        while !self.stop.is_cancelled() {
            let born = Instant::now();
            match self.spawn() {
                Ok(mut child) => self.live(&mut child).await,
                Err(error) => eprintln!("muster: {}: {error:#}", self.plan.entry.name),
            }
            if self.stop.is_cancelled() {
                return;
            }
            deaths = if born.elapsed() >= HEALTHY_AFTER { 0 } else { deaths };
            self.table.change(&self.plan.entry.name, |entry| entry.restarts += 1);
            if deaths > 0 {
                let wait = BACKOFF_MAX.min(BACKOFF_FIRST * 2_u32.saturating_pow(deaths - 1));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.stop.cancelled() => return,
                }
            }
            deaths += 1;
        }
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let log = &self.plan.entry.log;
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| log.display().to_string())?;
        let mut command = Command::new(&self.exe);
        command
            .args(&self.plan.args)
            .envs(self.plan.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in the terminal is ours to hear, not theirs.
            .process_group(0);
        let child = command.spawn().context("cannot start")?;
        let pid = child.id().unwrap_or_default();
        PIDS.lock().push(pid);
        self.table.change(&self.plan.entry.name, |entry| entry.pid = pid);
        Ok(child)
    }

    /// Waits for its end; asks for it when we stop.
    async fn live(&self, child: &mut Child) {
        let pid = child.id().unwrap_or_default();
        // Waiting would close it, and so tell the child that we are gone.
        let _pipe = child.stdin.take();
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = self.stop.cancelled() => {
                signal_child(pid, Signal::SIGTERM);
                child.wait().await
            }
        };
        PIDS.lock().retain(|other| *other != pid);
        self.table.change(&self.plan.entry.name, |entry| entry.pid = 0);
        match ended {
            Ok(status) if !self.stop.is_cancelled() && status.signal().is_none() => {
                eprintln!(
                    "muster: {} ended: {status}; starting it again; see {}",
                    self.plan.entry.name,
                    self.plan.entry.log.display()
                );
            }
            _ => {}
        }
    }
}

fn signal_child(pid: u32, signal: Signal) {
    if let Ok(pid @ 1..) = i32::try_from(pid) {
        // It may be gone already.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn controllers(layout: &Layout) -> impl Iterator<Item = Plan> + '_ {
    layout.ports.replicas.iter().enumerate().map(|(i, ports)| {
        let name = controller_name(i);
        let dir = layout.controller_dir(&name);
        let config = dir.join("config.json").display().to_string();
        let addresses = [
            ("api", format!("https://{}", ports.api)),
            ("agents", ports.agents.to_string()),
            ("raft", ports.raft.to_string()),
            ("ops", format!("http://{}", ports.ops)),
        ];
        Plan {
            entry: entry(
                layout,
                Role::Controller,
                &name,
                dir,
                addresses.map(|(k, v)| (k.to_owned(), v)).into(),
            ),
            args: vec!["controller".to_owned(), "--with-parent".to_owned(), "--config".to_owned(), config],
            environment: Vec::new(),
        }
    })
}

fn agents(layout: &Layout) -> impl Iterator<Item = Plan> + '_ {
    let hubs: Vec<String> = layout.ports.replicas.iter().map(|ports| ports.agents.to_string()).collect();
    let hubs = hubs.join(",");
    let pin = layout.ca_pin();
    layout.members.iter().map(move |member| {
        let dir = layout.member_dir(&member.name);
        let args = [
            "agent",
            "--with-parent",
            "--name",
            &member.name,
            "--state",
            &dir.display().to_string(),
            "--members-entry",
            &layout.member_entry(&member.name).display().to_string(),
            "--hub",
            &hubs,
            "--join",
            &format!("https://{}", layout.ports.replicas[0].agents),
            "--ca-pin",
            &pin,
        ];
        Plan {
            args: args.map(str::to_owned).into(),
            entry: entry(layout, Role::Agent, &member.name, dir, BTreeMap::new()),
            environment: Vec::new(),
        }
    })
}

fn entry(
    layout: &Layout,
    role: Role,
    name: &str,
    data_dir: PathBuf,
    addresses: BTreeMap<String, String>,
) -> ProcessEntry {
    let log = layout.logs().join(format!("{name}.log"));
    ProcessEntry { role, name: name.to_owned(), pid: 0, restarts: 0, data_dir, log, addresses }
}
