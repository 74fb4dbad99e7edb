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
    let mut objects = Vec::new();
    for file in &args.filename {
        objects.extend(documents::read(file)?);
    }
    objects.retain(|object| object["kind"] == "Job");
    if objects.is_empty() {
        return Err(Failure::input("no Job in the file; plan prices documents of kind Job").into());
    }
    let api = args.hub.api()?;
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
            Exit::No => 1,
            Exit::Never => 2,
        })
        .unwrap_or(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

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
