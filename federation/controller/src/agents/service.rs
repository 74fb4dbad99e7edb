//! The service of the agents port. Identity comes from the certificate, never from what a message says.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use futures::{Stream, StreamExt};
use muster_chaos_inject::ReportReply;
use muster_core::State;
use muster_model::{
    Answer, ClusterStatus, Command, DocumentHash, FaultTarget, Join, Key, MemberName, Rejection, ReportFault,
    TimeMs, ToHub, Uid,
};
use muster_proto::federation::{
    Assembler, ExecFrame, FaultReport, FaultsRequest, FaultsResponse, HubMessage, Identity, JobNote,
    JoinRequest, MAX_FRAME_BYTES, MemberMessage, PodMirror, PodUpdates, RENEWAL_GRACE, frames, pb,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::execs::{Caller, Execs};
use super::mirrors::Mirrors;
use super::sessions::SessionOutbox;
use super::streams::Streams;
use crate::authorities::authority_key;
use crate::certificates::Certificates;
use crate::chaos::{orders_of, report_fault};
use crate::hub::{Hub, HubError, now};
use crate::identity::{MemberCertificate, Peer};
use crate::leader_task::{LeaderInbox, Opened, Taken};
use crate::listen::Connection;
use crate::pki::CERTIFICATE_LIFETIME;

/// How long a call may stay silent before it says what it answers.
const FIRST_FRAME_PATIENCE: Duration = Duration::from_secs(5);
/// How long a new certificate that is not valid yet is held back.
const VALID_PATIENCE: Duration = Duration::from_secs(2);
/// How long a renewal waits for the newest authorities.
const AUTHORITIES_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at whether a session's certificate is still good (S20: 5 s).
const CERTIFICATE_CHECK: Duration = Duration::from_secs(2);

/// Frames on their way to one member.
const FRAMES_MAX: usize = 16;

/// What the service needs.
pub struct AgentService {
    /// The hub.
    pub hub: Hub,
    /// Signs members' certificates.
    pub certificates: Certificates,
    /// Agent ports of all replicas, this one first, as `HOST:PORT`.
    pub addresses: Vec<String>,
    /// Agent port by replica number.
    pub address_of: std::collections::BTreeMap<u64, String>,
    /// Where sessions go.
    pub leader: LeaderInbox,
    /// Pods for people.
    pub mirrors: Arc<Mirrors>,
    /// Logs for people.
    pub streams: Streams,
    /// Commands that people run.
    pub execs: Execs,
}

/// The hash that a join token is stored under.
pub fn token_hash(token: &str) -> DocumentHash {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let first: [u8; 16] = digest.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes");
    DocumentHash(u128::from_be_bytes(first))
}

/// A random 128-bit number, for uids and tokens.
pub fn random_id() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random numbers");
    u128::from_be_bytes(bytes)
}

/// 256 random bits as text.
pub fn secret() -> String {
    format!("{:032x}{:032x}", random_id(), random_id())
}

/// A random UUID, version 4 by RFC 9562.
pub fn random_uid() -> Uid {
    Uid(random_id() & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62)
}

impl AgentService {
    fn member<T>(request: &Request<T>) -> Result<MemberCertificate, Status> {
        match request.extensions().get::<Connection>().and_then(|connection| connection.peer.clone()) {
            Some(Peer::Member(member)) => Ok(member),
            Some(_) => Err(Status::permission_denied(
                "this port is for members: a certificate of another kind was shown",
            )),
            None => Err(Status::unauthenticated("a member's certificate is needed; join first")),
        }
    }

    /// Whether this certificate was not revoked.
    fn check_not_revoked(&self, member: &MemberCertificate) -> Result<(), Status> {
        let view = self.hub.view();
        let view = view.borrow();
        let cluster =
            view.state.get(&Key::cluster(member.name.as_str())).and_then(|object| object.cluster().cloned());
        match cluster {
            Some(cluster) if cluster.status.admits_certificate(member.not_before) => Ok(()),
            Some(_) => Err(Status::unauthenticated(
                "this certificate was revoked, or replaced by a newer join; get a token with `muster cluster join NAME`",
            )),
            None => Err(Status::unauthenticated("no such member; it may have been deleted")),
        }
    }

