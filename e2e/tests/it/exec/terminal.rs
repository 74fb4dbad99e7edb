//! A terminal on both ends.

use std::io::Read;
use std::process::Stdio;

use nix::pty::{Winsize, openpty};

use crate::kubectl::run::Kubectl;

pub async fn has_the_size_of_ours(kubectl: &Kubectl, pod: &str) {
    let size = Winsize { ws_row: 31, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).expect("a terminal");
    // The size comes just after the command has begun.
    let script = "until stty size | grep -q '31 101'; do sleep 0.05; done; stty size; test -t 0 && exit 5";
    let mut command = kubectl.command(&["exec", "-it", pod, "--", "sh", "-c", script]);
    let half = || Stdio::from(terminal.slave.try_clone().expect("shared"));
    let mut child = command.stdin(half()).stdout(half()).stderr(half()).spawn().expect("kubectl starts");
    drop(command);
    drop(terminal.slave);
    let mut master = std::fs::File::from(terminal.master);
    let shown = tokio::task::spawn_blocking(move || {
        let mut shown = Vec::new();
        // It ends with an error when the last one that has it open is gone.
        let _end = master.read_to_end(&mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    });
    let status = child.wait().await.expect("it ends");
    let shown = shown.await.expect("read");
    assert_eq!(status.code(), Some(5), "{shown}");
    assert!(shown.contains("31 101"), "{shown}");
}
