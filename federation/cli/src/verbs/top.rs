//! `muster top`: members with their GPUs, the jobs that run there, and what those cost per hour.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::grid::grid;
use super::hub::HubArgs;
use super::money::dollars;
use super::output::TableFormat;
use super::screen::{self, Paint, harmless};
use crate::exit::Exit;

/// Arguments of `muster top`.
#[derive(Args)]
pub struct TopArgs {
    /// How to print it
    #[arg(short, long, value_enum)]
    output: Option<TableFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks and prints.
pub async fn run(args: TopArgs) -> anyhow::Result<Exit> {
    let answer = args.hub.api()?.request(Method::GET, "/muster/v1/top", None).await?.json()?;
    screen::print(&TableFormat::render(args.output, &answer, |wide| table(&answer, wide, Paint::stdout()))?)?;
    Ok(Exit::Done)
}

fn table(answer: &Value, wide: bool, paint: Paint) -> String {
    let members = answer["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    if members.is_empty() {
        return "no member has joined; `muster cluster join NAME` prints the line that makes one\n"
            .to_owned();
    }
    let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
    let row = |name: String, status: String, of: &Value| {
        let mut row =
            vec![name, status, gpus(&of["gpus"]), of["jobs"].to_string(), dollars(&text(&of["hourly"]))];
        if wide {
            row.extend([text(&of["location"]), text(&of["priceClass"])]);
        }
        row
    };
    let mut rows: Vec<_> = members
        .iter()
        .map(|member| {
            let ready = if member["ready"] == true { "Ready" } else { "NotReady" };
            let cordon = if member["cordoned"] == true { ", cordoned" } else { "" };
            row(text(&member["name"]), format!("{}{cordon}", paint.word(ready)), member)
        })
        .collect();
    rows.push(row("total".to_owned(), String::new(), &answer["total"]));
    let mut header = vec!["MEMBER", "STATUS", "GPUS USED", "JOBS", "$/H"];
    header.extend(wide.then_some(["LOCATION", "PRICE CLASS"]).into_iter().flatten());
    grid(&header, &rows)
}

/// `3/8 NVIDIA-L4, 0/4 V100`.
fn gpus(list: &Value) -> String {
    let one = |gpus: &Value| {
        format!("{}/{} {}", gpus["used"], gpus["total"], harmless(gpus["model"].as_str().unwrap_or_default()))
    };
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn members_and_their_sum() {
        let gpus = |used: u64| json!([{"model": "NVIDIA-L4", "total": 8, "used": used, "free": 8 - used}]);
        let answer = json!({"members": [
            {"name": "a", "ready": true, "cordoned": false, "location": "aws/us-east-1", "priceClass": "spot", "gpus": gpus(3), "jobs": 2, "hourly": "3.24"},
            {"name": "b", "ready": false, "cordoned": true, "location": "onprem/berlin", "priceClass": "onPrem", "gpus": [], "jobs": 0, "hourly": "0.00"}],
            "total": {"gpus": gpus(3), "jobs": 2, "hourly": "3.24"}});
        expect![[r#"
            MEMBER   STATUS               GPUS USED       JOBS   $/H
            a        Ready                3/8 NVIDIA-L4   2      $3.24
            b        NotReady, cordoned                   0      $0.00
            total                         3/8 NVIDIA-L4   2      $3.24
        "#]]
        .assert_eq(&table(&answer, false, Paint::default()));
        let wide = table(&answer, true, Paint::default());
        assert!(wide.lines().nth(1).is_some_and(|line| line.ends_with("aws/us-east-1   spot")), "{wide}");
    }
}
