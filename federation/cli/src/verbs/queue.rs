//! `muster queue`: what waits, in which place, why, and since when.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::age::since;
use super::grid::grid;
use super::hub::HubArgs;
use super::output::TableFormat;
use super::screen::{self, harmless};
use super::url::with_query;
use crate::exit::Exit;

/// Arguments of `muster queue`.
#[derive(Args)]
pub struct QueueArgs {
    /// How many jobs to explain, at most 200
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// How to print it
    #[arg(short, long, value_enum)]
    output: Option<TableFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks the leader and prints what waits.
pub async fn run(args: QueueArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let path = with_query("/muster/v1/queue", [("limit", Some(args.limit.to_string()))]);
    let answer = api.request(Method::GET, &path, None).await?.json()?;
    let now = muster_controller::now();
    screen::print(&TableFormat::render(args.output, &answer, |wide| table(&answer, wide, now))?)?;
    Ok(Exit::Done)
}

fn table(answer: &Value, wide: bool, now: muster_model::TimeMs) -> String {
    let list = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |job: &Value| {
        let text = |field: &str| harmless(job[field].as_str().unwrap_or_default());
        let position = job["position"].as_u64().map_or_else(|| "reserved".to_owned(), |p| p.to_string());
        let mut row = vec![position, text("job"), text("gpus"), since(&text("since"), now)];
        if wide {
            row.push(job["attempts"].as_u64().unwrap_or_default().to_string());
            row.push(text("since"));
        }
        row.push(text("reason"));
        row
    };
    let rows: Vec<_> = list("reserved").iter().chain(list("jobs")).map(row).collect();
    if rows.is_empty() {
        return "nothing waits\n".to_owned();
    }
    let mut header = vec!["#", "JOB", "GPUS", "WAITING"];
    header.extend(wide.then_some(["ATTEMPTS", "SINCE"]).into_iter().flatten());
    header.push("REASON");
    let (waiting, shown) = (answer["waiting"].as_u64().unwrap_or_default(), list("jobs").len() as u64);
    let rest = waiting.saturating_sub(shown);
    let more = if rest > 0 { format!("and {rest} more\n") } else { String::new() };
    format!("{}{more}", grid(&header, &rows))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use muster_model::TimeMs;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_in_a_table() {
        let answer = json!({"waiting": 7,
            "reserved": [{"job": "a/moved", "position": null, "gpus": "8", "since": "1970-01-01T00:00:00Z", "attempts": 1, "reason": "has a place on b"}],
            "jobs": [{"job": "a/train", "position": 1, "gpus": "0.5", "since": "1970-01-01T00:59:00Z", "attempts": 0, "reason": "no cluster can take it now"}]});
        let now = TimeMs(3_600_000);
        expect![[r#"
            #          JOB       GPUS   WAITING   REASON
            reserved   a/moved   8      60m       has a place on b
            1          a/train   0.5    60s       no cluster can take it now
            and 6 more
        "#]]
        .assert_eq(&table(&answer, false, now));
        expect![[r#"
            #          JOB       GPUS   WAITING   ATTEMPTS   SINCE                  REASON
            reserved   a/moved   8      60m       1          1970-01-01T00:00:00Z   has a place on b
            1          a/train   0.5    60s       0          1970-01-01T00:59:00Z   no cluster can take it now
            and 6 more
        "#]]
        .assert_eq(&table(&answer, true, now));
        assert_eq!(table(&json!({"waiting": 0, "jobs": [], "reserved": []}), false, now), "nothing waits\n");
    }
}
