//! Kubernetes' channel protocol on a WebSocket: the first byte of each message says which channel it is of.
//!
//! ```text
//!  client --0 stdin, 4 resize, 255 close (v5)--> frames
//!  client <--1 stdout, 2 stderr, 3 status ------ frames
//! ```

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Sink, SinkExt, Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use muster_proto::federation::{ExecFrame, StreamError, StreamErrorCode, TerminalSize};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::outcome;
use super::upgrade::Protocol;
use crate::agents::{ExecPipe, broken};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// Of version 5: the second byte names the channel that the client has closed.
const CLOSE: u8 = 255;

/// The longest message of a client; kubectl sends 32 KiB.
const MESSAGE_MAX: usize = 1 << 20;
/// The most bytes of one frame to the pod.
const PART_BYTES: usize = 32 << 10;
/// Between two signs of life to the client.
const PING: Duration = Duration::from_secs(5);
/// How long a client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// Carries a conversation until one side ends it. Dropping its pipe kills the command.
pub async fn serve(connection: Upgraded, protocol: Protocol, pipe: ExecPipe, still_known: impl Fn() -> bool) {
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, Some(config)).await;
    let (mut to_client, mut from_client) = socket.split();
    let ExecPipe { to_pod, from_pod } = pipe;
    let said = tokio::select! {
        said = speak(&mut to_client, from_pod, still_known) => said,
        wrong = listen(&mut from_client, protocol, to_pod) => match wrong {
            Some(reason) => close(&mut to_client, CloseCode::Protocol, reason).await,
            // The client is gone.
            None => return,
        },
    };
    if said.is_ok() {
        let goodbye = async { while let Some(Ok(_)) = from_client.next().await {} };
        let _waited = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

/// To the client until the command has ended.
async fn speak(
    client: &mut (impl Sink<Message, Error = Error> + Unpin),
    mut from_pod: mpsc::Receiver<ExecFrame>,
    still_known: impl Fn() -> bool,
) -> Result<(), Error> {
    // Clients wait for a first message to know that streams are open.
    client.send(message(STDOUT, &[])).await?;
    let mut ping = tokio::time::interval(PING);
    loop {
        let frame = tokio::select! {
            frame = from_pod.recv() => frame.unwrap_or_else(|| broken("the way to the command broke")),
            _ = ping.tick() => {
                if !still_known() {
                    let message = "the credential of this connection is no longer valid; the command is killed".to_owned();
                    let revoked = StreamError { code: StreamErrorCode::Internal, message };
                    client.send(message_of(&outcome::failed(&revoked))).await?;
                    return close(client, CloseCode::Normal, "").await;
                }
                // A ping finds out that the client is gone while nothing else is said. A pong that nobody asked for tells a
                // client alive whose own pings wait behind input that the command does not read.
                client.feed(Message::Ping(Bytes::new())).await?;
                client.send(Message::Pong(Bytes::new())).await?;
                continue;
            }
        };
        match frame {
            ExecFrame::Stdout(bytes) => client.send(message(STDOUT, &bytes)).await?,
            ExecFrame::Stderr(bytes) => client.send(message(STDERR, &bytes)).await?,
            ExecFrame::Exited(code) => {
                client.send(message_of(&outcome::exited(code))).await?;
                return close(client, CloseCode::Normal, "").await;
            }
            ExecFrame::Failed(error) => {
                client.send(message_of(&outcome::failed(&error))).await?;
                return close(client, CloseCode::Normal, "").await;
            }
            ExecFrame::Ticket { .. }
            | ExecFrame::Stdin(_)
            | ExecFrame::StdinClosed
            | ExecFrame::Resize(_) => {}
        }
    }
}

async fn close(
    client: &mut (impl Sink<Message, Error = Error> + Unpin),
    code: CloseCode,
    reason: &'static str,
) -> Result<(), Error> {
    client.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await
}

/// From the client until it goes, or says what is not understood.
async fn listen(
    client: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    protocol: Protocol,
    to_pod: mpsc::Sender<ExecFrame>,
) -> Option<&'static str> {
    while let Some(Ok(message)) = client.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            Message::Close(_) => return None,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let frames = match read(protocol, bytes) {
            Ok(frames) => frames,
            Err(reason) => return Some(reason),
        };
        for frame in frames {
            if to_pod.send(frame).await.is_err() {
                // The command takes nothing more; it may still have something to say.
                break;
            }
        }
    }
    None
}

/// What a message of the client says.
fn read(protocol: Protocol, mut bytes: Bytes) -> Result<Vec<ExecFrame>, &'static str> {
    let Some(channel) = bytes.first().copied() else { return Ok(Vec::new()) };
    let rest = bytes.split_off(1);
    match channel {
        STDIN => Ok(parts(rest)),
        RESIZE => resize(&rest).map(|size| vec![ExecFrame::Resize(size)]),
        CLOSE if protocol == Protocol::V5 && rest.len() == 1 => {
            Ok(if rest[0] == STDIN { vec![ExecFrame::StdinClosed] } else { Vec::new() })
        }
        _ => Err("a client may use channels 0 and 4, and in version 5 channel 255"),
    }
}

fn parts(mut bytes: Bytes) -> Vec<ExecFrame> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        parts.push(ExecFrame::Stdin(bytes.split_to(PART_BYTES.min(bytes.len()))));
    }
    parts
}

/// `{"Width":80,"Height":24}`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

fn resize(json: &[u8]) -> Result<TerminalSize, &'static str> {
    let size: Size =
        serde_json::from_slice(json).map_err(|_| "a resize is {\"Width\":COLUMNS,\"Height\":ROWS}")?;
    Ok(TerminalSize { columns: size.width, rows: size.height })
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(channel);
    message.put_slice(bytes);
    Message::Binary(message.freeze())
}

fn message_of(status: &serde_json::Value) -> Message {
    message(STATUS, status.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(protocol: Protocol, message: &[u8], want: &Expect) {
        want.assert_eq(&format!("{:?}", read(protocol, Bytes::copy_from_slice(message))));
    }

    #[test]
    fn channels_are_read() {
        let v5 = Protocol::V5;
        check(v5, b"", &expect!["Ok([])"]);
        check(v5, b"\0", &expect!["Ok([])"]);
        check(v5, b"\0abc", &expect![[r#"Ok([Stdin(b"abc")])"#]]);
        check(
            v5,
            b"\x04{\"Width\":80,\"Height\":24}",
            &expect!["Ok([Resize(TerminalSize { columns: 80, rows: 24 })])"],
        );
        check(v5, b"\xff\0", &expect!["Ok([StdinClosed])"]);
        check(v5, b"\xff\x01", &expect!["Ok([])"]);
        check(v5, b"\x04{}", &expect![[r#"Err("a resize is {\"Width\":COLUMNS,\"Height\":ROWS}")"#]]);
        let wrong = expect![[r#"Err("a client may use channels 0 and 4, and in version 5 channel 255")"#]];
        check(Protocol::V4, b"\xff\0", &wrong);
        check(v5, b"\x01abc", &wrong);
    }

    #[test]
    fn a_long_message_goes_on_in_parts() {
        let mut message = vec![STDIN];
        message.resize(1 + PART_BYTES * 2 + 1, b'a');
        let lengths: Vec<usize> = read(Protocol::V4, message.into())
            .unwrap()
            .iter()
            .map(|frame| match frame {
                ExecFrame::Stdin(bytes) => bytes.len(),
                _ => 0,
            })
            .collect();
        assert_eq!(lengths, [PART_BYTES, PART_BYTES, 1]);
    }
}
