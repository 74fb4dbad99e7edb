//! `muster controller`: one replica of the hub.

use std::path::PathBuf;

use clap::Args;
use muster_controller::config::ControllerConfig;
use muster_controller::{GuardCommand, StartError};

use crate::exit::{Exit, Failure};
use crate::parent;

/// Run one replica of the hub
#[derive(Args)]
pub struct ControllerArgs {
    /// Configuration, as JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Keys that Secrets and the certificate authority are sealed with [default: as the configuration says]
    #[arg(long, value_name = "FILE")]
    secrets_key: Option<PathBuf>,
    /// End when standard input ends
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// Runs it until it is told to end.
pub async fn run(args: ControllerArgs) -> anyhow::Result<Exit> {
    parent::start_log();
    let text = std::fs::read_to_string(&args.config)
        .map_err(|error| Failure::input(format!("--config {}: {error}", args.config.display())))?;
    let mut config: ControllerConfig = serde_json::from_str(&text)
        .map_err(|error| Failure::input(format!("--config {}: {error}", args.config.display())))?;
    config
        .check()
        .map_err(|reason| Failure::input(format!("--config {}: {reason}", args.config.display())))?;
    let cancel = parent::shutdown_token()?;
    let stop = cancel.clone();
    tokio::spawn(async move {
        parent::parent_gone(args.with_parent).await;
        stop.cancel();
    });
    let exe = std::env::current_exe()?;
    let mut of = vec!["guard".into(), "replica".into(), "--config".into(), args.config.into_os_string()];
    if let Some(file) = args.secrets_key {
        of.extend(["--secrets-key".into(), file.clone().into_os_string()]);
        config.secrets_key = Some(file);
    }
    let guard = GuardCommand { program: exe, args: of };
    muster_controller::run(config, guard, cancel).await.map_err(with_code)?;
    Ok(Exit::Done)
}

/// Gives a start that failed its exit code.
fn with_code(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(StartError::Folder(_)) => Failure::state(format!("controller: {error:#}")).into(),
        Some(StartError::Keys(_)) => Failure::state(format!("controller: {error:#}")).into(),
        Some(StartError::Port { .. }) => Failure::port(format!("controller: {error:#}")).into(),
        None => error.context("controller"),
    }
}
