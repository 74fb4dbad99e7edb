//! `cargo xtask sim`: runs seeds of the simulated federation and says which promise broke, and how to see it again.
//!
//! The last line of stdout is JSON. Exit code 0: nothing broke (with `--mutant`: the bug was caught). 1: a promise broke
//! (the bug was not caught). 64: usage.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use clap::error::ErrorKind;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use muster_e2e::sim::{
    Counts, Fault, PlanFile, Report, RunReport, RunSpec, Scenario, Show, read_plan, run, shrink,
};
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: u8 = 64;
/// Seeds that a deliberate bug may hide in.
const MUTANT_SEEDS: u64 = 500;
/// Failures that are printed in full.
const SHOWN_FAILURES: usize = 5;

/// Deliberate bugs that the simulator must catch, with what catches each best.
const MUTANTS: [(&str, Scenario); 12] = [
    ("ack_without_read_index", Scenario::DeposedLeader),
    ("ack_names_lapsed", Scenario::ThawedAgent),
    ("epoch_check_skipped", Scenario::Mixed),
    ("cut_attempts_not_booked", Scenario::Mixed),
    ("deadline_from_receipt", Scenario::ThawedAgent),
    ("fence_ignores_renewal", Scenario::Mixed),
    ("fenced_epoch_revived", Scenario::ThawedAgent),
    ("grant_while_live", Scenario::Mixed),
    ("older_epoch_accepted", Scenario::BufferedStart),
    ("retry_not_idempotent", Scenario::Mixed),
    ("start_after_deadline", Scenario::ThawedAgent),
    ("timers_not_reset_on_election", Scenario::LeaderChurn),
];

/// Runs seeds of the simulated federation
#[derive(Parser)]
#[command(name = "sim")]
struct Arguments {
    /// One seed
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// So many seeds, from 1 on
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// mixed, thawed-agent, deposed-leader, buffered-start, leader-churn, or all in turn
    #[arg(long, default_value = "mixed")]
    scenario: String,
    /// Print one line per event; one seed only
    #[arg(long)]
    trace: bool,
    /// Print what was done and what was not reached
    #[arg(long)]
    report: bool,
    /// Switch a deliberate bug on and run until it is caught; `list` names them
    #[arg(long)]
    mutant: Option<String>,
    /// Play the plan of faults in this file; it names seed and scenario
    #[arg(long, conflicts_with_all = ["seed", "seeds", "scenario", "mutant"])]
    plan: Option<PathBuf>,
    /// Write the shortest schedule of the first failure, or the plan of the one seed, into this file
    #[arg(long, conflicts_with = "mutant")]
    save: Option<PathBuf>,
    /// Do not look for a shorter schedule of a failure
    #[arg(long)]
    no_shrink: bool,
}

/// The last line.
#[derive(Serialize)]
struct Summary {
    seeds: u64,
    violations: usize,
    faults: u64,
    seconds: f64,
    trace_hash: String,
    failed: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    seed: u64,
    scenario: &'static str,
    invariant: String,
    command: String,
}

/// What is run.
struct Work {
    first: u64,
    seeds: u64,
    scenarios: Vec<Scenario>,
    show: Show,
    /// Stop at the first failure.
    until_caught: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    // A panic of a part under test is reported as a broken promise, with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(file) = &arguments.plan {
        return play(file, &arguments);
    }
    match arguments.mutant.as_deref() {
        Some("list") => {
            MUTANTS.iter().for_each(|(name, scenario)| println!("{name} {}", scenario.name()));
            ExitCode::SUCCESS
        }
        Some(name) => hunt(name, &arguments),
        None => simulate(&arguments),
    }
}

