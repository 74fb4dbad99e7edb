//! Requests to the hub's API over one kept connection pool.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::kubeconfig::Target;
use crate::exit::Failure;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole answer may take: longer than the hub itself gives a request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(75);

/// The hub's API.
#[derive(Clone)]
pub struct Api {
    server: http::Uri,
    token: Option<String>,
    tls: TlsConnector,
    idempotency_key: Option<String>,
    /// The namespace of the context.
    pub namespace: String,
}

/// A whole answer.
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Warnings of the server.
    pub warnings: Vec<String>,
    /// Body.
    pub body: Bytes,
}

impl Api {
    /// Connects to nothing yet; checks what the target says.
    pub fn new(target: &Target) -> Result<Api, Failure> {
        let bad = |reason: String| Failure::input(format!("kubeconfig: {reason}"));
        let server: http::Uri =
            target.server.parse().map_err(|_| bad(format!("server {:?} is no URL", target.server)))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&target.ca) {
            let certificate = certificate.map_err(|error| bad(format!("certificate authority: {error}")))?;
            roots.add(certificate).map_err(|error| bad(format!("certificate authority: {error}")))?;
        }
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut tls = match &target.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
                let chain = chain.map_err(|error| bad(format!("client certificate: {error}")))?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|error| bad(format!("client key: {error}")))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| bad(format!("client certificate: {error}")))?
            }
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let token = target.token.clone().filter(|_| target.identity.is_none());
        let (tls, namespace) = (TlsConnector::from(Arc::new(tls)), target.namespace.clone());
        Ok(Api { server, token, tls, idempotency_key: None, namespace })
    }

    /// The same way for one write that may have to be repeated: under its key the hub does it once.
    pub fn with_idempotency_key(&self, key: &str) -> Api {
        Api { idempotency_key: Some(key.to_owned()), ..self.clone() }
    }

    /// One request and its whole answer.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply, Failure> {
        let body = body.map(|body| ("application/json", Bytes::from(body.to_string())));
        self.request_as(method, path, "application/json", body).await
    }

    /// One request with a body of another type.
    pub async fn request_as(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, Bytes)>,
    ) -> Result<Reply, Failure> {
        let answer = async { collect(self.send(method, path, accept, body).await?).await };
        let late = |_| {
            Failure::unreachable(
                "no answer within 75 s; whether it was done is unknown, so look before you repeat it",
            )
        };
        tokio::time::timeout(ANSWER_TIMEOUT, answer).await.map_err(late)?
    }

    /// One request; the body of the answer is read by the caller as it comes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, Bytes)>,
    ) -> Result<http::Response<Incoming>, Failure> {
        let mut request = self.head(method, path, accept);
        if let Some(key) = &self.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some((content_type, _)) = &body {
            request = request.header(header::CONTENT_TYPE, *content_type);
        }
        let bytes = body.map(|(_, bytes)| bytes).unwrap_or_default();
        let request = request.body(Full::new(bytes)).map_err(|error| Failure::usage(error.to_string()))?;
        let mut sender = self.connect().await?;
        sender.send_request(request).await.map_err(|error| self.unreachable(&error))
    }

    /// Asks for a WebSocket that speaks `protocol`: the connection, or the whole refusal.
    pub async fn upgrade(
        &self,
        path: &str,
        protocol: &str,
    ) -> Result<Result<WebSocketStream<TokioIo<Upgraded>>, Reply>, Failure> {
        let request = self
            .head(Method::GET, path, "application/json")
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, generate_key())
            .header(header::SEC_WEBSOCKET_PROTOCOL, protocol)
            .body(Full::default())
            .map_err(|error| Failure::usage(error.to_string()))?;
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(|error| self.unreachable(&error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return collect(response).await.map(Err);
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|error| self.unreachable(&error))?;
        Ok(Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await))
    }

    fn head(&self, method: Method, path: &str, accept: &str) -> http::request::Builder {
        let host = self.server.authority().map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &host)
            .header(header::ACCEPT, accept);
        match &self.token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    async fn connect(&self) -> Result<hyper::client::conn::http1::SendRequest<Full<Bytes>>, Failure> {
        let host = self.server.host().unwrap_or("localhost").trim_matches(['[', ']']).to_owned();
        let port = self.server.port_u16().unwrap_or(443);
        let dial = async {
            let tcp = TcpStream::connect((host.as_str(), port)).await?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from(host.clone()).map_err(std::io::Error::other)?;
            self.tls.connect(name, tcp).await
        };
        let tls = match tokio::time::timeout(CONNECT_TIMEOUT, dial).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => return Err(self.unreachable(&error)),
            Err(_) => return Err(self.unreachable(&"no answer within 5 s")),
        };
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls))
            .await
            .map_err(|error| self.unreachable(&error))?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    fn unreachable(&self, reason: &dyn std::fmt::Display) -> Failure {
        Failure::unreachable(format!(
            "cannot reach the hub at {}: {reason}; is `muster up` running?",
            self.server
        ))
    }
}

async fn collect(response: http::Response<Incoming>) -> Result<Reply, Failure> {
    let (head, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| Failure::unreachable(format!("the answer broke off: {error}")))?;
    let warnings = head
        .headers
        .get_all(header::WARNING)
        .iter()
        .filter_map(|value| value.to_str().ok().map(str::to_owned));
    Ok(Reply { status: head.status, warnings: warnings.collect(), body: body.to_bytes() })
}

impl Reply {
    /// The body as JSON, if the answer is a success; else the Status's message, as a failure with its code.
    pub fn json(&self) -> Result<Value, Failure> {
        if self.status.is_success() {
            return serde_json::from_slice(&self.body)
                .map_err(|error| Failure::unreachable(format!("the hub's answer is not JSON: {error}")));
        }
        Err(self.failure())
    }

    /// What a refusal says.
    pub fn failure(&self) -> Failure {
        let status: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = status["message"].as_str().map_or_else(|| self.status.to_string(), str::to_owned);
        match self.status {
            StatusCode::UNAUTHORIZED => Failure::credential(format!(
                "the hub does not know the credential in the kubeconfig ({message}); take a kubeconfig of this hub, or another --context"
            )),
            StatusCode::FORBIDDEN => Failure::credential(message),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Failure::input(message),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Failure::unreachable(message),
            _ => Failure::negative(message),
        }
    }
}
