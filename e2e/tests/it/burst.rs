//! Members that Terraform makes: a job that fits nowhere else gets one, runs there, and the member goes when it is idle. The
//! leader is killed in the middle. With the real `terraform`, whose built-in `terraform_data` needs no download.

mod pool;
mod states;

use std::time::{Duration, Instant};

use muster_e2e::local::{
    Federation, Options, condition, job, job_path, jobs_path, runs_of, until, until_within,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use pool::{POOLS, Pool, Step, agents_below, burst_job, pool_document, terraform};

/// From the queue's growth to the job running on the new member.
const LOOP_LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_makes_a_member_for_a_job_that_fits_nowhere_else() {
    let Some(terraform) = terraform() else { return };
    let mut federation = Federation::start(&with_terraform(&terraform));
    refusals(&federation).await;
    let pool = Pool::create(&federation, &pool_document("spot")).await;
    states::are_locked_and_bounded(&federation).await;

    let started = Instant::now();
    federation.create(&jobs_path(), &burst_job("first", "sleep 0.5")).await;
    let member = pool.member_at(&federation, Step::Ready).await;
    let ran_on = until("it runs on the new member", || async {
        let runs = runs_of(&federation, "first").await;
        runs.into_iter().find(|run| run.phase == "Running" || run.phase == "Succeeded")
    })
    .await;
    let took = started.elapsed();
    assert_eq!(ran_on.cluster, member, "it runs on the pool's member");
    assert!(took <= LOOP_LIMIT, "{took:?} from the queue's growth to the job on the new member");
    assert_eq!(agents_below(&pool.root).len(), 1, "one agent for one intent");
    pool.gone(&federation, &member).await;

    // Again, and this time the leader dies in the middle.
    federation.create(&jobs_path(), &burst_job("second", "true")).await;
    kill_leader_at(&federation, &pool, step_of_seed(&federation)).await;
    completed(&federation, "second").await;
    let member = pool.newest(&federation).await.expect("a member was made");
    pool.gone(&federation, &member).await;
    pool.check_books(&federation, 2).await;

    destroyed_on_request(&federation, &pool).await;
    let took = federation.stop();
    assert!(took.as_secs() < 10, "nothing is left after 10 s: {took:?}");
    assert_eq!(agents_below(&pool.root), Vec::<i32>::new(), "no agent outlives `muster up`");
}

/// The full run of this is 100 kills: `MUSTER_BURST_KILLS=100 cargo test -p muster-e2e --test it burst::kills`.
#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_leader_leave_no_orphan_and_make_nothing_twice() {
    let Some(terraform) = terraform() else { return };
    let kills: u64 = std::env::var("MUSTER_BURST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let federation = Federation::start(&with_terraform(&terraform));
    let pool = Pool::create(&federation, &pool_document("spot")).await;
    for seed in 0..kills {
        let step = Step::ALL[usize::try_from(seed).unwrap_or_default() % Step::ALL.len()];
        let name = format!("kill-{seed}");
        federation.create(&jobs_path(), &burst_job(&name, "true")).await;
        kill_leader_at(&federation, &pool, step).await;
        completed(&federation, &name).await;
        let member = pool.newest(&federation).await.expect("a member was made");
        pool.gone(&federation, &member).await;
        pool.check_books(&federation, 1).await;
        if kills > 10 {
            println!("kill {seed} at {step:?}: {member} gone");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_terraform_the_pool_says_so_and_the_rest_works() {
    let federation = Federation::start(&with_terraform("/nonexistent/terraform"));
    federation.create(POOLS, &pool_document("spot")).await;
    let path = format!("{POOLS}/spot");
    let message = until("the pool says what is missing", || async {
        let pool = federation.get(&path).await?;
        let (status, message) = condition(&pool, "Ready")?;
        (status == "False" && message.contains("Terraform")).then_some(message)
    })
    .await;
    assert!(message.contains("install Terraform") && message.contains("/nonexistent/terraform"), "{message}");
    federation.create(&jobs_path(), &job("plain", "true", 1)).await;
    completed(&federation, "plain").await;
    let why = federation.get("/muster/v1/burstpools/spot/why").await.expect("an answer");
    assert_eq!(why["wanted"], false, "{why}");
    let pool = federation.get(&path).await.expect("the pool");
    assert_eq!(pool["status"]["active"], 0, "nothing is asked for that nobody can make: {pool}");
}

fn with_terraform(program: &str) -> Options {
    Options { env: vec![("MUSTER_TERRAFORM".to_owned(), program.to_owned())], ..Options::default() }
}

/// The step in the middle of which this run kills: another one in each run, named when it fails.
fn step_of_seed(federation: &Federation) -> Step {
    let seed: usize = match std::env::var("MUSTER_BURST_SEED") {
        Ok(text) => text.parse().expect("MUSTER_BURST_SEED is a number"),
        Err(_) => federation.dir.to_string_lossy().bytes().map(usize::from).sum(),
    };
    println!(
        "kills the leader at step {:?}: MUSTER_BURST_SEED={seed} does it again",
        Step::ALL[seed % Step::ALL.len()]
    );
    Step::ALL[seed % Step::ALL.len()]
}

async fn kill_leader_at(federation: &Federation, pool: &Pool, step: Step) {
    pool.member_past(federation, step).await;
    let leader = federation.leader().await;
    until("the leader is killed", || async { federation.signal(&leader, Signal::SIGKILL).then_some(()) })
        .await;
}

async fn completed(federation: &Federation, name: &str) -> Value {
    until_within(Duration::from_secs(60), &format!("the end of {name}"), || async {
        let job = federation.get(&job_path(name)).await?;
        (condition(&job, "Complete")?.0 == "True").then_some(job)
    })
    .await
}

/// Each mistake is refused by its field, and says what would help.
async fn refusals(federation: &Federation) {
    let cases: [(&str, Value, &str, &str); 7] = [
        ("/spec/module", json!("aws-moon"), "spec.module", "process-cluster"),
        ("/spec/variables/colour", json!("red"), "spec.variables[colour]", "root"),
        ("/spec/variables/intent", json!("0123456789abcdef"), "spec.variables[intent]", "set by the hub"),
        ("/spec/variables/stop_seconds", json!("soon"), "spec.variables[stop_seconds]", "whole number"),
        ("/spec/max", json!(0), "spec.max", "1 to 100"),
        ("/spec/min", json!(3), "spec.min", "0 to spec.max"),
        ("/spec/priceCap", json!("0.01"), "spec.priceCap", "raise it"),
    ];
    for (pointer, value, field, helps) in cases {
        let mut document = pool_document("wrong");
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        document.pointer_mut(parent).expect("its parent")[name] = value;
        let reply =
            federation.api().request(http::Method::POST, POOLS, Some(&document)).await.expect("an answer");
        let body: Value = serde_json::from_slice(&reply.body).expect("a Status");
        assert_eq!(reply.status.as_u16(), 422, "{pointer}: {body}");
        let message = body["message"].as_str().unwrap_or_default();
        assert!(message.contains(field) && message.contains(helps), "{pointer}: {message}");
    }
}

async fn destroyed_on_request(federation: &Federation, pool: &Pool) {
    let mut stays = pool_document("kept");
    stays["spec"]["min"] = json!(1);
    let kept = Pool::create(federation, &stays).await;
    let member = kept.member_at(federation, Step::Ready).await;
    assert!(pool.newest(federation).await.is_some_and(|other| other != member));
    let path = format!("{POOLS}/kept");
    let reply = federation.api().request(http::Method::DELETE, &path, None).await.expect("an answer");
    assert!(reply.status.is_success());
    until_within(Duration::from_secs(60), "the pool goes when its member is gone", || async {
        federation.get(&path).await.is_none().then_some(())
    })
    .await;
    assert_eq!(agents_below(&kept.root), Vec::<i32>::new());
}
