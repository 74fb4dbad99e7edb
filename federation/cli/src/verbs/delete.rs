//! `muster delete`: objects go, and the command ends when they are gone.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::gone::{self, Leaving};
use super::hub::HubArgs;
use super::kinds::{Kinds, ServedKind};
use super::logs::parse_duration;
use super::pick::Pick;
use super::url::with_query;
use super::{documents, screen};
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Arguments of `muster delete`.
#[derive(Args)]
pub struct DeleteArgs {
    /// KIND NAME..., or KIND/NAME...
    #[arg(value_name = "KIND[/NAME]", required_unless_present = "filename", conflicts_with = "filename")]
    what: Vec<String>,
    /// File that names the objects; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    filename: Vec<PathBuf>,
    /// Those with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["filename", "all"])]
    selector: Option<String>,
    /// All of the kind in the namespace
    #[arg(long, conflicts_with = "filename")]
    all: bool,
    /// Whether to wait until they are gone
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    wait: bool,
    /// How long to wait [default: as long as it takes]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// What becomes of the objects that belong to them
    #[arg(long, value_enum, default_value_t = Cascade::Background)]
    cascade: Cascade,
    /// Be content if an object is not there
    #[arg(long)]
    ignore_not_found: bool,
    /// Print only KIND/NAME
    #[arg(short, long, value_enum)]
    output: Option<NameOnly>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cascade {
    Background,
    Foreground,
    Orphan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NameOnly {
    Name,
}

/// What is to go.
pub struct Doomed {
    /// Its kind.
    pub kind: ServedKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// How objects are deleted.
pub struct Deletion {
    /// `Background`, `Foreground` or `Orphan`.
    pub propagation: &'static str,
    /// Whether an object that is not there is no failure.
    pub ignore_not_found: bool,
    /// Whether to wait, and how long.
    pub wait: Option<Option<Duration>>,
    /// What is printed behind the name; `None` prints the name alone.
    pub word: Option<&'static str>,
}

/// Deletes.
pub async fn run(args: DeleteArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let kinds = Kinds::ask(&api).await?;
    let doomed = if args.filename.is_empty() {
        of_words(&api, &kinds, &args).await?
    } else {
        of_files(&api, &kinds, &args)?
    };
    let deletion = Deletion {
        propagation: match args.cascade {
            Cascade::Background => "Background",
            Cascade::Foreground => "Foreground",
            Cascade::Orphan => "Orphan",
        },
        ignore_not_found: args.ignore_not_found,
        wait: args.wait.then_some(args.timeout),
        word: args.output.is_none().then_some("deleted"),
    };
    deletion.of(&api, &doomed).await
}

async fn of_words(api: &Api, kinds: &Kinds, args: &DeleteArgs) -> anyhow::Result<Vec<Doomed>> {
    let mut doomed = Vec::new();
    for pick in Pick::parse(kinds, &args.what)? {
        let Some(name) = pick.name else {
            if args.selector.is_none() && !args.all {
                let plural = &pick.kind.plural;
                return Err(
                    Failure::usage(format!("which {plural}? Give names, -l SELECTOR, or --all")).into()
                );
            }
            doomed.extend(selected(api, &pick.kind, args.selector.as_deref()).await?);
            continue;
        };
        doomed.push(Doomed { kind: pick.kind, namespace: api.namespace.clone(), name });
    }
    Ok(doomed)
}

async fn selected(api: &Api, kind: &ServedKind, selector: Option<&str>) -> Result<Vec<Doomed>, Failure> {
    let path =
        with_query(&kind.collection(Some(&api.namespace)), [("labelSelector", selector.map(str::to_owned))]);
    let list = api.request(Method::GET, &path, None).await?.json()?;
    let names =
        list["items"].as_array().into_iter().flatten().filter_map(|item| item["metadata"]["name"].as_str());
    Ok(names
        .map(|name| Doomed { kind: kind.clone(), namespace: api.namespace.clone(), name: name.to_owned() })
        .collect())
}

fn of_files(api: &Api, kinds: &Kinds, args: &DeleteArgs) -> anyhow::Result<Vec<Doomed>> {
    let mut doomed = Vec::new();
    for file in &args.filename {
        for object in documents::read(file)? {
            let name = object["metadata"]["name"]
                .as_str()
                .ok_or_else(|| Failure::input("metadata.name: missing; delete needs it"))?;
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or(&api.namespace).to_owned();
            doomed.push(Doomed { kind: kinds.of(&object)?.clone(), namespace, name: name.to_owned() });
        }
    }
    Ok(doomed)
}

impl Deletion {
    /// Deletes each. One that fails does not keep the others; an unreachable hub does.
    pub async fn of(&self, api: &Api, doomed: &[Doomed]) -> anyhow::Result<Exit> {
        if doomed.is_empty() {
            eprintln!("nothing to delete");
        }
        let mut leaving = Vec::new();
        let mut failed: Option<Failure> = None;
        for object in doomed {
            match self.one(api, object).await {
                Ok(left) => leaving.extend(left),
                Err(failure) if failure.is_unreachable() => return Err(failure.into()),
                Err(failure) => {
                    if let Some(earlier) = failed.replace(failure) {
                        eprintln!("muster: {earlier}");
                    }
                }
            }
        }
        if let Some(timeout) = self.wait {
            gone::wait(api, &leaving, timeout).await?;
        }
        failed.map_or(Ok(Exit::Done), |failure| Err(failure.into()))
    }

    async fn one(&self, api: &Api, doomed: &Doomed) -> Result<Option<Leaving>, Failure> {
        let path = doomed.kind.object(&doomed.namespace, &doomed.name);
        let options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": self.propagation});
        let reply = api.request(Method::DELETE, &path, Some(&options)).await?;
        if reply.status == StatusCode::NOT_FOUND && self.ignore_not_found {
            return Ok(None);
        }
        let answer = reply.json()?;
        let name = format!("{}/{}", doomed.kind.qualified(), doomed.name);
        let line = self.word.map_or(format!("{name}\n"), |word| format!("{name} {word}\n"));
        screen::print(&line).map_err(|error| Failure::negative(format!("standard output: {error}")))?;
        Ok(uid(&answer).map(|uid| Leaving { path, uid, name }))
    }
}

/// The uid in the answer, which is a Status when the object has gone already, else the object.
fn uid(answer: &Value) -> Option<String> {
    let uid = answer["details"]["uid"].as_str().or(answer["metadata"]["uid"].as_str());
    uid.map(str::to_owned)
}
