//! `muster burst`: members that Terraform makes: what there is, why, and away with it.

use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::ask;
use super::grid::{grid, pairs};
use super::hub::HubArgs;
use super::money::dollars;
use super::output::DataFormat;
use super::screen::{self, Paint, Tone, harmless};
use super::url::escape;
use crate::client::Reply;
use crate::exit::{Exit, Failure};

/// Where the pools are.
const POOLS: &str = "/apis/muster.sh/v1alpha1/burstpools";

/// Arguments of `muster burst`.
#[derive(Args)]
pub struct BurstArgs {
    #[command(subcommand)]
    verb: BurstVerb,
}

#[derive(Subcommand)]
enum BurstVerb {
    /// Show all pools and their members
    List(ListArgs),
    /// Say what a pool would do now, and why
    Why(WhyArgs),
    /// Drain and remove members of a pool
    Destroy(DestroyArgs),
}

#[derive(Args)]
struct ListArgs {
    /// Print the hub's answer
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Args)]
struct WhyArgs {
    /// The pool
    #[arg(value_name = "POOL")]
    pool: String,
    /// Print the hub's answer
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Args)]
struct DestroyArgs {
    /// The pool
    #[arg(value_name = "POOL")]
    pool: String,
    /// One member of it; all if not given
    #[arg(value_name = "MEMBER")]
    member: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the hub's answer
    #[arg(short, long, value_enum)]
    output: Option<DataFormat>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Runs a verb about burst pools.
pub async fn run(args: BurstArgs) -> anyhow::Result<Exit> {
    match args.verb {
        BurstVerb::List(args) => list(&args).await,
        BurstVerb::Why(args) => why(&args).await,
        BurstVerb::Destroy(args) => destroy(&args).await,
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<Exit> {
    let answer = args.hub.api()?.request(Method::GET, POOLS, None).await?.json()?;
    let text = match args.output {
        Some(format) => format.render(&answer)?,
        None => tables(&answer, Paint::stdout()),
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

async fn why(args: &WhyArgs) -> anyhow::Result<Exit> {
    let path = format!("/muster/v1/burstpools/{}/why", escape(&args.pool));
    let reply = args.hub.api()?.request(Method::GET, &path, None).await?;
    let answer = known(&reply, &args.pool)?;
    let text = match args.output {
        Some(format) => format.render(&answer)?,
        None => reasons(&answer, Paint::stdout()),
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

async fn destroy(args: &DestroyArgs) -> anyhow::Result<Exit> {
    let what = match &args.member {
        Some(member) => format!("{member} gets no new jobs, and is removed when those it has are over."),
        None => format!(
            "All members of {} get no new jobs, and are removed when those they have are over.",
            args.pool
        ),
    };
    let question =
        format!("{what} The pool may make others: set spec.max, or delete the pool, to have none.");
    ask::sure(&question, args.yes)?;
    let path = format!("/muster/v1/burstpools/{}/destroy", escape(&args.pool));
    let reply = args.hub.api()?.request(Method::POST, &path, Some(&json!({"member": args.member}))).await?;
    let answer = known(&reply, &args.pool)?;
    let text = match args.output {
        Some(format) => format.render(&answer)?,
        None => going(&answer),
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

fn known(reply: &Reply, pool: &str) -> Result<Value, Failure> {
    match reply.status {
        StatusCode::NOT_FOUND => {
            Err(Failure::negative(format!("there is no burst pool {pool:?}; `muster burst list` shows them")))
        }
        _ => reply.json(),
    }
}

fn text(value: &Value) -> String {
    harmless(value.as_str().unwrap_or_default())
}

fn amount(value: &Value) -> String {
    dollars(value.as_str().unwrap_or("-"))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn tables(answer: &Value, paint: Paint) -> String {
    let pools = items(&answer["items"]);
    if pools.is_empty() {
        return "no burst pools; `muster apply -f` one: see docs/burst.md\n".to_owned();
    }
    let rows: Vec<_> = pools.iter().map(|pool| pool_row(pool, paint)).collect();
    let mut out = grid(&["POOL", "MODULE", "MEMBERS", "READY", "CAP/H", "COST"], &rows);
    let members: Vec<_> = pools
        .iter()
        .flat_map(|pool| {
            items(&pool["status"]["members"]).iter().map(move |member| member_row(pool, member, paint))
        })
        .collect();
    if !members.is_empty() {
        out.push('\n');
        out.push_str(&grid(&["MEMBER", "POOL", "PHASE", "SINCE", "COST", "WHY"], &members));
    }
    out
}

fn pool_row(pool: &Value, paint: Paint) -> Vec<String> {
    let (spec, status) = (&pool["spec"], &pool["status"]);
    let ready = items(&status["conditions"]).iter().find(|condition| condition["type"] == "Ready");
    let ready = ready.map_or_else(String::new, |ready| match ready["status"] == "True" {
        true => "True".to_owned(),
        false => text(&ready["reason"]),
    });
    vec![
        text(&pool["metadata"]["name"]),
        text(&spec["module"]),
        format!("{}/{}", status["active"].as_u64().unwrap_or_default(), spec["max"].as_u64().unwrap_or(1)),
        paint.word(&ready),
        amount(&spec["priceCap"]),
        amount(&status["costSoFar"]),
    ]
}

fn member_row(pool: &Value, member: &Value, paint: Paint) -> Vec<String> {
    let why = member["failure"].as_str().or_else(|| member["because"].as_str()).unwrap_or_default();
    vec![
        text(&member["name"]),
        text(&pool["metadata"]["name"]),
        paint.word(&text(&member["phase"])),
        text(&member["since"]),
        amount(&member["cost"]),
        harmless(why),
    ]
}

fn reasons(answer: &Value, paint: Paint) -> String {
    let verdict = if answer["wanted"] == true { "one more member is wanted" } else { "no member is wanted" };
    let name = paint.tone(Tone::Strong, &text(&answer["pool"]));
    let mut out = format!("{name}: {verdict}: {}\n\n", text(&answer["reason"]));
    let waiting = &answer["waiting"];
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let mut facts = vec![
        ("Price", format!("{}/h, cap {}/h", amount(&answer["hourly"]), amount(&answer["priceCap"]))),
        (
            "Waiting",
            format!(
                "{} jobs would fit, {} fit nowhere else; waiting costs {}/h",
                count(&waiting["jobs"]),
                count(&waiting["fitNowhereElse"]),
                amount(&waiting["waitCostPerHour"])
            ),
        ),
        ("Members", format!("{} of {}", count(&answer["active"]), count(&answer["max"]))),
        ("Cost so far", amount(&answer["costSoFar"])),
    ];
    if let Some(fix) = answer["fix"].as_str() {
        facts.push(("Next step", paint.tone(Tone::Warn, &harmless(fix))));
    }
    out.push_str(&pairs(&facts));
    let none = json!({"metadata": {"name": answer["pool"]}});
    let members: Vec<_> =
        items(&answer["members"]).iter().map(|member| member_row(&none, member, paint)).collect();
    if !members.is_empty() {
        out.push('\n');
        out.push_str(&grid(&["MEMBER", "POOL", "PHASE", "SINCE", "COST", "WHY"], &members));
    }
    out
}

fn going(answer: &Value) -> String {
    let going = items(&answer["going"]);
    if going.is_empty() {
        return "nothing is there to be removed\n".to_owned();
    }
    going.iter().map(|member| format!("{} goes when its jobs are over\n", text(member))).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn pools_and_members_in_tables() {
        let member = json!({"name": "spot-01234567", "phase": "Ready", "since": "2026-11-20T10:44:05Z",
            "cost": "1.234", "because": "1 of 1 jobs that wait fit nowhere else, first default/train"});
        let pool = json!({"metadata": {"name": "spot"}, "spec": {"module": "process-cluster", "max": 3, "priceCap": "40.00"},
            "status": {"active": 1, "costSoFar": "3.5", "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}], "members": [member]}});
        let missing = json!({"metadata": {"name": "big"}, "spec": {"module": "process-cluster", "max": 1, "priceCap": "1"},
            "status": {"active": 0, "costSoFar": "0.00", "conditions": [{"type": "Ready", "status": "False", "reason": "TerraformMissing"}]}});
        expect![[r#"
            POOL   MODULE            MEMBERS   READY              CAP/H    COST
            spot   process-cluster   1/3       True               $40.00   $3.50
            big    process-cluster   0/1       TerraformMissing   $1.00    $0.00

            MEMBER          POOL   PHASE   SINCE                  COST    WHY
            spot-01234567   spot   Ready   2026-11-20T10:44:05Z   $1.23   1 of 1 jobs that wait fit nowhere else, first default/train
        "#]]
        .assert_eq(&tables(&json!({"items": [pool, missing]}), Paint::default()));
        assert!(tables(&json!({"items": []}), Paint::default()).starts_with("no burst pools"));
    }

    #[test]
    fn a_pool_says_why_and_what_would_help() {
        let answer = json!({"pool": "spot", "wanted": false, "reason": "3 jobs wait, worth less than a member",
            "fix": "annotate the namespace", "hourly": "15.28", "priceCap": "40.00", "active": 0, "max": 3, "costSoFar": "0.00",
            "waiting": {"jobs": 3, "fitNowhereElse": 0, "waitCostPerHour": "0.00", "first": "default/a"}, "members": []});
        expect![[r#"
            spot: no member is wanted: 3 jobs wait, worth less than a member

            Price:         $15.28/h, cap $40.00/h
            Waiting:       3 jobs would fit, 0 fit nowhere else; waiting costs $0.00/h
            Members:       0 of 3
            Cost so far:   $0.00
            Next step:     annotate the namespace
        "#]]
        .assert_eq(&reasons(&answer, Paint::default()));
    }

    #[test]
    fn what_goes_is_said_by_name() {
        assert_eq!(going(&json!({"going": ["spot-1"]})), "spot-1 goes when its jobs are over\n");
        assert_eq!(going(&json!({"going": []})), "nothing is there to be removed\n");
    }
}