    fn identity(&self, member: &MemberName, csr: &[u8], from: TimeMs) -> Result<Identity, Status> {
        let signed = self.certificates.authority().sign_member(csr, member, (from, CERTIFICATE_LIFETIME));
        let certificate = signed.map_err(|error| Status::invalid_argument(format!("csr_der: {error}")))?;
        Ok(Identity {
            certificate_chain: vec![certificate.to_vec().into()],
            hub_cas: self.certificates.trusted().iter().map(|ca| ca.to_vec().into()).collect(),
            hub_addresses: self.addresses.clone(),
        })
    }

    async fn admit(&self, request: JoinRequest) -> Result<Identity, Status> {
        check_name(&request.name)?;
        let state = self.hub.linearizable().await.map_err(hub_status)?;
        let from = status_of(&state, &request.name).joined_from(now());
        // Signed before the token is consumed, so that a bad request costs no token.
        let identity = self.identity(&request.name, &request.csr_der, from)?;
        let mut spec = request.cluster;
        muster_kubeapi::kinds::complete_labels(&mut spec);
        let join = Join {
            token: token_hash(&request.token),
            member: request.name,
            certificate_from: from,
            uid: random_uid(),
            document: muster_kubeapi::kinds::cluster_document(&spec),
            spec,
        };
        match self.hub.propose(Command::Join(join)).await.map_err(hub_status)? {
            Answer::Rejected(rejection @ Rejection::TokenRefused(_)) => {
                Err(Status::permission_denied(rejection.to_string()))
            }
            Answer::Rejected(rejection) => Err(Status::failed_precondition(rejection.to_string())),
            _ => {
                until_valid(from).await;
                Ok(identity)
            }
        }
    }

    /// Where to find the leader, best first.
    fn leader_hint(&self) -> HubMessage {
        let leader = self.hub.leader().and_then(|id| self.address_of.get(&id.get()));
        let others = self.addresses.iter().filter(|address| Some(*address) != leader);
        HubMessage::LeaderHint { addresses: leader.into_iter().chain(others).cloned().collect() }
    }
}

/// A certificate that follows what was refused within the same second is issued for the next one, and opens nothing before.
/// Longer than that waits only who has a clock that is behind; then it is others who say what time it is.
async fn until_valid(from: TimeMs) {
    let wait = Duration::from_millis(from.0.saturating_sub(now().0));
    tokio::time::sleep(wait.min(VALID_PATIENCE)).await;
}

/// What the hub knows of a member; nothing of one that has not joined.
fn status_of(state: &State, member: &MemberName) -> ClusterStatus {
    let found = state.get(&Key::cluster(member.as_str())).and_then(|object| object.cluster());
    found.map(|cluster| cluster.status.clone()).unwrap_or_default()
}

/// A member's name is an object's name: RFC 1123 subdomain, at most 63 characters.
fn check_name(name: &MemberName) -> Result<(), Status> {
    let text = name.as_str();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if text.len() <= 63 && text.chars().all(good) && ends(text.chars().next()) && ends(text.chars().last()) {
        return Ok(());
    }
    Err(Status::invalid_argument("name: must be lower case letters, digits, '-' and '.', at most 63 of them"))
}

fn hub_status(error: HubError) -> Status {
    match error {
        HubError::NoLeader | HubError::Unknown => Status::unavailable(error.to_string()),
        HubError::Busy => Status::resource_exhausted(error.to_string()),
        HubError::Refused(reason) => Status::failed_precondition(reason),
    }
}

#[tonic::async_trait]
impl pb::federation_server::Federation for AgentService {
    type ExecStream = Pin<Box<dyn Stream<Item = Result<pb::ExecFrame, Status>> + Send>>;
    type SessionStream = Pin<Box<dyn Stream<Item = Result<pb::HubMessage, Status>> + Send>>;

    async fn join(&self, request: Request<pb::JoinRequest>) -> Result<Response<pb::JoinResponse>, Status> {
        let request = JoinRequest::try_from(request.into_inner())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let name = request.name.clone();
        let result = self.admit(request).await;
        match &result {
            Ok(_) => tracing::info!(member = %name, "joined"),
            Err(status) => tracing::warn!(member = %name, reason = status.message(), "join refused"),
        }
        result.map(|identity| Response::new(identity.into()))
    }

