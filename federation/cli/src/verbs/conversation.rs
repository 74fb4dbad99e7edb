//! The client's side of Kubernetes' channel protocol: standard streams to channels and back.

use futures::{Sink, SinkExt, Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::terminal;
use crate::exit::Failure;

/// The version that is spoken.
pub const PROTOCOL: &str = "v5.channel.k8s.io";
/// The most bytes of one message.
const PART_BYTES: usize = 32 << 10;

/// A connection to a command.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What of this process is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Standard input.
    pub stdin: bool,
    /// As a terminal.
    pub tty: bool,
}

/// Carries the conversation to its end; gives the command's exit code.
pub async fn hold(socket: Socket, connected: Connected) -> Result<u8, Failure> {
    let (mut to_hub, mut from_hub) = socket.split();
    let speaking = async {
        let spoken = speak(&mut to_hub, connected).await;
        if spoken.is_ok() {
            // Nothing more is said; the command may go on.
            std::future::pending::<()>().await;
        }
    };
    let listening = listen(&mut from_hub);
    tokio::select! {
        ended = listening => ended,
        () = speaking => Err(lost("the connection broke")),
    }
}

async fn speak(
    hub: &mut (impl Sink<Message, Error = Error> + Unpin),
    connected: Connected,
) -> Result<(), Error> {
    let mut resized = signal(SignalKind::window_change()).map_err(Error::Io)?;
    if connected.tty {
        tell_size(hub).await?;
    }
    let mut stdin = tokio::io::stdin();
    let mut open = connected.stdin;
    let mut buffer = vec![0; 1 + PART_BYTES];
    loop {
        tokio::select! {
            read = stdin.read(&mut buffer[1..]), if open => match read {
                Ok(length) if length > 0 => {
                    hub.send(Message::Binary(Bytes::copy_from_slice(&buffer[..=length]))).await?;
                }
                _ => {
                    open = false;
                    hub.send(Message::Binary(Bytes::from_static(&[255, 0]))).await?;
                }
            },
            _ = resized.recv(), if connected.tty => tell_size(hub).await?,
            else => return Ok(()),
        }
    }
}

async fn tell_size(hub: &mut (impl Sink<Message, Error = Error> + Unpin)) -> Result<(), Error> {
    let Some((columns, rows)) = terminal::size() else { return Ok(()) };
    let mut message = vec![4];
    message.extend_from_slice(json!({"Width": columns, "Height": rows}).to_string().as_bytes());
    hub.send(Message::Binary(message.into())).await
}

async fn listen(hub: &mut (impl Stream<Item = Result<Message, Error>> + Unpin)) -> Result<u8, Failure> {
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    loop {
        let bytes = match hub.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Close(_))) | None => return Err(lost("the hub closed the connection")),
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(lost(&error.to_string())),
        };
        let written = match bytes.split_first() {
            Some((1, rest)) => write(&mut stdout, rest).await,
            Some((2, rest)) => write(&mut stderr, rest).await,
            Some((3, rest)) => return outcome(rest),
            _ => Ok(()),
        };
        written.map_err(|error| Failure::negative(format!("the output cannot be written: {error}")))?;
    }
}

async fn write(out: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    out.write_all(bytes).await?;
    out.flush().await
}

fn lost(reason: &str) -> Failure {
    Failure::unreachable(format!(
        "{reason}; how the command ended is not known; it is killed when its member notices"
    ))
}

/// What the last message says.
fn outcome(status: &[u8]) -> Result<u8, Failure> {
    let status: Value = serde_json::from_slice(status).unwrap_or_default();
    if status["status"] == "Success" {
        return Ok(0);
    }
    let causes = status["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let code =
        causes.iter().find(|cause| cause["reason"] == "ExitCode").and_then(|cause| cause["message"].as_str());
    match code.and_then(|code| code.parse::<i32>().ok()) {
        Some(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
        None => Err(Failure::negative(status["message"].as_str().unwrap_or("the command failed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_has_the_exit_code() {
        let code = |status: Value| outcome(status.to_string().as_bytes()).map_err(|error| error.to_string());
        assert_eq!(code(json!({"status": "Success"})), Ok(0));
        let causes = json!([{"reason": "ExitCode", "message": "7"}]);
        assert_eq!(code(json!({"status": "Failure", "details": {"causes": causes}})), Ok(7));
        assert_eq!(code(json!({"status": "Failure", "message": "gone"})), Err("gone".to_owned()));
        assert!(outcome(b"?").is_err());
    }
}
