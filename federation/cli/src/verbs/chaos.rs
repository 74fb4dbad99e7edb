//! `muster chaos`: faults on purpose, each with an owner and an end.

use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::grid::grid;
use super::hub::HubArgs;
use super::output::DataFormat;
use super::screen;
use super::url::escape;
use crate::client::{Api, Reply};
use crate::exit::{Exit, Failure};

/// What is printed of a fault, by interface; `list` and `abort` add the state.
const FIELDS: [&str; 5] = ["id", "kind", "target", "owner", "expiresAt"];

/// Arguments of `muster chaos`.
#[derive(Args)]
pub struct ChaosArgs {
    #[command(subcommand)]
    verb: ChaosVerb,
}

#[derive(Subcommand)]
enum ChaosVerb {
    /// Give a member no new jobs and move what runs there, as `kubectl drain` does
    Drain(InjectArgs),
    /// Cut a member's agent off from the hub; what it runs goes on
    Partition(InjectArgs),
    /// Kill a member's agent or a replica, and keep it down
    Kill(InjectArgs),
    /// Make a member's agent or a replica stand still
    Pause(InjectArgs),
    /// Show the faults of the last day
    List(ListArgs),
    /// End a fault, or all of them and every game day
    Abort(AbortArgs),
    /// End all faults and refuse new ones
    Stop(PlainArgs),
    /// Take faults again after a stop
    Resume(PlainArgs),
}

#[derive(Args)]
struct InjectArgs {
    /// A member or replica; member/NAME or replica/NAME where both have the name
    #[arg(value_name = "MEMBER|REPLICA")]
    target: String,
    /// How long it lasts at most, such as 60s
    #[arg(long, value_name = "DURATION")]
    r#for: String,
    #[command(flatten)]
    shown: ListArgs,
}

#[derive(Args)]
struct ListArgs {
    /// Print what the hub says
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Args)]
struct AbortArgs {
    /// The fault
    #[arg(value_name = "ID", required_unless_present = "all")]
    id: Option<String>,
    /// All faults, and every run of a game day
    #[arg(long, conflicts_with = "id")]
    all: bool,
    #[command(flatten)]
    shown: ListArgs,
}

#[derive(Args)]
struct PlainArgs {
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs a verb about faults.
pub async fn run(args: ChaosArgs) -> anyhow::Result<Exit> {
    match args.verb {
        ChaosVerb::Drain(args) => inject("drain", &args).await,
        ChaosVerb::Partition(args) => inject("partition", &args).await,
        ChaosVerb::Kill(args) => inject("kill", &args).await,
        ChaosVerb::Pause(args) => inject("pause", &args).await,
        ChaosVerb::List(args) => list(&args).await,
        ChaosVerb::Abort(args) => abort(&args).await,
        ChaosVerb::Stop(args) => {
            post(&args.hub.api()?, "/muster/v1/chaos/stop", &json!({})).await?;
            screen::print("all faults end; new ones are refused until `muster chaos resume`\n")?;
            Ok(Exit::Done)
        }
        ChaosVerb::Resume(args) => {
            post(&args.hub.api()?, "/muster/v1/chaos/resume", &json!({})).await?;
            screen::print("faults are taken again\n")?;
            Ok(Exit::Done)
        }
    }
}

async fn inject(kind: &str, args: &InjectArgs) -> anyhow::Result<Exit> {
    let api = args.shown.hub.api()?;
    let body = json!({"kind": kind, "target": args.target, "for": args.r#for});
    let fault = post(&api, "/muster/v1/faults", &body).await?;
    let text = match args.shown.output {
        Some(format) => format.render(&fields(&fault, false))?,
        None => {
            let word = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
            let (id, target, expires) = (word("id"), word("target"), word("expiresAt"));
            format!("{id}: {kind} of {target} until {expires}; `muster chaos abort {id}` ends it\n")
        }
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

async fn list(args: &ListArgs) -> anyhow::Result<Exit> {
    let answer = args.hub.api()?.request(Method::GET, "/muster/v1/faults", None).await?.json()?;
    show(&answer, args.output)?;
    Ok(Exit::Done)
}

fn show(answer: &Value, output: Option<DataFormat>) -> anyhow::Result<()> {
    let faults = answer["faults"].as_array().cloned().unwrap_or_default();
    let text = match output {
        Some(format) => format.render(&faults.iter().map(|fault| fields(fault, true)).collect())?,
        None => table(&faults, answer["stopped"] == true),
    };
    Ok(screen::print(&text)?)
}

async fn abort(args: &AbortArgs) -> anyhow::Result<Exit> {
    let api = args.shown.hub.api()?;
    let Some(id) = &args.id else {
        post(&api, "/muster/v1/chaos/abort", &json!({})).await?;
        return list(&args.shown).await;
    };
    let fault = post(&api, &format!("/muster/v1/faults/{}/abort", escape(id)), &json!({})).await?;
    let text = match args.shown.output {
        Some(format) => format.render(&fields(&fault, true))?,
        None => format!("{id} is being ended\n"),
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

/// What is printed of a fault.
fn fields(fault: &Value, with_state: bool) -> Value {
    let wanted = FIELDS.iter().copied().chain(with_state.then_some("state"));
    Value::Object(wanted.map(|name| (name.to_owned(), fault[name].clone())).collect::<Map<_, _>>())
}

fn table(faults: &[Value], stopped: bool) -> String {
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap_or("-").to_owned();
    let columns = ["id", "kind", "target", "state", "owner", "expiresAt", "revertedAt"];
    let rows: Vec<Vec<String>> =
        faults.iter().map(|fault| columns.iter().map(|name| text(fault, name)).collect()).collect();
    let head = if stopped { "chaos is stopped: new faults are refused\n\n" } else { "" };
    let heads = ["ID", "KIND", "TARGET", "STATE", "OWNER", "EXPIRES", "REVERTED"];
    format!("{head}{}", grid(&heads, &rows))
}

/// Asks the hub to do something.
pub async fn post(api: &Api, path: &str, body: &Value) -> Result<Value, Failure> {
    granted(&api.request(Method::POST, path, Some(body)).await?)
}

/// The answer; a limit that stands in the way is a negative answer, not a bad file.
pub fn granted(reply: &Reply) -> Result<Value, Failure> {
    match reply.status {
        StatusCode::UNPROCESSABLE_ENTITY => Err(Failure::negative(reply.failure().to_string())),
        _ => reply.json(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_is_printed_of_a_fault_is_the_interface() {
        let fault = json!({"id": "f", "kind": "kill", "target": "a", "owner": "remi", "expiresAt": "t",
            "state": "active", "activeAt": "u"});
        let want = json!({"id": "f", "kind": "kill", "target": "a", "owner": "remi", "expiresAt": "t"});
        assert_eq!(fields(&fault, false), want);
        assert_eq!(fields(&fault, true)["state"], "active");
        assert_eq!(fields(&fault, true).as_object().map(Map::len), Some(6));
        expect![[r#"
            chaos is stopped: new faults are refused

            ID   KIND   TARGET   STATE    OWNER   EXPIRES   REVERTED
            f    kill   a        active   remi    t         -
        "#]]
        .assert_eq(&table(&[fault], true));
    }
}
