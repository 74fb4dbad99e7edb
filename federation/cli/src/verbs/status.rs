//! `muster status`: hub, members and queue on one screen.

use std::collections::BTreeMap;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::grid::{grid, pairs};
use super::hub::HubArgs;
use super::output::DataFormat;
use super::replicas;
use super::screen::{self, Paint};
use super::server_table::{ACCEPT, ServerTable, Show};
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// The order in which a job passes through these; others come behind.
const WORDS: [&str; 8] =
    ["Suspended", "Queued", "Reserved", "Starting", "Running", "Stopping", "Complete", "Failed"];

/// Arguments of `muster status`.
#[derive(Args)]
pub struct StatusArgs {
    /// Print it as data
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks and prints. A hub without a leader still says how its replicas stand, which is what one wants to know then.
pub async fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let paint = Paint::stdout();
    let (replicas, rest) =
        tokio::join!(replicas::ask(&api), async { tokio::try_join!(clusters(&api), jobs(&api)) });
    let replicas = replicas?;
    let (clusters, jobs) = match rest {
        Ok(rest) => rest,
        Err(failure) => {
            if args.output.is_none() {
                screen::print(&hub(&replicas, paint))?;
            }
            return Err(failure.about("members and jobs").into());
        }
    };
    let text = match args.output {
        Some(format) => format.render(&json!({"hub": replicas, "members": clusters, "jobs": jobs}))?,
        None => format!("{}\n{}\n{}", hub(&replicas, paint), members(&clusters, paint), queue(&jobs)),
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

async fn clusters(api: &Api) -> Result<Vec<Value>, Failure> {
    let mut list = api.request(Method::GET, "/apis/muster.sh/v1alpha1/clusters", None).await?.json()?;
    Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

/// Jobs of all namespaces by the word in their `STATUS` column: the hub's own words, and a fraction of the bytes.
async fn jobs(api: &Api) -> Result<BTreeMap<String, u64>, Failure> {
    let table =
        api.request_as(Method::GET, "/apis/batch/v1/jobs?includeObject=None", ACCEPT, None).await?.json()?;
    let server = ServerTable::new(&table, Show::default());
    let mut counts = BTreeMap::new();
    if let Some(status) = server.position("STATUS") {
        for row in server.rows(&table) {
            *counts.entry(row[status].clone()).or_insert(0) += 1;
        }
    }
    Ok(counts)
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn hub(replicas: &Value, paint: Paint) -> String {
    format!("Hub: {}\n{}", replicas::headline(replicas), indent(&replicas::table(replicas, paint)))
}

fn members(clusters: &[Value], paint: Paint) -> String {
    if clusters.is_empty() {
        return "Members: none; `muster cluster join NAME` prints the line that makes one\n".to_owned();
    }
    let ready = clusters.iter().filter(|cluster| readiness(cluster) == "Ready").count();
    let rows: Vec<_> = clusters.iter().map(|cluster| member(cluster, paint)).collect();
    let table = grid(&["NAME", "STATUS", "LOCATION", "PRICE", "GPUS FREE"], &rows);
    format!("Members: {ready} of {} ready\n{}", clusters.len(), indent(&table))
}

fn queue(jobs: &BTreeMap<String, u64>) -> String {
    let total: u64 = jobs.values().sum();
    if total == 0 {
        return "Jobs: none\n".to_owned();
    }
    let others = jobs.keys().map(String::as_str).filter(|word| !WORDS.contains(word));
    let words = WORDS.into_iter().chain(others).filter(|word| jobs.contains_key(*word));
    let counts: Vec<_> = words.map(|word| (word, jobs[word].to_string())).collect();
    format!("Jobs: {total}\n{}", indent(&pairs(&counts)))
}

fn member(cluster: &Value, paint: Paint) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &cluster["spec"];
    let place = ["provider", "region", "zone"].map(|part| text(&spec["location"][part]));
    let place: Vec<String> = place.into_iter().filter(|part| !part.is_empty()).collect();
    let cordon = if spec["unschedulable"] == true { ", cordoned" } else { "" };
    let capacity = cluster["status"]["capacity"].as_array().map(Vec::as_slice).unwrap_or_default();
    let gpus =
        capacity.iter().map(|gpus| format!("{}/{} {}", gpus["free"], gpus["total"], text(&gpus["model"])));
    vec![
        text(&cluster["metadata"]["name"]),
        format!("{}{cordon}", paint.word(readiness(cluster))),
        place.join("/"),
        text(&spec["priceClass"]),
        gpus.collect::<Vec<_>>().join(", "),
    ]
}

fn readiness(cluster: &Value) -> &'static str {
    let conditions = cluster["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    match ready.map(|ready| &ready["status"]) {
        Some(status) if status == "True" => "Ready",
        Some(status) if status == "False" => "NotReady",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn one_screen() {
        let replicas = json!({"leader": "controller-1", "term": 2, "replicas": [
            {"name": "controller-1", "role": "leader", "applied": 9, "committed": 9, "digest": "00ff"}]});
        let cluster = |name: &str, ready: &str, cordoned: bool| {
            json!({"metadata": {"name": name},
            "spec": {"location": {"provider": "aws", "region": "us-east-1"}, "priceClass": "spot", "unschedulable": cordoned},
            "status": {"conditions": [{"type": "Ready", "status": ready}], "capacity": [{"model": "NVIDIA-L4", "free": 3, "total": 4}]}})
        };
        let clusters = [cluster("a", "True", false), cluster("b", "False", true)];
        let jobs =
            BTreeMap::from([("Running".to_owned(), 2), ("Queued".to_owned(), 11), ("New".to_owned(), 1)]);
        expect![[r#"
            Hub: controller-1 leads in term 2
              NAME           ROLE     APPLIED   COMMITTED   DIGEST
              controller-1   leader   9         9           00ff

            Members: 1 of 2 ready
              NAME   STATUS               LOCATION        PRICE   GPUS FREE
              a      Ready                aws/us-east-1   spot    3/4 NVIDIA-L4
              b      NotReady, cordoned   aws/us-east-1   spot    3/4 NVIDIA-L4

            Jobs: 14
              Queued:    11
              Running:   2
              New:       1
        "#]]
        .assert_eq(
            &[hub(&replicas, Paint::default()), members(&clusters, Paint::default()), queue(&jobs)]
                .join("\n"),
        );
    }

    #[test]
    fn an_empty_federation_says_what_to_do() {
        let want = "Members: none; `muster cluster join NAME` prints the line that makes one\n";
        assert_eq!(members(&[], Paint::default()), want);
        assert_eq!(queue(&BTreeMap::new()), "Jobs: none\n");
    }
}
