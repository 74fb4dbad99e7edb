//! `pods/NAME/exec` and `pods/NAME/attach`: a command beside a pod's own, over a WebSocket.
//!
//! ```text
//!  kubectl <--WebSocket, channels--> this replica <--frames--> the leader <--frames--> the member's own call
//! ```
//!
//! The replica that was asked holds the socket; the leader finds the pod and has the way to its member. Frames travel on
//! connections of their own, each way bounded: a client that does not read holds back its own command and nothing else.
//! SPDY is not spoken: its clients hear what would help, after everything else that is wrong.

mod channels;
mod outcome;
mod redact;
mod upgrade;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use muster_kubeapi::exec_options::ExecOptions;
use muster_kubeapi::path::Request;
use muster_kubeapi::status::{Reason, Status};
use muster_model::{AuditVerb, Command, Connect};
use muster_proto::federation::{ExecRequest, ExecStreams, PodPhase};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::authn;
use super::call::Call;
use super::respond::{self, Answered};
use super::{pods, proxy_out, refusal};
use crate::agents::{CONTACT, ExecPipe, MirroredPod};
use crate::exec_relay::{self, NotTaken};
use upgrade::{Asked, Upgrade};

const NO_SPDY: &str = "this hub speaks WebSocket for exec and attach (v5.channel.k8s.io or v4.channel.k8s.io), not SPDY: use \
                       kubectl 1.31 or newer without KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false, or `muster exec`";

/// Where the leader puts a conversation for the replica that passed the request on.
#[derive(Clone, Default)]
pub struct Handoff(Arc<Mutex<Option<ExecPipe>>>);

impl Handoff {
    /// What was put there.
    pub fn take(&self) -> Option<ExecPipe> {
        self.0.lock().take()
    }
}

/// Whether this is about a command.
pub fn is_exec(request: &Request) -> bool {
    matches!(request.subresource.map_or("", |sub| sub.name), "exec" | "attach")
}

/// Answers with a conversation, or says why there is none.
///
/// # Errors
/// 400 for options that do not fit the pod and for other protocols, 404, 429 with too many, 503 without the leader or the
/// member.
pub async fn answer(call: &Call, request: &Request) -> Answered {
    let attach = request.subresource.is_some_and(|sub| sub.name == "attach");
    let options =
        if attach { ExecOptions::attach(&request.query) } else { ExecOptions::exec(&request.query) }?;
    if let Some(handoff) = call.parts.extensions.get::<Handoff>() {
        let pipe = open_here(call, request, &options).await?;
        *handoff.0.lock() = Some(pipe);
        return Ok(respond::text(StatusCode::OK, ""));
    }
    // Only a check of one who speaks SPDY is passed on like other requests.
    let asked = if call.user.passed_on { Asked::Spdy } else { upgrade::asked(&call.parts)? };
    let Asked::WebSocket(upgrade) = asked else { return without_websocket(call, request).await };
    let place = call.api.gate.exec()?;
    match Box::pin(open(call, request, &options)).await? {
        Ok(pipe) => Ok(begin(call, upgrade, pipe, place)),
        Err(refused) => Ok(refused),
    }
}

/// What else is wrong, and if nothing is, that SPDY is not spoken.
async fn without_websocket(call: &Call, request: &Request) -> Answered {
    if let Some(answered) = proxy_out::at_leader(call, &Bytes::new()).await {
        return answered;
    }
    check(&*pods::find(call, request)?)?;
    Err(Status::bad_request(NO_SPDY))
}

/// Switches the connection to WebSocket and carries the conversation on it.
fn begin(call: &Call, upgrade: Upgrade, pipe: ExecPipe, place: super::limits::Ticket) -> Response<Body> {
    let Upgrade { response, connection, protocol } = upgrade;
    let call = call.clone();
    tokio::spawn(async move {
        let _place = place;
        let Ok(connection) = connection.await else { return };
        let still_known = || authn::authenticate(&call.parts, || call.api.hub.stale()).is_ok();
        channels::serve(connection, protocol, pipe, still_known).await;
    });
    response
}

