//! Running kubectl: a command as one line of words, its output as text.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use muster_e2e::local::Federation;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// No command takes longer on a machine that is not broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// One version of kubectl, and where it works.
pub struct Kubectl {
    exe: PathBuf,
    kubeconfig: PathBuf,
    /// Its cache, so that no other run's discovery is believed.
    home: TempDir,
    /// The namespace it works in.
    pub namespace: String,
}

/// What it said.
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// A kubectl that goes on until it ends or is dropped.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Kubectl {
    /// This executable, as the administrator of a federation.
    pub fn new(exe: PathBuf, federation: &Federation, namespace: &str) -> Kubectl {
        let home = tempfile::tempdir().expect("a folder");
        let kubeconfig = federation.dir.join("kubeconfig");
        Kubectl { exe, kubeconfig, home, namespace: namespace.to_owned() }
    }

    /// The command of these words, not yet started.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.exe);
        command.args(["--namespace", &self.namespace]).args(words);
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.home.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs these words with this standard input.
    pub async fn run(&self, words: &[&str], input: &str) -> Said {
        let mut child = self.command(words).spawn().expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("piped");
        // It may end before it has read all.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output =
            output.unwrap_or_else(|_| panic!("{words:?} did not end within {PATIENCE:?}")).expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("kubectl speaks UTF-8");
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs a line of words.
    pub async fn run_line(&self, line: &str) -> Said {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.run(&words, "").await
    }

    /// What these words, which must succeed, make of this standard input.
    pub async fn piped(&self, words: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = self.command(words).spawn().expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("piped");
        let feed = async move { stdin.write_all(input).await };
        let output =
            tokio::time::timeout(PATIENCE, async { tokio::join!(feed, child.wait_with_output()) }).await;
        let (fed, output) = output.unwrap_or_else(|_| panic!("{words:?} did not end within {PATIENCE:?}"));
        let output = output.expect("it ends");
        assert!(fed.is_ok() && output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// What it says to these words when it may speak SPDY only.
    pub async fn without_websocket(&self, words: &[&str]) -> String {
        let mut command = self.command(words);
        command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false").stdin(Stdio::null());
        let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends in time");
        let output = output.expect("it ends");
        assert!(!output.status.success(), "it must be refused");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Starts words whose standard input never ends.
    pub fn flooding(&self, words: &[&str]) -> Child {
        let zeros = std::fs::File::open("/dev/zero").expect("/dev/zero");
        self.command(words).stdin(zeros).spawn().expect("kubectl starts")
    }

    /// Runs a line of words that must succeed; gives its output.
    pub async fn ok(&self, line: &str) -> String {
        self.ok_with(line, "").await
    }

    /// The same with an object or a text as standard input.
    pub async fn ok_with(&self, line: &str, input: impl ToString) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let said = self.run(&words, &input.to_string()).await;
        assert_eq!(said.code, Some(0), "{} {line}: {}{}", self.namespace, said.out, said.err);
        said.out
    }

    /// Runs a line of words that must be refused; gives what it says.
    pub async fn refused(&self, line: &str, input: impl ToString) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let said = self.run(&words, &input.to_string()).await;
        assert_ne!(said.code, Some(0), "{} {line}: {}", self.namespace, said.out);
        said.err
    }

    /// An object as JSON.
    pub async fn get(&self, what: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("get {what} -o json")).await).expect("JSON")
    }

    /// Starts a line of words that goes on.
    pub fn start(&self, line: &str) -> Running {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut child = self.command(&words).spawn().expect("kubectl starts");
        drop(child.stdin.take());
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Running { child, lines }
    }

    /// A manifest of a Job in this namespace.
    pub fn job(&self, name: &str, script: &str) -> Value {
        let mut job = muster_e2e::local::job(name, script, 0);
        job["metadata"]["namespace"] = json!(self.namespace);
        job["metadata"]["labels"] = json!({"team": "vision"});
        job
    }

    /// The manifest of a Job that is held.
    pub fn held_job(&self, name: &str) -> Value {
        let mut job = self.job(name, "true");
        job["spec"]["suspend"] = json!(true);
        job
    }
}

impl Running {
    /// The next line of its output; `None` at its end.
    pub async fn line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        line.unwrap_or_else(|_| panic!("no line within {PATIENCE:?}")).expect("UTF-8")
    }

    /// Waits for a line that contains this text, and gives it.
    pub async fn line_with(&mut self, text: &str) -> String {
        let mut passed = Vec::new();
        while let Some(line) = self.line().await {
            if line.contains(text) {
                return line;
            }
            passed.push(line);
        }
        panic!("ended without {text:?}: {passed:?}")
    }

    /// Waits until it ends; gives its exit code.
    pub async fn end(mut self) -> Option<i32> {
        while self.line().await.is_some() {}
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time");
        status.expect("it ends").code()
    }
}