    async fn renew(&self, request: Request<pb::RenewRequest>) -> Result<Response<pb::RenewResponse>, Status> {
        let member = Self::member(&request)?;
        let now = now();
        if now > member.not_after.plus(RENEWAL_GRACE) {
            return Err(Status::unauthenticated(
                "the certificate expired more than 30 days ago; join again with a new token",
            ));
        }
        // A revocation that is committed must be seen here, whichever replica was dialled.
        let state = self.hub.linearizable().await.map_err(hub_status)?;
        self.check_not_revoked(&member)?;
        // So must the authorities: whoever renews after a step of a rotation has what that step asks for.
        if let Some(authorities) = state.get(&authority_key()) {
            let newest = self.certificates.until(authorities.meta.revision);
            let late = |_| Status::unavailable("this replica lacks the hub's newest authorities; try again");
            tokio::time::timeout(AUTHORITIES_PATIENCE, newest).await.map_err(late)?;
        }
        let from = status_of(&state, &member.name).renewed_from(now);
        let identity = self.identity(&member.name, &request.into_inner().csr_der, from)?;
        until_valid(from).await;
        Ok(Response::new(identity.into()))
    }

    async fn faults(
        &self,
        request: Request<pb::FaultsRequest>,
    ) -> Result<Response<pb::FaultsResponse>, Status> {
        let member = Self::member(&request)?;
        if now() > member.not_after {
            return Err(Status::unauthenticated("the certificate has expired; renew it"));
        }
        self.check_not_revoked(&member)?;
        let request = FaultsRequest::try_from(request.into_inner())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let mut refused = None;
        if let Some(FaultReport { id, uid, news }) = request.report {
            let host = FaultTarget::Member(member.name.clone());
            let report = ReportFault { id: id.into(), uid, host, news };
            match report_fault(&self.hub, report).await {
                Ok(ReportReply::Taken) => {}
                Ok(ReportReply::Refused(reason)) => refused = Some(reason),
                Err(error) => return Err(Status::unavailable(error.to_string())),
            }
        }
        let orders = orders_of(&self.hub.stale(), &member.name);
        Ok(Response::new(FaultsResponse { orders, refused }.into()))
    }

    async fn session(
        &self,
        request: Request<Streaming<pb::MemberMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let member = Self::member(&request)?;
        if now() > member.not_after {
            return Err(Status::unauthenticated("the certificate has expired; renew it"));
        }
        let (outbox, messages) = SessionOutbox::new();
        if self.hub.leads().is_none() {
            outbox.try_send(self.leader_hint());
        } else {
            self.check_not_revoked(&member)?;
            let session = Session {
                member,
                outbox,
                hub: self.hub.clone(),
                leader: self.leader.clone(),
                mirrors: Arc::clone(&self.mirrors),
                streams: self.streams.clone(),
            };
            tokio::spawn(session.run(request.into_inner(), self.leader_hint()));
        }
        Ok(Response::new(outgoing(messages)))
    }

    async fn exec(
        &self,
        request: Request<Streaming<pb::ExecFrame>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        let member = Self::member(&request)?;
        self.check_not_revoked(&member)?;
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(FIRST_FRAME_PATIENCE, incoming.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("the first frame did not come"))??;
        let Some(Ok(ExecFrame::Ticket { request, ticket })) = first.map(ExecFrame::try_from) else {
            return Err(Status::invalid_argument("the first frame must show the ticket"));
        };
        let (outgoing, frames) = mpsc::channel(FRAMES_MAX);
        if !self.execs.accept(&member.name, (request, ticket), Caller { incoming, outgoing }) {
            return Err(Status::failed_precondition("nobody waits for this call any more"));
        }
        Ok(Response::new(ReceiverStream::new(frames).boxed()))
    }
}

/// Messages as frames.
fn outgoing(
    mut messages: mpsc::Receiver<HubMessage>,
) -> <AgentService as pb::federation_server::Federation>::SessionStream {
    let (sender, receiver) = mpsc::channel(FRAMES_MAX);
    tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            for frame in frames(pb::HubMessage::from(&message)) {
                if sender.send(Ok(frame)).await.is_err() {
                    return;
                }
            }
        }
    });
    ReceiverStream::new(receiver).boxed()
}

/// One member's session, from its first message to its last.
struct Session {
    member: MemberCertificate,
    outbox: SessionOutbox,
    hub: Hub,
    leader: LeaderInbox,
    mirrors: Arc<Mirrors>,
    streams: Streams,
}

