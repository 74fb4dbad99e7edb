//! `muster plan`: where jobs would run, at what price, and why not elsewhere. Nothing is stored.

use std::path::PathBuf;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::hub::HubArgs;
use super::output::DataFormat;
use super::plan_table::{Page, render};
use super::url::escape;
use super::{documents, output, screen, warnings};
use crate::exit::{Exit, Failure};

/// Annotation that names a job's Placement.
const PLACEMENT: &str = "muster.sh/placement";
/// Annotation that holds one.
const PLACEMENT_SPEC: &str = "muster.sh/placement-spec";

/// What the exit codes mean, for `--help`.
pub const EXIT_CODES: &str =
    "Exit code: 0 if every job can start now, 1 if one would wait, 2 if one can never start.";

/// Arguments of `muster plan`.
#[derive(Args)]
pub struct PlanArgs {
    /// File with jobs, YAML or JSON; `-` reads standard input
    #[arg(short, long, value_name = "FILE", required = true)]
    filename: Vec<PathBuf>,
    /// Print the hub's answer, with exact amounts, instead of a table
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks the leader for a plan and prints it.
pub async fn run(args: PlanArgs) -> anyhow::Result<Exit> {
    let mut given = Vec::new();
    for file in &args.filename {
        given.extend(documents::read(file)?);
    }
    let api = args.hub.api()?;
    let objects = with_placements(given, &api.namespace);
    if objects.is_empty() {
        return Err(Failure::input("no Job in the file; plan prices documents of kind Job").into());
    }
    let mut jobs = Vec::new();
    for (namespace, objects) in documents::by_namespace(objects, &api.namespace) {
        let path = format!("/apis/muster.sh/v1alpha1/namespaces/{}/placementreviews", escape(&namespace));
        let reply = api.request(Method::POST, &path, Some(&output::list_of(objects))).await?;
        warnings::print(&reply);
        let mut answer = reply.json()?;
        jobs.extend(answer["jobs"].as_array_mut().map(std::mem::take).unwrap_or_default());
    }
    let exit = worst(&jobs);
    let text = match args.output {
        Some(format) => format.render(&json!({"jobs": jobs}))?,
        None => render(&jobs, Page::stdout()),
    };
    screen::print(&text)?;
    Ok(exit)
}

/// The jobs. One that names a Placement of the same files carries it inline, so that both can be planned before either is
/// applied.
fn with_placements(objects: Vec<Value>, default_namespace: &str) -> Vec<Value> {
    let place =
        |object: &Value| object["metadata"]["namespace"].as_str().unwrap_or(default_namespace).to_owned();
    let (mut jobs, others): (Vec<Value>, Vec<Value>) =
        objects.into_iter().partition(|object| object["kind"] == "Job");
    for job in &mut jobs {
        let namespace = place(job);
        let Some(annotations) = job["metadata"]["annotations"].as_object_mut() else { continue };
        let Some(name) = annotations.get(PLACEMENT) else { continue };
        let is_named = |other: &&Value| {
            other["kind"] == "Placement" && other["metadata"]["name"] == *name && place(other) == namespace
        };
        if let Some(placement) = others.iter().find(is_named) {
            annotations.remove(PLACEMENT);
            annotations.insert(PLACEMENT_SPEC.to_owned(), placement["spec"].to_string().into());
        }
    }
    jobs
}

/// The exit of the job that is worst off. A verdict that is not known counts as waiting: it is no yes.
fn worst(jobs: &[Value]) -> Exit {
    let exits = jobs.iter().map(|job| match job["verdict"].as_str() {
        Some("now") => Exit::Done,
        Some("never") => Exit::Never,
        _ => Exit::No,
    });
    exits
        .max_by_key(|exit| match exit {
            Exit::Done => 0,
            Exit::No | Exit::Code(_) => 1,
            Exit::Never => 2,
        })
        .unwrap_or(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_of_the_same_file_is_carried_inline() {
        let job = |annotations: Value| json!({"kind": "Job", "metadata": {"name": "a", "annotations": annotations}});
        let placement = json!({"kind": "Placement", "metadata": {"name": "p", "namespace": "ns"}, "spec": {"spot": "never"}});
        let named = job(json!({PLACEMENT: "p", "x": "y"}));
        let inline = job(json!({PLACEMENT_SPEC: "{\"spot\":\"never\"}", "x": "y"}));
        assert_eq!(with_placements(vec![placement.clone(), named.clone()], "ns"), [inline]);
        assert_eq!(with_placements(vec![placement, named.clone()], "other"), [named]);
    }

    #[test]
    fn the_worst_job_decides() {
        let check = |verdicts: &[&str], want: Exit| {
            let jobs: Vec<Value> = verdicts.iter().map(|verdict| json!({"verdict": verdict})).collect();
            assert_eq!(worst(&jobs), want, "{verdicts:?}");
        };
        check(&["now"], Exit::Done);
        check(&["now", "wait"], Exit::No);
        check(&["never", "wait", "now"], Exit::Never);
        check(&["soon"], Exit::No);
    }
}
