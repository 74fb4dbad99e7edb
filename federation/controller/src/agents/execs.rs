//! Commands that people run in pods. The hub asks over the member's session; the member dials a call of its own for the
//! answer, which shows the ticket that came with the request.
//!
//! ```text
//!  open --ExecRequest, ticket--> session --> member
//!   ^                                          |
//!   +--frames, bounded both ways--- accept <---+ Exec call, on a connection of its own
//! ```
//!
//! A call lives as long as the member's session: a member that was revoked or lost, or a leader that is none any more, has
//! no calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use muster_model::MemberName;
use muster_proto::federation::{ExecFrame, ExecRequest, HubMessage, StreamError, StreamErrorCode, pb};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tonic::Streaming;

use super::service::random_id;
use super::sessions::{SessionOutbox, Sessions};

/// Frames that may wait in each direction.
const FRAMES_MAX: usize = 4;
/// Commands at a time, over all members.
const OPEN_MAX: usize = 1_024;
/// Requests for logs are numbered from 0, and one cancel serves both.
const FIRST_REQUEST: u64 = 1 << 63;
/// How long a member without a session is waited for.
pub const CONTACT: Duration = Duration::from_secs(3);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(50);
/// How long a member may take to dial.
const DIAL_PATIENCE: Duration = Duration::from_secs(10);

/// A conversation with a command. Dropping it kills the command.
pub struct ExecPipe {
    /// What goes to the command.
    pub to_pod: mpsc::Sender<ExecFrame>,
    /// What comes from it; the last frame says how it ended.
    pub from_pod: mpsc::Receiver<ExecFrame>,
}

/// Both ends of a conversation.
pub fn pipe() -> (ExecPipe, ExecPipe) {
    let (to_pod, at_pod) = mpsc::channel(FRAMES_MAX);
    let (to_user, at_user) = mpsc::channel(FRAMES_MAX);
    (ExecPipe { to_pod, from_pod: at_user }, ExecPipe { to_pod: to_user, from_pod: at_pod })
}

/// Why no command can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecUnavailable {
    /// The member has no session with this replica.
    #[error("the member is out of contact; commands can be run when it is back")]
    OutOfContact,
    /// Too many commands run.
    #[error("too many commands run by exec and attach; try again in a second")]
    TooMany,
    /// It has a session and did not dial.
    #[error("the member did not answer within 10 s; nothing is known to run; try again")]
    NoAnswer,
}

/// A request that waits for the member's call.
struct Expected {
    ticket: u128,
    member: MemberName,
    caller: oneshot::Sender<Caller>,
}

/// A member's call: what it says, and what is said to it.
pub struct Caller {
    /// What it says.
    pub incoming: Streaming<pb::ExecFrame>,
    /// What is said to it.
    pub outgoing: mpsc::Sender<Result<pb::ExecFrame, tonic::Status>>,
}

/// Commands that run over this replica's sessions.
#[derive(Clone)]
pub struct Execs {
    next: Arc<AtomicU64>,
    expected: Arc<Mutex<BTreeMap<u64, Expected>>>,
    open: Arc<AtomicU64>,
}

impl Default for Execs {
    fn default() -> Self {
        let next = Arc::new(AtomicU64::new(FIRST_REQUEST));
        Execs { next, expected: Arc::default(), open: Arc::default() }
    }
}

/// One of [`OPEN_MAX`].
struct Place(Arc<AtomicU64>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a request back when it is given up.
struct Waiting {
    request: u64,
    expected: Arc<Mutex<BTreeMap<u64, Expected>>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.expected.lock().remove(&self.request);
    }
}

/// The session of a member. One that just renewed its certificate, or follows a new leader, is back in a moment.
async fn contact(sessions: &Sessions, member: &MemberName) -> Option<SessionOutbox> {
    let deadline = Instant::now() + CONTACT;
    loop {
        match sessions.outbox(member) {
            None if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            found => return found,
        }
    }
}

impl Execs {
    /// Runs a command on a member; number and ticket are set here.
    pub async fn open(
        &self,
        sessions: &Sessions,
        member: &MemberName,
        ask: ExecRequest,
    ) -> Result<ExecPipe, ExecUnavailable> {
        let session = contact(sessions, member).await.ok_or(ExecUnavailable::OutOfContact)?;
        let place = self.place().ok_or(ExecUnavailable::TooMany)?;
        let (request, ticket) = (self.next.fetch_add(1, Ordering::Relaxed), random_id());
        let (caller, called) = oneshot::channel();
        let waiting = Waiting { request, expected: Arc::clone(&self.expected) };
        self.expected.lock().insert(request, Expected { ticket, member: member.clone(), caller });
        if !session.send(HubMessage::Exec(ExecRequest { request, ticket, ..ask })).await {
            return Err(ExecUnavailable::OutOfContact);
        }
        let called = tokio::select! {
            called = tokio::time::timeout(DIAL_PATIENCE, called) => called,
            () = session.closed() => return Err(ExecUnavailable::OutOfContact),
        };
        drop(waiting);
        let caller = called.ok().and_then(Result::ok).ok_or(ExecUnavailable::NoAnswer)?;
        let (ours, theirs) = pipe();
        let member = member.clone();
        tokio::spawn(async move {
            let _place = place;
            relay(&member, caller, &session, theirs).await;
            // Out of band: what the command does not read keeps the end of its call from being seen.
            session.try_send(HubMessage::Cancel { request });
        });
        Ok(ours)
    }

