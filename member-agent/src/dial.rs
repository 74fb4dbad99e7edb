//! One connection to a replica's agent port: TCP, TLS, HTTP/2 with keepalive.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use muster_proto::federation::MAX_FRAME_BYTES;
use muster_proto::federation::pb::federation_client::FederationClient;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Bytes on their way to us that a call of its own may have.
const BULK_WINDOW_BYTES: u32 = 256 << 10;

/// A replica that a session was opened with, to be dialled again for a call of its own.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// As for the session.
    pub(crate) tls: Arc<ClientConfig>,
}

impl Replica {
    /// A connection of its own, whose flow control holds back nothing else.
    pub(crate) async fn dial_bulk(&self) -> anyhow::Result<FederationClient<Channel>> {
        connected(endpoint(&self.address)?.initial_stream_window_size(BULK_WINDOW_BYTES), self.tls.clone())
            .await
    }
}

/// Connects to `HOST:PORT`.
pub(crate) async fn dial(address: &str, tls: Arc<ClientConfig>) -> anyhow::Result<FederationClient<Channel>> {
    connected(endpoint(address)?, tls).await
}

fn endpoint(address: &str) -> anyhow::Result<Endpoint> {
    // The scheme says only that tonic shall not do TLS by itself.
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true))
}

async fn connected(endpoint: Endpoint, tls: Arc<ClientConfig>) -> anyhow::Result<FederationClient<Channel>> {
    let connector = tower::service_fn(move |uri: Uri| connect(uri, tls.clone()));
    let channel = tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect_with_connector(connector)).await??;
    Ok(FederationClient::new(channel)
        .max_decoding_message_size(MAX_FRAME_BYTES)
        .max_encoding_message_size(MAX_FRAME_BYTES))
}

type Stream = TokioIo<tokio_rustls::client::TlsStream<TcpStream>>;

async fn connect(uri: Uri, tls: Arc<ClientConfig>) -> anyhow::Result<Stream> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let tcp = TcpStream::connect((host.as_str(), port)).await?;
    tcp.set_nodelay(true)?;
    let stream = TlsConnector::from(tls).connect(ServerName::try_from(host)?, tcp).await?;
    Ok(TokioIo::new(stream))
}
