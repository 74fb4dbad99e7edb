//! The handshake of RFC 6455, for the two versions of Kubernetes' channel protocol.

use axum::body::Body;
use http::header::{
    CONNECTION, HOST, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use muster_kubeapi::status::{Reason, Status};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What version the channels have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Standard input cannot be closed by the client.
    V4,
    /// It can.
    V5,
}

impl Protocol {
    /// As it is negotiated.
    fn name(self) -> &'static str {
        match self {
            Protocol::V4 => "v4.channel.k8s.io",
            Protocol::V5 => "v5.channel.k8s.io",
        }
    }
}

/// What the client wants the connection to become.
pub enum Asked {
    /// What we speak.
    WebSocket(Upgrade),
    /// What older clients speak.
    Spdy,
}

/// An answer that switches protocols, and the connection it comes to.
pub struct Upgrade {
    /// 101.
    pub response: Response<Body>,
    /// The connection, once the answer was sent.
    pub connection: OnUpgrade,
    /// What is spoken on it.
    pub protocol: Protocol,
}

/// Reads what is asked for.
///
/// # Errors
/// 400 for what is neither, 403 for a page of another origin.
pub fn asked(parts: &Parts) -> Result<Asked, Status> {
    let headers = &parts.headers;
    if has_word(headers, &UPGRADE, "websocket") && has_word(headers, &CONNECTION, "upgrade") {
        return websocket(parts).map(Asked::WebSocket);
    }
    match has_word(headers, &UPGRADE, "spdy/3.1") {
        true => Ok(Asked::Spdy),
        false => Err(Status::bad_request(
            "Upgrade request required: connect by WebSocket, with the subprotocol v5.channel.k8s.io",
        )),
    }
}

fn websocket(parts: &Parts) -> Result<Upgrade, Status> {
    let headers = &parts.headers;
    check_origin(headers)?;
    let key = headers.get(SEC_WEBSOCKET_KEY);
    let version = headers.get(SEC_WEBSOCKET_VERSION);
    let (Some(key), Some("13")) = (key, version.and_then(|version| version.to_str().ok())) else {
        return Err(Status::bad_request("Sec-WebSocket-Key and Sec-WebSocket-Version: 13 are required"));
    };
    let mut best_first = [Protocol::V5, Protocol::V4].into_iter();
    let protocol = best_first.find(|protocol| has_word(headers, &SEC_WEBSOCKET_PROTOCOL, protocol.name()));
    let protocol = protocol.ok_or_else(|| {
        Status::bad_request(
            "Sec-WebSocket-Protocol: one of v5.channel.k8s.io and v4.channel.k8s.io is required",
        )
    })?;
    let connection = parts.extensions.get::<OnUpgrade>().cloned();
    let connection = connection.ok_or_else(|| Status::bad_request("a WebSocket needs HTTP/1.1"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, accept.expect("base64 is a header's value"));
    answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol.name()));
    Ok(Upgrade { response, connection, protocol })
}

/// A browser shows client certificates for any page, so a page of another origin must not connect.
fn check_origin(headers: &HeaderMap) -> Result<(), Status> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = text(ORIGIN) else { return Ok(()) };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    if authority.is_some() && authority == text(HOST) {
        return Ok(());
    }
    Err(Status::new(Reason::Forbidden, format!("Origin: a page of {origin:?} may not connect here")))
}

/// Whether a header lists a word, in any case.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn refusal(headers: &[(&str, &str)]) -> String {
        match asked(&parts(headers)) {
            Ok(Asked::Spdy) => "spdy".to_owned(),
            Ok(Asked::WebSocket(_)) => "websocket".to_owned(),
            Err(status) => {
                format!("{} {}", status.code, status.message.split(':').next().unwrap_or_default())
            }
        }
    }

    #[test]
    fn what_cannot_be_spoken_is_refused_by_header() {
        let socket = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
        let keyed = [&socket[..], &[("sec-websocket-key", "x"), ("sec-websocket-version", "13")]].concat();
        let v5 = [&keyed[..], &[("sec-websocket-protocol", "v5.channel.k8s.io")]].concat();
        let with = |more: (&'static str, &'static str)| [&v5[..], &[more]].concat();
        let table = [
            (vec![], "400 Upgrade request required"),
            (vec![("connection", "Upgrade"), ("upgrade", "SPDY/3.1")], "spdy"),
            (socket.to_vec(), "400 Sec-WebSocket-Key and Sec-WebSocket-Version"),
            (keyed.clone(), "400 Sec-WebSocket-Protocol"),
            (
                [&keyed[..], &[("sec-websocket-protocol", "channel.k8s.io, x")]].concat(),
                "400 Sec-WebSocket-Protocol",
            ),
            (v5.clone(), "400 a WebSocket needs HTTP/1.1"),
            (with(("origin", "https://elsewhere")), "403 Origin"),
        ];
        for (headers, want) in table {
            assert_eq!(refusal(&headers), want, "{headers:?}");
        }
        let same = [&with(("origin", "https://hub:1"))[..], &[("host", "hub:1")]].concat();
        assert_eq!(refusal(&same), "400 a WebSocket needs HTTP/1.1", "its own origin may");
    }
}
