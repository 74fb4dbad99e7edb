//! A command does not outlive whoever asked for it.

use muster_e2e::local::{Federation, until};
use nix::sys::signal::Signal;

use super::{await_running, member_of};
use crate::kubectl::run::Kubectl;

/// A length of sleep that no other process of this machine has: names the command.
fn unique(last: u32) -> String {
    format!("{}.{last}", 100_000 + std::process::id())
}

pub async fn with_its_client(kubectl: &Kubectl, pod: &str) {
    let version = u32::from(kubectl.namespace.ends_with('4'));
    let reads = unique(10 + version);
    let client = kubectl.start(&format!("exec {pod} -- sleep {reads}"));
    await_running(&reads, true).await;
    drop(client);
    await_running(&reads, false).await;
    // One that takes no input, while more waits than all buffers hold.
    let blocked = unique(20 + version);
    let client = kubectl.flooding(&["exec", "-i", pod, "--", "sleep", &blocked]);
    await_running(&blocked, true).await;
    drop(client);
    await_running(&blocked, false).await;
}

pub async fn with_the_leader(federation: &Federation, kubectl: &Kubectl, pod: &str) {
    let leader = federation.leader().await;
    let names = federation.names("controller");
    let follower = names.iter().find(|name| **name != leader).expect("a follower");
    let context = follower.replace("controller", "muster");
    let name = unique(30);
    let line = format!("--context {context} exec {pod} -- sleep {name}");
    let killed = async {
        await_running(&name, true).await;
        assert!(federation.signal(&leader, Signal::SIGKILL));
    };
    let (said, ()) = tokio::join!(kubectl.run_line(&line), killed);
    assert!(
        said.code == Some(1) && said.err.contains("contact with the hub's leader was lost"),
        "{}",
        said.err
    );
    await_running(&name, false).await;
}

pub async fn with_the_member(federation: &Federation, kubectl: &Kubectl, pod: &str) {
    // The new leader knows the pod once its member is back.
    until("a command to run again", || async {
        let said = kubectl.run_line(&format!("exec {pod} -- true")).await;
        (said.code == Some(0)).then_some(())
    })
    .await;
    let member = member_of(kubectl, pod).await;
    let name = unique(40);
    let line = format!("exec {pod} -- sleep {name}");
    let killed = async {
        await_running(&name, true).await;
        assert!(federation.signal(&member, Signal::SIGKILL));
    };
    let (said, ()) = tokio::join!(kubectl.run_line(&line), killed);
    let lost = format!("contact with member {member} was lost");
    assert!(said.code == Some(1) && said.err.contains(&lost), "{}", said.err);
    await_running(&name, false).await;
}
