//! Answers that are read as they come.

use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::client::{Api, Reply};
use crate::exit::Failure;

/// Asks for a stream: its body, or the whole refusal.
pub async fn open(api: &Api, path: &str, accept: &str) -> Result<Result<Incoming, Reply>, Failure> {
    let (head, body) = api.send(Method::GET, path, accept, None).await?.into_parts();
    if head.status.is_success() {
        return Ok(Ok(body));
    }
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Ok(Err(Reply { status: head.status, warnings: Vec::new(), body }))
}

/// Lines of a body as they come.
pub struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    /// The lines of a body.
    pub fn new(body: Incoming) -> Lines {
        Lines { body, buffer: Vec::new() }
    }

    /// The next whole line; `None` at the end, also where the connection broke: a watch goes on from both alike.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                return Some(std::mem::replace(&mut self.buffer, rest));
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(bytes) = frame.into_data() {
                self.buffer.extend_from_slice(&bytes);
            }
        }
    }
}
