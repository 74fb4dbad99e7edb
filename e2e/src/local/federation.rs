//! `muster up`, started, watched, and ended without leaving anything behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use muster::client::{Api, Kubeconfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::wait::until;

/// How long a federation may take to be ready on a busy machine.
const READY: Duration = Duration::from_secs(60);
/// How long it may take to end.
const GOODBYE: Duration = Duration::from_secs(15);

/// How to start one.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// More arguments of `muster up`.
    pub args: Vec<String>,
    /// Continue in this folder instead of a new one.
    pub dir: Option<PathBuf>,
    /// Variables of its environment besides those of this process.
    pub env: Vec<(String, String)>,
}

/// A running federation. Dropped, it ends, its folder included unless it was given.
pub struct Federation {
    up: Child,
    /// Its state folder.
    pub dir: PathBuf,
    keep: bool,
    /// The line that said it is ready.
    pub ready: Value,
}

/// The executable under test: `MUSTER_EXE`, or `muster` beside this test's own.
pub fn muster_exe() -> PathBuf {
    if let Some(exe) = std::env::var_os("MUSTER_EXE") {
        return exe.into();
    }
    let own = std::env::current_exe().expect("a test has a path");
    let folders = own.ancestors().skip(1).take(3);
    let found = folders.map(|folder| folder.join("muster")).find(|exe| exe.is_file());
    found.expect("no `muster` beside the tests: run `cargo build --bin muster` first, or set MUSTER_EXE")
}

impl Federation {
    /// Starts one and waits until it is ready. Panics with its logs if it does not become ready.
    pub fn start(options: &Options) -> Federation {
        let keep = options.dir.is_some();
        let dir = options.dir.clone().unwrap_or_else(new_dir);
        let mut command = Command::new(muster_exe());
        command.args(["up", "--port-base", "0", "-o", "json", "--state"]).arg(&dir).args(&options.args);
        command.envs(options.env.iter().map(|(name, value)| (name, value)));
        let errors = std::fs::File::create(dir.with_extension("stderr")).expect("a file for its errors");
        let mut up =
            command.stdout(Stdio::piped()).stderr(errors).stdin(Stdio::null()).spawn().expect("it starts");
        let line = first_line(&mut up);
        let Some(ready) = line.and_then(|line| serde_json::from_str(&line).ok()) else {
            let _ = up.kill();
            let _ = up.wait();
            panic!("not ready: {}", logs_of(&dir));
        };
        Federation { up, dir, keep, ready }
    }

    /// The way to its API through the front, as the administrator.
    pub fn api(&self) -> Api {
        self.api_of(None)
    }

    /// The way to one replica's own API port: `muster-1`, `muster-2`, ...
    pub fn api_of(&self, context: Option<&str>) -> Api {
        let text = std::fs::read_to_string(self.dir.join("kubeconfig")).expect("a kubeconfig");
        let target = Kubeconfig::parse(&text).expect("our own").target(context).expect("the context");
        Api::new(&target).expect("the target")
    }

    /// `up.json` as it is now.
    pub fn up_json(&self) -> Value {
        let text = std::fs::read(self.dir.join("up.json")).expect("up.json");
        serde_json::from_slice(&text).expect("it is written by rename")
    }

    /// The entry of a process.
    pub fn process(&self, name: &str) -> Value {
        let up = self.up_json();
        let processes = up["processes"].as_array().cloned().unwrap_or_default();
        processes.into_iter().find(|process| process["name"] == name).unwrap_or_default()
    }

    /// The process's id now; 0 between two lives.
    pub fn pid(&self, name: &str) -> i32 {
        self.process(name)["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default()
    }

    /// Sends a signal to a child. False if it has no process now.
    pub fn signal(&self, name: &str, signal: Signal) -> bool {
        let pid = self.pid(name);
        pid > 0 && kill(Pid::from_raw(pid), signal).is_ok()
    }

    /// Names of the children of a role: `controller` or `agent`.
    pub fn names(&self, role: &str) -> Vec<String> {
        let up = self.up_json();
        let processes = up["processes"].as_array().cloned().unwrap_or_default();
        let of_role = processes.iter().filter(|process| process["role"] == role);
        of_role.filter_map(|process| process["name"].as_str().map(str::to_owned)).collect()
    }

    /// The name of the leader.
    pub async fn leader(&self) -> String {
        let api = self.api();
        until("a leader", || async {
            let reply = api.request(Method::GET, "/muster/v1/replicas", None).await.ok()?.json().ok()?;
            reply["leader"].as_str().map(str::to_owned)
        })
        .await
    }

    /// Creates an object and gives what the hub stored.
    pub async fn create(&self, path: &str, object: &Value) -> Value {
        let reply = self.api().request(Method::POST, path, Some(object)).await.expect("the hub answers");
        assert_eq!(reply.status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&reply.body));
        reply.json().expect("an object")
    }

    /// An object, if it is there.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let reply = self.api().request(Method::GET, path, None).await.ok()?;
        (reply.status == StatusCode::OK).then(|| reply.json().expect("an object"))
    }

    /// Ends it in good order; gives how long that took.
    pub fn stop(&mut self) -> Duration {
        let start = Instant::now();
        let _ = kill(Pid::from_raw(self.up.id().cast_signed()), Signal::SIGTERM);
        while start.elapsed() < GOODBYE {
            if let Ok(Some(_)) = self.up.try_wait() {
                return start.elapsed();
            }
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("`muster up` did not end within {GOODBYE:?}");
    }

    /// Kills `muster up` itself with SIGKILL; its children notice.
    pub fn kill_up(&mut self) {
        let _ = self.up.kill();
        let _ = self.up.wait();
    }

    /// All logs, for a panic.
    pub fn logs(&self) -> String {
        logs_of(&self.dir)
    }
}

impl Drop for Federation {
    fn drop(&mut self) {
        if matches!(self.up.try_wait(), Ok(None)) {
            self.stop();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.dir);
            let _ = std::fs::remove_file(self.dir.with_extension("stderr"));
        }
    }
}

fn new_dir() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("muster-e2e-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&dir).expect("a folder for the federation");
    dir
}

fn first_line(up: &mut Child) -> Option<String> {
    let out = up.stdout.take()?;
    let (sender, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(out).lines();
        if let Some(Ok(first)) = lines.next() {
            let _ = sender.send(first);
        }
        // Read on, so that it never blocks on a full pipe.
        lines.for_each(drop);
    });
    line.recv_timeout(READY).ok()
}

fn logs_of(dir: &Path) -> String {
    let mut text = std::fs::read_to_string(dir.with_extension("stderr")).unwrap_or_default();
    let logs = std::fs::read_dir(dir.join("logs")).into_iter().flatten().flatten();
    for log in logs {
        let content = std::fs::read_to_string(log.path()).unwrap_or_default();
        let tail: Vec<&str> = content.lines().rev().take(40).collect();
        text.push_str(&format!("\n--- {}\n", log.path().display()));
        tail.iter().rev().for_each(|line| text.push_str(&format!("{line}\n")));
    }
    text
}
