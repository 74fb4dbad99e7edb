//! The handle to a driver's thread: clones freely, works from any task or thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::{Request, RuntimeConfig, RuntimeStatus};
use crate::driver::{DriverError, Outcome};
use crate::ids::ReplicaId;
use crate::membership::{Membership, MembershipChange};
use crate::replica::{ReadOutcome, Refusal};

/// Talks to a driver's thread. The thread ends when the last handle is dropped.
pub struct Handle<A> {
    inbox: Sender<Request<A>>,
    gauges: Arc<Gauges>,
    status: watch::Receiver<RuntimeStatus>,
}

/// Tells when, and why, a driver's thread has ended. By then its store is closed.
#[derive(Debug)]
pub struct Stopped(oneshot::Receiver<Result<(), DriverError>>);

/// What waits in the inbox. Requests and peer messages have bounds of their own, so that a flood of requests never
/// keeps heartbeats out.
pub(super) struct Gauges {
    requests: AtomicUsize,
    peer_bytes: AtomicUsize,
    max_requests: usize,
    max_peer_bytes: usize,
}

impl Gauges {
    pub(super) fn new(config: &RuntimeConfig) -> Self {
        Self {
            requests: AtomicUsize::new(0),
            peer_bytes: AtomicUsize::new(0),
            max_requests: config.max_waiting_requests,
            max_peer_bytes: config.max_waiting_peer_bytes,
        }
    }

    pub(super) fn request_taken(&self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn peer_taken(&self, bytes: usize) {
        self.peer_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn admit_request(&self) -> bool {
        let admitted = self.requests.fetch_add(1, Ordering::Relaxed) < self.max_requests;
        if !admitted {
            self.request_taken();
        }
        admitted
    }

    fn admit_peer(&self, bytes: usize) -> bool {
        let admitted = self.peer_bytes.fetch_add(bytes, Ordering::Relaxed) < self.max_peer_bytes;
        if !admitted {
            self.peer_taken(bytes);
        }
        admitted
    }
}

impl<A> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone(), gauges: self.gauges.clone(), status: self.status.clone() }
    }
}

impl<A> Handle<A> {
    pub(super) fn new(
        inbox: Sender<Request<A>>,
        gauges: Arc<Gauges>,
        status: watch::Receiver<RuntimeStatus>,
    ) -> Self {
        Self { inbox, gauges, status }
    }

    /// Append an entry and wait for its end. Cancelling the wait does not take the proposal back.
    pub async fn propose(&self, bytes: Bytes) -> Outcome<A> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Propose { bytes, reply }, answer).await
    }

    /// Change the group by one step and wait until it is applied here.
    pub async fn change_membership(&self, change: MembershipChange) -> Outcome<Membership> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Change { change, reply }, answer).await
    }

    /// Wait until the state here is at least as new as when this was called. Works on every replica.
    pub async fn read_index(&self) -> ReadOutcome {
        let (reply, answer) = oneshot::channel();
        if !self.gauges.admit_request() || self.inbox.send(Request::Read { reply }).is_err() {
            return ReadOutcome::TimedOut;
        }
        answer.await.unwrap_or(ReadOutcome::TimedOut)
    }

    /// Hand in a message that the transport received from `from`, as the connection identifies it. False if the
    /// inbox is full or the thread has ended; raft repeats what matters.
    pub fn deliver(&self, from: ReplicaId, bytes: Bytes) -> bool {
        self.gauges.admit_peer(bytes.len()) && self.inbox.send(Request::Peer { from, bytes }).is_ok()
    }

    /// Hand leadership over, to the voter that is furthest if none is named. Watch the status for the result.
    pub fn transfer_leadership(&self, to: Option<ReplicaId>) {
        let _ = self.inbox.send(Request::Transfer { to });
    }

    /// Keep this replica from leading, or let it again: for one whose clock cannot be trusted. It goes on voting.
    pub fn hold_back(&self, held: bool) {
        let _ = self.inbox.send(Request::HoldBack { held });
    }

    /// Stop the thread: hand leadership over first if this replica leads. Await [`Stopped`] for the end.
    pub fn shutdown(&self) {
        let _ = self.inbox.send(Request::Shutdown);
    }

    /// Where the replica stands, now and at every change.
    pub fn status(&self) -> watch::Receiver<RuntimeStatus> {
        self.status.clone()
    }

    async fn request<T>(&self, request: Request<A>, answer: oneshot::Receiver<Outcome<T>>) -> Outcome<T> {
        if !self.gauges.admit_request() {
            return Outcome::Refused(Refusal::Busy);
        }
        if self.inbox.send(request).is_err() {
            return Outcome::Refused(Refusal::NotLeader { leader: None });
        }
        // Without an answer the thread died with the request in hand: it may have taken effect.
        answer.await.unwrap_or(Outcome::Unknown)
    }
}

impl Stopped {
    pub(super) fn new(ended: oneshot::Receiver<Result<(), DriverError>>) -> Self {
        Self(ended)
    }

    /// Wait for the end of the thread.
    ///
    /// # Errors
    /// Why the driver failed, if it did.
    pub async fn wait(self) -> Result<(), DriverError> {
        self.0.await.unwrap_or(Err(DriverError::Stopped))
    }
}
