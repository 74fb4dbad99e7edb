//! The sessions that members hold with this replica, and the way to each.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_leader::SessionId;
use muster_model::MemberName;
use muster_proto::federation::HubMessage;
use parking_lot::RwLock;
use tokio::sync::mpsc;

use crate::identity::MemberCertificate;

/// Messages that may wait for one member.
const OUTBOX_MAX: usize = 1_024;

/// The way to one member.
#[derive(Clone)]
pub struct SessionOutbox(mpsc::Sender<HubMessage>);

impl SessionOutbox {
    /// An outbox and what comes out of it.
    pub fn new() -> (SessionOutbox, mpsc::Receiver<HubMessage>) {
        let (sender, receiver) = mpsc::channel(OUTBOX_MAX);
        (SessionOutbox(sender), receiver)
    }

    /// Sends; waits while the member does not read. False if the session is over.
    pub async fn send(&self, message: HubMessage) -> bool {
        self.0.send(message).await.is_ok()
    }

    /// Sends without waiting. False if the session is over or the member does not read: then it is better closed.
    pub fn try_send(&self, message: HubMessage) -> bool {
        self.0.try_send(message).is_ok()
    }

    /// Waits until the session is over.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// A session as other edges see it.
#[derive(Clone)]
pub struct OpenSession {
    /// Its number.
    pub session: SessionId,
    /// The way to the member.
    pub outbox: SessionOutbox,
    /// What the member showed.
    pub certificate: MemberCertificate,
}

/// Members by name, and the session each holds.
#[derive(Clone, Default)]
pub struct Sessions {
    by_member: Arc<RwLock<BTreeMap<MemberName, OpenSession>>>,
}

impl Sessions {
    /// The way to a member, if it has a session here.
    pub fn outbox(&self, member: &MemberName) -> Option<SessionOutbox> {
        self.of(member).map(|open| open.outbox)
    }

    /// The member's session, if it has one here.
    pub fn of(&self, member: &MemberName) -> Option<OpenSession> {
        self.by_member.read().get(member).cloned()
    }

    /// The member's session is this one now.
    pub fn set(&self, session: SessionId, outbox: SessionOutbox, certificate: MemberCertificate) {
        let open = OpenSession { session, outbox, certificate };
        self.by_member.write().insert(open.certificate.name.clone(), open);
    }

    /// The session is over. One that took its place stays.
    pub fn clear(&self, member: &MemberName, session: SessionId) {
        let mut by_member = self.by_member.write();
        if by_member.get(member).is_some_and(|open| open.session == session) {
            by_member.remove(member);
        }
    }
}