/// A conversation, from here or through the leader; or the leader's refusal.
async fn open(
    call: &Call,
    request: &Request,
    options: &ExecOptions,
) -> Result<Result<ExecPipe, Response<Body>>, Status> {
    let deadline = Instant::now() + proxy_out::PATIENCE;
    loop {
        let leader = proxy_out::leader(call, deadline).await?;
        if leader == call.api.hub.id() {
            return open_here(call, request, options).await.map(Ok);
        }
        let uri = call.parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let ask = proxy_out::as_passed_on(call, uri, &Bytes::new());
        match exec_relay::ask(call.api.hub.peers(), leader, ask).await {
            Ok(pipe) => return Ok(Ok(pipe)),
            Err(NotTaken::Refused { status, body }) => {
                let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                return Ok(Err(respond::json_bytes(code, body)));
            }
            // Nothing has begun: another leader may take it.
            Err(NotTaken::NotSent) if Instant::now() < deadline => tokio::time::sleep(proxy_out::RETRY).await,
            Err(NotTaken::NotSent) => {
                return Err(refusal::unavailable("the leader was not reached; nothing was run; try again"));
            }
            Err(NotTaken::Unknown(reason)) => {
                let why = format!(
                    "contact with the leader was lost ({reason}); if the command began it is killed; look before you repeat it"
                );
                return Err(refusal::unavailable(&why));
            }
        }
    }
}

/// A conversation over a session of this replica, which leads.
async fn open_here(call: &Call, request: &Request, options: &ExecOptions) -> Result<ExecPipe, Status> {
    let pod = in_contact(call, request).await?;
    check(&pod)?;
    record(call, &pod, options).await?;
    let opened = call.api.execs.open(&call.api.sessions, &pod.member, ask(&pod, options)).await;
    opened.map_err(|error| {
        let why = format!("{}: {error}", pod.member);
        match error {
            crate::agents::ExecUnavailable::TooMany => Status::too_many_requests(&why, 1),
            _ => refusal::unavailable(&why),
        }
    })
}

/// The pod, as soon as its member is in contact: one that just renewed its certificate is back in a moment.
async fn in_contact(call: &Call, request: &Request) -> Result<Arc<MirroredPod>, Status> {
    let deadline = Instant::now() + CONTACT;
    loop {
        let pod = pods::find(call, request)?;
        if pod.pod.phase != PodPhase::Unknown || Instant::now() >= deadline {
            return Ok(pod);
        }
        tokio::time::sleep(proxy_out::RETRY).await;
    }
}

/// Puts it into the audit chain. Nothing is run that is not there.
async fn record(call: &Call, pod: &MirroredPod, options: &ExecOptions) -> Result<(), Status> {
    let container = if options.container.is_empty() { &pod.pod.container } else { &options.container };
    let (verb, detail) = match options.command.is_empty() {
        true => (AuditVerb::Attach, container.clone()),
        false => (AuditVerb::Exec, format!("{container}: {}", redact::shown(&options.command))),
    };
    let connect = Connect {
        principal: call.user.principal(),
        verb,
        namespace: Arc::clone(&pod.pod.job.namespace),
        pod: pod.pod.name.as_str().into(),
        detail: detail.into(),
    };
    call.propose(Command::Connect(connect), false).await.map(|_| ())
}

/// Whether it runs. Its member knows its containers.
fn check(pod: &MirroredPod) -> Result<(), Status> {
    let name = &pod.pod.name;
    let why = match pod.pod.phase {
        PodPhase::Running => return Ok(()),
        PodPhase::Pending => "it has not started; wait for it to run",
        PodPhase::Succeeded | PodPhase::Failed => "it has ended; `kubectl logs` still shows what it wrote",
        PodPhase::Unknown => {
            let why = format!(
                "pod {name} cannot be entered: its member {} is out of contact; try again when it is back",
                pod.member
            );
            return Err(refusal::unavailable(&why));
        }
    };
    Err(Status::new(Reason::BadRequest, format!("pod {name} cannot be entered: {why}")))
}

fn ask(pod: &MirroredPod, options: &ExecOptions) -> ExecRequest {
    ExecRequest {
        request: 0,
        ticket: 0,
        namespace: pod.pod.job.namespace.to_string(),
        pod: pod.pod.name.clone(),
        container: (!options.container.is_empty()).then(|| options.container.clone()),
        command: options.command.clone(),
        streams: ExecStreams {
            stdin: options.stdin,
            stdout: options.stdout,
            stderr: options.stderr,
            tty: options.tty,
        },
    }
}
