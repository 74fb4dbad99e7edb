//! `muster prices import`: figures from files into a PriceBook. What is stale, negative, no number, or far from the last good
//! figure is refused by line and field; the last good one stays and says so.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use http::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use muster_controller::prices::{Import, ImportOptions, PriceFile, Provider, import};
use muster_controller::{parse_duration, parse_time};
use muster_model::{DurationMs, MicroUsd, TimeMs};
use serde_json::{Value, json};

use super::grid::grid;
use super::hub::HubArgs;
use super::output::TableFormat;
use super::screen::{self, harmless};
use super::url::escape;
use crate::client::Api;
use crate::exit::{Exit, Failure};

const BOOKS: &str = "/apis/muster.sh/v1alpha1/pricebooks";
/// How often a book that someone else changes is read again.
const TRIES: u32 = 5;
/// Lines of a table of changes; the rest is counted.
const ROWS_MAX: usize = 200;

/// Arguments of `muster prices`.
#[derive(Args)]
pub struct PricesArgs {
    #[command(subcommand)]
    command: PricesCommand,
}

#[derive(Subcommand)]
enum PricesCommand {
    /// Take prices from files into a PriceBook
    #[command(after_help = EXIT_CODES)]
    Import(ImportArgs),
}

const EXIT_CODES: &str = "Exit code: 0 if every line was taken, 1 if some were refused; the others are taken all the same.\n\
    Shapes: CSV with instance_type, machine_type or vm_size, region, od_usd_h and spot_usd_h; egress as src, dest, cost per GB; \
    bandwidth as src_region, dst_region, gbps_sent, gbps_received; own: the fields of a PriceBook as CSV or JSON.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProviderArg {
    Aws,
    Gcp,
    Azure,
    Own,
}

