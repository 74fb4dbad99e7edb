//! The front port: passes TCP, without looking into it, to a ready replica, the leader first. TLS is end to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::layout::ReplicaPorts;
use crate::exit::Failure;

/// Between two looks at who leads.
const LOOK: Duration = Duration::from_millis(100);
/// How long a look or a connection on this machine may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a connection waits for any replica to take it.
const NO_REPLICA: Duration = Duration::from_secs(5);

/// The front port.
pub struct Front(TcpListener);

impl Front {
    /// Binds it.
    pub async fn bind(address: SocketAddr) -> Result<Front, Failure> {
        let bound = TcpListener::bind(address).await;
        bound.map(Front).map_err(|error| Failure::port(format!("port {}: {error}", address.port())))
    }

    /// Passes connections until it is cancelled.
    pub async fn serve(self, replicas: Vec<ReplicaPorts>, cancel: CancellationToken) {
        let order = Arc::new(Mutex::new(replicas.iter().map(|ports| ports.api).collect::<Vec<_>>()));
        tokio::spawn(keep_order(replicas, Arc::clone(&order), cancel.clone()));
        loop {
            let accepted = tokio::select! {
                accepted = self.0.accept() => accepted,
                () = cancel.cancelled() => return,
            };
            match accepted {
                Ok((client, _)) => drop(tokio::spawn(pass(client, Arc::clone(&order), cancel.clone()))),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

async fn pass(mut client: TcpStream, order: Arc<Mutex<Vec<SocketAddr>>>, cancel: CancellationToken) {
    let deadline = tokio::time::Instant::now() + NO_REPLICA;
    while tokio::time::Instant::now() < deadline {
        let targets = order.lock().clone();
        for target in targets {
            let Ok(Ok(mut replica)) = tokio::time::timeout(PATIENCE, TcpStream::connect(target)).await else {
                continue;
            };
            if client.set_nodelay(true).is_err() || replica.set_nodelay(true).is_err() {
                return;
            }
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut replica) => {}
                () = cancel.cancelled() => {}
            }
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Keeps the replicas in the order in which they should be tried: the leader, those that are ready, the others.
async fn keep_order(
    replicas: Vec<ReplicaPorts>,
    order: Arc<Mutex<Vec<SocketAddr>>>,
    cancel: CancellationToken,
) {
    while !cancel.is_cancelled() {
        let looks = replicas.iter().map(|ports| async { (rank(ports.ops).await, ports.api) });
        let mut ranked = futures::future::join_all(looks).await;
        ranked.sort_by_key(|(rank, _)| *rank);
        *order.lock() = ranked.into_iter().map(|(_, api)| api).collect();
        tokio::time::sleep(LOOK).await;
    }
}

/// 0: leads and is ready; 1: ready; 2: neither.
async fn rank(ops: SocketAddr) -> u8 {
    match get(ops, "/readyz").await {
        Some((true, text)) if text.contains("leader") => 0,
        Some((true, _)) => 1,
        _ => 2,
    }
}

/// A look at an ops port: whether the answer was a success, and its text.
pub async fn get(ops: SocketAddr, path: &str) -> Option<(bool, String)> {
    let look = async {
        let tcp = TcpStream::connect(ops).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.ok()?;
        let connection = tokio::spawn(connection);
        let request =
            http::Request::get(path).header("host", ops.to_string()).body(Empty::<Bytes>::new()).ok()?;
        let response = sender.send_request(request).await.ok()?;
        let success = response.status().is_success();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        connection.abort();
        Some((success, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(PATIENCE, look).await.ok()?
}
