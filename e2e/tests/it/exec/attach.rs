//! Standard input of what runs: `attach -i` and `-it`, `stdinOnce`, and an input that outlives client, agent and leader.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use muster_e2e::local::{Federation, muster_exe, until};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::member_of;
use crate::kubectl::run::Kubectl;

/// Answers each line with a count, so that a container that was started anew is told apart.
const ECHO: &str = "n=0; while read line; do n=$((n+1)); echo \"$n $line\"; done; echo end";

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that is attached.
struct Talk {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talk {
    fn start(mut command: Command) -> Talk {
        let mut child = command.spawn().expect("it starts");
        let input = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Talk { child, input, lines }
    }

    /// Says a line and waits for the answer. What is said before the connection stands is carried when it does.
    async fn say(&mut self, line: &str, answer: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("it takes input");
        let heard = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        assert_eq!(heard.expect("an answer in time").expect("UTF-8").as_deref(), Some(answer));
    }

    /// Ends its input and waits for its end; gives what it still said, its exit code and its errors.
    async fn end(self) -> (Vec<String>, Option<i32>, String) {
        let Talk { child, input, mut lines } = self;
        drop(input);
        let mut rest = Vec::new();
        while let Some(line) = lines.next_line().await.expect("UTF-8") {
            rest.push(line);
        }
        let ended = child.wait_with_output().await.expect("it ends");
        (rest, ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    }
}

/// The pod of a new job whose container has these fields too.
async fn pod(kubectl: &Kubectl, name: &str, script: &str, fields: &[&str]) -> String {
    let mut job = kubectl.job(name, script);
    for field in fields {
        job["spec"]["template"]["spec"]["containers"][0][field] = json!(true);
    }
    kubectl.ok_with("apply -f -", job).await;
    kubectl.ok(&format!("wait --for=jsonpath={{.status.ready}}=1 job/{name} --timeout=30s")).await;
    let pods = kubectl.get(&format!("pods -l job-name={name}")).await;
    pods["items"][0]["metadata"]["name"].as_str().expect("a name").to_owned()
}

fn attach(kubectl: &Kubectl, pod: &str) -> Talk {
    Talk::start(kubectl.command(&["attach", "-i", "-q", pod]))
}

pub async fn writes_to_what_runs(kubectl: &Kubectl) {
    tokio::join!(
        stays_open_between_clients(kubectl),
        ends_with_the_first_client(kubectl),
        a_container_without_input_takes_none(kubectl),
        a_terminal_of_the_container(kubectl),
    );
}

async fn stays_open_between_clients(kubectl: &Kubectl) {
    let pod = pod(kubectl, "talk", ECHO, &["stdin"]).await;
    let mut first = attach(kubectl, &pod);
    first.say("a", "1 a").await;
    let (_, code, err) = first.end().await;
    assert_eq!(code, Some(0), "{err}");
    let mut second = attach(kubectl, &pod);
    second.say("b", "2 b").await;
    // It does not say goodbye.
    second.child.kill().await.expect("killed");
    attach(kubectl, &pod).say("c", "3 c").await;
}

async fn ends_with_the_first_client(kubectl: &Kubectl) {
    let pod = pod(kubectl, "once", ECHO, &["stdin", "stdinOnce"]).await;
    let mut client = attach(kubectl, &pod);
    client.say("a", "1 a").await;
    let (rest, code, err) = client.end().await;
    assert_eq!((rest, code), (vec!["end".to_owned()], Some(0)), "{err}");
    kubectl.ok("wait --for=condition=complete job/once --timeout=30s").await;
}

async fn a_container_without_input_takes_none(kubectl: &Kubectl) {
    let pod = pod(kubectl, "deaf", "cat; while :; do echo tick; sleep 0.1; done", &[]).await;
    let mut client = attach(kubectl, &pod);
    client.say("lost", "tick").await;
    client.child.kill().await.expect("killed");
    let shown = kubectl.get(&format!("pod {pod}")).await;
    assert_eq!(shown["spec"]["containers"][0].get("stdin"), None);
}

/// A terminal on both ends, of one size.
async fn a_terminal_of_the_container(kubectl: &Kubectl) {
    let script = "until stty size | grep -q '31 101'; do sleep 0.05; done; stty size; printf 'name? '; \
                  until read name; do :; done; echo \"hi $name\"; test -t 0 && exit 5";
    let pod = pod(kubectl, "shown", script, &["stdin", "stdinOnce", "tty"]).await;
    let size = Winsize { ws_row: 31, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).expect("a terminal");
    let half = || Stdio::from(terminal.slave.try_clone().expect("shared"));
    let mut command = kubectl.command(&["attach", "-it", &pod]);
    let mut child = command.stdin(half()).stdout(half()).stderr(half()).spawn().expect("kubectl starts");
    drop(command);
    drop(terminal.slave);
    let mut master = std::fs::File::from(terminal.master);
    let shown = tokio::task::spawn_blocking(move || {
        let (mut shown, mut buffer, mut typed) = (String::new(), [0; 4096], false);
        // It ends with an error when the last one that has it open is gone.
        while let Ok(length @ 1..) = master.read(&mut buffer) {
            shown.push_str(&String::from_utf8_lossy(&buffer[..length]));
            if !typed && shown.contains("name? ") {
                typed = true;
                master.write_all(b"ada\r").expect("typed");
            }
        }
        shown
    });
    assert_eq!(child.wait().await.expect("it ends").code(), Some(0));
    let shown = shown.await.expect("read");
    assert!(shown.contains("31 101\r\n") && shown.contains("hi ada\r\n"), "{shown:?}");
    let pods = kubectl.get(&format!("pod {pod}")).await;
    assert_eq!(pods["spec"]["containers"][0]["tty"], true);
}

/// The container's input is the shim's: who carries bytes to it may die.
pub async fn survives_agent_and_leader(federation: &Federation, kubectl: &Kubectl) {
    let pod = pod(kubectl, "kept", ECHO, &["stdin"]).await;
    let mut client = attach(kubectl, &pod);
    client.say("a", "1 a").await;
    let member = member_of(kubectl, &pod).await;
    assert!(federation.signal(&member, Signal::SIGKILL));
    let (_, code, err) = client.end().await;
    assert!(code == Some(1) && err.contains(&format!("contact with member {member} was lost")), "{err}");
    reattach(kubectl, &pod, "b", "2 b").await;
    let mut client = attach(kubectl, &pod);
    client.say("c", "3 c").await;
    let leader = federation.leader().await;
    assert!(federation.signal(&leader, Signal::SIGKILL));
    let (_, code, err) = client.end().await;
    assert!(code == Some(1), "{err}");
    reattach(kubectl, &pod, "d", "4 d").await;
    muster_attach(federation, kubectl, &pod).await;
}

/// Attaches as soon as somebody is in contact again.
async fn reattach(kubectl: &Kubectl, pod: &str, line: &str, answer: &str) {
    until("a command to run again", || async {
        let said = kubectl.run_line(&format!("exec {pod} -- true")).await;
        (said.code == Some(0)).then_some(())
    })
    .await;
    attach(kubectl, pod).say(line, answer).await;
}

async fn muster_attach(federation: &Federation, kubectl: &Kubectl, pod: &str) {
    let mut command = Command::new(muster_exe());
    command.arg("attach").arg("--kubeconfig").arg(federation.dir.join("kubeconfig"));
    command.args(["-n", &kubectl.namespace, "-i", pod]).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = Talk::start(command);
    client.say("e", "5 e").await;
    let (_, code, err) = client.end().await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
}
