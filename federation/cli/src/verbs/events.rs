//! `muster events`: what happened to an object, or in a namespace, also long after it is gone.

use clap::Args;
use http::Method;
use muster_model::TimeMs;
use serde_json::Value;

use super::age::since;
use super::cost::time_since;
use super::grid::grid;
use super::hub::HubArgs;
use super::output::TableFormat;
use super::screen::{self, Paint, harmless};
use super::url::with_query;
use crate::exit::Exit;

/// Arguments of `muster events`.
#[derive(Args)]
pub struct EventsArgs {
    /// What they are about, by name; all of the namespace unless given
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How far back, such as 24h, or an RFC 3339 time; history keeps two weeks
    #[arg(long, value_name = "DURATION|TIME", default_value = "24h")]
    since: String,
    /// Those of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// How to print them
    #[arg(short, long, value_enum)]
    output: Option<TableFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks and prints.
pub async fn run(args: EventsArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let now = muster_controller::now();
    let from = time_since(&args.since, now)?.to_string();
    let namespace = (!args.all_namespaces).then(|| api.namespace.clone());
    let query = [("namespace", namespace), ("name", args.name.clone()), ("since", Some(from))];
    let answer = api.request(Method::GET, &with_query("/muster/v1/events", query), None).await?.json()?;
    let text = TableFormat::render(args.output, &answer, |wide| table(&answer, wide, now, Paint::stdout()))?;
    screen::print(&text)?;
    Ok(Exit::Done)
}

fn table(answer: &Value, wide: bool, now: TimeMs, paint: Paint) -> String {
    let row = |event: &Value| {
        let text = |field: &str| harmless(event[field].as_str().unwrap_or_default());
        let mut row =
            vec![since(&text("last"), now), paint.word(&text("type")), text("reason"), text("object")];
        if wide {
            row.extend([
                text("namespace"),
                text("source"),
                since(&text("first"), now),
                event["count"].to_string(),
            ]);
        }
        row.push(text("message"));
        row
    };
    let rows: Vec<_> =
        answer["events"].as_array().map(Vec::as_slice).unwrap_or_default().iter().map(row).collect();
    if rows.is_empty() {
        return "no events\n".to_owned();
    }
    let mut header = vec!["LAST SEEN", "TYPE", "REASON", "OBJECT"];
    header.extend(wide.then_some(["NAMESPACE", "SOURCE", "FIRST SEEN", "COUNT"]).into_iter().flatten());
    header.push("MESSAGE");
    let more = match answer["leftOut"].as_u64() {
        Some(left) if left > 0 => format!("{left} older ones left out\n"),
        _ => String::new(),
    };
    format!("{more}{}", grid(&header, &rows))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn events_in_a_table() {
        let answer = json!({"leftOut": 2, "events": [
            {"namespace": "a", "object": "job/train", "type": "Normal", "reason": "Placed", "message": "on b", "source": "muster", "count": 1,
             "first": "1970-01-01T00:00:00Z", "last": "1970-01-01T00:00:00Z"}]});
        expect![[r#"
            2 older ones left out
            LAST SEEN   TYPE     REASON   OBJECT      MESSAGE
            24h         Normal   Placed   job/train   on b
        "#]]
        .assert_eq(&table(&answer, false, TimeMs(86_400_000), Paint::default()));
        assert_eq!(table(&json!({"events": []}), false, TimeMs(0), Paint::default()), "no events\n");
    }
}
