//! A hub as small as it can be: real TLS and gRPC, no state but a desired set.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::Stream;
use muster_model::*;
use muster_proto::federation::pb::federation_server::{Federation, FederationServer};
use muster_proto::federation::*;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::authority::Authority;

/// What the hub saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub joins: Vec<String>,
    pub renewals: u32,
    pub hellos: Vec<Hello>,
    pub heartbeats: u64,
    pub reports: BTreeMap<Epoch, AttemptReport>,
    pub pods: BTreeMap<String, PodMirror>,
    pub notes: Vec<JobNote>,
    pub log: Vec<u8>,
    pub log_end: Option<StreamChunk>,
    pub faults: Vec<(String, FaultNews)>,
}

/// Everything shared with the test.
pub struct Shared {
    pub authority: Arc<Authority>,
    pub seen: watch::Sender<Seen>,
    desired: Mutex<Vec<DesiredAttempt>>,
    outbox: Mutex<Option<mpsc::Sender<Result<pb::HubMessage, Status>>>>,
    pub certificate_life: Mutex<Duration>,
    /// Another hub to go to instead.
    pub hint: Mutex<Option<String>>,
    /// What is answered to whoever asks for faults.
    pub fault_orders: Mutex<Vec<FaultOrder>>,
    address: String,
}

/// A running hub.
pub struct TestHub {
    pub shared: Arc<Shared>,
    pub address: String,
    stop: CancellationToken,
}

pub const TOKEN: &str = "one-time";

