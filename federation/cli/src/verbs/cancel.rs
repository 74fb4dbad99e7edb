//! `muster cancel`: jobs are stopped wherever they run, and deleted.

use clap::Args;

use super::delete::{Deletion, Doomed};
use super::hub::HubArgs;
use super::kinds::Kinds;
use super::pick::JobName;
use crate::exit::Exit;

/// Arguments of `muster cancel`.
#[derive(Args)]
pub struct CancelArgs {
    /// JOB, job/JOB, or NAMESPACE/JOB
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
    /// Do not wait until they are gone
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    hub: HubArgs,
}

/// Deletes the jobs; their processes get SIGTERM and their grace.
pub async fn run(args: CancelArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let kinds = Kinds::ask(&api).await?;
    let kind = kinds.named("jobs.batch")?;
    let doomed = |job: &String| {
        let JobName { namespace, name } = JobName::parse(job, &api.namespace);
        Doomed { kind: kind.clone(), namespace, name }
    };
    let doomed: Vec<Doomed> = args.jobs.iter().map(doomed).collect();
    let deletion = Deletion {
        propagation: "Background",
        ignore_not_found: false,
        wait: (!args.no_wait).then_some(None),
        word: Some("cancelled"),
    };
    deletion.of(&api, &doomed).await
}
