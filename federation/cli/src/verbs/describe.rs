//! `muster describe`: the story of an object: what was asked, how it stands, what happened.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::grid::{Widths, grid, pairs};
use super::hub::HubArgs;
use super::kinds::Kinds;
use super::merge::LAST_APPLIED;
use super::output;
use super::pick::Pick;
use super::screen::{self, harmless};
use super::server_table::{ACCEPT, ServerTable, Show};
use super::url::{escape, with_query};
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Arguments of `muster describe`.
#[derive(Args)]
pub struct DescribeArgs {
    /// KIND NAME..., or KIND/NAME...
    #[arg(required = true, value_name = "KIND[/NAME]")]
    what: Vec<String>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Describes each object in turn.
pub async fn run(args: DescribeArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let kinds = Kinds::ask(&api).await?;
    for (i, pick) in Pick::parse(&kinds, &args.what)?.iter().enumerate() {
        let Some(name) = &pick.name else {
            let word = &pick.kind.singular;
            return Err(Failure::usage(format!("say which {word}: `muster describe {word} NAME`")).into());
        };
        let object = api.request(Method::GET, &pick.kind.object(&api.namespace, name), None).await?.json()?;
        let gap = if i > 0 { "\n\n" } else { "" };
        screen::print(&format!("{gap}{}", story(&object)?))?;
        if pick.kind.kind == "Job" {
            screen::print(&pods(&api, &object).await?)?;
        }
        if pick.kind.kind != "Event" {
            screen::print(&events(&api, &object).await?)?;
        }
    }
    Ok(Exit::Done)
}

/// All that the object itself says.
fn story(object: &Value) -> Result<String, Failure> {
    let metadata = &object["metadata"];
    let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
    let mut head = vec![("Name", text(&metadata["name"]))];
    if metadata["namespace"].is_string() {
        head.push(("Namespace", text(&metadata["namespace"])));
    }
    head.push(("Labels", words(&metadata["labels"])));
    head.push(("Annotations", words(&metadata["annotations"])));
    head.push(("Created", text(&metadata["creationTimestamp"])));
    if metadata["deletionTimestamp"].is_string() {
        head.push(("Deleted", text(&metadata["deletionTimestamp"])));
    }
    let mut out = pairs(&head);
    let known = ["apiVersion", "kind", "metadata", "status"];
    for (name, value) in
        object.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str()))
    {
        out.push_str(&section(name, value)?);
    }
    let mut status = object["status"].clone();
    let conditions = status.as_object_mut().and_then(|status| status.remove("conditions"));
    if status.as_object().is_some_and(|status| !status.is_empty()) {
        out.push_str(&section("status", &status)?);
    }
    if let Some(Value::Array(conditions)) = conditions {
        out.push_str(&condition_table(&conditions));
    }
    Ok(out)
}

/// Labels or annotations, a line each.
fn words(map: &Value) -> String {
    let all = map.as_object().into_iter().flatten().filter(|(name, _)| *name != LAST_APPLIED);
    let lines: Vec<_> =
        all.map(|(name, value)| format!("{name}={}", harmless(value.as_str().unwrap_or_default()))).collect();
    if lines.is_empty() { "<none>".to_owned() } else { lines.join("\n") }
}

fn section(name: &str, value: &Value) -> Result<String, Failure> {
    let mut letters = name.chars();
    let title: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    if !value.is_object() && !value.is_array() {
        return Ok(pairs(&[(&title, output::to_yaml(value)?.trim_end().to_owned())]));
    }
    Ok(format!("{title}:\n{}", indent(&output::to_yaml(value)?)))
}

