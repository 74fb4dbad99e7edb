//! Logs that the hub asked for: read from the backend, sent in chunks as fast as the hub takes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use muster_proto::federation::{MemberMessage, StreamChunk, StreamError, StreamErrorCode};
use tokio::task::AbortHandle;

use crate::backend::{Backend, BackendError, LogOptions, PodId};
use crate::session::LogCall;

/// Logs that are read at the same time.
const MAX_OPEN: usize = 64;
/// The largest chunk.
const CHUNK_BYTES: usize = 64 << 10;

/// The logs being read, by session and request.
#[derive(Default)]
pub(crate) struct Logs {
    open: BTreeMap<(u64, u64), AbortHandle>,
}

impl Logs {
    /// Begins to send a log; `pod` is none if there is no such pod.
    pub(crate) fn begin(&mut self, call: LogCall, pod: Option<PodId>, backend: Arc<dyn Backend>) {
        self.open.retain(|_, task| !task.is_finished());
        let key = (call.outbox.session, call.request.request);
        let too_many = self.open.len() >= MAX_OPEN;
        let task = tokio::spawn(async move {
            let result = match pod {
                _ if too_many => Err(error(
                    StreamErrorCode::TooMany,
                    "too many logs are being read on this member".to_owned(),
                )),
                None => Err(error(
                    StreamErrorCode::NotFound,
                    format!("pod {} is not on this member", call.request.pod),
                )),
                Some(pod) => send(&call, pod, &*backend).await,
            };
            let last = StreamChunk {
                request: call.request.request,
                data: Bytes::new(),
                eof: true,
                error: result.err(),
            };
            // If the session is over nobody waits for it.
            let _ = call.outbox.bulk.send(MemberMessage::Chunk(last)).await;
        });
        self.open.insert(key, task.abort_handle());
    }

    /// Nobody waits for it any more.
    pub(crate) fn cancel(&mut self, session: u64, request: u64) {
        if let Some(task) = self.open.remove(&(session, request)) {
            task.abort();
        }
    }

    /// A session is over, and its logs with it.
    pub(crate) fn session_lost(&mut self, session: u64) {
        self.open.retain(|(of, _), task| {
            if *of == session {
                task.abort();
            }
            *of != session
        });
    }
}

async fn send(call: &LogCall, pod: PodId, backend: &dyn Backend) -> Result<(), StreamError> {
    let internal = |message: String| error(StreamErrorCode::Internal, message);
    let mut stream = backend.logs(pod, options(call)?).await.map_err(|failed| match &failed {
        BackendError::NotFound(_) => error(StreamErrorCode::NotFound, failed.to_string()),
        BackendError::NoSuchContainer { .. } => error(StreamErrorCode::BadRequest, failed.to_string()),
        _ => internal(failed.to_string()),
    })?;
    while let Some(piece) = stream.next().await {
        let mut piece = piece.map_err(|failed| internal(failed.to_string()))?;
        while !piece.is_empty() {
            let data = piece.split_to(CHUNK_BYTES.min(piece.len()));
            let chunk = StreamChunk { request: call.request.request, data, eof: false, error: None };
            if call.outbox.bulk.send(MemberMessage::Chunk(chunk)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn options(call: &LogCall) -> Result<LogOptions, StreamError> {
    let request = &call.request;
    let since = request.since.map(|since| {
        let ms = i64::try_from(since.0).map_err(|e| e.to_string())?;
        jiff::Timestamp::from_millisecond(ms).map_err(|e| e.to_string())
    });
    Ok(LogOptions {
        container: request.container.clone(),
        follow: request.follow,
        tail_lines: request.tail_lines,
        since_seconds: None,
        since_time: since
            .transpose()
            .map_err(|m| error(StreamErrorCode::BadRequest, format!("sinceTime: {m}")))?,
        output: None,
        timestamps: request.timestamps,
        limit_bytes: request.limit_bytes,
    })
}

fn error(code: StreamErrorCode, message: String) -> StreamError {
    StreamError { code, message }
}
