//! HTTP/2 to one replica, with bodies that the test sends when it wants: many requests over one connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use muster::client::Kubeconfig;
use muster_e2e::local::Federation;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Where a replica's API is, and how to be let in as the administrator.
pub struct Door {
    /// `127.0.0.1:PORT`.
    pub address: String,
    config: ClientConfig,
}

impl Door {
    /// Of the replica with this context.
    pub fn of(federation: &Federation, context: &str) -> Door {
        let text = std::fs::read_to_string(federation.dir.join("kubeconfig")).expect("a kubeconfig");
        let target = Kubeconfig::parse(&text).expect("our own").target(Some(context)).expect("the context");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&target.ca).expect("PEM")).expect("an authority");
        let (certificate, key) = target.identity.expect("the administrator's");
        let certificate = CertificateDer::from_pem_slice(&certificate).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(&key).expect("PEM");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("TLS 1.3").with_root_certificates(roots);
        let config = builder.with_client_auth_cert(vec![certificate], key).expect("they fit");
        Door { address: target.server.trim_start_matches("https://").to_owned(), config }
    }

    /// A connection that speaks `alpn`.
    pub async fn tls(&self, alpn: &[u8]) -> TlsStream<TcpStream> {
        let mut config = self.config.clone();
        config.alpn_protocols = vec![alpn.to_vec()];
        let tcp = TcpStream::connect(&self.address).await.expect("it listens");
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("it lets the administrator in")
    }

    /// An HTTP/2 connection.
    pub async fn h2(&self) -> Line {
        let tls = self.tls(b"h2").await;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(tls)).await.expect("HTTP/2");
        tokio::spawn(connection);
        Line { sender, authority: self.address.clone() }
    }
}

/// One HTTP/2 connection. Clones share it.
#[derive(Clone)]
pub struct Line {
    sender: SendRequest<Later>,
    authority: String,
}

impl Line {
    /// Sends a request whose body comes later, or never.
    pub async fn send(&mut self, method: &str, path: &str, body: Later) -> hyper::Result<Response<Incoming>> {
        let uri = format!("https://{}{path}", self.authority);
        let request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
        let request = request.body(body).expect("a request");
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

/// A body that is sent in parts, when the test sends them.
pub struct Later(Option<mpsc::UnboundedReceiver<Bytes>>);

impl Later {
    /// No body.
    pub fn never() -> Later {
        Later(None)
    }

    /// A body, and the hand that gives it: it ends when that is dropped.
    pub fn new() -> (mpsc::UnboundedSender<Bytes>, Later) {
        let (hand, parts) = mpsc::unbounded_channel();
        (hand, Later(Some(parts)))
    }
}

impl Body for Later {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(parts) => parts.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}
