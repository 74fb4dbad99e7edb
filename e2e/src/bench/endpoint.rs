//! A server's API over HTTP/2 and TLS with a bearer token, as all subjects serve it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What a list, watch or create is asked for as.
pub const JSON: &str = "application/json";
/// A list as kubectl prints it.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
/// How much a server may send before it is read; as curl allows.
const WINDOW_BYTES: u32 = 10 << 20;
/// How long a whole request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server is, whom to trust, and who we are.
#[derive(Clone)]
pub struct Endpoint {
    authority: http::uri::Authority,
    token: String,
    tls: TlsConnector,
}

/// One connection. Its clones share it, as HTTP/2 allows.
#[derive(Clone)]
pub struct Connection {
    sender: http2::SendRequest<Full<Bytes>>,
    base: String,
    authorization: HeaderValue,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Body.
    pub body: Bytes,
}

impl Endpoint {
    /// `https://HOST:PORT`, trusted by these certificates in PEM.
    pub fn new(url: &str, ca: &[u8], token: &str) -> anyhow::Result<Endpoint> {
        let uri: http::Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        let authority = uri.authority().cloned().with_context(|| format!("{url:?} names no host"))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca) {
            roots.add(certificate?)?;
        }
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Endpoint { authority, token: token.to_owned(), tls: TlsConnector::from(Arc::new(config)) })
    }

    /// `https://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.authority)
    }

    /// The host, without a port.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Connects.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let host = self.authority.host().to_owned();
        let tcp = TcpStream::connect((host.as_str(), self.authority.port_u16().unwrap_or(443))).await?;
        tcp.set_nodelay(true)?;
        let tls = self.tls.connect(ServerName::try_from(host)?, tcp).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .handshake(TokioIo::new(tls))
            .await?;
        tokio::spawn(connection);
        let authorization = HeaderValue::from_str(&format!("Bearer {}", self.token))?;
        Ok(Connection { sender, base: self.url(), authorization })
    }

    /// One request over a connection of its own.
    pub async fn once(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let request = async { self.connect().await?.ask(method, path, accept, body).await };
        tokio::time::timeout(PATIENCE, request)
            .await
            .with_context(|| format!("{path}: no answer in {PATIENCE:?}"))?
    }

    /// The JSON document at a path.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.once(Method::GET, path, JSON, Bytes::new()).await?;
        if !answer.status.is_success() {
            bail!("GET {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

impl Connection {
    /// One request and its whole answer.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let response = self.send(method, path, accept, body).await?;
        let status = response.status();
        Ok(Answer { status, body: response.into_body().collect().await?.to_bytes() })
    }

    /// One request; the answer is read as it comes.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, JSON)
            .body(Full::new(body))?;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}
