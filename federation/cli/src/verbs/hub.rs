//! Which hub, and as whom: the flags that every client verb has.

use std::path::PathBuf;

use clap::Args;

use crate::client::{Api, Kubeconfig, Target};
use crate::exit::Failure;

/// Flags that name a hub.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Hub")]
pub struct HubArgs {
    /// File that says where the hub is [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of that file [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Namespace [default: the context's]
    #[arg(short = 'n', long, value_name = "NAME")]
    pub namespace: Option<String>,
}

impl HubArgs {
    /// The hub's API, with the namespace that the flags name.
    pub fn api(&self) -> Result<Api, Failure> {
        Api::new(&self.target()?)
    }

    /// Where the hub is and as whom it is asked.
    pub fn target(&self) -> Result<Target, Failure> {
        let kubeconfig = Kubeconfig::find(self.kubeconfig.clone())?;
        let mut target = kubeconfig.target(self.context.as_deref())?;
        if let Some(namespace) = &self.namespace {
            target.namespace.clone_from(namespace);
        }
        Ok(target)
    }
}
