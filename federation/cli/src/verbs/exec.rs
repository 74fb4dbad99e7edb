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
    /// Container; else the one that kubectl.kubernetes.io/default-container names, or the first
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs a command and ends with its exit code.
pub async fn exec(args: ExecArgs) -> anyhow::Result<Exit> {
    run(args.connect, "exec", &args.command).await
}

/// Shows what a pod writes from now on; with `-i` writes to its standard input.
pub async fn attach(args: AttachArgs) -> anyhow::Result<Exit> {
    run(args.connect, "attach", &[]).await
}

async fn run(args: ConnectArgs, how: &str, command: &[String]) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let pod = pod(&api, &args.what).await?;
    let shown = api.request(Method::GET, &pod_path(&api.namespace, &pod), None).await?.json()?;
    let container = container(&shown, args.container.as_deref());
    let tty = args.tty && args.stdin && is_terminal();
    if args.tty && !tty {
        eprintln!("standard input is no terminal, or not connected (-i): -t is left out");
    }
    let streams = streams_of(&shown, container.as_deref());
    let tty = tty && (how == "exec" || streams["tty"] == true);
    if how == "attach" && args.stdin && streams["stdin"] != true {
        eprintln!("the container has no standard input (stdin: true): what you type goes nowhere");
    }
    let path = path(&pod_path(&api.namespace, &pod), how, container, args.stdin, tty);
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

fn pod_path(namespace: &str, pod: &str) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", escape(namespace), escape(pod))
}

/// The container that is meant, if somebody says which.
fn container(pod: &Value, wanted: Option<&str>) -> Option<String> {
    let annotated = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
    wanted.or(annotated).map(str::to_owned)
}

/// What a pod says of a container; null if it does not know it.
fn streams_of(pod: &Value, container: Option<&str>) -> Value {
    let containers = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_it = |item: &&Value| container.is_none_or(|name| item["name"] == name);
    containers.iter().find(is_it).cloned().unwrap_or_default()
}

fn path(pod: &str, how: &str, container: Option<String>, stdin: bool, tty: bool) -> String {
    let flag = |on: bool| Some(on.to_string());
    with_query(
        &format!("{pod}/{how}"),
        [
            ("container", container),
            ("stdin", flag(stdin)),
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

    #[test]
    fn without_a_name_the_annotated_container_is_meant() {
        let annotations = json!({"kubectl.kubernetes.io/default-container": "side"});
        let containers = json!([{"name": "main"}, {"name": "side", "tty": true}]);
        let pod = json!({"metadata": {"annotations": annotations}, "spec": {"containers": containers}});
        assert_eq!(container(&pod, None).as_deref(), Some("side"));
        assert_eq!(container(&pod, Some("main")).as_deref(), Some("main"));
        assert_eq!(container(&json!({}), None), None);
        assert_eq!(streams_of(&pod, Some("side"))["tty"], true);
        assert_eq!(streams_of(&pod, None)["name"], "main");
        assert_eq!(streams_of(&pod, Some("gone")), Value::Null);
    }
}
