//! `muster why`: one screen that says where a job is, or what it waits for and what would help.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::grid::{grid, pairs};
use super::hub::HubArgs;
use super::output::DataFormat;
use super::pick::JobName;
use super::screen::{self, Paint, Tone, harmless};
use super::url::escape;
use crate::exit::Exit;

/// Arguments of `muster why`.
#[derive(Args)]
pub struct WhyArgs {
    /// JOB, job/JOB, or NAMESPACE/JOB
    #[arg(value_name = "JOB")]
    job: String,
    /// Print the hub's answer
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks the leader and prints what it says.
pub async fn run(args: WhyArgs) -> anyhow::Result<Exit> {
    let api = args.hub.api()?;
    let JobName { namespace, name } = JobName::parse(&args.job, &api.namespace);
    let path = format!("/muster/v1/namespaces/{}/jobs/{}/why", escape(&namespace), escape(&name));
    let answer = api.request(Method::GET, &path, None).await?.json()?;
    let text = match args.output {
        Some(format) => format.render(&answer)?,
        None => render(&answer, Paint::stdout()),
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

fn render(answer: &Value, paint: Paint) -> String {
    let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
    let name = paint.tone(Tone::Strong, &text(&answer["job"]));
    let mut out = format!("{name}: {}: {}\n", paint.word(&text(&answer["phase"])), text(&answer["summary"]));
    let mut facts = Vec::new();
    if let Some(position) = answer["position"].as_u64() {
        let ahead = match position {
            0 | 1 => "next in the queue".to_owned(),
            2 => "2, one job is ahead".to_owned(),
            n => format!("{n}, {} jobs are ahead", n - 1),
        };
        facts.push(("Position", ahead));
    }
    if let Some(fix) = answer["smallestFix"].as_str() {
        facts.push(("Smallest fix", paint.tone(Tone::Warn, &harmless(fix))));
    }
    if !facts.is_empty() {
        out.push_str(&format!("\n{}", pairs(&facts)));
    }
    let reasons = answer["reasons"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> =
        reasons.iter().map(|reason| vec![text(&reason["cluster"]), text(&reason["reason"])]).collect();
    if !rows.is_empty() {
        out.push_str(&format!("\n{}", grid(&["CLUSTER", "WHY NOT"], &rows)));
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_that_waits() {
        let answer = json!({"job": "default/train", "phase": "Queued", "summary": "no cluster can take it now; a: full",
            "reasons": [{"cluster": "a", "reason": "needs 8 GPUs, 2 are free"}, {"cluster": "long-name", "reason": "cordoned"}],
            "smallestFix": "a: ask for 2 GPUs", "position": 3});
        expect![[r#"
            default/train: Queued: no cluster can take it now; a: full

            Position:       3, 2 jobs are ahead
            Smallest fix:   a: ask for 2 GPUs

            CLUSTER     WHY NOT
            a           needs 8 GPUs, 2 are free
            long-name   cordoned
        "#]]
        .assert_eq(&render(&answer, Paint::default()));
    }

    #[test]
    fn a_job_that_runs() {
        let answer = json!({"job": "default/train", "phase": "Running", "summary": "runs on a since 10:00: cheapest",
            "reasons": [], "smallestFix": null, "position": null});
        assert_eq!(
            render(&answer, Paint::default()),
            "default/train: Running: runs on a since 10:00: cheapest\n"
        );
    }
}
