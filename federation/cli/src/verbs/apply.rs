//! `muster apply`: the hub's objects become what a file says.

use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{Method, StatusCode};
use serde_json::Value;

use super::hub::HubArgs;
use super::kinds::{Kinds, ServedKind};
use super::output::{self, DataFormat};
use super::url::with_query;
use super::{documents, merge, screen, warnings};
use crate::client::{Api, Reply};
use crate::exit::{Exit, Failure};

/// Arguments of `muster apply`.
#[derive(Args)]
pub struct ApplyArgs {
    /// File with objects, YAML or JSON; `-` reads standard input
    #[arg(short, long, value_name = "FILE", required = true)]
    filename: Vec<PathBuf>,
    /// Only ask the hub what would happen
    #[arg(long, value_enum, default_value_t = DryRun::None)]
    dry_run: DryRun,
    /// Print the objects instead of a line each
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    None,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Json,
    Yaml,
    Name,
}

/// What became of an object.
struct Applied {
    verb: &'static str,
    object: Value,
}

/// Applies each object in turn. One that fails does not keep the others back; an unreachable hub does.
pub async fn run(args: ApplyArgs) -> anyhow::Result<Exit> {
    let mut objects = Vec::new();
    for file in &args.filename {
        objects.extend(documents::read(file)?);
    }
    let api = args.hub.api()?;
    let kinds = Kinds::ask(&api).await?;
    let mut done = Vec::new();
    let mut failed: Option<Failure> = None;
    for object in &objects {
        match apply(&api, &kinds, object, &args).await {
            Ok(applied) => {
                report(&kinds, &applied, &args)?;
                done.push(applied.object);
            }
            Err(failure) => {
                let failure = about(failure, object);
                if failure.is_unreachable() {
                    return Err(failure.into());
                }
                if let Some(earlier) = failed.replace(failure) {
                    eprintln!("muster: {earlier}");
                }
            }
        }
    }
    print_objects(done, args.output)?;
    failed.map_or(Ok(Exit::Done), |failure| Err(failure.into()))
}

/// A failure that says which object it is about; the hub's own words mostly do.
fn about(failure: Failure, object: &Value) -> Failure {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&object["metadata"]["name"]);
    if !name.is_empty() && failure.to_string().contains(&format!("{name:?}")) {
        return failure;
    }
    failure.about(format!("{} {name}", text(&object["kind"])).trim_end())
}

async fn apply(api: &Api, kinds: &Kinds, object: &Value, args: &ApplyArgs) -> Result<Applied, Failure> {
    let kind = kinds.of(object)?;
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().filter(|name| !name.is_empty()).ok_or_else(|| {
        Failure::input(
            "metadata.name: missing; apply finds an object by its name, so generateName is not enough",
        )
    })?;
    let namespace = metadata["namespace"].as_str().unwrap_or(&api.namespace);
    if args.hub.namespace.as_deref().is_some_and(|flag| kind.namespaced && flag != namespace) {
        let flag = &api.namespace;
        return Err(Failure::usage(format!(
            "metadata.namespace: {namespace:?} is not {flag:?} that -n names; leave one out"
        )));
    }
    let object = &merge::placed(object, kind.namespaced.then_some(namespace));
    let text = merge::last_applied_text(object);
    let target =
        Target { api, kind, path: kind.object(namespace, name), dry_run: args.dry_run == DryRun::Server };
    let found = api.request(Method::GET, &target.path, None).await?;
    if found.status != StatusCode::NOT_FOUND {
        return target.change(object, &text, &found.json()?).await;
    }
    let created = target.create(namespace, &merge::annotated(object, &text)).await?;
    if created.status != StatusCode::CONFLICT {
        return Ok(Applied { verb: "created", object: created.json()? });
    }
    // Somebody was faster.
    let found = api.request(Method::GET, &target.path, None).await?.json()?;
    target.change(object, &text, &found).await
}

/// One object on the hub.
struct Target<'a> {
    api: &'a Api,
    kind: &'a ServedKind,
    path: String,
    dry_run: bool,
}

impl Target<'_> {
    async fn create(&self, namespace: &str, object: &Value) -> Result<Reply, Failure> {
        let path = with_query(&self.kind.collection(Some(namespace)), self.options());
        let reply = self.api.request(Method::POST, &path, Some(object)).await?;
        warnings::print(&reply);
        Ok(reply)
    }

    async fn change(&self, object: &Value, text: &str, current: &Value) -> Result<Applied, Failure> {
        let original = merge::last_applied(current);
        if original.is_none() {
            let name = output::full_name(self.kind, current);
            eprintln!(
                "muster: warning: {name} was not made by apply; what the file leaves out stays as it is"
            );
        }
        // The same application in another spelling is no reason to write.
        let text = merge::last_applied_text_of(current)
            .filter(|_| original == serde_json::from_str(text).ok())
            .unwrap_or(text);
        let patch = merge::three_way(original.as_ref(), &merge::annotated(object, text), current);
        if patch.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(Applied { verb: "unchanged", object: current.clone() });
        }
        let path = with_query(&self.path, self.options());
        let body = ("application/merge-patch+json", Bytes::from(patch.to_string()));
        let reply = self.api.request_as(Method::PATCH, &path, "application/json", Some(body)).await?;
        warnings::print(&reply);
        let changed = reply.json()?;
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        let verb =
            if !self.dry_run && version(&changed) == version(current) { "unchanged" } else { "configured" };
        Ok(Applied { verb, object: changed })
    }

    fn options(&self) -> [(&'static str, Option<String>); 3] {
        [
            ("fieldManager", Some("muster".to_owned())),
            ("fieldValidation", Some("Strict".to_owned())),
            ("dryRun", self.dry_run.then(|| "All".to_owned())),
        ]
    }
}

fn report(kinds: &Kinds, applied: &Applied, args: &ApplyArgs) -> anyhow::Result<()> {
    let name = output::full_name(kinds.of(&applied.object)?, &applied.object);
    match args.output {
        None if args.dry_run == DryRun::Server => {
            screen::print(&format!("{name} {} (dry run)\n", applied.verb))?
        }
        None => screen::print(&format!("{name} {}\n", applied.verb))?,
        Some(Output::Name) => screen::print(&format!("{name}\n"))?,
        Some(Output::Json | Output::Yaml) => {}
    }
    Ok(())
}

fn print_objects(mut objects: Vec<Value>, output: Option<Output>) -> anyhow::Result<()> {
    let format = match output {
        Some(Output::Json) => DataFormat::Json,
        Some(Output::Yaml) => DataFormat::Yaml,
        _ => return Ok(()),
    };
    let object = if objects.len() == 1 { objects.remove(0) } else { output::list_of(objects) };
    Ok(screen::print(&format.render(&object)?)?)
}
