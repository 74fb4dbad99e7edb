//! `muster gameday`: dry run, approval, run, abort and report of game days.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::chaos::post;
use super::gameday_text::{plan_text, report_text};
use super::hub::HubArgs;
use super::output::{DataFormat, to_json, to_yaml};
use super::screen;
use super::url::escape;
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Where the GameDay objects are.
const GAME_DAYS: &str = "/apis/muster.sh/v1alpha1/gamedays";
/// Between two looks at a run that is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Arguments of `muster gameday`.
#[derive(Args)]
pub struct GameDayArgs {
    #[command(subcommand)]
    verb: GameDayVerb,
}

#[derive(Subcommand)]
enum GameDayVerb {
    /// Dry run: who would be hit, what it would do, and the plan's hash
    Plan(PlanArgs),
    /// Run a plan that was looked at; without its hash only the dry run is printed
    Run(RunArgs),
    /// Agree that a plan may run by its schedule
    Approve(ApproveArgs),
    /// End the run under way and take everything back
    Abort(NameArgs),
    /// Print the report of the last run
    Report(ReportArgs),
}

#[derive(Args)]
struct NameArgs {
    /// The game day
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Args)]
struct PlanArgs {
    #[command(flatten)]
    day: NameArgs,
    /// Print the hub's answer
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    day: NameArgs,
    /// Hash of the plan, as the dry run printed it
    #[arg(long, value_name = "HASH")]
    plan_hash: Option<String>,
    /// Wait for its end and print the report; exit 0 only if it passed
    #[arg(long)]
    wait: bool,
}

#[derive(Args)]
struct ApproveArgs {
    #[command(flatten)]
    day: NameArgs,
    /// Hash of the plan, as the dry run printed it
    #[arg(long, value_name = "HASH")]
    plan_hash: String,
    /// How long the approval holds
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    r#for: String,
}

#[derive(Args)]
struct ReportArgs {
    #[command(flatten)]
    day: NameArgs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Text)]
    output: ReportFormat,
    /// Write it to a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    Text,
    Json,
    Yaml,
}

/// Runs a verb about game days.
pub async fn run(args: GameDayArgs) -> anyhow::Result<Exit> {
    match args.verb {
        GameDayVerb::Plan(args) => plan(&args.day, args.output).await,
        GameDayVerb::Run(args) => begin(&args).await,
        GameDayVerb::Approve(args) => approve(&args).await,
        GameDayVerb::Abort(args) => {
            post(&args.hub.api()?, &verb_path(&args.name, "abort"), &json!({})).await?;
            screen::print(&format!("gameday/{} is being stopped; its faults are taken back\n", args.name))?;
            Ok(Exit::Done)
        }
        GameDayVerb::Report(args) => report(&args).await,
    }
}

fn verb_path(name: &str, verb: &str) -> String {
    format!("/muster/v1/gamedays/{}/{verb}", escape(name))
}

async fn plan(day: &NameArgs, output: Option<DataFormat>) -> anyhow::Result<Exit> {
    let api = day.hub.api()?;
    let answer = api.request(Method::GET, &verb_path(&day.name, "plan"), None).await?.json()?;
    let text = match output {
        Some(format) => format.render(&answer)?,
        None => plan_text(&answer),
    };
    screen::print(&text)?;
    Ok(if answer["mayRun"] == true { Exit::Done } else { Exit::No })
}

async fn begin(args: &RunArgs) -> anyhow::Result<Exit> {
    let Some(hash) = &args.plan_hash else { return plan(&args.day, None).await };
    let (api, name) = (args.day.hub.api()?, &args.day.name);
    post(&api, &verb_path(name, "run"), &json!({"planHash": hash})).await?;
    if !args.wait {
        screen::print(&format!("gameday/{name} runs; `muster gameday report {name}` when it has ended\n"))?;
        return Ok(Exit::Done);
    }
    let ended = wait_for_end(&api, name).await?;
    screen::print(&report_text(name, &ended))?;
    Ok(if ended["verdict"] == "Passed" { Exit::Done } else { Exit::No })
}

/// The report, once no run is under way.
async fn wait_for_end(api: &Api, name: &str) -> Result<Value, Failure> {
    loop {
        match status(api, name).await {
            Ok(status) if status["phase"] == "Idle" => return Ok(status["report"].clone()),
            Ok(_) => {}
            // A game day may well take the hub away for a while.
            Err(failure) if failure.is_unreachable() => {}
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn status(api: &Api, name: &str) -> Result<Value, Failure> {
    let reply = api.request(Method::GET, &format!("{GAME_DAYS}/{}", escape(name)), None).await?;
    if reply.status == StatusCode::NOT_FOUND {
        let hint = "`muster get gamedays` lists them";
        return Err(Failure::negative(format!("there is no game day {name:?}; {hint}")));
    }
    Ok(reply.json()?["status"].clone())
}

async fn approve(args: &ApproveArgs) -> anyhow::Result<Exit> {
    let body = json!({"planHash": args.plan_hash, "for": args.r#for});
    let answer = post(&args.day.hub.api()?, &verb_path(&args.day.name, "approve"), &body).await?;
    let until = answer["expiresAt"].as_str().unwrap_or_default();
    screen::print(&format!("gameday/{}: plan {} may run until {until}\n", args.day.name, args.plan_hash))?;
    Ok(Exit::Done)
}

async fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let name = &args.day.name;
    let found = status(&args.day.hub.api()?, name).await?["report"].clone();
    if found.is_null() {
        let hint = format!("`muster gameday run {name}` begins one");
        return Err(Failure::negative(format!("no run of {name} has ended yet; {hint}")).into());
    }
    let text = match args.output {
        ReportFormat::Text => report_text(name, &found),
        ReportFormat::Json => to_json(&found),
        ReportFormat::Yaml => to_yaml(&found)?,
    };
    match &args.file {
        None => screen::print(&text)?,
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::usage(format!("--file {}: {error}", path.display())))?,
    }
    Ok(if found["verdict"] == "Passed" { Exit::Done } else { Exit::No })
}
