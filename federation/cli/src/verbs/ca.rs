//! `muster ca`: the authority that the hub's certificates come from.

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
const LOOK: Duration = Duration::from_millis(500);

/// Failed looks until it is given up.
const PATIENCE: u32 = 20;

/// Arguments of `muster ca`.
#[derive(Args)]
pub struct CaArgs {
    #[command(subcommand)]
    verb: CaVerb,
}

#[derive(Subcommand)]
enum CaVerb {
    /// Show the authorities that are trusted, and who still has to move
    Status(StatusArgs),
    /// Replace the authority: everybody trusts a new one, gets a certificate of it, and the old one is dropped
    Rotate(RotateArgs),
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
    /// Go on with a rotation without those that it waits for; members among them must join again
    #[arg(long)]
    leave_behind: bool,
    /// Do not wait for its end; the hub goes on by itself
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs a verb about the authority.
pub async fn run(args: CaArgs) -> anyhow::Result<Exit> {
    match args.verb {
        CaVerb::Status(args) => {
            let answer = ask(&args.hub.api()?).await?;
            let text = match args.output {
                Some(format) => format.render(&answer)?,
                None => text(&answer),
            };
            screen::print(&text)?;
            Ok(Exit::Done)
        }
        CaVerb::Rotate(args) => rotate(&args).await,
    }
}

async fn ask(api: &Api) -> Result<Value, Failure> {
    api.request(Method::GET, "/muster/v1/authority", None).await?.json()
}

async fn rotate(args: &RotateArgs) -> anyhow::Result<Exit> {
    let mut api = args.hub.api()?;
    let body = json!({"leaveBehind": args.leave_behind});
    api.request(Method::POST, "/muster/v1/authority/rotate", Some(&body)).await?.json()?;
    if args.no_wait {
        screen::print("the rotation has begun; `muster ca status` shows how far it is\n")?;
        return Ok(Exit::Done);
    }
    let line = indicatif::ProgressBar::new_spinner();
    let mut patience = PATIENCE;
    loop {
        let answer = match ask(&api).await {
            Ok(answer) => answer,
            // The certificate that was good at the beginning is not at the end: a kubeconfig that is kept up to date is.
            Err(_) if patience > 0 => {
                patience -= 1;
                tokio::time::sleep(LOOK).await;
                api = args.hub.api()?;
                continue;
            }
            Err(error) => {
                let advice =
                    "the hub goes on by itself; if this kubeconfig is of the old authority, get another one";
                return Err(error.about(advice).into());
            }
        };
        if answer["phase"] == "stable" {
            line.finish_and_clear();
            screen::print(&text(&answer))?;
            screen::print("users of other kubeconfigs get a new certificate by `muster kubeconfig`\n")?;
            return Ok(Exit::Done);
        }
        line.set_message(waiting(&answer));
        tokio::time::sleep(LOOK).await;
    }
}

fn laggards(answer: &Value) -> &[Value] {
    answer["waitingFor"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn waiting(answer: &Value) -> String {
    let first = laggards(answer).first();
    let of = |field: &str| first.and_then(|first| first[field].as_str()).unwrap_or_default();
    match laggards(answer).len() {
        0 => phase(answer).to_owned(),
        count => {
            format!("{}; waits for {count}: {} {} {}", phase(answer), of("kind"), of("name"), of("reason"))
        }
    }
}

fn phase(answer: &Value) -> &'static str {
    match answer["phase"].as_str() {
        Some("distributing") => "everybody is told of the new authority",
        Some("issuing") => "everybody gets a certificate of the new authority",
        _ => "one authority",
    }
}

fn text(answer: &Value) -> String {
    let issuing = |pin: &Value| if *pin == answer["issuing"] { "issues" } else { "trusted" };
    let pins = answer["authorities"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = pins
        .iter()
        .map(|pin| vec![pin.as_str().unwrap_or_default().to_owned(), issuing(pin).to_owned()])
        .collect();
    let mut out = format!("{}\n\n{}", phase(answer), grid(&["AUTHORITY", "USE"], &rows));
    let field = |laggard: &Value, name: &str| laggard[name].as_str().unwrap_or_default().to_owned();
    let waiting: Vec<_> = laggards(answer)
        .iter()
        .map(|laggard| ["kind", "name", "reason"].map(|name| field(laggard, name)).to_vec())
        .collect();
    if !waiting.is_empty() {
        out.push('\n');
        out.push_str(&grid(&["WAITS FOR", "NAME", "BECAUSE"], &waiting));
        out.push_str("members that never come back: `muster ca rotate --leave-behind`\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn who_is_missing_is_said_by_name() {
        let answer = json!({"phase": "distributing", "authorities": ["sha256:aa", "sha256:bb"], "issuing": "sha256:aa",
            "waitingFor": [{"kind": "member", "name": "onprem-a", "reason": "not in contact"}]});
        expect![[r#"
            everybody is told of the new authority

            AUTHORITY   USE
            sha256:aa   issues
            sha256:bb   trusted

            WAITS FOR   NAME       BECAUSE
            member      onprem-a   not in contact
            members that never come back: `muster ca rotate --leave-behind`
        "#]]
        .assert_eq(&text(&answer));
        let want = "everybody is told of the new authority; waits for 1: member onprem-a not in contact";
        assert_eq!(waiting(&answer), want);
    }
}
