//! Replicas of which one has another time of day: real processes, with a library that is loaded before the C library.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster_e2e::local::{Federation, Options, jobs_path, sleep_job, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const LIBRARY: &str = include_str!("clocks/wrong_clock.c");
const REPLICAS: [&str; 3] = ["controller-1", "controller-2", "controller-3"];

/// The clocks of a federation's replicas.
struct Clocks(PathBuf);

impl Clocks {
    /// The library, and a file for each replica.
    fn make(folder: &Path) -> (Clocks, Options) {
        let (source, library) = (folder.join("wrong_clock.c"), folder.join("wrong_clock.so"));
        std::fs::write(&source, LIBRARY).expect("a file");
        let mut compile = Command::new("cc");
        compile
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ldl");
        assert!(compile.status().expect("a C compiler").success());
        let clocks = Clocks(folder.join("clocks"));
        std::fs::create_dir(&clocks.0).expect("a folder");
        REPLICAS.iter().for_each(|name| clocks.set(name, 0));
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let env = vec![
            ("LD_PRELOAD".to_owned(), text(&library)),
            ("MUSTER_WRONG_CLOCK".to_owned(), text(&clocks.0)),
        ];
        (clocks, Options { env, ..Options::default() })
    }

    /// Sets a replica's clock so many milliseconds ahead of this machine's. Not truncated: it is mapped.
    fn set(&self, replica: &str, ahead_ms: i64) {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(self.0.join(replica));
        file.expect("the file").write_all_at(&ahead_ms.to_ne_bytes(), 0).expect("written");
    }
}

/// Who leads, and how far the clock of one replica is off.
struct Standing {
    leader: String,
    term: u64,
    off_ms: Option<i64>,
}

/// What `muster replicas` says.
async fn standing(federation: &Federation, name: &str) -> Option<Standing> {
    let reply = federation.api().request(http::Method::GET, "/muster/v1/replicas", None).await.ok()?;
    let all: Value = reply.json().ok()?;
    let one = all["replicas"].as_array()?.iter().find(|replica| replica["name"] == name)?;
    let leader = all["leader"].as_str()?.to_owned();
    Some(Standing { leader, term: all["term"].as_u64()?, off_ms: one["clockOffMs"].as_i64() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_with_a_wrong_clock_does_not_lead() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clocks, options) = Clocks::make(folder.path());
    let federation = Federation::start(&options);
    let wrong = federation.leader().await;
    clocks.set(&wrong, 60_000);
    let mut leader = until("another leader", || async {
        let Standing { leader, off_ms, .. } = standing(&federation, &wrong).await?;
        (leader != wrong && off_ms? > 50_000).then_some(leader)
    })
    .await;
    let mut job = sleep_job("after", 1);
    job["spec"]["suspend"] = json!(true);
    federation.create(&jobs_path(), &job).await;

    for _ in 0..3 {
        let term = standing(&federation, &wrong).await.map_or(0, |standing| standing.term);
        assert!(federation.signal(&leader, Signal::SIGKILL));
        let after = until("the next leader", || async {
            standing(&federation, &wrong).await.filter(|standing| standing.term > term)
        })
        .await;
        assert_ne!(after.leader, wrong, "its clock is a minute ahead");
        leader = after.leader;
    }

    clocks.set(&wrong, 0);
    until("the clock is right again", || async {
        (standing(&federation, &wrong).await?.off_ms?.abs() < 2_000).then_some(())
    })
    .await;
}
