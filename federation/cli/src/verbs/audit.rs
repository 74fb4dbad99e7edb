//! `muster audit`: who changed what, and whether the records are whole on every replica.

use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::grid::Widths;
use super::hub::HubArgs;
use super::output::{DataFormat, TableFormat};
use super::screen::{self, Paint, Tone, harmless};
use super::url::with_query;
use crate::client::Api;
use crate::exit::Exit;

/// Between two looks for new records.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// Records of one answer while following.
const FOLLOW_MAX: u32 = 1_000;

/// Arguments of `muster audit`.
#[derive(Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Read the audit chain and the ledger of every replica and check each link
    #[command(
        after_help = "Exit code: 0 if all records are there and as they were written, on all replicas; else 1."
    )]
    Verify(VerifyArgs),
    /// Print the last audit records
    Tail(TailArgs),
}

#[derive(Args)]
struct VerifyArgs {
    /// Print the hub's answer
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Args)]
struct TailArgs {
    /// Go on with new records as they come
    #[arg(short, long)]
    follow: bool,
    /// How many records to begin with, at most 1000
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: u32,
    /// How to print them; json is one record a line with --follow
    #[arg(short, long, value_enum)]
    output: Option<TableFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs the command.
pub async fn run(args: AuditArgs) -> anyhow::Result<Exit> {
    match args.command {
        AuditCommand::Verify(args) => verify(args).await,
        AuditCommand::Tail(args) => tail(args).await,
    }
}

async fn verify(args: VerifyArgs) -> anyhow::Result<Exit> {
    let answer = args.hub.api()?.request(Method::GET, "/muster/v1/audit/verify", None).await?.json()?;
    let text = match args.output {
        Some(format) => format.render(&answer)?,
        None => verdict(&answer, Paint::stdout()),
    };
    screen::print(&text)?;
    Ok(if answer["whole"] == true { Exit::Done } else { Exit::No })
}

fn verdict(answer: &Value, paint: Paint) -> String {
    let mut out = String::new();
    for replica in answer["replicas"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let name = harmless(replica["name"].as_str().unwrap_or_default());
        if let Some(error) = replica["error"].as_str() {
            out.push_str(&format!(
                "{name}: {}\n",
                paint.tone(Tone::Bad, &format!("not checked: {}", harmless(error)))
            ));
            continue;
        }
        for stream in ["audit", "ledger"] {
            let found = &replica[stream];
            let problems = found["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
            let state = if problems.is_empty() {
                paint.tone(Tone::Good, "whole")
            } else {
                paint.tone(Tone::Bad, &format!("{} problems", problems.len()))
            };
            let hash: String = found["hash"].as_str().unwrap_or_default().chars().take(12).collect();
            out.push_str(&format!(
                "{name}: {stream}: {state}, {} records up to {}, {hash}\n",
                found["records"], found["last"]
            ));
            for problem in problems {
                out.push_str(&format!("  {}\n", harmless(problem.as_str().unwrap_or_default())));
            }
        }
    }
    out.push_str(if answer["whole"] == true {
        "all replicas have the same records, none missing, none changed\n"
    } else {
        "records are missing or changed; a replica whose files were damaged is made anew from a snapshot and its peers\n"
    });
    out
}

async fn tail(args: TailArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let answer = ask(&api, [("last", args.last), ("limit", args.last)]).await?;
    let mut printer = Printer { wide: args.output == Some(TableFormat::Wide), widths: Widths::default() };
    if !args.follow {
        screen::print(&TableFormat::render(args.output, &answer["records"], |_| {
            printer.page(&answer, true)
        })?)?;
        return Ok(Exit::Done);
    }
    let mut after = answer["head"].as_u64().unwrap_or_default();
    screen::print(&printer.followed(args.output, &answer, true)?)?;
    loop {
        tokio::time::sleep(FOLLOW_EVERY).await;
        let path = with_query(
            "/muster/v1/audit",
            [("after", Some(after.to_string())), ("limit", Some(FOLLOW_MAX.to_string()))],
        );
        // A hub that is between two leaders is asked again.
        let answer = match api.request(Method::GET, &path, None).await.and_then(|reply| reply.json()) {
            Ok(answer) => answer,
            Err(failure) if failure.is_unreachable() => continue,
            Err(failure) => return Err(failure.into()),
        };
        if let Some(last) = answer["records"].as_array().and_then(|records| records.last()) {
            after = last["sequence"].as_u64().unwrap_or(after);
            screen::print(&printer.followed(args.output, &answer, false)?)?;
        }
    }
}

async fn ask(api: &Api, query: [(&str, u32); 2]) -> anyhow::Result<Value> {
    let path = with_query("/muster/v1/audit", query.map(|(name, value)| (name, Some(value.to_string()))));
    Ok(api.request(Method::GET, &path, None).await?.json()?)
}

/// Prints records so that columns stay where they were.
struct Printer {
    wide: bool,
    widths: Widths,
}

impl Printer {
    fn followed(
        &mut self,
        format: Option<TableFormat>,
        answer: &Value,
        first: bool,
    ) -> anyhow::Result<String> {
        let records = answer["records"].as_array().map(Vec::as_slice).unwrap_or_default();
        match format {
            Some(TableFormat::Json) => Ok(records.iter().map(|record| format!("{record}\n")).collect()),
            Some(TableFormat::Yaml) => {
                let documents =
                    records.iter().map(|record| Ok(format!("---\n{}", DataFormat::Yaml.render(record)?)));
                documents.collect()
            }
            Some(TableFormat::Wide) | None => Ok(self.page(answer, first)),
        }
    }

    fn page(&mut self, answer: &Value, with_header: bool) -> String {
        let records = answer["records"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut rows: Vec<Vec<String>> = Vec::new();
        if with_header {
            let mut header = vec!["#", "TIME", "WHO", "VERB", "WHAT", "RESULT"];
            header.extend(self.wide.then_some(["REVISION", "CHAIN"]).into_iter().flatten());
            rows.push(header.into_iter().map(str::to_owned).collect());
        }
        rows.extend(records.iter().map(|record| self.row(record)));
        rows.iter().for_each(|row| self.widths.fit(row));
        rows.iter().map(|row| self.widths.line(row)).collect()
    }

    fn row(&self, record: &Value) -> Vec<String> {
        let text = |field: &str| harmless(record[field].as_str().unwrap_or_default());
        let what = [text("resource"), text("namespace"), text("name")];
        let what: Vec<String> = what.into_iter().filter(|part| !part.is_empty()).collect();
        let denied = record["denied"].as_u64().unwrap_or_default();
        let result = match (denied, record["refused"].as_str()) {
            (0, None) if text("detail").is_empty() => "done".to_owned(),
            (0, None) => text("detail"),
            (0, Some(reason)) => format!("refused: {}", harmless(reason)),
            (1, _) => "denied".to_owned(),
            (count, _) => format!("denied {count} times"),
        };
        let mut row = vec![
            record["sequence"].to_string(),
            text("time"),
            text("principal"),
            text("verb"),
            what.join("/"),
            result,
        ];
        if self.wide {
            row.extend([text("revision"), text("chain").chars().take(12).collect()]);
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn records_in_a_table() {
        let record = |sequence: u64, refused: Value, denied: u64| {
            json!({"sequence": sequence, "time": "2026-11-21T10:00:00Z", "principal": "dana", "verb": "create", "resource": "jobs.batch",
                "namespace": "default", "name": "a", "revision": "7", "refused": refused, "denied": denied, "chain": "00112233445566778899"})
        };
        let mut ran = record(11, Value::Null, 0);
        (ran["verb"], ran["resource"], ran["detail"]) = (json!("exec"), json!("pods"), json!("main: ls -l"));
        let answer = json!({"head": 9, "records": [record(8, Value::Null, 0), record(9, json!("it is there"), 0), record(10, json!("x"), 3), ran]});
        let mut printer = Printer { wide: false, widths: Widths::default() };
        expect![[r#"
            #    TIME                   WHO    VERB     WHAT                   RESULT
            8    2026-11-21T10:00:00Z   dana   create   jobs.batch/default/a   done
            9    2026-11-21T10:00:00Z   dana   create   jobs.batch/default/a   refused: it is there
            10   2026-11-21T10:00:00Z   dana   create   jobs.batch/default/a   denied 3 times
            11   2026-11-21T10:00:00Z   dana   exec     pods/default/a         main: ls -l
        "#]]
        .assert_eq(&printer.page(&answer, true));
    }

    #[test]
    fn a_verdict_names_replica_and_record() {
        let stream = |problems: Value| json!({"records": 8, "last": 9, "hash": "00112233445566778899", "problems": problems});
        let answer = json!({"whole": false, "replicas": [
            {"name": "controller-1", "audit": stream(json!(["audit/0.seg: damaged at byte 40", "record 3 is missing"])), "ledger": stream(json!([]))},
            {"name": "controller-2", "error": "no answer in time"}]});
        expect![[r#"
            controller-1: audit: 2 problems, 8 records up to 9, 001122334455
              audit/0.seg: damaged at byte 40
              record 3 is missing
            controller-1: ledger: whole, 8 records up to 9, 001122334455
            controller-2: not checked: no answer in time
            records are missing or changed; a replica whose files were damaged is made anew from a snapshot and its peers
        "#]]
        .assert_eq(&verdict(&answer, Paint::default()));
    }
}
