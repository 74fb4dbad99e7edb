//! `muster secrets`: the keys that Secrets are sealed with.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::grid::grid;
use super::hub::HubArgs;
use super::output::DataFormat;
use super::screen;
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Between two looks at a rotation.
const LOOK: Duration = Duration::from_millis(200);

/// Arguments of `muster secrets`.
#[derive(Args)]
pub struct SecretsArgs {
    #[command(subcommand)]
    verb: SecretsVerb,
}

#[derive(Subcommand)]
enum SecretsVerb {
    /// Add a new random key to a key file; distribute the file to every replica, then rotate
    AddKey(AddKeyArgs),
    /// Show the keys, what is sealed with each, and which may be removed
    Status(StatusArgs),
    /// Seal with another key from now on, and everything that is there anew
    Rotate(RotateArgs),
}

#[derive(Args)]
struct AddKeyArgs {
    /// The key file; `muster up` keeps its own in DIR/keys/secrets.key
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Args)]
struct StatusArgs {
    /// Print the hub's answer
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Args)]
struct RotateArgs {
    /// The key [default: the last one in the key file]
    #[arg(long, value_name = "KEY-ID")]
    to: Option<String>,
    /// Do not wait until everything is sealed anew
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs a verb about sealing keys.
pub async fn run(args: SecretsArgs) -> anyhow::Result<Exit> {
    match args.verb {
        SecretsVerb::AddKey(args) => add_key(&args),
        SecretsVerb::Status(args) => {
            let answer = ask(&args.hub.api()?).await?;
            let text = match args.output {
                Some(format) => format.render(&answer)?,
                None => table(&answer),
            };
            screen::print(&text)?;
            Ok(Exit::Done)
        }
        SecretsVerb::Rotate(args) => rotate(&args).await,
    }
}

fn add_key(args: &AddKeyArgs) -> anyhow::Result<Exit> {
    let added = muster_controller::secrets::add_key(&args.file);
    let id = added.map_err(|error| Failure::input(format!("--file: {error}")))?;
    screen::print(&format!(
        "key {id} added to {}; when every replica has the file, `muster secrets rotate --to {id}`\n",
        args.file.display()
    ))?;
    Ok(Exit::Done)
}

async fn ask(api: &Api) -> Result<Value, Failure> {
    api.request(Method::GET, "/muster/v1/secrets", None).await?.json()
}

async fn rotate(args: &RotateArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let body = args.to.as_ref().map_or_else(|| json!({}), |to| json!({"to": to}));
    let mut answer = api.request(Method::POST, "/muster/v1/secrets/rotate", Some(&body)).await?.json()?;
    let bar = indicatif::ProgressBar::new(total(&answer));
    bar.set_style(indicatif::ProgressStyle::with_template("sealed anew {pos} of {len} {bar:30}")?);
    while !args.no_wait && left(&answer) > 0 {
        bar.set_length(total(&answer));
        bar.set_position(total(&answer) - left(&answer));
        tokio::time::sleep(LOOK).await;
        answer = ask(&api).await?;
    }
    bar.finish_and_clear();
    screen::print(&ending(&answer))?;
    Ok(Exit::Done)
}

fn counts(answer: &Value) -> impl Iterator<Item = (&str, u64)> {
    let map = answer["sealedWith"].as_object();
    map.into_iter().flatten().map(|(id, count)| (id.as_str(), count.as_u64().unwrap_or_default()))
}

fn total(answer: &Value) -> u64 {
    counts(answer).map(|(_, count)| count).sum()
}

/// What is sealed with another key than the current one.
fn left(answer: &Value) -> u64 {
    counts(answer).filter(|(id, _)| answer["current"] != *id).map(|(_, count)| count).sum()
}

fn ending(answer: &Value) -> String {
    let current = answer["current"].as_str().unwrap_or_default();
    if left(answer) > 0 {
        return format!(
            "key {current} seals from now on; {} of {} objects are left: `muster secrets status`\n",
            left(answer),
            total(answer)
        );
    }
    format!("key {current} seals all {} objects\n{}", total(answer), removable(answer))
}

/// Which keys may go.
fn removable(answer: &Value) -> String {
    let unused = answer["unused"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = unused.iter().filter_map(Value::as_str).map(|id| {
        format!("key {id} seals nothing: keep it as long as backups need it, then remove its line from the key files\n")
    });
    lines.collect()
}

fn table(answer: &Value) -> String {
    let replicas = answer["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |replica: &Value, id: &str| {
        replica["keys"].as_array().is_some_and(|keys| keys.iter().any(|key| key == id))
    };
    let mut ids: Vec<&str> = counts(answer).map(|(id, _)| id).collect();
    ids.extend(answer["current"].as_str());
    ids.extend(answer["unused"].as_array().into_iter().flatten().filter_map(Value::as_str));
    ids.sort_unstable();
    ids.dedup();
    let row = |id: &&str| {
        let count = counts(answer).find(|(of, _)| of == id).map_or(0, |(_, count)| count);
        let current = if answer["current"] == **id { "current" } else { "" };
        let on = replicas.iter().filter(|replica| has(replica, id)).count();
        vec![(*id).to_owned(), current.to_owned(), count.to_string(), format!("{on}/{}", replicas.len())]
    };
    let rows: Vec<_> = ids.iter().map(row).collect();
    grid(&["KEY", "USE", "OBJECTS", "REPLICAS"], &rows) + &removable(answer)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn keys_in_a_table() {
        let answer = json!({"current": "bbbb", "sealedWith": {"aaaa": 2, "bbbb": 5}, "unused": ["cccc"], "replicas": [
            {"name": "controller-1", "keys": ["aaaa", "bbbb", "cccc"]}, {"name": "controller-2", "keys": null}]});
        expect![[r#"
            KEY    USE       OBJECTS   REPLICAS
            aaaa             2         1/2
            bbbb   current   5         1/2
            cccc             0         1/2
            key cccc seals nothing: keep it as long as backups need it, then remove its line from the key files
        "#]]
        .assert_eq(&table(&answer));
        assert_eq!((total(&answer), left(&answer)), (7, 2));
        let done = json!({"current": "bbbb", "sealedWith": {"bbbb": 7}, "unused": []});
        assert_eq!(ending(&done), "key bbbb seals all 7 objects\n");
    }
}