#[derive(Args)]
struct ImportArgs {
    /// Files, CSV or JSON
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Whose shapes the files have
    #[arg(long, value_enum)]
    provider: ProviderArg,
    /// The PriceBook, made if it is not there [default: the provider's name]
    #[arg(long, value_name = "NAME")]
    book: Option<String>,
    /// The day of figures that name none [default: the one in the file's name, as prices-2026-07.csv]
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
    /// Where the figures are from [default: the file's name]
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// The region of rows that name none
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Take figures of these regions only
    #[arg(long, value_name = "REGION,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Refuse figures older than this; plans call them stale once they are
    #[arg(long, value_name = "DURATION", default_value = "90d")]
    max_age: String,
    /// Refuse figures more than so many times above or below the last good one
    #[arg(long, value_name = "TIMES", default_value = "3")]
    max_jump: String,
    /// Show what would change and store nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print it
    #[arg(short, long, value_enum)]
    output: Option<TableFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs the command.
pub async fn run(args: PricesArgs) -> anyhow::Result<Exit> {
    let PricesCommand::Import(args) = args.command;
    let (options, name) = (options(&args, muster_controller::now())?, book_name(&args));
    let progress = progress(args.files.len() as u64);
    let mut texts = Vec::new();
    for path in &args.files {
        progress.set_message(format!("reading {}", path.display()));
        let bytes =
            std::fs::read(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
        texts.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        progress.inc(1);
    }
    let files: Vec<PriceFile<'_>> = texts.iter().map(|(name, text)| PriceFile { name, text }).collect();
    let api = args.hub.api()?;
    progress.set_message(format!("storing PriceBook {name}"));
    let done = store(&api, &name, &files, &options, args.dry_run).await;
    progress.finish_and_clear();
    let done = done?;
    let shown = shown(&done, &name, args.dry_run);
    screen::print(&TableFormat::render(args.output, &shown, |wide| {
        table(&done, &name, args.dry_run, wide)
    })?)?;
    for refused in &done.refused {
        eprintln!("refused: {}", harmless(&refused.to_string()));
    }
    Ok(if done.refused.is_empty() { Exit::Done } else { Exit::No })
}

fn book_name(args: &ImportArgs) -> String {
    args.book.clone().unwrap_or_else(|| provider(args.provider).as_str().to_owned())
}

fn provider(arg: ProviderArg) -> Provider {
    match arg {
        ProviderArg::Aws => Provider::Aws,
        ProviderArg::Gcp => Provider::Gcp,
        ProviderArg::Azure => Provider::Azure,
        ProviderArg::Own => Provider::Own,
    }
}

fn options(args: &ImportArgs, now: TimeMs) -> Result<ImportOptions, Failure> {
    let max_age = parse_duration(&args.max_age).ok().filter(|age| *age > DurationMs(0));
    let max_age = max_age.ok_or_else(|| {
        Failure::usage(format!("--max-age {:?}: must be a duration such as 90d", args.max_age))
    })?;
    let jump = muster_controller::quantity::milli(&args.max_jump).ok().filter(|milli| *milli > 1_000);
    let max_jump_milli = jump.ok_or_else(|| {
        Failure::usage(format!("--max-jump {:?}: must be a number above 1, such as 3 or 1.5", args.max_jump))
    })?;
    let as_of = args.as_of.as_deref().map(|text| {
        let time = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        parse_time(&time).map_err(|_| {
            Failure::usage(format!("--as-of {text:?}: must be a day such as 2026-07-20, or an RFC 3339 time"))
        })
    });
    Ok(ImportOptions {
        provider: provider(args.provider),
        source: args.source.clone(),
        as_of: as_of.transpose()?,
        region: args.region.clone(),
        only: args.only.clone(),
        max_age,
        max_jump_milli,
        now,
    })
}

/// A bar where a person sees it.
fn progress(files: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(files);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// Imports into the book as it is, and again if someone else changed it meanwhile.
async fn store(
    api: &Api,
    name: &str,
    files: &[PriceFile<'_>],
    options: &ImportOptions,
    dry_run: bool,
) -> Result<Import, Failure> {
    let path = format!("{BOOKS}/{}", escape(name));
    for _ in 0..TRIES {
        let reply = api.request(Method::GET, &path, None).await?;
        let book = if reply.status == StatusCode::NOT_FOUND { None } else { Some(reply.json()?) };
        let done = import(book.as_ref(), name, files, options)
            .map_err(|why| Failure::negative(format!("PriceBook {name}: {why}")))?;
        let nothing = book.is_none() && done.figures == 0;
        if dry_run || nothing {
            return Ok(done);
        }
        let reply = match &book {
            Some(_) => api.request(Method::PUT, &path, Some(&done.document)).await?,
            None => api.request(Method::POST, BOOKS, Some(&done.document)).await?,
        };
        match reply.status {
            StatusCode::CONFLICT => {}
            StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(Failure::input(format!(
                    "PriceBook {name}: {} figures are more than one object may hold; take the regions of your members with --only, or \
                     use more than one --book",
                    done.figures
                )));
            }
            _ => {
                let stored = reply.json()?;
                tell(api, name, &stored, &done, options.now).await;
                return Ok(done);
            }
        }
    }
    Err(Failure::negative(format!("PriceBook {name} is changed by someone else again and again; try later")))
}

/// An Event on the book, so that `kubectl describe` tells it. The import is done, whether it can be told or not.
async fn tell(api: &Api, name: &str, book: &Value, done: &Import, now: TimeMs) {
    let (kind, reason) =
        if done.refused.is_empty() { ("Normal", "PricesImported") } else { ("Warning", "PricesRefused") };
    let mut message = format!(
        "{} prices changed, {} lines refused, {} figures stay the last good ones",
        done.changes.len(),
        done.refused.len(),
        done.held.len()
    );
    if let Some(first) = done.refused.first() {
        message.push_str(&format!("; first: {first}"));
    }
    message.truncate(message.floor_char_boundary(1_000));
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("{name}.{:x}", now.0), "namespace": "default"},
        "involvedObject": {"apiVersion": "muster.sh/v1alpha1", "kind": "PriceBook", "name": name, "uid": book["metadata"]["uid"]},
        "reason": reason, "message": message, "type": kind, "count": 1,
        "source": {"component": "muster prices import"},
        "firstTimestamp": now.to_string(), "lastTimestamp": now.to_string(),
    });
    let told = api.request(Method::POST, "/api/v1/namespaces/default/events", Some(&event)).await;
    if let Err(failure) = told.and_then(|reply| reply.json()) {
        eprintln!("muster: the prices are stored; the event that tells it is not: {failure}");
    }
}