impl TestHub {
    /// A hub with this SPIFFE id under a new authority.
    pub async fn start(uri: &str) -> TestHub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        TestHub::with(Arc::new(Authority::new()), uri, listener)
    }

    /// Another replica under the same authority.
    pub async fn replica(&self) -> TestHub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        TestHub::with(self.shared.authority.clone(), "spiffe://muster/hub/controller-2", listener)
    }

    fn with(authority: Arc<Authority>, uri: &str, listener: TcpListener) -> TestHub {
        let address = listener.local_addr().unwrap().to_string();
        let tls = TlsAcceptor::from(Arc::new(server_config(&authority, uri)));
        let shared = Arc::new(Shared {
            authority,
            seen: watch::Sender::new(Seen::default()),
            desired: Mutex::default(),
            outbox: Mutex::default(),
            certificate_life: Mutex::new(Duration::from_secs(3600)),
            hint: Mutex::default(),
            fault_orders: Mutex::default(),
            address: address.clone(),
        });
        let stop = CancellationToken::new();
        let service =
            FederationServer::new(Service(shared.clone())).max_decoding_message_size(MAX_FRAME_BYTES);
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let incoming = incoming.then(move |tcp| {
            let tls = tls.clone();
            async move { Ok::<_, std::io::Error>(tls.accept(tcp?).await) }
        });
        // A failed handshake is one client's matter.
        let incoming = incoming
            .filter_map(|stream| stream.ok()?.ok().map(|stream| Ok::<_, std::io::Error>(Tls(stream))));
        let stopped = stop.clone();
        tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            tokio::select! {
                result = server.serve_with_incoming(incoming) => result.unwrap(),
                () = stopped.cancelled() => {}
            }
        });
        TestHub { shared, address, stop }
    }

    /// What the member shall run from now on.
    pub async fn want(&self, desired: Vec<DesiredAttempt>) {
        self.shared.desired.lock().unwrap().clone_from(&desired);
        self.shared.send_full().await;
    }

    pub async fn send(&self, message: HubMessage) {
        self.shared.send(message).await;
    }

    /// Waits until what was seen satisfies `condition`.
    pub async fn until(&self, what: &str, condition: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.shared.seen.subscribe();
        let found = tokio::time::timeout(Duration::from_secs(30), seen.wait_for(condition)).await;
        match found {
            Ok(found) => found.unwrap().clone(),
            Err(_) => panic!("not within 30 s: {what}; seen: {:#?}", self.shared.seen.borrow().clone()),
        }
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn server_config(authority: &Authority, uri: &str) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let (certificate, key) = authority.server(uri);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate, authority.der.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

impl Shared {
    async fn send(&self, message: HubMessage) {
        let outbox = self.outbox.lock().unwrap().clone();
        if let Some(outbox) = outbox {
            for frame in frames(pb::HubMessage::from(&message)) {
                let _ = outbox.send(Ok(frame)).await;
            }
        }
    }

    async fn send_full(&self) {
        let attempts = self.desired.lock().unwrap().iter().cloned().map(Arc::new).collect();
        self.send(HubMessage::ToMember(ToMember::Full { revision: Revision(1), attempts })).await;
    }

    async fn ack(&self, seq: u64) {
        let epochs = self.desired.lock().unwrap().iter().map(|desired| desired.epoch).collect();
        self.send(HubMessage::ToMember(ToMember::Ack { seq, epochs })).await;
    }

    async fn hear(&self, message: MemberMessage) {
        match message {
            MemberMessage::ToHub(ToHub::Hello(hello)) => {
                self.seen.send_modify(|seen| {
                    seen.reports.extend(hello.attempts.iter().map(|report| (report.epoch, report.clone())));
                    seen.hellos.push(hello);
                });
                self.ack(0).await;
                self.send_full().await;
            }
            MemberMessage::ToHub(ToHub::Heartbeat { seq }) => {
                self.seen.send_modify(|seen| seen.heartbeats += 1);
                self.ack(seq).await;
            }
            MemberMessage::ToHub(ToHub::Reports { seq, reports }) => {
                self.seen.send_modify(|seen| {
                    seen.reports.extend(reports.into_iter().map(|report| (report.epoch, report)));
                });
                self.send(HubMessage::ToMember(ToMember::ReportsTaken { seq })).await;
            }
            MemberMessage::ToHub(ToHub::Capacity(_) | ToHub::Data(_)) => {}
            MemberMessage::Pods(updates) => self.seen.send_modify(|seen| {
                if updates.resync {
                    seen.pods.clear();
                }
                seen.pods.extend(updates.pods.into_iter().map(|pod| (pod.name.clone(), pod)));
                for pod in updates.removed {
                    seen.pods.remove(&pod.name);
                }
            }),
            MemberMessage::Chunk(chunk) => self.seen.send_modify(|seen| {
                seen.log.extend_from_slice(&chunk.data);
                seen.log_end = chunk.eof.then_some(chunk);
            }),
            MemberMessage::Note(note) => self.seen.send_modify(|seen| seen.notes.push(note)),
        }
    }

    fn identity(&self, csr: &[u8]) -> Identity {
        let life = *self.certificate_life.lock().unwrap();
        Identity {
            certificate_chain: vec![self.authority.member(csr, "m", life).to_vec().into()],
            hub_cas: vec![self.authority.der.to_vec().into()],
            hub_addresses: vec![self.address.clone()],
        }
    }
}

struct Service(Arc<Shared>);

fn has_certificate<T>(request: &Request<T>) -> Result<(), Status> {
    match request.extensions().get::<Shown>() {
        Some(Shown(true)) => Ok(()),
        _ => Err(Status::unauthenticated("show a certificate")),
    }
}

#[tonic::async_trait]
impl Federation for Service {
    type ExecStream = Pin<Box<dyn Stream<Item = Result<pb::ExecFrame, Status>> + Send>>;
    type SessionStream = Pin<Box<dyn Stream<Item = Result<pb::HubMessage, Status>> + Send>>;

    async fn join(&self, request: Request<pb::JoinRequest>) -> Result<Response<pb::JoinResponse>, Status> {
        let request = JoinRequest::try_from(request.into_inner())
            .map_err(|e| Status::invalid_argument(e.to_string()))?;
        if request.token != TOKEN {
            return Err(Status::permission_denied("the token is unknown or was used"));
        }
        self.0.seen.send_modify(|seen| seen.joins.push(request.name.to_string()));
        Ok(Response::new(self.0.identity(&request.csr_der).into()))
    }

    async fn renew(&self, request: Request<pb::RenewRequest>) -> Result<Response<pb::RenewResponse>, Status> {
        has_certificate(&request)?;
        *self.0.certificate_life.lock().unwrap() = Duration::from_secs(3600);
        let identity = self.0.identity(&request.into_inner().csr_der);
        self.0.seen.send_modify(|seen| seen.renewals += 1);
        Ok(Response::new(identity.into()))
    }

    async fn faults(
        &self,
        request: Request<pb::FaultsRequest>,
    ) -> Result<Response<pb::FaultsResponse>, Status> {
        has_certificate(&request)?;
        let request = FaultsRequest::try_from(request.into_inner())
            .map_err(|e| Status::invalid_argument(e.to_string()))?;
        if let Some(report) = request.report {
            self.0.seen.send_modify(|seen| seen.faults.push((report.id, report.news)));
        }
        let orders = self.0.fault_orders.lock().unwrap().clone();
        Ok(Response::new(FaultsResponse { orders, refused: None }.into()))
    }

    async fn session(
        &self,
        request: Request<Streaming<pb::MemberMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        has_certificate(&request)?;
        let (sender, receiver) = mpsc::channel(16);
        let hint = self.0.hint.lock().unwrap().clone();
        if let Some(address) = hint {
            let hint = HubMessage::LeaderHint { addresses: vec![address] };
            sender.send(Ok(pb::HubMessage::from(&hint))).await.unwrap();
            return Ok(Response::new(Box::pin(ReceiverStream::new(receiver))));
        }
        *self.0.outbox.lock().unwrap() = Some(sender);
        let shared = self.0.clone();
        tokio::spawn(async move {
            let mut stream = request.into_inner();
            let mut assembler = Assembler::default();
            while let Ok(Some(frame)) = stream.message().await {
                if let Some(message) = assembler.push(frame).unwrap() {
                    shared.hear(MemberMessage::try_from(message).unwrap()).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    /// Members call only when they were asked to, which this hub does not.
    async fn exec(&self, _: Request<Streaming<pb::ExecFrame>>) -> Result<Response<Self::ExecStream>, Status> {
        Err(Status::failed_precondition("nobody waits for this call"))
    }
}

/// Whether the client showed a certificate.
#[derive(Clone)]
struct Shown(bool);

struct Tls(tokio_rustls::server::TlsStream<tokio::net::TcpStream>);

impl tonic::transport::server::Connected for Tls {
    type ConnectInfo = Shown;

    fn connect_info(&self) -> Shown {
        Shown(self.0.get_ref().1.peer_certificates().is_some())
    }
}

impl tokio::io::AsyncRead for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Tls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
