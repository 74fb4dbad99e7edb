//! `muster up`: a federation on this machine. A supervisor of real processes: replicas of the hub, one agent per member,
//! and a front port that passes connections to a ready replica.
//!
//! ```text
//!  layout      where everything lies in DIR, and ports
//!  identity    sealing keys, authorities, the administrator's certificate
//!  children    start, watch, start again
//!  front       TCP pass-through, the leader first
//!  settle      wait until a leader is there and every member is Ready; first prices and datasets
//! ```

mod burst;
mod children;
mod defaults;
mod front;
mod identity;
mod layout;
mod members;
mod settle;
mod state_file;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure};
use crate::verbs::screen::say;

pub use members::MemberEntry;
pub use state_file::write_by_rename;

/// Grace of running attempts when the federation is stopped.
const MEMBERS_GOODBYE: Duration = Duration::from_secs(8);
/// Grace of the replicas after that.
const HUB_GOODBYE: Duration = Duration::from_secs(2);
/// How long until a federation that does not become ready says what is missing.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two looks at the authorities of the hub.
const IDENTITY_LOOK: Duration = Duration::from_secs(1);

/// Run a federation on this machine
#[derive(Args)]
pub struct UpArgs {
    /// Where its state lies; an earlier one is continued [default: ~/.local/share/muster/up]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Throw away the state first
    #[arg(long)]
    reset: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Replicas of the hub
    #[arg(long, value_name = "1|3|5", default_value = "3", value_parser = ["1", "3", "5"])]
    controllers: String,
    /// The members; two sites and two spot regions if not given
    #[arg(long, value_name = "FILE")]
    members: Option<PathBuf>,
    /// First port; the front listens here. 0 takes free ports
    #[arg(long, value_name = "PORT", default_value_t = 7440)]
    port_base: u16,
    /// Keys that Secrets and the certificate authority are sealed with [default: DIR/keys/secrets.key, made at the first start]
    #[arg(long, value_name = "FILE")]
    secrets_key: Option<PathBuf>,
    /// Run three jobs that show cost against locality
    #[arg(long)]
    example: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Runs the federation until Ctrl-C.
pub async fn run(args: UpArgs) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let tell = |line: &str| {
        if args.output == Output::Text {
            say(line);
        }
    };
    let dir = state_dir(args.state.as_ref())?;
    if args.reset {
        layout::reset(&dir, args.yes)?;
    }
    let members = members::load(args.members.as_deref())?;
    let layout = layout::Layout::prepare(wanted(&args, dir, members))?;
    tell(&format!("state in {}", layout.dir.display()));

    let cancel = CancellationToken::new();
    let front = front::Front::bind(layout.ports.front).await?;
    let mut children = children::Children::new(&layout, &cancel)?;
    children.start_controllers()?;
    tokio::spawn(front.serve(layout.ports.replicas.clone(), cancel.clone()));

    let stop = stop_signals()?;
    let ready = async {
        settle::until_leader(&layout).await?;
        settle::found(&layout).await?;
        children.start_agents(&settle::join_tokens(&layout).await?)?;
        settle::until_members_ready(&layout).await
    };
    let outcome = tokio::select! {
        ready = tokio::time::timeout(READY_TIMEOUT, ready) => Some(ready),
        () = stop.cancelled() => None,
    };
    match outcome {
        Some(Ok(Ok(()))) => {}
        Some(Ok(Err(error))) => {
            shut_down(&mut children, &layout).await;
            return Err(error);
        }
        Some(Err(_)) => {
            let missing = settle::missing(&layout).await;
            shut_down(&mut children, &layout).await;
            return Err(Failure::unreachable(format!(
                "not ready within 60 s: {missing}; see the logs in {}",
                layout.logs().display()
            ))
            .into());
        }
        None => {
            shut_down(&mut children, &layout).await;
            return Ok(Exit::Done);
        }
    }
    layout.publish_kubeconfig()?;
    children.publish(true)?;
    announce(&layout, started.elapsed(), args.output);
    if args.example {
        settle::run_example(&layout, args.output == Output::Text).await?;
    }
    tokio::select! {
        () = stop.cancelled() => {}
        error = children.watch() => {
            shut_down(&mut children, &layout).await;
            return Err(error);
        }
        () = follow_identity(&layout) => {}
    }
    tell("stopping");
    shut_down(&mut children, &layout).await;
    Ok(Exit::Done)
}

fn wanted(args: &UpArgs, dir: PathBuf, members: Vec<MemberEntry>) -> layout::Wanted {
    layout::Wanted {
        dir,
        controllers: args.controllers.parse().expect("clap allows 1, 3 and 5"),
        port_base: args.port_base,
        members,
        secrets_key: args.secrets_key.clone(),
    }
}

/// Rewrites the kubeconfig whenever the hub's authorities change or half of its certificate's life is over.
async fn follow_identity(layout: &layout::Layout) {
    loop {
        tokio::time::sleep(IDENTITY_LOOK).await;
        if let Err(error) = layout.follow_identity() {
            eprintln!("muster: kubeconfig: {error:#}");
        }
    }
}

fn announce(layout: &layout::Layout, took: Duration, output: Output) {
    let seconds = took.as_millis();
    match output {
        Output::Text => {
            say(&format!("ready in {}.{} s", seconds / 1000, seconds % 1000 / 100));
            say(&format!("  hub        https://{}", layout.ports.front));
            say(&format!("  kubeconfig {}", layout.kubeconfig().display()));
            say(&format!(
                "  try        export KUBECONFIG={}; kubectl get clusters",
                layout.kubeconfig().display()
            ));
            say("             muster get clusters, if you have no kubectl");
            say("Ctrl-C stops everything; the state stays.");
        }
        Output::Json => {
            let line = serde_json::json!({
                "ready": true,
                "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "front": format!("https://{}", layout.ports.front),
                "kubeconfig": layout.kubeconfig(),
                "state": layout.dir,
            });
            say(&line.to_string());
        }
    }
}

fn state_dir(flag: Option<&PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = flag {
        return Ok(std::path::absolute(dir)?);
    }
    let home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    let home = home.ok_or_else(|| Failure::usage("no home folder: give --state DIR"))?;
    Ok(home.join("muster/up"))
}

/// Cancelled by the first SIGINT or SIGTERM; the second SIGINT ends the process at once, and its children with it.
fn stop_signals() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
        interrupt.recv().await;
        children::kill_all_now();
        std::process::exit(130);
    });
    Ok(token)
}

/// Members first, while the hub can still hear that their attempts were stopped; then the hub.
async fn shut_down(children: &mut children::Children, layout: &layout::Layout) {
    let root = layout.burst_root();
    tokio::join!(
        children.stop_role(state_file::Role::Agent, MEMBERS_GOODBYE),
        burst::stop_members(&root, MEMBERS_GOODBYE)
    );
    children.stop_role(state_file::Role::Controller, HUB_GOODBYE).await;
    // One that Terraform was about to start while the hub was told to stop.
    burst::stop_members(&root, MEMBERS_GOODBYE).await;
    if let Err(error) = children.publish(false) {
        eprintln!("muster: up.json: {error}");
    }
}