fn indent(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

fn condition_table(conditions: &[Value]) -> String {
    let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
    let row = |condition: &Value| {
        ["type", "status", "lastTransitionTime", "reason", "message"]
            .map(|field| text(&condition[field]))
            .to_vec()
    };
    let rows: Vec<_> = conditions.iter().map(row).collect();
    format!("Conditions:\n{}", indent(&grid(&["TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"], &rows)))
}

/// The job's pods, by uid: an earlier job of the same name may have left some.
async fn pods(api: &Api, job: &Value) -> Result<String, Failure> {
    let uid = job["metadata"]["uid"].as_str().unwrap_or_default();
    let path = format!("/api/v1/namespaces/{}/pods", escape(&api.namespace));
    let path =
        with_query(&path, [("labelSelector", Some(format!("batch.kubernetes.io/controller-uid={uid}")))]);
    table_section("Pods", &api.request_as(Method::GET, &path, ACCEPT, None).await?.json()?)
}

/// Events about an object, the oldest first.
async fn events(api: &Api, object: &Value) -> Result<String, Failure> {
    let metadata = &object["metadata"];
    let fields = [("name", &metadata["name"]), ("kind", &object["kind"]), ("uid", &metadata["uid"])];
    let selector =
        fields.map(|(field, value)| format!("involvedObject.{field}={}", value.as_str().unwrap_or_default()));
    let path = match metadata["namespace"].as_str() {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/events"),
        None => "/api/v1/events".to_owned(),
    };
    let path = with_query(&path, [("fieldSelector", Some(selector.join(",")))]);
    let list = api.request(Method::GET, &path, None).await?.json()?;
    Ok(event_table(list["items"].as_array().cloned().unwrap_or_default(), jiff::Timestamp::now()))
}

fn event_table(mut events: Vec<Value>, now: jiff::Timestamp) -> String {
    if events.is_empty() {
        return pairs(&[("Events", "<none>".to_owned())]);
    }
    let time = |event: &Value| -> Option<jiff::Timestamp> {
        let fields = ["lastTimestamp", "eventTime", "firstTimestamp"];
        let stated = fields.iter().find_map(|field| event[*field].as_str());
        stated.or(event["metadata"]["creationTimestamp"].as_str())?.parse().ok()
    };
    // Of one second the hub's own order decides.
    let revision = |event: &Value| {
        event["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse::<u64>().ok())
    };
    events.sort_by_key(|event| (time(event), revision(event)));
    let row = |event: &Value| {
        let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
        let count = event["count"]
            .as_u64()
            .filter(|count| *count > 1)
            .map(|count| format!(" (x{count})"))
            .unwrap_or_default();
        let age = time(event).map(|time| age(now.as_second() - time.as_second())).unwrap_or_default();
        vec![text(&event["type"]), text(&event["reason"]), format!("{age}{count}"), text(&event["message"])]
    };
    let rows: Vec<_> = events.iter().map(row).collect();
    format!("Events:\n{}", indent(&grid(&["TYPE", "REASON", "AGE", "MESSAGE"], &rows)))
}

/// Seconds in the two largest units that matter.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ ..120 => format!("{s}s"),
        s @ ..7_200 => format!("{}m", s / 60),
        s @ ..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

fn table_section(title: &str, table: &Value) -> Result<String, Failure> {
    let server = ServerTable::new(table, Show::default());
    let mut rows = server.rows(table);
    if rows.is_empty() {
        return Ok(pairs(&[(title, "<none>".to_owned())]));
    }
    rows.insert(0, server.header());
    let mut widths = Widths::default();
    rows.iter().for_each(|row| widths.fit(row));
    let lines: String = rows.iter().map(|row| widths.line(row)).collect();
    Ok(format!("{title}:\n{}", indent(&lines)))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_tells_its_story() {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "train", "namespace": "default", "creationTimestamp": "2026-11-21T10:00:00Z",
                "labels": {"team": "a", "tier": "b"}, "annotations": {LAST_APPLIED: "{}"}},
            "spec": {"parallelism": 1, "template": {"spec": {"containers": [{"name": "main", "command": ["sh", "-c", "a\nb\n"]}]}}},
            "status": {"active": 1, "conditions": [
                {"type": "Placed", "status": "True", "lastTransitionTime": "2026-11-21T10:00:01Z", "reason": "Placed", "message": "on a"}]},
        });
        expect![[r#"
            Name:          train
            Namespace:     default
            Labels:        team=a
                           tier=b
            Annotations:   <none>
            Created:       2026-11-21T10:00:00Z
            Spec:
              parallelism: 1
              template:
                spec:
                  containers:
                  - command:
                    - sh
                    - -c
                    - |
                      a
                      b
                    name: main
            Status:
              active: 1
            Conditions:
              TYPE     STATUS   SINCE                  REASON   MESSAGE
              Placed   True     2026-11-21T10:00:01Z   Placed   on a
        "#]]
        .assert_eq(&story(&job).unwrap());
    }

    #[test]
    fn events_are_in_order() {
        let event = |reason: &str, time: &str, count: u64| {
            json!({"type": "Normal", "reason": reason, "lastTimestamp": time,
            "count": count, "message": format!("{reason} it is")})
        };
        let events =
            vec![event("Started", "2026-11-21T10:00:05Z", 3), event("Queued", "2026-11-21T10:00:00Z", 1)];
        let now = "2026-11-21T10:03:00Z".parse().unwrap();
        expect![[r#"
            Events:
              TYPE     REASON    AGE       MESSAGE
              Normal   Queued    3m        Queued it is
              Normal   Started   2m (x3)   Started it is
        "#]]
        .assert_eq(&event_table(events, now));
        assert_eq!(event_table(Vec::new(), now), "Events:   <none>\n");
    }
}
