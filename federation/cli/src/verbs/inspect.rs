//! `muster inspect`: what a replica's folder holds. Reads files, talks to nobody.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use muster_controller::inspect::{
    self, EntryReport, LogReport, PositionReport, SegmentReport, SnapshotReport,
};

use super::grid::grid;
use super::output::DataFormat;
use super::screen;
use crate::exit::{Exit, Failure};

/// Arguments of `muster inspect`.
#[derive(Args)]
pub struct InspectArgs {
    #[command(subcommand)]
    verb: InspectVerb,
}

#[derive(Subcommand)]
enum InspectVerb {
    /// Read the log of a replica that is down: its files, where it stands, its last entries, and what does not check out
    #[command(
        after_help = "Exit code: 0 if a replica would start from it, 1 if it would refuse it, 73 if it cannot be read."
    )]
    Log(LogArgs),
    /// Read the newest snapshot of a replica, and check its objects against its digest
    Snapshot(SnapshotArgs),
}

#[derive(Args)]
struct LogArgs {
    /// The replica's data folder (`dataDir` in up.json)
    folder: PathBuf,
    /// Show so many of the last entries
    #[arg(long, default_value_t = 10)]
    last: usize,
    /// Print it as data
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
}

#[derive(Args)]
struct SnapshotArgs {
    /// The replica's data folder (`dataDir` in up.json)
    folder: PathBuf,
    /// Print it as data
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
}

/// Reads and prints.
pub fn run(args: InspectArgs) -> anyhow::Result<Exit> {
    match args.verb {
        InspectVerb::Log(args) => {
            let report = inspect::log(&args.folder, args.last).map_err(|error| unreadable(&error))?;
            let text = match args.output {
                Some(format) => format.render(&serde_json::to_value(&report)?)?,
                None => log_text(&report),
            };
            screen::print(&text)?;
            Ok(if report.refusal.is_none() { Exit::Done } else { Exit::No })
        }
        InspectVerb::Snapshot(args) => {
            let report = inspect::snapshot(&args.folder).map_err(|error| unreadable(&error))?;
            let text = match args.output {
                Some(format) => format.render(&serde_json::to_value(&report)?)?,
                None => snapshot_text(&report),
            };
            screen::print(&text)?;
            Ok(Exit::Done)
        }
    }
}

fn unreadable(error: &anyhow::Error) -> Failure {
    Failure::state(format!("{error:#}"))
}

fn log_text(report: &LogReport) -> String {
    let verdict = match (&report.position, &report.refusal) {
        (Some(position), _) => position_text(position),
        (None, Some(refusal)) => format!("A replica would refuse it: {refusal}\n"),
        (None, None) => String::new(),
    };
    let segments: Vec<_> = report.segments.iter().map(segment_row).collect();
    let segments =
        grid(&["FILE", "BATCHES", "ENTRIES", "WRITTEN", "SIZE", "BEHIND THE LAST BATCH"], &segments);
    let entries: Vec<_> = report.entries.iter().map(entry_row).collect();
    let entries = match entries.is_empty() {
        true => String::new(),
        false => format!("\n{}", grid(&["INDEX", "TERM", "BYTES", "TIME", "COMMAND"], &entries)),
    };
    format!("Log of {}\n{verdict}\n{segments}{entries}", report.owner)
}

fn position_text(position: &PositionReport) -> String {
    let PositionReport { term, committed, starts, snapshot: (index, of_term), .. } = position;
    let snapshot = match &position.snapshot_file {
        Some(file) => format!("at index {index} of term {of_term}, {file}"),
        None => "none yet".to_owned(),
    };
    format!(
        "It checks out: term {term}, committed up to {committed}, entries {}, opened {starts} times; snapshot {snapshot}\n",
        range(position.entries)
    )
}

fn segment_row(segment: &SegmentReport) -> Vec<String> {
    let batches = (segment.batches.0 <= segment.batches.1).then_some(segment.batches);
    vec![
        segment.file.clone(),
        range(batches),
        range(segment.entries),
        segment.used_bytes.to_string(),
        segment.size_bytes.to_string(),
        segment.behind.unwrap_or("-").to_owned(),
    ]
}

fn entry_row(entry: &EntryReport) -> Vec<String> {
    let time = entry.time.clone().unwrap_or_else(|| "-".to_owned());
    let (index, term) = (entry.index.to_string(), entry.term.to_string());
    vec![index, term, entry.bytes.to_string(), time, entry.command.clone()]
}

fn range(ends: Option<(u64, u64)>) -> String {
    ends.map_or_else(|| "-".to_owned(), |(first, last)| format!("{first} to {last}"))
}

fn snapshot_text(report: &SnapshotReport) -> String {
    let rows: Vec<_> =
        report.objects.iter().map(|(kind, count)| vec![kind.clone(), count.to_string()]).collect();
    format!(
        "{}\nIt checks out: {} bytes, revision {} of {}, generation {}, digest {}, {} audit records before it\n\n{}",
        report.file,
        report.bytes,
        report.revision,
        report.time,
        report.generation,
        report.digest,
        report.audit_records,
        grid(&["KIND", "OBJECTS"], &rows)
    )
}
