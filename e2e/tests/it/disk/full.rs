//! The disk under the whole federation fills up while it works, and has room again later.

use std::os::unix::fs::symlink;
use std::time::Duration;

use http::{Method, StatusCode};
use muster_e2e::local::{
    Federation, Options, Script, SmallDisk, Witness, condition, job, job_path, jobs_path, until, until_equal,
    until_within,
};

use super::{all_there, submit, suspended, until_log_says};

/// Room for three logs and what the members keep.
const DISK_MIB: u32 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_loses_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let state = root.path().join("state");
    std::fs::create_dir(&state).expect("a folder");
    let Some(disk) = SmallDisk::mount(&state, DISK_MIB) else { return };
    // On another disk, as where a journal daemon takes them: what is said when the disk is full is to be read.
    let logs = root.path().join("logs");
    std::fs::create_dir(&logs).expect("a folder");
    symlink(&logs, state.join("logs")).expect("a link");
    let federation = Federation::start(&Options { dir: Some(state), ..Options::default() });

    let witness = Witness::new(root.path(), "running");
    federation.create(&jobs_path(), &job("running", &witness.script(Script::Beats(60)), 1)).await;
    until("it runs", || async { witness.is_alive().then_some(()) }).await;
    submit(&federation, "before").await;
    let mut acknowledged = vec!["before".to_owned()];

    disk.fill();
    let refusal = submit_until_refused(&federation, &mut acknowledged).await;
    println!("{} acknowledged until the disk was full; then: {refusal}", acknowledged.len());
    until("a replica to say why", || async {
        let controllers = federation.names("controller");
        let mut texts =
            controllers.iter().map(|name| std::fs::read_to_string(logs.join(format!("{name}.log"))));
        texts.any(|text| text.is_ok_and(|text| text.contains("the disk is full"))).then_some(())
    })
    .await;
    until("the job to end while the disk is full", || async {
        witness.lives().iter().any(|life| life.ended).then_some(())
    })
    .await;

    disk.free();
    submit(&federation, "after").await;
    acknowledged.push("after".to_owned());
    all_there(&federation, &acknowledged).await;
    until_within(Duration::from_secs(60), "the job's end to be known", || async {
        let job = federation.get(&job_path("running")).await?;
        (condition(&job, "Complete")?.0 == "True").then_some(())
    })
    .await;
    assert_eq!(witness.lives().len(), 1, "it ran once: {:?}", witness.lives());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_full_disk_stops_one_replica_only() {
    let root = tempfile::tempdir().expect("a folder");
    let state = root.path().join("state");
    let folder = state.join("controllers/controller-1");
    std::fs::create_dir_all(&folder).expect("a folder");
    let Some(disk) = SmallDisk::mount(&folder, 16) else { return };
    let federation = Federation::start(&Options { dir: Some(state.clone()), ..Options::default() });

    disk.fill();
    let names: Vec<String> = (0..20).map(|i| format!("meanwhile-{i}")).collect();
    for name in &names {
        submit(&federation, name).await;
    }
    until_log_says(&state.join("logs/controller-1.log"), &["the disk is full"]).await;
    all_there(&federation, &names).await;
    disk.free();
    until_equal(&federation).await;
    all_there(&federation, &names).await;
}

/// Submits large jobs until one is not acknowledged; gives what was said.
async fn submit_until_refused(federation: &Federation, acknowledged: &mut Vec<String>) -> String {
    for i in 0..500 {
        let name = format!("ballast-{i}");
        let tried =
            federation.api().request(Method::POST, &jobs_path(), Some(&suspended(&name, 100_000))).await;
        match tried {
            Ok(reply) if reply.status == StatusCode::CREATED => acknowledged.push(name),
            Ok(reply) => {
                assert!(reply.status.is_server_error(), "{}", reply.status);
                let refusal = reply.failure().to_string();
                assert!(refusal.len() > 20, "{refusal:?} is not clear");
                return refusal;
            }
            Err(failure) => return failure.to_string(),
        }
    }
    panic!("50 MB were acknowledged on a full disk");
}