fn simulate(arguments: &Arguments) -> ExitCode {
    let scenarios = match arguments.scenario.as_str() {
        "all" => Scenario::ALL.to_vec(),
        name => match Scenario::named(name) {
            Some(scenario) => vec![scenario],
            None => return usage(&format!("no scenario {name:?}: see --help")),
        },
    };
    if arguments.trace && arguments.seed.is_none() && arguments.seeds != 1 {
        return usage("--trace shows one seed: give --seed N");
    }
    let (first, seeds) = arguments.seed.map_or((1, arguments.seeds), |seed| (seed, 1));
    let show = if arguments.trace { Show::Lines } else { Show::Nothing };
    let begun = Instant::now();
    let reports = run_all(&Work { first, seeds, scenarios, show, until_caught: false });
    let failed: Vec<&RunReport> = reports.iter().filter(|report| report.violation.is_some()).collect();
    for (position, report) in failed.iter().take(SHOWN_FAILURES).enumerate() {
        let faults = tell_failure(report, !arguments.no_shrink && !arguments.trace);
        if let (0, Some(file)) = (position, &arguments.save) {
            save(file, report, &faults);
        }
    }
    if let (None, Some(file), [report]) = (failed.first(), &arguments.save, &*reports) {
        save(file, report, &report.scenario.plan(report.seed));
    }
    if arguments.report {
        print!("{}", Report(&total(&reports)));
    }
    print_summary(&reports, begun);
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays the plan in a file.
fn play(file: &Path, arguments: &Arguments) -> ExitCode {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return usage(&format!("{}: cannot be read: {error}", file.display())),
    };
    let spec = match read_plan(&text) {
        Ok(spec) => spec,
        Err(error) => return usage(&format!("{}: {error}", file.display())),
    };
    let show = if arguments.trace { Show::Lines } else { Show::Nothing };
    let begun = Instant::now();
    let report = run(&RunSpec { show, ..spec });
    if let Some(violation) = &report.violation {
        println!("seed {} ({}): {} broken", report.seed, report.scenario.name(), violation.promise);
        println!("  {}", violation.seen);
    }
    if arguments.report {
        print!("{}", Report(&report.counts));
    }
    let is_whole = report.violation.is_none();
    print_summary(&[report], begun);
    if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes a plan that `--plan` plays.
fn save(file: &Path, report: &RunReport, faults: &[Fault]) {
    let text = PlanFile::new(report.seed, report.scenario, faults).to_json();
    let written = text.map_err(std::io::Error::other).and_then(|text| std::fs::write(file, text));
    match written {
        Ok(()) => eprintln!("play it again: cargo xtask sim --plan {}", file.display()),
        Err(error) => eprintln!("{}: cannot be written: {error}", file.display()),
    }
}

/// Runs a deliberate bug until an invariant catches it.
fn hunt(name: &str, arguments: &Arguments) -> ExitCode {
    let Some((name, best)) = MUTANTS.iter().find(|(known, _)| *known == name) else {
        return usage(&format!("no mutant {name:?}: `--mutant list` names them"));
    };
    if !choose_mutant(name) {
        return usage("this build has no mutants: run it by `cargo xtask sim --mutant NAME`");
    }
    let scenario = Scenario::named(&arguments.scenario).filter(|s| *s != Scenario::Mixed).unwrap_or(*best);
    let (first, seeds) = arguments.seed.map_or((1, MUTANT_SEEDS), |seed| (seed, 1));
    let show = if arguments.trace { Show::Lines } else { Show::Nothing };
    let begun = Instant::now();
    let reports = run_all(&Work { first, seeds, scenarios: vec![scenario], show, until_caught: true });
    let caught = reports.iter().find_map(|report| Some((report.seed, report.violation.as_ref()?)));
    match caught {
        Some((seed, violation)) => {
            println!(
                "{name}: caught by {} at seed {seed} ({}): {}",
                violation.promise,
                scenario.name(),
                violation.seen
            );
        }
        None => println!("{name}: not caught in {seeds} seeds of {}", scenario.name()),
    }
    print_summary(&reports, begun);
    if caught.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(mutants)]
fn choose_mutant(name: &str) -> bool {
    muster_model::mutants::choose(Some(name));
    true
}

#[cfg(not(mutants))]
fn choose_mutant(_name: &str) -> bool {
    false
}

/// Runs seeds on as many threads as there are cores; each run has a thread to itself.
fn run_all(work: &Work) -> Vec<RunReport> {
    let runs = work.seeds;
    let bar = progress_bar(runs);
    let next = AtomicU64::new(0);
    let stop_at = AtomicU64::new(u64::MAX);
    let reports = Mutex::new(BTreeMap::new());
    let one_thread = || {
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number >= runs || number > stop_at.load(Ordering::SeqCst) {
                return;
            }
            let scenario = work.scenarios[number as usize % work.scenarios.len()];
            let spec = RunSpec { seed: work.first + number, scenario, plan: None, show: work.show };
            let report = run(&spec);
            if report.violation.is_some() && work.until_caught {
                stop_at.fetch_min(number, Ordering::SeqCst);
            }
            bar.inc(1);
            if let Ok(mut reports) = reports.lock() {
                reports.insert(number, report);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64).min(runs);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(one_thread))));
    bar.finish_and_clear();
    let last = stop_at.into_inner();
    let reports = reports.into_inner().unwrap_or_default();
    // What ran beyond the first catch depends on the number of threads.
    reports.into_iter().filter(|(number, _)| *number <= last).map(|(_, report)| report).collect()
}

