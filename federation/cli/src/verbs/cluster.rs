//! `muster cluster`: members join, are kept from new jobs, and are given up.

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::hub::HubArgs;
use super::taint::Change;
use super::url::escape;
use super::{ask, join, screen};
use crate::client::{Api, Reply};
use crate::exit::{Exit, Failure};

/// Where the Cluster objects are.
const CLUSTERS: &str = "/apis/muster.sh/v1alpha1/clusters";
/// How often a change is tried again when somebody else changed the object meanwhile.
const TRIES: usize = 8;

/// Arguments of `muster cluster`.
#[derive(Args)]
pub struct ClusterArgs {
    #[command(subcommand)]
    verb: ClusterVerb,
}

#[derive(Subcommand)]
enum ClusterVerb {
    /// Print the one line that makes a machine the member NAME
    Join(join::JoinArgs),
    /// Give a member no new jobs; what runs there goes on
    Cordon(Members),
    /// Give a member jobs again
    Uncordon(Members),
    /// Give a member no new jobs and move what runs there, until the same owner lets go of it
    Drain(DrainArgs),
    /// Let go of a member; other owners' drains and its cordon stay
    Undrain(DrainArgs),
    /// Set taints (KEY=VALUE:EFFECT) or remove them (with `-` at the end)
    Taint(TaintArgs),
    /// Refuse a member's certificates from now on; it must join again
    Revoke(Members),
    /// Say that nothing runs on a member any more, so that its jobs may start elsewhere
    DeclareLost(LostArgs),
}

#[derive(Args)]
struct Members {
    /// The members
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Args)]
struct DrainArgs {
    /// In whose name; the user's if not given
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    #[command(flatten)]
    members: Members,
}

#[derive(Args)]
struct TaintArgs {
    /// The member
    #[arg(value_name = "NAME")]
    name: String,
    /// KEY=VALUE:EFFECT, KEY:EFFECT, KEY:EFFECT-, KEY-
    #[arg(required = true, value_name = "TAINT", allow_hyphen_values = true)]
    taints: Vec<Change>,
    /// Change the value of a taint that is there
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Args)]
struct LostArgs {
    /// The member
    #[arg(value_name = "NAME")]
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs a verb about members.
pub async fn run(args: ClusterArgs) -> anyhow::Result<Exit> {
    match args.verb {
        ClusterVerb::Join(args) => join::run(args).await,
        ClusterVerb::Cordon(members) => cordon(&members, true).await,
        ClusterVerb::Uncordon(members) => cordon(&members, false).await,
        ClusterVerb::Drain(args) => drain(&args, "drain", "is being drained").await,
        ClusterVerb::Undrain(args) => drain(&args, "undrain", "is let go").await,
        ClusterVerb::Taint(args) => taint(&args).await,
        ClusterVerb::Revoke(members) => revoke(&members).await,
        ClusterVerb::DeclareLost(args) => declare_lost(&args).await,
    }
}

async fn cordon(members: &Members, wanted: bool) -> anyhow::Result<Exit> {
    let api = members.hub.api()?;
    let word = if wanted { "cordoned" } else { "uncordoned" };
    for name in &members.names {
        let changed = change(&api, name, |spec| {
            let is = spec["unschedulable"] == true;
            Ok((is != wanted).then(|| json!({"unschedulable": wanted})))
        })
        .await?;
        say(name, &if changed { word.to_owned() } else { format!("already {word}") })?;
    }
    Ok(Exit::Done)
}

async fn drain(args: &DrainArgs, verb: &str, word: &str) -> anyhow::Result<Exit> {
    let api = args.members.hub.api()?;
    let body = args.owner.as_ref().map_or_else(|| json!({}), |owner| json!({"owner": owner}));
    for name in &args.members.names {
        let path = format!("/muster/v1/clusters/{}/{verb}", escape(name));
        let reply = api.request(Method::POST, &path, Some(&body)).await?;
        known(&reply, name)?;
        say(name, word)?;
    }
    Ok(Exit::Done)
}

async fn taint(args: &TaintArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let changed = change(&api, &args.name, |spec| {
        let before = spec["taints"].as_array().cloned().unwrap_or_default();
        let mut taints = before.clone();
        args.taints.iter().try_for_each(|change| change.apply(&mut taints, args.overwrite))?;
        Ok((taints != before).then(|| json!({"taints": taints})))
    })
    .await?;
    let removes = args.taints.iter().all(Change::is_removal);
    let word = match (changed, removes) {
        (false, _) => "has these taints already",
        (true, true) => "untainted",
        (true, false) => "tainted",
    };
    say(&args.name, word)?;
    Ok(Exit::Done)
}

async fn revoke(members: &Members) -> anyhow::Result<Exit> {
    let api = members.hub.api()?;
    for name in &members.names {
        order(&api, name, "revoke").await?;
        say(name, &format!("revoked; `muster cluster join {name}` lets it in again"))?;
    }
    Ok(Exit::Done)
}

async fn declare_lost(args: &LostArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let found = api.request(Method::GET, &format!("{CLUSTERS}/{}", escape(&args.name)), None).await?;
    known(&found, &args.name)?;
    let name = &args.name;
    let question = format!(
        "Declare {name} lost? Its jobs will start elsewhere; where a process of theirs still runs on {name}, two will run at once."
    );
    ask::sure(&question, args.yes)?;
    order(&api, name, "declare-lost").await?;
    say(name, "declared lost; its jobs are queued again as their policies say")?;
    Ok(Exit::Done)
}

async fn order(api: &Api, name: &str, verb: &str) -> Result<(), Failure> {
    let path = format!("/muster/v1/clusters/{}/{verb}", escape(name));
    let reply = api.request(Method::POST, &path, Some(&json!({}))).await?;
    known(&reply, name)
}

/// Refuses what the hub refused; a member that is not there is said so by name.
fn known(reply: &Reply, name: &str) -> Result<(), Failure> {
    match reply.status {
        StatusCode::NOT_FOUND => Err(unknown(name)),
        _ => reply.json().map(|_| ()),
    }
}

fn unknown(name: &str) -> Failure {
    Failure::negative(format!("there is no member {name:?}; `muster get clusters` lists them"))
}

fn say(name: &str, word: &str) -> std::io::Result<()> {
    screen::print(&format!("cluster.muster.sh/{name} {word}\n"))
}

/// Changes the spec of a member by what `edit` makes of it: a patch, or nothing. Says whether anything was changed.
async fn change(
    api: &Api,
    name: &str,
    edit: impl Fn(&Value) -> Result<Option<Value>, Failure>,
) -> Result<bool, Failure> {
    let path = format!("{CLUSTERS}/{}", escape(name));
    for _ in 0..TRIES {
        let reply = api.request(Method::GET, &path, None).await?;
        known(&reply, name)?;
        let cluster = reply.json()?;
        let Some(spec) = edit(&cluster["spec"])? else { return Ok(false) };
        // With the version: what was read must still be what is there.
        let patch =
            json!({"metadata": {"resourceVersion": cluster["metadata"]["resourceVersion"]}, "spec": spec});
        let body = ("application/merge-patch+json", Bytes::from(patch.to_string()));
        let reply = api
            .request_as(Method::PATCH, &format!("{path}?fieldManager=muster"), "application/json", Some(body))
            .await?;
        if reply.status != StatusCode::CONFLICT {
            return reply.json().map(|_| true);
        }
    }
    Err(Failure::negative(format!("{name} keeps changing; try again")))
}
