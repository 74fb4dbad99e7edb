//! A disk that is full and has room again, as a small tmpfs that only this test's threads see.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use muster_member_agent::backend::{Backend, ExitReason, LogOptions};
use muster_member_agent::shim::client;
use muster_member_agent::shim::protocol::{Reply, Request, ShimPhase};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::worlds::{ProcessWorld, await_condition, await_end, await_log, read_log, shell};

#[test]
fn a_full_disk_neither_stops_a_job_nor_loses_its_end() {
    let thread = std::thread::spawn(|| {
        let mut world = ProcessWorld::new();
        world.config.log_cap_bytes = 8 << 20;
        if !mount_small_disk(&world.config.state) {
            eprintln!("not permitted to mount here; nothing was checked");
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(fill_and_free(&world));
        // What something is mounted on cannot be removed with the world.
        umount2(&world.config.state, MntFlags::MNT_DETACH).unwrap();
    });
    thread.join().unwrap();
}

/// The mount belongs to this thread and those it starts, and goes with them.
fn mount_small_disk(at: &Path) -> bool {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE))
        .and_then(|()| mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some("size=1m")))
        .is_ok()
}

async fn fill_and_free(world: &ProcessWorld) {
    let elsewhere = tempfile::tempdir().unwrap();
    let go = elsewhere.path().join("go");
    let script =
        format!("echo ready; while [ ! -e {} ]; do sleep 0.02; done; seq 1 300000; exit 9", go.display());
    let backend = world.backend();
    let spec = shell("full", &script);
    backend.start(spec.clone()).await.unwrap();
    await_log(world, &backend, &spec.id, "ready").await;
    let filler = world.config.state.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    // While it is open its room is not given back.
    drop(file);
    fs::write(&go, "").unwrap();

    // Over two megabytes of output went nowhere, the job went on to its end, and the shim waits with it.
    let dir = world.dir(&spec.id);
    let is_ended = || {
        let status = client::request(&dir, &Request::Status, Duration::from_secs(10));
        matches!(status, Ok(Reply::Status(status)) if status.phase == ShimPhase::Ended)
    };
    await_condition("the end without a record", is_ended).await;
    assert!(!dir.join("exit.json").exists());
    fs::remove_file(&filler).unwrap();
    let exit = await_end(world, &backend, &spec.id).await;
    assert_eq!((exit.code, exit.reason), (Some(9), ExitReason::Error));
    assert!(exit.dropped_log_bytes > 1 << 20, "{exit:?}");
    assert!(read_log(&backend, &spec.id, LogOptions::default()).await.starts_with("ready\n"));
}
