//! kill -9 of any process at random points under load: nothing acknowledged is lost, no job is there twice, none runs twice.
//!
//! ```text
//! MUSTER_CHAOS_SECONDS=300 MUSTER_SEED=7 cargo test -p muster-e2e --test it random_kills -- --nocapture
//! ```
//!
//! Without these it is 30 s of a fixed seed. The seed gives victims and pauses; what they meet is up to the machine.

mod load;
mod schedule;

use std::time::{Duration, Instant};

use muster_e2e::local::{Federation, Options, jobs_path, names_in, until, until_equal, until_within};
use nix::sys::signal::Signal;

use load::{Kept, Load};
use schedule::{Schedule, Victim};

const SECONDS: u64 = 30;
const SEED: u64 = 3;
/// How long real jobs may take to their ends once nothing is killed any more.
const HEALED: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_lose_and_repeat_nothing() {
    let seconds = from_environment("MUSTER_CHAOS_SECONDS", SECONDS);
    let seed = from_environment("MUSTER_SEED", SEED);
    println!("MUSTER_CHAOS_SECONDS={seconds} MUSTER_SEED={seed}");
    let federation = Federation::start(&Options::default());
    let load = Load::start(&federation);
    let kills = kill_at_random(&federation, seed, Duration::from_secs(seconds)).await;
    let kept = load.stop().await;
    println!("{kills} kills; {} jobs acknowledged, {} of them real", kept.names.len(), kept.real.len());
    assert!(kills > seconds / 5, "few were there to be killed");
    assert!(kept.real.len() as u64 > seconds / 3, "there was load");

    every_real_job_ran_once(&federation, &kept).await;
    nothing_is_lost_or_double(&federation, &kept).await;
    until_equal(&federation).await;
}

fn from_environment(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: must be a number")),
        Err(_) => default,
    }
}

/// Kills until the time is over; gives how many processes that were.
async fn kill_at_random(federation: &Federation, seed: u64, time: Duration) -> u64 {
    let end = Instant::now() + time;
    let mut schedule = Schedule::new(seed, federation.names("controller"), federation.names("agent"));
    let mut kills = 0;
    while Instant::now() < end {
        until_the_next_kill(schedule.pause()).await;
        let victims = match schedule.victim() {
            Victim::One(name) => vec![name],
            Victim::Hub => federation.names("controller"),
        };
        let killed = victims.iter().filter(|name| federation.signal(name, Signal::SIGKILL));
        kills += killed.count() as u64;
    }
    kills
}

/// The pause is the schedule: it waits for nothing.
async fn until_the_next_kill(pause: Duration) {
    tokio::time::sleep(pause).await;
}

async fn every_real_job_ran_once(federation: &Federation, kept: &Kept) {
    let path = format!("{}?labelSelector=load%3Dreal", jobs_path());
    until_within(HEALED, "every real job to complete", || async {
        let list = federation.get(&path).await?;
        let done = list["items"].as_array()?.iter().filter(|job| job["status"]["succeeded"] == 1).count();
        (done >= kept.real.len()).then_some(())
    })
    .await;
    for witness in &kept.real {
        witness.assert_alone();
        let lives = witness.lives();
        assert!(lives.len() == 1 && lives[0].ended, "one life, to its end: {lives:?}");
    }
}

async fn nothing_is_lost_or_double(federation: &Federation, kept: &Kept) {
    let mut there = until("all jobs", || async { names_in(federation, &jobs_path()).await }).await;
    there.sort_unstable();
    let lost: Vec<&String> = kept.names.iter().filter(|name| there.binary_search(name).is_err()).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let unknown: Vec<&String> = there.iter().filter(|name| !kept.names.contains(*name)).collect();
    // Every submission was tried until it was acknowledged: what is there beyond is a second copy.
    assert!(unknown.is_empty(), "there twice under another name: {unknown:?}");
}
