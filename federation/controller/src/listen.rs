//! One TLS port: accepts, reads who the peer is from its certificate, and serves HTTP with that in each request's
//! extensions. Handshakes are bounded in number and time, so that strangers cannot use the port up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::certificates::Certificates;
use crate::identity::Peer;
use crate::tls::ClientAuth;

/// Handshakes under way at a time.
const HANDSHAKES_MAX: usize = 256;
/// How long one may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at a time, each with its own task and buffers.
const CONNECTIONS_MAX: usize = 16_384;
/// HTTP/2 streams of one connection.
const STREAMS_MAX: u32 = 2_048;

/// Who is at the other end of the connection that a request came by. `None`: it showed no certificate.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The peer.
    pub peer: Option<Peer>,
}

/// Serves a port until it is cancelled.
pub async fn serve(
    listener: TcpListener,
    (certificates, auth): (Certificates, ClientAuth),
    router: axum::Router,
    cancel: CancellationToken,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = cancel.cancelled() => return,
        };
        // An error here is of one connection, or a lack of file descriptors: the next one may do.
        let Ok((tcp, address)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&connections).try_acquire_owned() else { continue };
        let acceptor = TlsAcceptor::from(certificates.server(auth));
        let handshakes = Arc::clone(&handshakes);
        let (router, cancel) = (router.clone(), cancel.clone());
        tokio::spawn(async move {
            let _place = place;
            if let Some((tls, connection)) = handshake(tcp, address, acceptor, handshakes).await {
                serve_connection(tls, connection, router, cancel).await;
            }
        });
    }
}

async fn handshake(
    tcp: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    handshakes: Arc<Semaphore>,
) -> Option<(tokio_rustls::server::TlsStream<TcpStream>, Connection)> {
    let _turn = handshakes.acquire_owned().await.ok()?;
    tcp.set_nodelay(true).ok()?;
    let tls = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "handshake failed");
            return None;
        }
        Err(_) => return None,
    };
    let certificate = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = match certificate.map(|certificate| Peer::of(certificate)) {
        None => None,
        Some(Ok(peer)) => Some(peer),
        Some(Err(error)) => {
            tracing::warn!(%address, %error, "certificate refused");
            return None;
        }
    };
    Some((tls, Connection { peer }))
}

async fn serve_connection(
    tls: tokio_rustls::server::TlsStream<TcpStream>,
    connection: Connection,
    router: axum::Router,
    cancel: CancellationToken,
) {
    let service = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(connection.clone());
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    let served = builder.serve_connection_with_upgrades(TokioIo::new(tls), TowerToHyperService::new(service));
    tokio::pin!(served);
    tokio::select! {
        _ = &mut served => {}
        () = cancel.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(Duration::from_secs(2), served).await;
        }
    }
}