fn progress_bar(runs: u64) -> ProgressBar {
    let bar = ProgressBar::new(runs);
    if !std::io::stderr().is_terminal() || runs < 2 {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Shows a failure, and gives the faults that it needs as far as that is known.
fn tell_failure(report: &RunReport, may_shrink: bool) -> Vec<Fault> {
    let planned = report.scenario.plan(report.seed);
    let Some(violation) = &report.violation else { return planned };
    println!("seed {} ({}): {} broken", report.seed, report.scenario.name(), violation.promise);
    println!("  {}", violation.seen);
    println!("  {}", command(report));
    if !may_shrink {
        return planned;
    }
    let spec = RunSpec { seed: report.seed, scenario: report.scenario, plan: None, show: Show::Nothing };
    let (faults, shrunk) = shrink(&spec, report);
    println!("  with these faults alone, at {} ms of virtual time:", shrunk.counts.virtual_ms);
    for fault in &faults {
        println!("    {:>7} ms {} for {} ms", fault.at, fault.kind.name(), fault.lasts);
    }
    if let Some(violation) = shrunk.violation {
        println!("    {}", violation.seen);
    }
    faults
}

fn command(report: &RunReport) -> String {
    format!("cargo xtask sim --seed {} --scenario {} --trace", report.seed, report.scenario.name())
}

fn total(reports: &[RunReport]) -> Counts {
    let mut total = Counts::default();
    reports.iter().for_each(|report| total.add(&report.counts));
    total
}

fn print_summary(reports: &[RunReport], begun: Instant) {
    let failed: Vec<Failure> = reports
        .iter()
        .filter_map(|report| {
            Some(Failure {
                seed: report.seed,
                scenario: report.scenario.name(),
                invariant: report.violation.as_ref()?.promise.clone(),
                command: command(report),
            })
        })
        .collect();
    let summary = Summary {
        seeds: reports.len() as u64,
        violations: failed.len(),
        faults: total(reports).faults(),
        seconds: (begun.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0,
        trace_hash: format!("{:016x}", combined_hash(reports)),
        failed,
    };
    match serde_json::to_string(&summary) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("the summary could not be written: {error}"),
    }
}

/// One seed's hash as it is; of several, all in order.
fn combined_hash(reports: &[RunReport]) -> u64 {
    let fold = |hash: u64, report: &RunReport| hash.rotate_left(1) ^ report.trace_hash;
    reports.iter().fold(0, fold)
}

fn usage(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(USAGE)
}
