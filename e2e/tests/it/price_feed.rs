//! Prices from a file change what a plan says; a bad feed does not.

use std::fs;
use std::process::Command;

use http::Method;
use muster_e2e::local::{Federation, Options, job, muster_exe};
use serde_json::Value;

const HEADER: &str = "provider,region,gpuModel,onDemand,spot,source,asOf\n";
const MODEL: &str = "NVIDIA-A100-SXM4-80GB";

fn muster(federation: &Federation, args: &[&str]) -> (i32, String) {
    let kubeconfig = federation.dir.join("kubeconfig");
    let output = Command::new(muster_exe()).args(args).arg("--kubeconfig").arg(kubeconfig).output();
    let output = output.expect("muster runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// The day so many days ago.
fn day(days_ago: u64) -> String {
    let days = muster_e2e::local::now_ms() / 86_400_000 - days_ago;
    let time = muster_model::TimeMs(days * 86_400_000).to_string();
    time.split('T').next().expect("a day").to_owned()
}

/// The compute line of one cluster in the plan of an 8-GPU job.
fn line(federation: &Federation, cluster: &str) -> (String, String) {
    let file = federation.dir.join("job.json");
    fs::write(&file, job("planned", "true", 8).to_string()).expect("a file");
    let (code, text) = muster(federation, &["plan", "-f", file.to_str().expect("a path"), "-o", "json"]);
    assert_eq!(code, 0, "{text}");
    let plan: Value = serde_json::from_str(&text).expect("JSON");
    let clusters = plan["jobs"][0]["clusters"].as_array().expect("clusters");
    let found = clusters.iter().find(|found| found["name"] == cluster).expect("the cluster");
    let line = found["lines"].as_array().expect("lines").iter().find(|line| line["kind"] == "compute");
    let line = line.expect("a compute line");
    let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    (text("amount"), text("basis"))
}

fn import(federation: &Federation, rows: &str, more: &[&str]) -> (i32, String) {
    import_into(federation, "feed", rows, more)
}

fn import_into(federation: &Federation, book: &str, rows: &str, more: &[&str]) -> (i32, String) {
    let file = federation.dir.join("feed.csv");
    fs::write(&file, format!("{HEADER}{rows}")).expect("a file");
    let mut args =
        vec!["prices", "import", "--provider", "own", "--book", book, file.to_str().expect("a path")];
    args.extend(more);
    muster(federation, &args)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_changes_plans_and_bad_lines_do_not() {
    let federation = Federation::start(&Options::default());
    let today = day(0);
    let row =
        |price: &str, spot: &str, day: &str| format!("aws,us-east-1,{MODEL},{price},{spot},my feed,{day}\n");
    let (before, _) = line(&federation, "aws-use1-spot");

    let (code, text) = import(&federation, &row("4.00", "2.00", &today), &["--dry-run"]);
    assert!(code == 0 && text.contains("would change") && text.contains("$2.00"), "{text}");
    assert_eq!(line(&federation, "aws-use1-spot").0, before, "a dry run stores nothing");

    let (code, text) = import(&federation, &row("4.00", "2.00", &today), &[]);
    assert_eq!(code, 0, "{text}");
    let (amount, basis) = line(&federation, "aws-use1-spot");
    assert_eq!(amount, "16.00", "8 GPUs for an hour: {basis}");
    assert!(basis.contains("my feed of ") && basis.contains(" old"), "{basis}");

    let bad = row("NaN", "1.00", &today)
        + &row("-4", "", &today)
        + &row("90.00", "2.00", &today)
        + &row("4.00", "2.00", &day(900));
    let good = format!("gcp,us-central1,{MODEL},5.00,2.50,my feed,{today}\n");
    let (code, text) = import(&federation, &(bad + &good), &[]);
    assert_eq!(code, 1, "{text}");
    for refused in [
        "feed.csv:2: onDemand: \"NaN\" is not a decimal number",
        "feed.csv:3: onDemand: \"-4\" is negative",
        "feed.csv:4: onDemand: $90.00 is more than 3 times away from the last good $4.00",
        "feed.csv:5: asOf: ",
    ] {
        assert!(text.contains(refused), "{refused} in {text}");
    }
    let (amount, basis) = line(&federation, "aws-use1-spot");
    assert_eq!(amount, "16.00", "the last good price holds");
    assert!(basis.contains("the last good figure, a newer one was refused"), "{basis}");
    assert_eq!(line(&federation, "gcp-usc1-spot").0, "20.00", "good lines are taken");

    let book = federation.get("/apis/muster.sh/v1alpha1/pricebooks/feed").await.expect("the book");
    let condition = &book["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&"PricesGood".into(), &"False".into()), "{book}");
    let events =
        federation.get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dfeed").await;
    let reasons: Vec<Value> = events.expect("events")["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| e["reason"].clone())
        .collect();
    assert!(
        reasons.contains(&"PricesRefused".into()) && reasons.contains(&"PricesImported".into()),
        "{reasons:?}"
    );
    stale_prices_are_said(&federation, &row("4.00", "2.00", &day(20))).await;
}

/// What was fresh when it was imported is called stale when it is older than its book says.
async fn stale_prices_are_said(federation: &Federation, row: &str) {
    let (code, text) = import_into(federation, "old", row, &["--max-age", "30d"]);
    assert_eq!(code, 0, "{text}");
    let path = |book: &str| format!("/apis/muster.sh/v1alpha1/pricebooks/{book}");
    for book in ["default", "feed"] {
        let reply = federation.api().request(Method::DELETE, &path(book), None).await.expect("an answer");
        assert!(reply.status.is_success(), "{book}");
    }
    let (_, basis) = line(federation, "aws-use1-spot");
    assert!(basis.contains("20d") && !basis.contains("STALE"), "{basis}");
    let body = Some(("application/merge-patch+json", r#"{"spec":{"maxAge":"10d"}}"#.into()));
    let reply = federation.api().request_as(Method::PATCH, &path("old"), "application/json", body).await;
    assert!(reply.expect("an answer").status.is_success());
    let (_, basis) = line(federation, "aws-use1-spot");
    assert!(basis.contains("20d") && basis.contains("old: STALE, past 10d"), "{basis}");
}
