//! TLS connections with any identity, HTTP and gRPC on them.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use muster_e2e::local::Federation;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};

use super::certificates::Identity;

const PATIENCE: Duration = Duration::from_secs(10);

/// A port of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    Api,
    Agents,
    Raft,
}

/// The address of a replica's port.
pub fn address(federation: &Federation, controller: &str, port: Port) -> String {
    let name = match port {
        Port::Api => "api",
        Port::Agents => "agents",
        Port::Raft => "raft",
    };
    let process = federation.process(controller);
    let text = process["addresses"][name].as_str().unwrap_or_else(|| panic!("{process}"));
    text.trim_start_matches("https://").to_owned()
}

/// Connects with an identity to a server of this authority.
pub async fn tls(
    address: &str,
    ca: &str,
    identity: &Identity,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS 1.3");
    let builder = builder.with_root_certificates(roots);
    let mut config = match &identity.issued {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(vec![certificate], key).expect("they fit")
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

/// The status of a GET over HTTP/1.1; `None` if the connection was refused.
pub async fn get(
    address: &str,
    ca: &str,
    identity: &Identity,
    path: &str,
    token: Option<&str>,
) -> Option<u16> {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n{authorization}\r\n");
    let exchange = async {
        let mut stream = tls(address, ca, identity, b"http/1.1").await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.ok()?;
        std::str::from_utf8(&start).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("the port answers or refuses in time")
}

/// A gRPC channel that is made at the first call.
pub fn channel(address: &str, ca: &str, identity: &Identity) -> Channel {
    let (dialled, ca, identity) = (address.to_owned(), ca.to_owned(), identity.clone());
    let connector = tower::service_fn(move |_: http::Uri| {
        let (address, ca, identity) = (dialled.clone(), ca.clone(), identity.clone());
        async move { tls(&address, &ca, &identity, b"h2").await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.timeout(PATIENCE).connect_with_connector_lazy(connector)
}
