//! The executable `muster`: one queue for all your GPU clusters. No logic of its own: it reads arguments and calls the crates.
//!
//! A library only so that tests and benchmarks can use the client.

mod agent;
pub mod client;
mod controller;
pub mod exit;
mod guard;
mod parent;
mod up;
mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::Exit;

/// One queue for all your GPU clusters.
#[derive(Parser)]
#[command(name = "muster", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a federation on this machine: a hub, its members, everything real but the GPUs you do not have
    Up(up::UpArgs),
    /// Run one replica of the hub
    Controller(controller::ControllerArgs),
    /// Run the agent of one member cluster
    Agent(agent::AgentArgs),
    /// Hold one pod (started by the agent)
    #[command(hide = true)]
    Shim(agent::ShimArgs),
    /// Hold an agent or a replica still while a fault lasts (started by what it holds)
    #[command(hide = true)]
    Guard(guard::GuardArgs),
    #[command(flatten)]
    Client(verbs::Verb),
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| exit::usage(&error));
    if let Command::Shim(args) = &cli.command {
        // A shim lives beside each pod: it has no runtime and no TLS.
        let part = if args.enter { muster_member_agent::shim::enter } else { muster_member_agent::shim::run };
        return part(&args.dir);
    }
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .expect("the first provider of this process");
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match command {
            Command::Up(args) => up::run(args).await,
            Command::Controller(args) => controller::run(args).await,
            Command::Agent(args) => agent::run(args).await,
            Command::Shim(_) => unreachable!("handled before the runtime was made"),
            Command::Guard(args) => guard::run(args).await,
            Command::Client(verb) => verbs::run(verb).await,
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    done.map(Exit::code)
}