impl Session {
    async fn run(self, mut stream: Streaming<pb::MemberMessage>, hint: HubMessage) {
        let opened = Opened { member: self.member.clone(), outbox: self.outbox.clone() };
        let Some(Taken { session, over }) = self.leader.open(opened).await else {
            self.outbox.try_send(hint);
            return;
        };
        let mut assembler = Assembler::default();
        let mut checks = tokio::time::interval(CERTIFICATE_CHECK);
        checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let frame = tokio::select! {
                frame = stream.message() => frame,
                () = over.cancelled() => break,
                // One that says nothing hears of it too.
                _ = checks.tick() => match self.check_certificate() {
                    Ok(()) => continue,
                    Err(reason) => {
                        self.end(reason).await;
                        break;
                    }
                },
            };
            let Ok(Some(frame)) = frame else { break };
            let message = match assembler.push(frame) {
                Ok(None) => continue,
                Ok(Some(message)) => MemberMessage::try_from(message).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let taken = match message {
                Ok(message) => self.take(session, message).await,
                Err(reason) => Err(reason),
            };
            if let Err(reason) = taken {
                self.end(reason).await;
                break;
            }
        }
        self.leader.close(session).await;
    }

    async fn end(&self, reason: String) {
        tracing::warn!(member = %self.member.name, reason, "session closed");
        self.close(reason).await;
    }

    /// Whether the certificate that opened the session is still good.
    fn check_certificate(&self) -> Result<(), String> {
        if now() > self.member.not_after {
            return Err("the certificate has expired; renew it".to_owned());
        }
        self.check_revocation()
    }

    async fn take(&self, session: muster_leader::SessionId, message: MemberMessage) -> Result<(), String> {
        self.check_certificate()?;
        match message {
            MemberMessage::ToHub(message) => {
                self.speaks_for_itself(&message)?;
                self.leader.message(session, message).await;
            }
            MemberMessage::Pods(updates) => self.show(updates),
            MemberMessage::Chunk(chunk) => self.streams.deliver(chunk).await,
            MemberMessage::Note(note) => self.note(note).await,
        }
        Ok(())
    }

    fn check_revocation(&self) -> Result<(), String> {
        let view = self.hub.view();
        let view = view.borrow();
        let cluster =
            view.state.get(&Key::cluster(self.member.name.as_str())).and_then(|object| object.cluster());
        match cluster {
            Some(cluster) if cluster.status.admits_certificate(self.member.not_before) => Ok(()),
            _ => Err("this certificate was revoked, or replaced by a newer join".to_owned()),
        }
    }

    /// S19: a member reports only on itself.
    fn speaks_for_itself(&self, message: &ToHub) -> Result<(), String> {
        let named = match message {
            ToHub::Hello(hello) => &hello.capacity.member,
            ToHub::Capacity(change) => &change.member,
            ToHub::Heartbeat { .. } | ToHub::Reports { .. } | ToHub::Data(_) => return Ok(()),
        };
        if *named == self.member.name {
            return Ok(());
        }
        Err(format!("capacity.member: {named} is not {}, whom the certificate names", self.member.name))
    }

    /// Shows pods, and tells the member of those whose job is gone.
    fn show(&self, updates: PodUpdates) {
        let state = self.hub.stale();
        let is_gone = |pod: &&PodMirror| state.get(&pod.job).is_none_or(|job| job.meta.uid != pod.job_uid);
        let mut gone: Vec<Uid> = updates.pods.iter().filter(is_gone).map(|pod| pod.job_uid).collect();
        gone.sort_unstable();
        gone.dedup();
        self.mirrors.update(&self.member.name, updates);
        if !gone.is_empty() {
            self.outbox.try_send(HubMessage::ForgetJobs { uids: gone });
        }
    }

    /// A note about a job that this member has an attempt of becomes an Event.
    async fn note(&self, note: JobNote) {
        let state = self.hub.stale();
        let attempt = state.get(&note.job).and_then(|object| object.job()?.attempt.clone());
        if attempt.is_none_or(|attempt| {
            attempt.assignment.member != self.member.name || attempt.epoch != note.epoch
        }) {
            return;
        }
        let command = Command::Note {
            involved: note.job,
            reason: note.reason.into(),
            message: note.message.into(),
            severity: note.severity,
            source: format!("member {}", self.member.name).into(),
        };
        // Told to people if it can be; nothing depends on it.
        let _ = self.hub.propose(command).await;
    }

    async fn close(&self, reason: String) {
        self.outbox.send(HubMessage::ToMember(muster_model::ToMember::Close { reason: reason.into() })).await;
    }
}

/// The largest message of the agents port.
pub const MESSAGE_MAX: usize = MAX_FRAME_BYTES;
