//! Conversations with commands between two replicas: the one that holds the client's socket and the leader, which has the
//! way to the member. Each has a connection of its own, so that bytes that a client does not read hold back nothing of raft.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::{BodyExt, Limited};
use muster_consensus::ReplicaId;
use muster_proto::federation::{ExecFrame, pb as federation};
use muster_proto::hub::pb::{
    ExecPart, ExecRefused, ExecTaken, HttpRequest, exec_part::Part, replica_client::ReplicaClient,
};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::agents::{ExecPipe, broken, pipe};
use crate::peers::{Peers, never_sent};
use crate::proxy::Proxy;

/// Parts on their way to the other replica.
const PARTS_MAX: usize = 4;
/// How long the leader may take to say whether it takes a command. Longer than a member may take to dial.
const ANSWER_PATIENCE: Duration = Duration::from_secs(15);
/// The longest refusal.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// Why the leader has no conversation for us.
pub enum NotTaken {
    /// It did not reach the leader: nothing was run.
    NotSent,
    /// The leader says no.
    Refused {
        /// HTTP's code.
        status: u16,
        /// A Status.
        body: Bytes,
    },
    /// It may or may not run; what runs ends with the connection.
    Unknown(String),
}

/// Asks the leader for a conversation.
pub async fn ask(peers: &Peers, leader: ReplicaId, ask: HttpRequest) -> Result<ExecPipe, NotTaken> {
    let channel = peers.connection_of_its_own(leader).ok_or(NotTaken::NotSent)?;
    let failed = |status: Status| {
        if never_sent(&status) { NotTaken::NotSent } else { NotTaken::Unknown(status.message().to_owned()) }
    };
    let (out, parts) = mpsc::channel(PARTS_MAX);
    let first = ExecPart { part: Some(Part::Ask(ask)) };
    out.send(first).await.map_err(|_| NotTaken::NotSent)?;
    let mut client = ReplicaClient::new(channel);
    let answer = async {
        let mut incoming = client.exec(ReceiverStream::new(parts)).await?.into_inner();
        incoming.message().await.map(|first| (first, incoming))
    };
    let late = |_| NotTaken::Unknown("no answer within 15 s".to_owned());
    let (first, incoming) =
        tokio::time::timeout(ANSWER_PATIENCE, answer).await.map_err(late)?.map_err(failed)?;
    match first.and_then(|first| first.part) {
        Some(Part::Taken(ExecTaken {})) => {
            let (ours, theirs) = pipe();
            tokio::spawn(relay_to_leader(theirs, incoming, out));
            Ok(ours)
        }
        Some(Part::Refused(ExecRefused { status, body })) => {
            Err(NotTaken::Refused { status: u16::try_from(status).unwrap_or(502), body: body.into() })
        }
        _ => Err(NotTaken::Unknown("the leader's answer is not understood".to_owned())),
    }
}

async fn relay_to_leader(pipe: ExecPipe, incoming: Streaming<ExecPart>, out: mpsc::Sender<ExecPart>) {
    let ExecPipe { to_pod: to_user, from_pod: from_user } = pipe;
    tokio::select! {
        () = send_all(from_user, &out) => {}
        // Seen also while the command takes no input.
        () = to_user.closed() => {}
        ended = receive_all(incoming, &to_user) => if let Err(reason) = ended {
            let _gone = to_user.send(broken(&format!("contact with the hub's leader was lost: {reason}"))).await;
        },
    }
}

/// The leader's side: answers another replica's call.
pub async fn answer(
    proxy: &Proxy,
    mut incoming: Streaming<ExecPart>,
) -> Result<impl Stream<Item = Result<ExecPart, Status>> + Send + use<>, Status> {
    let Some(Part::Ask(ask)) = incoming.message().await?.and_then(|first| first.part) else {
        return Err(Status::invalid_argument("the first part must ask"));
    };
    let (out, parts) = mpsc::channel(PARTS_MAX);
    let (first, pipe) = match proxy.exec(ask).await {
        Ok(pipe) => (Part::Taken(ExecTaken {}), Some(pipe)),
        Err(refused) => (Part::Refused(refused), None),
    };
    // The channel is empty.
    let _taken = out.send(ExecPart { part: Some(first) }).await;
    if let Some(pipe) = pipe {
        tokio::spawn(async move {
            let ExecPipe { to_pod, from_pod } = pipe;
            tokio::select! {
                () = send_all(from_pod, &out) => {}
                () = out.closed() => {}
                _client_gone = receive_all(incoming, &to_pod) => {}
            }
        });
    }
    Ok(ReceiverStream::new(parts).map(Ok))
}

/// A refusal of the API as it travels.
pub async fn refused(response: http::Response<axum::body::Body>) -> ExecRefused {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, REFUSAL_BYTES_MAX).collect().await;
    let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    ExecRefused { status: u32::from(head.status.as_u16()), body }
}

/// Until there is nothing more to send, or nobody takes it.
async fn send_all(mut frames: mpsc::Receiver<ExecFrame>, out: &mpsc::Sender<ExecPart>) {
    while let Some(frame) = frames.recv().await {
        let frame = federation::ExecFrame::from(frame).encode_to_vec();
        if out.send(ExecPart { part: Some(Part::Frame(frame)) }).await.is_err() {
            // The call is over; what came of it is on its way on the other half.
            std::future::pending::<()>().await;
        }
    }
}

/// Until the last word, or until nobody listens.
async fn receive_all(mut incoming: Streaming<ExecPart>, to: &mpsc::Sender<ExecFrame>) -> Result<(), String> {
    loop {
        let part = incoming.message().await.map_err(|status| status.message().to_owned())?;
        let part = part.ok_or_else(|| "its call ended".to_owned())?.part;
        let Some(Part::Frame(bytes)) = part else { return Err("a frame is expected".to_owned()) };
        let frame = federation::ExecFrame::decode(Bytes::from(bytes)).map_err(|error| error.to_string())?;
        let frame = ExecFrame::try_from(frame).map_err(|error| error.to_string())?;
        let is_last = matches!(frame, ExecFrame::Exited(_) | ExecFrame::Failed(_));
        if to.send(frame).await.is_err() || is_last {
            return Ok(());
        }
    }
}
