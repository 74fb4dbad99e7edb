//! A member that joined by token and runs outside of `muster up`, behind a cable.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use http::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::federation::{Federation, muster_exe};
use super::jobs::condition;
use super::lab::{Cable, Lab};
use super::wait::until;

/// A member with an agent of its own. Dropped, all of it is killed.
pub struct Outside {
    /// Its name.
    pub name: String,
    /// Its way to the hub.
    pub cable: Cable,
    dir: PathBuf,
    agent: Child,
}

impl Outside {
    /// Joins a member of this name and waits until it is ready. `number` is its own.
    pub async fn join(federation: &Federation, lab: &Lab, name: &str, number: u8) -> Outside {
        let cable = lab.lay(number);
        let dir = federation.dir.join(name);
        std::fs::create_dir_all(&dir).expect("a folder");
        let entry = json!({"name": name, "location": {"provider": "onprem", "region": "lab"}, "priceClass": "onPrem",
            "backend": "process", "nodes": [{"count": 1, "cpu": "16", "memory": "64Gi",
            "gpu": {"model": "NVIDIA-A100-SXM4-80GB", "count": 8}}]});
        std::fs::write(dir.join("entry.json"), entry.to_string()).expect("a file");
        let body = json!({"name": name, "ttlSeconds": 60});
        let token = federation.api().request(Method::POST, "/muster/v1/jointokens", Some(&body)).await;
        let token = token.expect("an answer").json().expect("a token");
        let agent = cable.member.inside(|| spawn(name, &dir, Some(&token)));
        let member = Outside { name: name.to_owned(), cable, dir, agent };
        member.until_ready(federation).await;
        member
    }

    /// Waits until the hub calls it Ready.
    pub async fn until_ready(&self, federation: &Federation) {
        until(&format!("{} to be Ready", self.name), || async {
            (self.readiness(federation).await? == "True").then_some(())
        })
        .await;
    }

    /// What the hub says of it: `True`, `False`, `Unknown`.
    pub async fn readiness(&self, federation: &Federation) -> Option<String> {
        let cluster = federation.get(&format!("/apis/muster.sh/v1alpha1/clusters/{}", self.name)).await?;
        Some(condition(&cluster, "Ready")?.0)
    }

    /// SIGKILL to the agent. Nobody starts it again.
    pub fn kill_agent(&mut self) {
        self.agent.kill().expect("it runs");
        self.agent.wait().expect("it ends");
    }

    /// Starts the agent again.
    pub fn start_agent(&mut self) {
        self.agent = self.cable.member.inside(|| spawn(&self.name, &self.dir, None));
    }

    /// The ends that the member's shims wrote down themselves: time and reason.
    pub fn ends(&self) -> Vec<(u64, String)> {
        let folders = std::fs::read_dir(self.dir.join("pods")).into_iter().flatten().flatten();
        let records = folders.filter_map(|folder| std::fs::read(folder.path().join("exit.json")).ok());
        let end = |record: Vec<u8>| {
            let record: Value = serde_json::from_slice(&record).ok()?;
            Some((record["finished_at_ms"].as_u64()?, record["reason"].as_str()?.to_owned()))
        };
        let mut ends: Vec<(u64, String)> = records.filter_map(end).collect();
        ends.sort();
        ends
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _gone_already = self.agent.kill();
        let _gone_already = self.agent.wait();
        for shim in shims(&self.dir) {
            // The death of one may be that of another.
            let _gone_already = kill(shim, Signal::SIGKILL);
        }
    }
}

/// The shims of pods below a folder, by their arguments.
pub fn shims(folder: &Path) -> Vec<Pid> {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("a /proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_shim = |pid: &i32| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = arguments.split(|byte| *byte == 0).collect();
        arguments.get(1) == Some(&b"shim".as_slice())
            && arguments.iter().any(|argument| String::from_utf8_lossy(argument).starts_with(&folder))
    };
    pids.filter(is_shim).map(Pid::from_raw).collect()
}

fn spawn(name: &str, dir: &Path, token: Option<&Value>) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("agent.log")).expect("a log");
    let mut command = Command::new(muster_exe());
    command.args(["agent", "--with-parent", "--name", name, "--state"]).arg(dir);
    command.arg("--members-entry").arg(dir.join("entry.json"));
    if let Some(token) = token {
        let text = |field: &str| token[field].as_str().expect("a text").to_owned();
        let pin = format!("sha256:{}", text("caPin").trim_start_matches("sha256:"));
        command.args(["--join", &text("url"), "--ca-pin", &pin]).env("MUSTER_JOIN_TOKEN", text("token"));
    }
    // Its standard input is ours: it does not outlive a test that is killed.
    command.stdin(Stdio::piped()).stdout(log.try_clone().expect("shared")).stderr(log);
    command.spawn().expect("it starts")
}
