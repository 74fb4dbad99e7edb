//! `muster replicas`: who leads, and how far the others are.

use clap::Args;
use http::Method;
use muster_controller::CLOCK_LIMIT_MS;
use serde_json::Value;

use super::grid::grid;
use super::hub::HubArgs;
use super::output::DataFormat;
use super::screen::{self, Paint, Tone};
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Digits of a digest in a table: enough to see a difference.
const DIGEST_DIGITS: usize = 12;

/// Arguments of `muster replicas`.
#[derive(Args)]
pub struct ReplicasArgs {
    /// Print the hub's answer
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks and prints.
pub async fn run(args: ReplicasArgs) -> anyhow::Result<Exit> {
    let answer = ask(&args.hub.api()?).await?;
    let text = match args.output {
        Some(format) => format.render(&answer)?,
        None => {
            let paint = Paint::stdout();
            format!("{}\n{}\n{}", headline(&answer), clocks(&answer, paint), table(&answer, paint))
        }
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

/// How the replicas stand.
pub async fn ask(api: &Api) -> Result<Value, Failure> {
    api.request(Method::GET, "/muster/v1/replicas", None).await?.json()
}

/// Who leads.
pub fn headline(answer: &Value) -> String {
    let term = answer["term"].as_u64().map(|term| format!(" in term {term}")).unwrap_or_default();
    match answer["leader"].as_str() {
        Some(leader) => format!("{leader} leads{term}"),
        None => "no replica leads: nothing can be written until a majority is back".to_owned(),
    }
}

/// A line for each replica whose clock keeps it from leading.
fn clocks(answer: &Value, paint: Paint) -> String {
    let replicas = answer["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |replica: &Value| {
        let off_ms = replica["clockOffMs"].as_i64()?;
        let (name, ms) = (replica["name"].as_str()?, off_ms.unsigned_abs());
        let side = if off_ms > 0 { "ahead of" } else { "behind" };
        let text = format!(
            "the clock of {name} is {}.{} s {side} the others': it does not lead until it is set right",
            ms / 1000,
            ms % 1000 / 100
        );
        (ms > CLOCK_LIMIT_MS).then(|| format!("{}\n", paint.tone(Tone::Bad, &text)))
    };
    replicas.iter().filter_map(line).collect()
}

/// A row for each replica.
pub fn table(answer: &Value, paint: Paint) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let row = |replica: &Value| {
        let digest: String = text(&replica["digest"]).chars().take(DIGEST_DIGITS).collect();
        let role = paint.word(&text(&replica["role"]));
        vec![text(&replica["name"]), role, text(&replica["applied"]), text(&replica["committed"]), digest]
    };
    let replicas = answer["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = replicas.iter().map(row).collect();
    grid(&["NAME", "ROLE", "APPLIED", "COMMITTED", "DIGEST"], &rows)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn replicas_in_a_table() {
        let answer = json!({"leader": "controller-1", "term": 3, "replicas": [
            {"name": "controller-1", "role": "leader", "applied": 120, "committed": 120, "digest": "0123456789abcdef0123456789abcdef"},
            {"name": "controller-2", "role": "unreachable", "applied": null, "committed": null, "digest": null}]});
        assert_eq!(headline(&answer), "controller-1 leads in term 3");
        assert_eq!(clocks(&answer, Paint::default()), "");
        expect![[r#"
            NAME           ROLE          APPLIED   COMMITTED   DIGEST
            controller-1   leader        120       120         0123456789ab
            controller-2   unreachable   -         -           -
        "#]]
        .assert_eq(&table(&answer, Paint::default()));
        let off = json!({"replicas": [{"name": "a", "clockOffMs": 2001}, {"name": "b", "clockOffMs": -86_400_000},
            {"name": "c", "clockOffMs": 2000}]});
        let rest = "the others': it does not lead until it is set right";
        let want =
            format!("the clock of a is 2.0 s ahead of {rest}\nthe clock of b is 86400.0 s behind {rest}\n");
        assert_eq!(clocks(&off, Paint::default()), want);
        let without = headline(&json!({"leader": null, "term": 3}));
        assert_eq!(without, "no replica leads: nothing can be written until a majority is back");
    }
}
