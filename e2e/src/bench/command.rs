//! The program's arguments, and what its exit codes say.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use super::context::{Context, PeerMissing};
use super::openb::{Order, Seeds, Trace};
use super::report::{Report, Sample, Summary, Target};
use super::{
    create, disk, echo, failover, ledger, list, machine, memory, openb, placement, replan, restart_all,
    submit, table,
};

/// Measures Muster beside its peers.
///
/// Exit codes: 0 measured, 1 a target was missed with --gate, 64 usage, 69 a peer is missing, 70 a run failed.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", max_term_width = 110)]
struct Arguments {
    /// Which benchmark
    name: Name,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How often each case is measured; medians count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// A few operations of each kind, to see that it works; without peers unless --kube-root is given
    #[arg(long)]
    smoke: bool,
    /// Traces for benchmarks that replay some; those of today make their own input
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder with kube-apiserver, etcd and hey [default: one in the user's cache, built by e2e/kube/build with Go]
    #[arg(long, value_name = "DIR")]
    kube_root: Option<PathBuf>,
    /// The trace's Nodes (`openb` only; without files a made-up trace is replayed)
    #[arg(long, value_name = "CSV", requires = "pods")]
    nodes: Option<PathBuf>,
    /// The trace's pods (`openb` only)
    #[arg(long, value_name = "CSV", requires = "nodes")]
    pods: Option<PathBuf>,
    /// The trace's seeds, the last one included (`openb` only)
    #[arg(long, value_name = "A..B", default_value = "42..51")]
    seeds: Seeds,
    /// Place all that has arrived as one queue (`openb` only)
    #[arg(long)]
    queue_aware: bool,
    /// Fail if a target was missed
    #[arg(long)]
    gate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Jobs created per second and how long one takes, at 1, 32 and 256 clients
    Create,
    /// A list of 30,000 Jobs, as JSON and as Table
    List,
    /// Bytes of memory per job, POSTed and applied by kubectl
    Memory,
    /// The most disk of a replica during an hour's worth of updates
    Disk,
    /// From SIGKILL of the leader to the next acknowledged write
    Failover,
    /// From SIGKILL of all replicas to the first acknowledged write
    RestartAll,
    /// From POST to the job's own process
    SubmitToRun,
    /// Decisions per second of the placement engine alone
    Placement,
    /// A ledger of a million attempts, added up
    Ledger,
    /// GPUs allocated on Alibaba's trace of 2023, beside FGD: one line of JSON per seed
    Openb,
    /// What one more job, or room at one member, costs while 100,000 jobs wait
    Replan,
    /// All of them, one after the other
    All,
    /// The HTTP stack without a hub (started by `create`)
    #[value(hide = true)]
    EchoServer,
}

/// One benchmark.
struct Bench {
    name: &'static str,
    measure: fn(&Context) -> anyhow::Result<Vec<Sample>>,
    targets: fn(&Summary) -> Vec<Target>,
}

impl Name {
    fn benches(self) -> Vec<Bench> {
        let bench = |name, measure, targets| vec![Bench { name, measure, targets }];
        match self {
            Name::Create => bench("create", create::measure, create::targets),
            Name::List => bench("list", list::measure, list::targets),
            Name::Memory => bench("memory", memory::measure, memory::targets),
            Name::Disk => bench("disk", disk::measure, disk::targets),
            Name::Failover => bench("failover", failover::measure, failover::targets),
            Name::RestartAll => bench("restart-all", restart_all::measure, restart_all::targets),
            Name::SubmitToRun => bench("submit-to-run", submit::measure, submit::targets),
            Name::Placement => bench("placement", placement::measure, placement::targets),
            Name::Ledger => bench("ledger", ledger::measure, ledger::targets),
            Name::Openb => bench("openb", openb::measure, openb::targets),
            Name::Replan => bench("replan", replan::measure, replan::targets),
            Name::All => {
                let all = Name::value_variants()
                    .iter()
                    .filter(|name| !matches!(name, Name::All | Name::EchoServer));
                all.flat_map(|name| name.benches()).collect()
            }
            Name::EchoServer => Vec::new(),
        }
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("error: another TLS provider was installed first");
        return ExitCode::from(70);
    }
    match run(&arguments) {
        Ok(missed) => ExitCode::from(u8::from(missed && arguments.gate)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<PeerMissing>() { 69 } else { 70 })
        }
    }
}

/// Says whether a target was missed.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    if arguments.name == Name::EchoServer {
        echo::serve()?;
        return Ok(false);
    }
    if let Some(missing) = arguments.data.as_ref().filter(|dir| !dir.is_dir()) {
        anyhow::bail!("--data {}: no such folder", missing.display());
    }
    if let (Name::Openb, Some(nodes), Some(pods)) = (arguments.name, &arguments.nodes, &arguments.pods) {
        return replay_trace(arguments, nodes, pods);
    }
    machine::raise_open_files()?;
    let context = Context::new(arguments.runs, arguments.smoke, arguments.kube_root.clone())?;
    let reports = arguments
        .name
        .benches()
        .iter()
        .map(|bench| measure(bench, &context))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(file) = &arguments.json {
        let text = match reports.as_slice() {
            [one] => serde_json::to_string_pretty(one),
            all => serde_json::to_string_pretty(all),
        }?;
        std::fs::write(file, text + "\n").with_context(|| format!("--json {}", file.display()))?;
    }
    Ok(reports.iter().flat_map(|report| &report.targets).any(|target| !target.met))
}

/// Prints one line per seed as it comes; says whether a target was missed.
fn replay_trace(arguments: &Arguments, nodes: &Path, pods: &Path) -> anyhow::Result<bool> {
    let trace = Trace::read(nodes, pods)?;
    let order = if arguments.queue_aware { Order::QueueAware } else { Order::Arrival };
    let mut samples = Vec::new();
    for seed in arguments.seeds.0.clone() {
        let line = openb::run(&trace, seed, order);
        println!("{}", serde_json::to_string(&line)?);
        samples.extend(openb::samples(&line, order));
    }
    let summary = Summary::of(&samples);
    let targets = openb::published(&summary, order);
    let report = Report::new("openb", samples, summary, targets);
    eprintln!("{}", table::render(&report));
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(file, text).with_context(|| format!("--json {}", file.display()))?;
    }
    Ok(report.targets.iter().any(|target| !target.met))
}

fn measure(bench: &Bench, context: &Context) -> anyhow::Result<Report> {
    let samples = (bench.measure)(context).with_context(|| format!("bench {}", bench.name))?;
    let summary = Summary::of(&samples);
    // Figures of a smoke run say that it works, not how well.
    let targets = if context.smoke { Vec::new() } else { (bench.targets)(&summary) };
    let report = Report::new(bench.name, samples, summary, targets);
    eprintln!("{}", table::render(&report));
    Ok(report)
}
