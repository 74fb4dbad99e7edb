//! From started processes to a federation that can be used: a leader, first objects, members that are Ready.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::defaults;
use super::front;
use super::layout::Layout;
use super::state_file::write_by_rename;
use crate::client::Api;
use crate::verbs::documents;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// How long the example jobs may take together.
const EXAMPLE_TIMEOUT: Duration = Duration::from_secs(60);

const CLUSTERS: &str = "/apis/muster.sh/v1alpha1/clusters";

/// Waits until some replica leads and takes requests.
pub async fn until_leader(layout: &Layout) -> anyhow::Result<()> {
    loop {
        for ports in &layout.ports.replicas {
            if front::get(ports.ops, "/readyz")
                .await
                .is_some_and(|(ready, text)| ready && text.contains("leader"))
            {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The administrator's token, and in a new federation the first prices and datasets.
pub async fn found(layout: &Layout) -> anyhow::Result<()> {
    let api = Api::new(&layout.target())?;
    if !layout.token_file().exists() {
        let body = json!({"user": "muster-admin", "groups": ["system:masters"]});
        let made = api.request(Method::POST, "/muster/v1/credentials", Some(&body)).await?.json()?;
        let token = made["token"].as_str().context("the hub gave no token")?;
        write_by_rename(&layout.token_file(), token.as_bytes(), 0o600)?;
        for document in documents(defaults::PRICES)?.into_iter().chain(documents(defaults::DATASETS)?) {
            create(&api, &document).await?;
        }
    }
    Ok(())
}

/// Creates an object; one that is there already stays as it is.
async fn create(api: &Api, document: &Value) -> anyhow::Result<()> {
    let path = crate::verbs::collection_path(document, &api.namespace)?;
    let reply = api.request(Method::POST, &path, Some(document)).await?;
    if reply.status == StatusCode::CONFLICT {
        return Ok(());
    }
    reply.json().with_context(|| format!("{} {}", document["kind"], document["metadata"]["name"]))?;
    Ok(())
}

/// A join token for each member that has not joined.
pub async fn join_tokens(layout: &Layout) -> anyhow::Result<BTreeMap<String, String>> {
    let api = Api::new(&layout.target())?;
    let mut tokens = BTreeMap::new();
    for member in &layout.members {
        if !muster_member_agent::needs_join(&layout.member_dir(&member.name), &layout.ca_pin()) {
            continue;
        }
        let body = json!({"name": member.name, "ttlSeconds": 300});
        let made = api.request(Method::POST, "/muster/v1/jointokens", Some(&body)).await?.json()?;
        tokens
            .insert(member.name.clone(), made["token"].as_str().context("the hub gave no token")?.to_owned());
    }
    Ok(tokens)
}

/// Waits until every member is Ready.
pub async fn until_members_ready(layout: &Layout) -> anyhow::Result<()> {
    let api = Api::new(&layout.target())?;
    while !not_ready(layout, &api).await?.is_empty() {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn not_ready(layout: &Layout, api: &Api) -> anyhow::Result<Vec<String>> {
    let reply = api.request(Method::GET, CLUSTERS, None).await?;
    if reply.status == StatusCode::SERVICE_UNAVAILABLE {
        return Ok(vec!["the hub".to_owned()]);
    }
    let list = reply.json()?;
    let is_ready = |cluster: &Value| {
        let conditions = cluster["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ready: Vec<&str> = items
        .iter()
        .filter(|item| is_ready(item))
        .filter_map(|item| item["metadata"]["name"].as_str())
        .collect();
    Ok(layout
        .members
        .iter()
        .map(|member| member.name.clone())
        .filter(|name| !ready.contains(&name.as_str()))
        .collect())
}

/// What a federation that did not become ready lacks.
pub async fn missing(layout: &Layout) -> String {
    let look = async {
        let api = Api::new(&layout.target())?;
        not_ready(layout, &api).await
    };
    match tokio::time::timeout(Duration::from_secs(2), look).await {
        Ok(Ok(missing)) if !missing.is_empty() => format!("not ready: {}", missing.join(", ")),
        _ => "the hub has no leader, or does not answer".to_owned(),
    }
}

/// Runs the example jobs to their end and says where each went and why.
pub async fn run_example(layout: &Layout, talk: bool) -> anyhow::Result<()> {
    let api = Api::new(&layout.target())?;
    let jobs = documents(defaults::EXAMPLE)?;
    for job in &jobs {
        create(&api, job).await?;
    }
    for job in &jobs {
        let name = job["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("/apis/batch/v1/namespaces/default/jobs/{name}");
        let done = tokio::time::timeout(EXAMPLE_TIMEOUT, finished(&api, &path)).await;
        let job =
            done.with_context(|| format!("job {name} did not end within 60 s; see `muster why {name}`"))??;
        if talk {
            let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let placed = conditions.iter().find(|condition| condition["type"] == "Placed");
            let how = placed.and_then(|placed| placed["message"].as_str()).unwrap_or("done");
            crate::verbs::screen::say(&format!("job {name}: {how}"));
        }
    }
    Ok(())
}

async fn finished(api: &Api, path: &str) -> anyhow::Result<Value> {
    loop {
        let job = api.request(Method::GET, path, None).await?.json()?;
        let conditions = job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let over = |condition: &Value| {
            condition["status"] == "True"
                && (condition["type"] == "Complete" || condition["type"] == "Failed")
        };
        if conditions.iter().any(over) {
            return Ok(job);
        }
        tokio::time::sleep(LOOK).await;
    }
}
