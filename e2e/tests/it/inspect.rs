//! `muster inspect` on the folders of real replicas: running, down, damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster_e2e::local::{Federation, Options, jobs_path, muster_exe, sleep_job};
use serde_json::{Value, json};

/// Exit code, what it printed, what it complained of.
fn inspect(what: &str, folder: &Path, more: &[&str]) -> (i32, String, String) {
    let output = Command::new(muster_exe()).args(["inspect", what]).arg(folder).args(more).output();
    let output = output.expect("muster runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Every file below a folder, and what is in it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        match entry.file_type().expect("a type").is_dir() {
            true => found.extend(contents(&entry.path())),
            false => drop(found.insert(entry.path(), fs::read(entry.path()).expect("a file"))),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_replica_that_is_down_can_be_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("state");
    fs::create_dir_all(&state).expect("a folder");
    let mut federation = Federation::start(&Options { dir: Some(state.clone()), ..Options::default() });
    for number in 0..3 {
        let mut job = sleep_job(&format!("told-{number}"), 1);
        job["spec"]["suspend"] = json!(true);
        federation.create(&jobs_path(), &job).await;
    }
    let folder = state.join("controllers").join("controller-2");
    let (code, _, error) = inspect("log", &folder, &[]);
    assert!(code != 0 && error.contains("log.mark"), "{code}: {error}");
    federation.stop();
    drop(federation);
    let before = contents(&folder);

    let (code, text, _) = inspect("log", &folder, &["--last", "1000"]);
    assert!(code == 0 && text.contains("It checks out: term "), "{text}");
    assert_eq!(text.matches("Put jobs.batch/default/told-").count(), 3, "{text}");
    let (code, text, _) = inspect("log", &folder, &["--last", "3", "-o", "json"]);
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, report["entries"].as_array().map(Vec::len)), (0, Some(3)), "{text}");
    let (code, _, error) = inspect("snapshot", &folder, &[]);
    assert!(code != 0 && error.contains("there is no snapshot yet"), "{code}: {error}");
    assert!(contents(&folder) == before, "looking at it changed it");
    let (code, _, error) = inspect("log", &state, &[]);
    assert!(
        code == 73 && error.contains("holds no log; name the data folder of a replica"),
        "{code}: {error}"
    );

    let used = report["segments"][0]["usedBytes"].as_u64().expect("bytes");
    let file = folder.join("raft").join(report["segments"][0]["file"].as_str().expect("a name"));
    let mut bytes = fs::read(&file).expect("the segment");
    bytes[usize::try_from(used / 2).expect("small")] ^= 1;
    fs::write(&file, bytes).expect("the segment");
    let (code, text, _) = inspect("log", &folder, &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("A replica would refuse it: ") && text.contains("newer batches follow"), "{text}");
    assert!(text.contains(&file.display().to_string()) && text.contains("offset "), "{text}");
}
