//! `muster cost`: what attempts cost, added up. Attempts that are over are taken from the ledger, each once; those that are
//! alive count with what they have cost up to now.

use clap::Args;
use http::Method;
use muster_model::{DurationMs, TimeMs};
use serde_json::Value;

use super::grid::grid;
use super::hub::HubArgs;
use super::money::dollars;
use super::output::TableFormat;
use super::screen::{self, Paint, Tone, harmless};
use super::url::with_query;
use crate::exit::{Exit, Failure};

/// Arguments of `muster cost`.
#[derive(Args)]
pub struct CostArgs {
    /// namespace, cluster, job, run, label or label=KEY
    #[arg(long, value_name = "WHAT", default_value = "namespace")]
    by: String,
    /// Attempts that ended within this time, such as 30d or 12h, or since an RFC 3339 time; live ones always count
    #[arg(long, value_name = "DURATION|TIME", default_value = "30d")]
    since: String,
    /// How to print it: exact amounts as data
    #[arg(short, long, value_enum)]
    output: Option<TableFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks and prints.
pub async fn run(args: CostArgs) -> anyhow::Result<Exit> {
    let by = args.by.replacen('=', ":", 1);
    let since = time_since(&args.since, muster_controller::now())?.to_string();
    let path = with_query("/muster/v1/cost", [("by", Some(by)), ("since", Some(since))]);
    let answer = args.hub.api()?.request(Method::GET, &path, None).await?.json()?;
    let text = TableFormat::render(args.output, &answer, |wide| table(&answer, wide, Paint::stdout()))?;
    screen::print(&text)?;
    Ok(Exit::Done)
}

/// The time that `--since` means.
pub fn time_since(text: &str, now: TimeMs) -> Result<TimeMs, Failure> {
    if let Ok(DurationMs(ms)) = muster_controller::parse_duration(text) {
        return Ok(TimeMs(now.0.saturating_sub(ms)));
    }
    muster_controller::parse_time(text).map_err(|_| {
        Failure::usage(format!(
            "--since {text:?}: must be a duration such as 30d or 12h, or an RFC 3339 time"
        ))
    })
}

fn table(answer: &Value, wide: bool, paint: Paint) -> String {
    let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
    let by = text(&answer["by"]);
    let row = |row: &Value| {
        let name = text(&row["name"]);
        let mut cells = vec![
            if name.is_empty() { "<none>".to_owned() } else { name },
            row["runs"].to_string(),
            row["open"].to_string(),
            text(&row["gpuHours"]),
            dollars(&text(&row["total"])),
        ];
        if wide {
            let line = |kind: &str| row["lines"][kind].as_str().map_or_else(|| "-".to_owned(), dollars);
            cells.extend(["compute", "egress", "waste", "transferWait", "queueWait"].map(line));
            cells.extend([text(&row["lostGpuHours"]), dollars(&text(&row["openTotal"]))]);
        }
        cells
    };
    let listed = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = listed.iter().map(row).collect();
    let title = match by.split_once(':') {
        Some((_, key)) => key.to_uppercase(),
        None => by.to_uppercase(),
    };
    let mut header = vec![title.as_str(), "RUNS", "OPEN", "GPU HOURS", "COST"];
    let more = ["COMPUTE", "EGRESS", "WASTE", "TRANSFER", "QUEUE", "LOST GPU H", "OF IT OPEN"];
    header.extend(wide.then_some(more).into_iter().flatten());
    let mut out = grid(&header, &rows);
    // A job with two labels counts under both: their sum says nothing.
    if by != "label" {
        let total = paint.tone(Tone::Strong, &dollars(&text(&answer["total"])));
        out.push_str(&format!("\n{total} since {}\n", text(&answer["since"])));
    }
    for gap in answer["ledger"]["missing"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let warning = format!(
            "bookings {} to {} are not on this replica yet: the sum lacks them; ask again, or another replica",
            gap["from"], gap["to"]
        );
        out.push_str(&format!("{}\n", paint.tone(Tone::Warn, &warning)));
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn costs_in_a_table() {
        let answer = json!({"by": "label:team", "since": "2026-10-22T00:00:00Z", "total": "15.500001", "rows": [
            {"name": "vision", "runs": 3, "open": 1, "gpuHours": "12.500", "lostGpuHours": "0.000", "booked": "12.00", "openTotal": "3.00",
             "total": "15.00", "lines": {"compute": "14.00", "egress": "1.00"}},
            {"name": "", "runs": 1, "open": 0, "gpuHours": "0.100", "lostGpuHours": "0.100", "booked": "0.500001", "openTotal": "0.00",
             "total": "0.500001", "lines": {"compute": "0.500001"}}],
            "ledger": {"sequence": 4, "missing": [{"from": 1, "to": 2}]}});
        expect![[r#"
            TEAM     RUNS   OPEN   GPU HOURS   COST
            vision   3      1      12.500      $15.00
            <none>   1      0      0.100       $0.50

            $15.50 since 2026-10-22T00:00:00Z
            bookings 1 to 2 are not on this replica yet: the sum lacks them; ask again, or another replica
        "#]]
        .assert_eq(&table(&answer, false, Paint::default()));
        expect![[r#"
            TEAM     RUNS   OPEN   GPU HOURS   COST     COMPUTE   EGRESS   WASTE   TRANSFER   QUEUE   LOST GPU H   OF IT OPEN
            vision   3      1      12.500      $15.00   $14.00    $1.00    -       -          -       0.000        $3.00
            <none>   1      0      0.100       $0.50    $0.50     -        -       -          -       0.100        $0.00
        "#]]
        .assert_eq(&table(&answer, true, Paint::default()).lines().take(3).map(|l| format!("{l}\n")).collect::<String>());
    }

    #[test]
    fn since_is_a_duration_or_a_time() {
        let now = TimeMs(40 * 86_400_000);
        assert_eq!(time_since("30d", now).unwrap(), TimeMs(10 * 86_400_000));
        assert_eq!(time_since("1970-01-02T00:00:00Z", now).unwrap(), TimeMs(86_400_000));
        assert_eq!(time_since("999999d", now).unwrap(), TimeMs(0), "from the start");
        assert!(time_since("lately", now).unwrap_err().to_string().contains("--since"));
    }
}