fn shown(done: &Import, name: &str, dry_run: bool) -> Value {
    let amount = |amount: Option<MicroUsd>| amount.map(|amount| amount.to_string());
    json!({
        "book": name,
        "dryRun": dry_run,
        "figures": done.figures,
        "passedOver": done.passed_over,
        "changes": done.changes.iter().map(|c| json!({
            "what": c.what, "field": c.field, "old": amount(c.old), "new": amount(c.new), "source": &*c.source,
        })).collect::<Vec<_>>(),
        "refused": done.refused.iter().map(|r| json!({"file": r.file, "line": r.line, "field": r.field, "reason": r.reason})).collect::<Vec<_>>(),
        "held": done.held,
    })
}

fn table(done: &Import, name: &str, dry_run: bool, wide: bool) -> String {
    let amount =
        |amount: Option<MicroUsd>| amount.map_or_else(|| "-".to_owned(), |amount| format!("${amount}"));
    let row = |c: &muster_controller::prices::Change| {
        let mut row =
            vec![c.what.clone(), c.field.to_owned(), amount(c.old), amount(c.new), percent(c.old, c.new)];
        row.extend(wide.then(|| c.source.to_string()));
        row.iter().map(|cell| harmless(cell)).collect::<Vec<_>>()
    };
    let rows: Vec<_> = done.changes.iter().take(ROWS_MAX).map(row).collect();
    let mut header = vec!["WHAT", "PRICE", "OLD", "NEW", "CHANGE"];
    header.extend(wide.then_some("SOURCE"));
    let mut out = if rows.is_empty() { String::new() } else { format!("{}\n", grid(&header, &rows)) };
    if done.changes.len() > ROWS_MAX {
        out.push_str(&format!("and {} more\n", done.changes.len() - ROWS_MAX));
    }
    for held in &done.held {
        out.push_str(&format!("{}: the last good figure stays\n", harmless(held)));
    }
    let verb = if dry_run { "would change" } else { "changed" };
    out.push_str(&format!(
        "PriceBook {name}: {} prices {verb}, {} lines refused, {} passed over, {} figures in all\n",
        done.changes.len(),
        done.refused.len(),
        done.passed_over,
        done.figures
    ));
    out
}

/// The change in percent, in integers.
fn percent(old: Option<MicroUsd>, new: Option<MicroUsd>) -> String {
    match (old, new) {
        (None, Some(_)) => "new".to_owned(),
        (Some(_), None) => "gone".to_owned(),
        (Some(old), Some(new)) if old.0 != 0 => {
            let tenths = (i128::from(new.0) - i128::from(old.0)) * 1000 / i128::from(old.0);
            let sign = if tenths < 0 { "-" } else { "+" };
            format!("{sign}{}.{}%", tenths.abs() / 10, tenths.abs() % 10)
        }
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use muster_controller::prices::Change;

    use super::*;

    #[test]
    fn changes_in_a_table() {
        let change = |field: &'static str, old: Option<i64>, new: Option<i64>| Change {
            what: "A100 in aws/us-east-1".to_owned(),
            field,
            old: old.map(MicroUsd),
            new: new.map(MicroUsd),
            source: "list".into(),
        };
        let done = Import {
            document: json!({}),
            changes: vec![
                change("onDemand", Some(4_000_000), Some(3_500_000)),
                change("spot", None, Some(1_000_000)),
                change("spot", Some(1_000_000), None),
            ],
            refused: Vec::new(),
            held: vec!["H100 in aws/us-east-1".to_owned()],
            passed_over: 3,
            figures: 2,
        };
        expect![[r#"
            WHAT                    PRICE      OLD     NEW     CHANGE
            A100 in aws/us-east-1   onDemand   $4.00   $3.50   -12.5%
            A100 in aws/us-east-1   spot       -       $1.00   new
            A100 in aws/us-east-1   spot       $1.00   -       gone

            H100 in aws/us-east-1: the last good figure stays
            PriceBook aws: 3 prices would change, 0 lines refused, 3 passed over, 2 figures in all
        "#]]
        .assert_eq(&table(&done, "aws", true, false));
    }
}
