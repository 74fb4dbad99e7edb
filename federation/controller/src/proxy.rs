//! Requests that another replica passed on because only the leader can answer them.

use std::sync::Arc;

use axum::body::Body;
use futures::{Stream, StreamExt};
use muster_proto::hub::pb::{ExecRefused, HttpChunk, HttpHead, HttpRequest, http_chunk::Part};
use parking_lot::RwLock;
use tonic::Status;
use tower::ServiceExt;

use crate::agents::ExecPipe;
use crate::api::Handoff;
use crate::exec_relay;

/// A user whose identity was checked by the replica that took the request.
#[derive(Clone, Debug)]
pub struct CheckedUser {
    /// The user.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
}

/// Answers passed-on requests with the API's own router, once that is there.
#[derive(Clone, Default)]
pub struct Proxy {
    api: Arc<RwLock<Option<axum::Router>>>,
}

impl Proxy {
    /// Sets the router that answers.
    pub fn set(&self, api: axum::Router) {
        *self.api.write() = Some(api);
    }

    /// Opens a conversation with a command.
    ///
    /// # Errors
    /// What the API refuses it with.
    pub async fn exec(&self, request: HttpRequest) -> Result<ExecPipe, ExecRefused> {
        let api = self.api.read().clone();
        let handoff = Handoff::default();
        let response = match (api, to_http(request)) {
            (Some(api), Ok(mut request)) => {
                request.extensions_mut().insert(handoff.clone());
                api.oneshot(request).await.unwrap_or_else(|never| match never {})
            }
            _ => unavailable(),
        };
        match handoff.take() {
            Some(pipe) => Ok(pipe),
            None => Err(exec_relay::refused(response).await),
        }
    }

    /// Answers one request as a stream: its head, then its body.
    pub async fn answer(
        &self,
        request: HttpRequest,
    ) -> impl Stream<Item = Result<HttpChunk, Status>> + Send + use<> {
        let api = self.api.read().clone();
        let response = match (api, to_http(request)) {
            (Some(api), Ok(request)) => api.oneshot(request).await.unwrap_or_else(|never| match never {}),
            _ => unavailable(),
        };
        let (head, body) = response.into_parts();
        let text = |name: http::HeaderName| {
            head.headers
                .get_all(name)
                .iter()
                .filter_map(|value| Some(value.to_str().ok()?.to_owned()))
                .collect::<Vec<_>>()
        };
        let first = HttpHead {
            status: u32::from(head.status.as_u16()),
            content_type: text(http::header::CONTENT_TYPE).pop().unwrap_or_default(),
            warnings: text(http::header::WARNING),
        };
        let first = HttpChunk { part: Some(Part::Head(first)) };
        let rest = body.into_data_stream().map(|chunk| match chunk {
            Ok(bytes) => Ok(HttpChunk { part: Some(Part::Body(bytes.to_vec())) }),
            Err(error) => Err(Status::unavailable(error.to_string())),
        });
        futures::stream::once(async move { Ok(first) }).chain(rest)
    }
}

fn to_http(request: HttpRequest) -> Result<http::Request<Body>, http::Error> {
    let mut builder = http::Request::builder().method(request.method.as_str()).uri(request.uri);
    for (name, value) in
        [(http::header::ACCEPT, request.accept), (http::header::CONTENT_TYPE, request.content_type)]
    {
        if !value.is_empty() {
            builder = builder.header(name, value);
        }
    }
    let user = CheckedUser { name: request.user, groups: request.groups };
    builder.extension(user).body(Body::from(request.body))
}

fn unavailable() -> http::Response<Body> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    response
}
