//! `muster agent` and `muster shim`: the member's side.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use muster_member_agent::{
    AgentConfig, BadFlag, GuardCommand, JoinInfo, Refused, ShimCommand, UnusableFolder,
};

use crate::exit::{Exit, Failure};
use crate::parent;
use crate::up::MemberEntry;
use crate::verbs::{parse_duration, screen, yaml_error};

/// Run the agent of one member cluster
#[derive(Args)]
pub struct AgentArgs {
    /// Its name in the federation
    #[arg(long)]
    name: String,
    /// Where the hub is joined, for the first start: https://HOST:PORT; several are separated by commas
    #[arg(long, value_name = "URL")]
    join: Option<String>,
    /// The one-time token; better by environment, where other users do not see it
    #[arg(long, env = "MUSTER_JOIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// How long to try to join while no hub answers
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    join_patience: Option<Duration>,
    /// What the hub's authority is known by: sha256:HEX
    #[arg(long, value_name = "PIN")]
    ca_pin: Option<String>,
    /// Where its state lies [default: ~/.local/share/muster/agent/NAME]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// What the member is and has: one entry of a members file, as YAML or JSON
    #[arg(long, value_name = "FILE")]
    members_entry: Option<PathBuf>,
    /// Agent ports of the hub, HOST:PORT; those learned at the join if not given
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    hub: Vec<String>,
    /// Go on in the background
    #[arg(long)]
    detach: bool,
    /// Where to write the process's id
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// End when standard input ends
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// Hold one pod
#[derive(Args)]
pub struct ShimArgs {
    /// The pod's folder
    #[arg(long)]
    pub dir: PathBuf,
    /// Run one more command in a pod that runs
    #[arg(long)]
    pub enter: bool,
}

/// Runs it until it is told to end.
pub async fn run(args: AgentArgs) -> anyhow::Result<Exit> {
    if args.detach {
        return detach(&args);
    }
    parent::start_log();
    if let Some(path) = &args.pid_file {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| Failure::usage(format!("--pid-file {}: {error}", path.display())))?;
    }
    let cancel = parent::shutdown_token()?;
    let config = config(&args)?;
    tokio::select! {
        ended = muster_member_agent::run(config, cancel) => ended.map_err(with_code)?,
        // Dropped, not stopped: what runs goes on under its shims and is adopted by the next agent.
        () = parent::parent_gone(args.with_parent) => {}
    }
    Ok(Exit::Done)
}

/// Gives a start that failed its exit code.
fn with_code(error: anyhow::Error) -> anyhow::Error {
    if error.is::<UnusableFolder>() {
        return Failure::state(format!("agent: {error:#}")).into();
    }
    if error.is::<BadFlag>() {
        return Failure::usage(format!("agent: {error:#}")).into();
    }
    if error.is::<Refused>() {
        return Failure::credential(format!("agent: {error:#}")).into();
    }
    error.context("agent")
}

fn config(args: &AgentArgs) -> anyhow::Result<AgentConfig> {
    let entry = args.members_entry.as_deref().map(read_entry).transpose()?;
    let state = match &args.state {
        Some(state) => state.clone(),
        None => default_state(&args.name)?,
    };
    let join = match (&args.join, &args.token, &args.ca_pin) {
        (Some(url), Some(token), Some(pin)) => Some(JoinInfo {
            url: url.clone(),
            token: token.clone(),
            ca_pin: pin.clone(),
            patience: args.join_patience.unwrap_or_default(),
        }),
        (Some(_), Some(_), None) => {
            return Err(Failure::usage("--ca-pin is needed to join; `muster cluster join` prints it").into());
        }
        // Without a token the agent is started again: it has an identity, or says that it has none.
        _ => None,
    };
    let exe = std::env::current_exe().context("this executable's own path")?;
    let mut guard = vec!["guard".into(), "agent".into(), "--state".into(), state.clone().into_os_string()];
    if !args.hub.is_empty() {
        guard.extend(["--hub".into(), args.hub.join(",").into()]);
    }
    Ok(AgentConfig {
        name: args.name.clone(),
        state,
        entry: entry.map(|entry| entry.to_agent()).transpose()?,
        join,
        hub_addresses: args.hub.clone(),
        guard: GuardCommand { program: exe.clone(), args: guard },
        shim: ShimCommand { program: exe, args: vec!["shim".into()] },
    })
}

fn read_entry(path: &std::path::Path) -> Result<MemberEntry, Failure> {
    let bad = |reason: String| Failure::input(format!("--members-entry {}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|error| bad(yaml_error(&error)))
}

fn default_state(name: &str) -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("HOME").ok_or_else(|| Failure::usage("no home folder: give --state DIR"))?;
    Ok(PathBuf::from(home).join(".local/share/muster/agent").join(name))
}

/// Starts the same command again in a session of its own, with the token in its environment and its log in the state folder.
fn detach(args: &AgentArgs) -> anyhow::Result<Exit> {
    use std::os::unix::process::CommandExt;
    // What is wrong with the command line is said here, not in a log.
    let state = config(args)?.state;
    let unusable = |error: std::io::Error| {
        Failure::state(format!("state folder {}: {error}; choose another with --state", state.display()))
    };
    std::fs::create_dir_all(&state).map_err(unusable)?;
    let log = std::fs::OpenOptions::new().create(true).append(true).open(state.join("agent.log"));
    let log = log.map_err(unusable)?;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let mut rest = std::env::args_os().skip(1);
    while let Some(arg) = rest.next() {
        match arg.to_str() {
            Some("--detach") => {}
            Some("--token") => drop(rest.next()),
            Some(joined) if joined.starts_with("--token=") => {}
            _ => drop(command.arg(arg)),
        }
    }
    if let Some(token) = &args.token {
        command.env("MUSTER_JOIN_TOKEN", token);
    }
    command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let child = command.spawn().context("cannot start in the background")?;
    let log = state.join("agent.log");
    let (name, pid) = (&args.name, child.id());
    screen::print(&format!(
        "agent {name} runs in the background as process {pid}; log: {}\n",
        log.display()
    ))?;
    Ok(Exit::Done)
}
