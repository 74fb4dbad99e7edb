//! Answers that travel in chunks over a member's stream: logs. Who asked reads them from a bounded channel; when it goes away
//! the member is told to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use muster_model::MemberName;
use muster_proto::federation::{HubMessage, LogRequest, StreamChunk, StreamError};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::sessions::{SessionOutbox, Sessions};

/// Chunks that may wait for a slow reader.
const CHUNKS_MAX: usize = 64;
/// Requests open at a time.
const REQUESTS_MAX: usize = 4_096;

type Waiting = BTreeMap<u64, mpsc::Sender<Result<Bytes, StreamError>>>;

/// Requests that wait for chunks.
#[derive(Clone, Default)]
pub struct Streams {
    next: Arc<AtomicU64>,
    waiting: Arc<Mutex<Waiting>>,
}

/// The chunks of one answer.
pub struct LogStream {
    request: u64,
    chunks: mpsc::Receiver<Result<Bytes, StreamError>>,
    waiting: Arc<Mutex<Waiting>>,
    outbox: SessionOutbox,
}

/// Why no log can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogUnavailable {
    /// The member has no session with this replica.
    #[error("the member is out of contact; its log can be read when it is back")]
    OutOfContact,
    /// Too many requests are open.
    #[error("too many logs are being read; try again in a second")]
    TooMany,
}

impl Streams {
    /// Asks a member for a log; the request's number is set here.
    pub async fn log(
        &self,
        sessions: &Sessions,
        member: &MemberName,
        ask: LogRequest,
    ) -> Result<LogStream, LogUnavailable> {
        let outbox = sessions.outbox(member).ok_or(LogUnavailable::OutOfContact)?;
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        {
            let mut waiting = self.waiting.lock();
            if waiting.len() >= REQUESTS_MAX {
                return Err(LogUnavailable::TooMany);
            }
            waiting.insert(request, sender);
        }
        let stream =
            LogStream { request, chunks, waiting: Arc::clone(&self.waiting), outbox: outbox.clone() };
        let sent = outbox.send(HubMessage::Log(LogRequest { request, ..ask })).await;
        sent.then_some(stream).ok_or(LogUnavailable::OutOfContact)
    }

    /// Hands a chunk to who waits for it. Waits while the reader is slow, and so slows the member's stream of chunks.
    pub async fn deliver(&self, chunk: StreamChunk) {
        let sender = self.waiting.lock().get(&chunk.request).cloned();
        let Some(sender) = sender else { return };
        if !chunk.data.is_empty() {
            let _ = sender.send(Ok(chunk.data)).await;
        }
        if let Some(error) = chunk.error {
            let _ = sender.send(Err(error)).await;
        }
        if chunk.eof {
            self.waiting.lock().remove(&chunk.request);
        }
    }
}

impl LogStream {
    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, StreamError>> {
        tokio::select! {
            chunk = self.chunks.recv() => chunk,
            () = self.outbox.closed() => self.chunks.try_recv().ok(),
        }
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        if self.waiting.lock().remove(&self.request).is_some() {
            self.outbox.try_send(HubMessage::Cancel { request: self.request });
        }
    }
}
