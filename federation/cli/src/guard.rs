//! `muster guard`: holds an agent or a replica still until a fault is over. Started by what it holds.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use muster_controller::config::ControllerConfig;
use muster_member_agent::{AgentGuard, GuardArgs as Guarded, Target, guard_agent};

use crate::exit::{Exit, Failure};
use crate::parent;

/// Hold a process still
#[derive(Args)]
pub struct GuardArgs {
    #[command(subcommand)]
    of: Of,
}

#[derive(Subcommand)]
enum Of {
    /// An agent
    Agent {
        /// Its state folder
        #[arg(long)]
        state: PathBuf,
        /// Agent ports of the hub
        #[arg(long, value_delimiter = ',')]
        hub: Vec<String>,
        #[command(flatten)]
        fault: FaultArgs,
    },
    /// A replica
    Replica {
        /// Its configuration
        #[arg(long)]
        config: PathBuf,
        /// Its sealing keys, if they are not where the configuration says
        #[arg(long)]
        secrets_key: Option<PathBuf>,
        #[command(flatten)]
        fault: FaultArgs,
    },
}

#[derive(Args)]
struct FaultArgs {
    /// Folder of the process's faults
    #[arg(long)]
    faults: PathBuf,
    /// The fault
    #[arg(long)]
    fault: String,
    /// The process
    #[arg(long)]
    pid: i32,
    /// When it started, in clock ticks since boot
    #[arg(long)]
    start_ticks: u64,
}

impl FaultArgs {
    fn guarded(self) -> Guarded {
        let target = Target { pid: self.pid, start_ticks: self.start_ticks };
        Guarded { folder: self.faults, id: self.fault, target }
    }
}

/// Runs it until the fault is over.
pub async fn run(args: GuardArgs) -> anyhow::Result<Exit> {
    parent::start_log();
    match args.of {
        Of::Agent { state, hub, fault } => {
            guard_agent(AgentGuard { state, hub_addresses: hub, args: fault.guarded() }).await?;
        }
        Of::Replica { config, secrets_key, fault } => {
            let text = std::fs::read_to_string(&config)
                .map_err(|error| Failure::input(format!("--config {}: {error}", config.display())))?;
            let mut config: ControllerConfig = serde_json::from_str(&text)?;
            config.secrets_key = secrets_key.or(config.secrets_key);
            muster_controller::guard_replica(&config, fault.guarded()).await?;
        }
    }
    Ok(Exit::Done)
}
