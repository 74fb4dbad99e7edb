//! `muster logs`: the log of a job or of a pod.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::Value;

use super::follow::{Follower, copy};
use super::hub::HubArgs;
use super::url::{escape, with_query};
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Arguments of `muster logs`.
#[derive(Args)]
pub struct LogsArgs {
    /// job/NAME, or POD
    #[arg(value_name = "job/NAME|POD")]
    what: String,
    /// Stay until it ends; a job's next pods are followed too
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<u64>,
    /// Only what is newer, such as 90s, 10m or 1h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
    /// The time before each line
    #[arg(long)]
    timestamps: bool,
    /// Container, if there are several
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// The pod's name before each line
    #[arg(long)]
    prefix: bool,
    #[command(flatten)]
    hub: HubArgs,
}

/// `90s`, `10m`, `1h30m`, `2d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write it as 90s, 10m or 1h");
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = rest[digits..].chars().next().ok_or_else(wrong)?;
        let unit_seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        seconds =
            number.checked_mul(unit_seconds).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        rest = &rest[digits + unit.len_utf8()..];
    }
    if seconds == 0 { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
}

/// Which part of a log is wanted.
#[derive(Clone, Debug, Default)]
pub struct LogPart {
    namespace: String,
    container: Option<String>,
    /// Whether to stay until the pod ends.
    pub follow: bool,
    tail_lines: Option<u64>,
    since: Option<Duration>,
    timestamps: bool,
}

impl LogPart {
    /// The path of a pod's log.
    pub fn path(&self, pod: &str) -> String {
        let path = format!("/api/v1/namespaces/{}/pods/{}/log", escape(&self.namespace), escape(pod));
        let flag = |on: bool| on.then(|| "true".to_owned());
        with_query(
            &path,
            [
                ("container", self.container.clone()),
                ("follow", flag(self.follow)),
                ("tailLines", self.tail_lines.map(|lines| lines.to_string())),
                ("sinceSeconds", self.since.map(|since| since.as_secs().to_string())),
                ("timestamps", flag(self.timestamps)),
            ],
        )
    }

    /// Path of a job.
    pub fn job_path(&self, job: &str) -> String {
        format!("/apis/batch/v1/namespaces/{}/jobs/{}", escape(&self.namespace), escape(job))
    }

    /// Path of a job's pods. By uid: an earlier job of the same name may have left some.
    pub fn pods_path(&self, job_uid: &str) -> String {
        let path = format!("/api/v1/namespaces/{}/pods", escape(&self.namespace));
        with_query(&path, [("labelSelector", Some(format!("batch.kubernetes.io/controller-uid={job_uid}")))])
    }
}

/// Prints the log.
pub async fn run(args: LogsArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let part = LogPart {
        namespace: api.namespace.clone(),
        container: args.container,
        follow: args.follow,
        tail_lines: args.tail,
        since: args.since,
        timestamps: args.timestamps,
    };
    match args.what.split_once('/') {
        None => pod(&api, &part, &args.what, args.prefix).await,
        Some(("pod" | "pods" | "po", name)) => pod(&api, &part, name, args.prefix).await,
        Some(("job" | "jobs" | "job.batch" | "jobs.batch", name)) => {
            job(&api, &part, name, args.prefix).await
        }
        Some((kind, name)) => {
            let hint = format!("{kind:?} has no log; write job/{name} or the name of a pod");
            Err(Failure::usage(hint).into())
        }
    }
}

async fn pod(api: &Api, part: &LogPart, name: &str, prefix: bool) -> anyhow::Result<Exit> {
    let prefix = prefix.then(|| format!("[{name}] "));
    copy(api, &part.path(name), prefix.as_deref()).await?;
    Ok(Exit::Done)
}

async fn job(api: &Api, part: &LogPart, name: &str, prefix: bool) -> anyhow::Result<Exit> {
    let job = api.request(Method::GET, &part.job_path(name), None).await?.json()?;
    let several =
        ["parallelism", "completions"].iter().any(|field| job["spec"][*field].as_u64().unwrap_or(1) > 1);
    if part.follow {
        return Follower::new(api, part, &job, prefix || several).run().await;
    }
    let pods = pods(api, part, job["metadata"]["uid"].as_str().unwrap_or_default()).await?;
    if pods.is_empty() {
        let hint = format!(
            "job {name} has no pods yet; `muster why {name}` says why, `muster logs -f job/{name}` waits"
        );
        return Err(Failure::negative(hint).into());
    }
    for pod in &pods {
        let prefix = (prefix || pods.len() > 1).then(|| format!("[{}] ", pod.name));
        if pod.has_started || pods.len() == 1 {
            copy(api, &part.path(&pod.name), prefix.as_deref()).await?;
        }
    }
    Ok(Exit::Done)
}

/// A pod of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPod {
    /// Its name.
    pub name: String,
    /// Whether it has, or can have, written something.
    pub has_started: bool,
    /// What is sorted by: retries come after what they retry.
    order: (String, String),
}

/// The pods of a job, the oldest first.
pub async fn pods(api: &Api, part: &LogPart, job_uid: &str) -> Result<Vec<JobPod>, Failure> {
    let list = api.request(Method::GET, &part.pods_path(job_uid), None).await?.json()?;
    Ok(read_pods(&list))
}

fn read_pods(list: &Value) -> Vec<JobPod> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let pod = |item: &Value| {
        let name = text(&item["metadata"]["name"]);
        let phase = item["status"]["phase"].as_str().unwrap_or("Pending");
        let order = (text(&item["metadata"]["creationTimestamp"]), name.clone());
        JobPod { name, has_started: phase != "Pending", order }
    };
    let mut pods: Vec<JobPod> = items.iter().map(pod).collect();
    pods.sort_by(|a, b| a.order.cmp(&b.order));
    pods
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "0s", "5", "5x", "-1s", "1.5h", "99999999999999999999s", "ää"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_path_says_which_part() {
        let part =
            LogPart { namespace: "a".to_owned(), follow: true, tail_lines: Some(3), ..LogPart::default() };
        assert_eq!(part.path("p"), "/api/v1/namespaces/a/pods/p/log?follow=true&tailLines=3");
    }

    #[test]
    fn pods_are_read_in_the_order_they_were_made() {
        let pod = |name: &str, time: &str, phase: &str| json!({"metadata": {"name": name, "creationTimestamp": time}, "status": {"phase": phase}});
        let list = json!({"items": [pod("b", "2026-01-01T00:00:02Z", "Pending"), pod("c", "2026-01-01T00:00:01Z", "Failed")]});
        let pods: Vec<_> = read_pods(&list).into_iter().map(|pod| (pod.name, pod.has_started)).collect();
        assert_eq!(pods, [("c".to_owned(), true), ("b".to_owned(), false)]);
    }
}
