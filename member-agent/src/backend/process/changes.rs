//! Wakes the agent when a shim ends, so that nobody has to poll.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::backend::pod::PodId;
use crate::shim::identity::ProcessIdentity;

/// Watches over shims.
#[derive(Clone, Default)]
pub(crate) struct ChangeWatch {
    notify: Arc<Notify>,
    watched: Arc<Mutex<BTreeSet<PodId>>>,
}

impl ChangeWatch {
    /// Waits for the next change; one that came since the last wait counts.
    pub(crate) async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Notifies when the shim of `pod` ends. Watching twice is watching once.
    pub(crate) fn watch(&self, pod: &PodId, shim: &ProcessIdentity) {
        if !self.lock().insert(pod.clone()) {
            return;
        }
        let handle = shim.open().ok().flatten();
        // SAFETY: the descriptor is owned by the AsyncFd and is not closed or exchanged while registered.
        let handle = handle.and_then(|handle| unsafe { AsyncFd::register(handle) }.ok());
        let (watch, pod) = (self.clone(), pod.clone());
        tokio::spawn(async move {
            // Without a handle the shim is gone already (or the machine is out of descriptors, and then the
            // next observation tries again).
            if let Some(handle) = handle {
                let _ended_or_broken = handle.readable().await.map(drop);
            }
            watch.lock().remove(&pod);
            watch.notify.notify_one();
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<PodId>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