    /// Takes a member's call. False if nobody asked this member for it.
    pub fn accept(&self, member: &MemberName, (request, ticket): (u64, u128), caller: Caller) -> bool {
        let mut expected = self.expected.lock();
        let is_it = |expected: &Expected| expected.ticket == ticket && expected.member == *member;
        if !expected.get(&request).is_some_and(is_it) {
            return false;
        }
        expected.remove(&request).is_some_and(|expected| expected.caller.send(caller).is_ok())
    }

    fn place(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.open));
        (self.open.fetch_add(1, Ordering::Relaxed) < OPEN_MAX as u64).then_some(place)
    }
}

/// Carries frames between a member's call and a conversation until one of them or the session ends.
async fn relay(member: &MemberName, caller: Caller, session: &SessionOutbox, pipe: ExecPipe) {
    let Caller { mut incoming, outgoing } = caller;
    let ExecPipe { to_pod: to_user, from_pod: mut from_user } = pipe;
    let inward = async {
        while let Some(frame) = from_user.recv().await {
            if outgoing.send(Ok(frame.into())).await.is_err() {
                // The member's call is over; its last word may still be on its way.
                std::future::pending::<()>().await;
            }
        }
    };
    let outward = async {
        loop {
            let frame = match incoming.message().await {
                Ok(Some(frame)) => ExecFrame::try_from(frame).map_err(|error| error.to_string()),
                Ok(None) => return "its call ended".to_owned(),
                Err(status) => Err(status.message().to_owned()),
            };
            match frame {
                Ok(frame) => {
                    let is_last = matches!(frame, ExecFrame::Exited(_) | ExecFrame::Failed(_));
                    if to_user.send(frame).await.is_err() || is_last {
                        return String::new();
                    }
                }
                Err(reason) => return reason,
            }
        }
    };
    let reason = tokio::select! {
        () = inward => return,
        // Seen also while the command takes no input.
        () = to_user.closed() => return,
        reason = outward => reason,
        () = session.closed() => "its session ended".to_owned(),
    };
    if !reason.is_empty() {
        let _gone = to_user.send(broken(&format!("contact with member {member} was lost: {reason}"))).await;
    }
}

/// The last word on a command whose end nobody told.
pub fn broken(reason: &str) -> ExecFrame {
    let message = format!(
        "{reason}; how the command ended is not known; it is killed as soon as its member notices; try again"
    );
    ExecFrame::Failed(StreamError { code: StreamErrorCode::Internal, message })
}

#[cfg(test)]
mod tests {
    use muster_leader::SessionId;
    use tonic::codec::Codec;

    use super::*;
    use crate::identity::MemberCertificate;

    fn caller() -> (Caller, mpsc::Receiver<Result<pb::ExecFrame, tonic::Status>>) {
        let decoder = tonic_prost::ProstCodec::<pb::ExecFrame, pb::ExecFrame>::default().decoder();
        let incoming = Streaming::new_empty(decoder, http_body_util::Empty::<bytes::Bytes>::new());
        let (outgoing, sent) = mpsc::channel(1);
        (Caller { incoming, outgoing }, sent)
    }

    #[tokio::test]
    async fn a_member_that_is_just_back_is_waited_for() {
        let (execs, sessions) = (Execs::default(), Sessions::default());
        let member = MemberName::new("back");
        let mut opening = std::pin::pin!(execs.open(&sessions, &member, ExecRequest::default()));
        let early = futures::poll!(&mut opening);
        assert!(early.is_pending(), "not given up at once: {:?}", early.map(Result::err));
        let (outbox, mut messages) = SessionOutbox::new();
        sessions.set(SessionId(1), outbox, MemberCertificate::ageless("back"));
        let asked = async {
            let asked = messages.recv().await;
            drop(messages);
            asked
        };
        let (opened, asked) = tokio::join!(opening, asked);
        assert!(matches!(asked, Some(HubMessage::Exec(_))), "{asked:?}");
        assert_eq!(opened.err(), Some(ExecUnavailable::OutOfContact), "its session ended before it dialled");
    }

    #[tokio::test]
    async fn only_the_member_that_was_asked_may_answer_and_only_once() {
        let (execs, sessions) = (Execs::default(), Sessions::default());
        let (asked, other) = (MemberName::new("asked"), MemberName::new("other"));
        let (outbox, mut messages) = SessionOutbox::new();
        sessions.set(SessionId(1), outbox, MemberCertificate::ageless("asked"));
        let opened = execs.open(&sessions, &asked, ExecRequest::default());
        let answered = async {
            let Some(HubMessage::Exec(ask)) = messages.recv().await else { panic!("asked") };
            assert!(!execs.accept(&other, (ask.request, ask.ticket), caller().0), "another member");
            assert!(!execs.accept(&asked, (ask.request, ask.ticket ^ 1), caller().0), "another ticket");
            assert!(!execs.accept(&asked, (ask.request + 1, ask.ticket), caller().0), "another request");
            assert!(execs.accept(&asked, (ask.request, ask.ticket), caller().0));
            assert!(!execs.accept(&asked, (ask.request, ask.ticket), caller().0), "twice");
            ask.request
        };
        let (opened, request) = tokio::join!(opened, answered);
        let mut pipe = opened.expect("taken");
        let Some(ExecFrame::Failed(lost)) = pipe.from_pod.recv().await else {
            panic!("the call said nothing")
        };
        assert!(lost.message.starts_with("contact with member asked was lost: its call ended"), "{lost:?}");
        assert_eq!(messages.recv().await, Some(HubMessage::Cancel { request }), "told out of band");
        let unknown = execs.open(&sessions, &other, ExecRequest::default()).await;
        assert_eq!(unknown.err(), Some(ExecUnavailable::OutOfContact));
    }
}
