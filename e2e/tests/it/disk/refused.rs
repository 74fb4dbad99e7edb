//! What `muster up` cannot use is refused at once, with the exit code of the interface and what to do.

use std::net::{Ipv4Addr, TcpListener};

use muster_e2e::local::{Federation, Options, SmallDisk};

use super::ended;

async fn refused(args: &[&str], code: i32, wanted: &[&str]) {
    let (status, error) = ended(args).await;
    assert_eq!(status.code(), Some(code), "{args:?}: {error}");
    for word in wanted {
        assert!(error.contains(word), "{args:?} does not say {word:?}: {error}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_or_written() {
    refused(&["up", "--state", "/proc/muster", "--port-base", "0"], 73, &["/proc/muster"]).await;

    let root = tempfile::tempdir().expect("a folder");
    let file = root.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let path = file.display().to_string();
    refused(&["up", "--state", &path, "--port-base", "0"], 73, &[&path]).await;

    let state = root.path().join("state");
    std::fs::create_dir(&state).expect("a folder");
    let Some(_disk) = SmallDisk::mount_read_only(&state) else { return };
    let path = state.display().to_string();
    refused(&["up", "--state", &path, "--port-base", "0"], 73, &[&path, "ead-only"]).await;
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    // It is the first of those that are used, or one of the next, if there are too few after it.
    let base = port.min(65_000).to_string();
    let root = tempfile::tempdir().expect("a folder");
    let state = root.path().join("state").display().to_string();
    refused(&["up", "--state", &state, "--port-base", &base], 75, &["--port-base"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_another_one_uses() {
    let federation = Federation::start(&Options::default());
    let state = federation.dir.display().to_string();
    refused(&["up", "--state", &state, "--port-base", "0"], 73, &[&state, "in use"]).await;
    refused(&["up", "--state", &state, "--port-base", "0", "--reset", "--yes"], 73, &[&state, "in use"])
        .await;
    assert!(federation.get("/api/v1/namespaces/default").await.is_some(), "the first one goes on");
}
