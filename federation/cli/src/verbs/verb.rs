//! The client verbs and who runs them.

use clap::Subcommand;

use super::{
    apply, audit, burst, ca, cancel, chaos, cluster, completion, cost, dataset, delete, describe, events,
    exec, gameday, get, inspect, kubeconfig, logs, plan, prices, queue, replicas, secrets, status, top, why,
};
use crate::exit::Exit;

/// What a client asks of a hub.
#[derive(Subcommand)]
pub enum Verb {
    /// Create what a file describes, or change what is there to match it
    Apply(apply::ApplyArgs),
    /// List objects, or show some by name
    Get(get::GetArgs),
    /// Tell the story of an object: what was asked, how it stands, what happened
    Describe(describe::DescribeArgs),
    /// Print the log of a job or pod
    Logs(logs::LogsArgs),
    /// Run a command in a pod
    Exec(exec::ExecArgs),
    /// Show what a pod writes from now on
    Attach(exec::AttachArgs),
    /// Delete objects and wait until they are gone
    Delete(delete::DeleteArgs),
    /// Stop jobs and delete them
    Cancel(cancel::CancelArgs),
    /// Say where a job would run and what it would cost, without running it
    #[command(after_help = plan::EXIT_CODES)]
    Plan(plan::PlanArgs),
    /// Say why a job is where it is, or why it waits and what would help
    Why(why::WhyArgs),
    /// Show what waits, in order, and why
    Queue(queue::QueueArgs),
    /// Show members: GPUs by model, jobs, and what they cost per hour
    Top(top::TopArgs),
    /// Show what attempts cost, added up
    Cost(cost::CostArgs),
    /// Show what happened, also to what is gone
    Events(events::EventsArgs),
    /// Show who changed what, and check that no record is missing or changed
    Audit(audit::AuditArgs),
    /// Take prices from files into a PriceBook
    Prices(prices::PricesArgs),
    /// Look at the files of a dataset
    Dataset(dataset::DatasetArgs),
    /// Show the hub's replicas
    Replicas(replicas::ReplicasArgs),
    /// Read the folder of a replica that is down
    Inspect(inspect::InspectArgs),
    /// Show hub, members and queue on one screen
    Status(status::StatusArgs),
    /// Join and look after member clusters
    Cluster(cluster::ClusterArgs),
    /// Members that Terraform makes when the queue justifies their price
    Burst(burst::BurstArgs),
    /// Break things on purpose, for a while
    Chaos(chaos::ChaosArgs),
    /// Rehearse, run and judge game days
    #[command(name = "gameday")]
    GameDay(gameday::GameDayArgs),
    /// Look after the keys that Secrets are sealed with
    Secrets(secrets::SecretsArgs),
    /// Look after the authority that certificates come from
    Ca(ca::CaArgs),
    /// Print a kubeconfig with a fresh certificate of yours
    Kubeconfig(kubeconfig::KubeconfigArgs),
    /// Print completions for a shell
    Completion(completion::CompletionArgs),
}

/// Runs a verb.
pub async fn run(verb: Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::Apply(args) => apply::run(args).await,
        Verb::Get(args) => get::run(args).await,
        Verb::Describe(args) => describe::run(args).await,
        Verb::Logs(args) => logs::run(args).await,
        Verb::Exec(args) => exec::exec(args).await,
        Verb::Attach(args) => exec::attach(args).await,
        Verb::Delete(args) => delete::run(args).await,
        Verb::Cancel(args) => cancel::run(args).await,
        Verb::Plan(args) => plan::run(args).await,
        Verb::Why(args) => why::run(args).await,
        Verb::Queue(args) => queue::run(args).await,
        Verb::Top(args) => top::run(args).await,
        Verb::Cost(args) => cost::run(args).await,
        Verb::Events(args) => events::run(args).await,
        Verb::Audit(args) => audit::run(args).await,
        Verb::Prices(args) => prices::run(args).await,
        Verb::Dataset(args) => dataset::run(args).await,
        Verb::Replicas(args) => replicas::run(args).await,
        Verb::Inspect(args) => inspect::run(args),
        Verb::Status(args) => status::run(args).await,
        Verb::Cluster(args) => cluster::run(args).await,
        Verb::Burst(args) => burst::run(args).await,
        Verb::Chaos(args) => chaos::run(args).await,
        Verb::GameDay(args) => gameday::run(args).await,
        Verb::Secrets(args) => secrets::run(args).await,
        Verb::Ca(args) => ca::run(args).await,
        Verb::Kubeconfig(args) => kubeconfig::run(args).await,
        Verb::Completion(args) => completion::run(&args),
    }
}
