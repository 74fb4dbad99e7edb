//! `muster exec` and `muster attach`: a command beside a pod's own, over a WebSocket.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::hub::HubArgs;
use super::terminal::{RawTerminal, is_terminal};
use super::url::{escape, with_query};
use super::{conversation, conversation::Connected};
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Arguments of `muster exec`.
#[derive(Args)]
pub struct ExecArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Arguments of `muster attach`.
#[derive(Args)]
pub struct AttachArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Args)]
struct ConnectArgs {
    /// job/NAME (its first pod that runs), or POD
    #[arg(value_name = "job/NAME|POD")]
    what: String,
    /// Connect standard input
    #[arg(short = 'i', long)]
    stdin: bool,
    /// As a terminal
    #[arg(short, long)]
    tty: bool,
    /// Container, if there are several
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs a command and ends with its exit code.
pub async fn exec(args: ExecArgs) -> anyhow::Result<Exit> {
    run(args.connect, "exec", &args.command).await
}

/// Shows what a pod writes from now on.
pub async fn attach(args: AttachArgs) -> anyhow::Result<Exit> {
    run(args.connect, "attach", &[]).await
}

async fn run(args: ConnectArgs, how: &str, command: &[String]) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let pod = pod(&api, &args.what).await?;
    let tty = args.tty && args.stdin && is_terminal();
    if args.tty && !tty {
        eprintln!("standard input is no terminal, or not connected (-i): -t is left out");
    }
    let path = path(&api.namespace, &pod, how, &args, tty);
    let path = command.iter().fold(path, |path, argument| format!("{path}&command={}", escape(argument)));
    let socket = match api.upgrade(&path, conversation::PROTOCOL).await? {
        Ok(socket) => socket,
        Err(reply) => return Err(reply.failure().about(&format!("pod {pod}")).into()),
    };
    let raw = tty.then(RawTerminal::enter).transpose()?;
    let ended = conversation::hold(socket, Connected { stdin: args.stdin, tty }).await;
    drop(raw);
    Ok(Exit::Code(ended?))
}

fn path(namespace: &str, pod: &str, how: &str, args: &ConnectArgs, tty: bool) -> String {
    let flag = |on: bool| Some(on.to_string());
    with_query(
        &format!("/api/v1/namespaces/{}/pods/{}/{how}", escape(namespace), escape(pod)),
        [
            ("container", args.container.clone()),
            ("stdin", flag(args.stdin)),
            ("stdout", flag(true)),
            ("stderr", flag(!tty)),
            ("tty", flag(tty)),
        ],
    )
}

/// The pod that is meant.
async fn pod(api: &Api, what: &str) -> Result<String, Failure> {
    let job = match what.split_once('/') {
        None => return Ok(what.to_owned()),
        Some(("pod" | "pods" | "po", name)) => return Ok(name.to_owned()),
        Some(("job" | "jobs" | "job.batch" | "jobs.batch", job)) => job,
        Some((kind, name)) => {
            return Err(Failure::usage(format!(
                "{kind:?} runs no commands; write job/{name} or the name of a pod"
            )));
        }
    };
    let pods = format!("/api/v1/namespaces/{}/pods", escape(&api.namespace));
    let pods = with_query(&pods, [("labelSelector", Some(format!("job-name={job}")))]);
    let list = api.request(Method::GET, &pods, None).await?.json()?;
    running(&list).ok_or_else(|| {
        Failure::negative(format!(
            "job {job} has no pod that runs; `muster why {job}` says why, `muster get pods` shows all"
        ))
    })
}

/// The first pod of a list that runs, by name.
fn running(list: &Value) -> Option<String> {
    let items = list["items"].as_array()?;
    let running = items.iter().filter(|pod| pod["status"]["phase"] == "Running");
    running.filter_map(|pod| pod["metadata"]["name"].as_str()).min().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_job_the_first_pod_that_runs_is_meant() {
        let pod = |name: &str, phase: &str| json!({"metadata": {"name": name}, "status": {"phase": phase}});
        let list = json!({"items": [pod("c", "Running"), pod("a", "Succeeded"), pod("b", "Running")]});
        assert_eq!(running(&list).as_deref(), Some("b"));
        assert_eq!(running(&json!({"items": [pod("a", "Pending")]})), None);
    }
}
