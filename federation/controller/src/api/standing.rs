//! Whether this replica runs and leads, told only when that changes: what every open watch waits on.
//!
//! Consensus publishes its figures many times a second; thousands of watches must not wake each time.

use muster_consensus::{Role, RuntimeStatus};
use tokio::sync::watch;

use crate::hub::Hub;

/// How a replica stands, as far as open streams are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// False once the replica is being shut down.
    pub running: bool,
    /// The term in which it leads.
    pub leads: Option<u64>,
}

impl Standing {
    fn of(status: &RuntimeStatus) -> Standing {
        let leads = status.replica.role == Role::Leader;
        Standing { running: status.running, leads: leads.then_some(status.replica.term) }
    }

    /// Follows a hub until it ends or nobody listens any more.
    pub fn follow(hub: &Hub) -> watch::Receiver<Standing> {
        let mut status = hub.status();
        let (sender, receiver) = watch::channel(Standing::of(&status.borrow()));
        tokio::spawn(async move {
            while !sender.is_closed() && status.changed().await.is_ok() {
                let now = Standing::of(&status.borrow_and_update());
                sender.send_if_modified(|standing| std::mem::replace(standing, now) != now);
            }
            sender.send_replace(Standing { running: false, leads: None });
        });
        receiver
    }
}
