//! One request on its way: who asks, what came in its head, and what it may use.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, header::HeaderName};
use http_body_util::BodyExt;
use muster_core::State;
use muster_kubeapi::status::Status;
use muster_model::{Answer, Command, Entry};

use super::authn::User;
use super::limits::Ticket;
use super::refusal;
use super::router::Api;
use crate::hub::now;

/// How many times the limit is read of a body that is too large.
const PATIENCE_WITH_TOO_LARGE: usize = 8;

/// A request whose user is known.
#[derive(Clone)]
pub struct Call {
    /// What this replica's API is made of.
    pub api: Arc<Api>,
    /// Who asks.
    pub user: User,
    /// The head of the request.
    pub parts: Arc<Parts>,
    /// The place it takes; held on by answers that outlive the call.
    pub ticket: Ticket,
}

impl Call {
    /// A header's value, if it is text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        header(&self.parts.headers, name)
    }

    /// Commits a command, or finds out what it would do.
    ///
    /// # Errors
    /// As the hub's; a business "no" is an [`Answer`].
    pub async fn propose(&self, command: Command, dry_run: bool) -> Result<Answer, Status> {
        if !dry_run {
            return self.api.hub.propose(command).await.map_err(|error| refusal::of_hub(&error));
        }
        let mut state = self.newest().await?;
        Ok(state.apply(&Entry { time: now(), command }).answer)
    }

    /// A state in which nothing acknowledged before this call is missing.
    ///
    /// # Errors
    /// 503 without a leader.
    pub async fn newest(&self) -> Result<State, Status> {
        self.api.hub.linearizable().await.map_err(|error| refusal::of_hub(&error))
    }
}

/// A header's value, if it is text.
pub fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads a body to its end. One that is too long is read on for a while and thrown away: over HTTP/1 a client that is still
/// sending when the connection closes never sees the answer.
///
/// # Errors
/// 413 for one that is too long, 400 for one that breaks off.
pub async fn read_body(mut body: Body, max_bytes: usize) -> Result<Bytes, Status> {
    let (mut kept, mut length) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Status::bad_request(format!("the body could not be read: {error}")))?;
        let Ok(part) = frame.into_data() else { continue };
        length += part.len();
        if length <= max_bytes {
            kept.extend_from_slice(&part);
        } else if length > max_bytes.saturating_mul(PATIENCE_WITH_TOO_LARGE) {
            break;
        }
    }
    if length > max_bytes {
        return Err(Status::too_large(&format!("limit is {max_bytes}")));
    }
    Ok(kept.freeze())
}
