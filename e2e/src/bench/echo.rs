//! The limit: the HTTP stack of the API port without a hub behind it. A Job is read, completed, checked and printed as the hub
//! does it, and then forgotten. What Muster takes longer than this is replication, fsync and bookkeeping.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use http::{Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use muster_controller::random_id;
use muster_kubeapi::document::Encoding;
use muster_kubeapi::kinds::{StoredKind, admit, preview, render};
use muster_kubeapi::status::Status;
use muster_kubeapi::validate::{FieldValidation, decode, identity, names};
use muster_model::{Key, Uid};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::bodies::JOBS;
use super::endpoint::Endpoint;

/// HTTP/2 streams of one connection, as on the API port.
const STREAMS_MAX: u32 = 2_048;

/// A running echo.
pub struct Echo {
    child: Child,
    endpoint: Endpoint,
}

/// The line by which it says where it is.
#[derive(Serialize, Deserialize)]
struct Address {
    url: String,
    ca: String,
}

impl Echo {
    /// Starts this executable again, as the echo; waits until it serves.
    pub fn start() -> anyhow::Result<Echo> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("echo-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the echo")?;
        let out = child.stdout.take().context("the echo has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address: Address = serde_json::from_str(&line).context("the echo does not say where it is")?;
        let endpoint = Endpoint::new(&address.url, address.ca.as_bytes(), "any")?;
        Ok(Echo { child, endpoint })
    }

    /// Its API.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the echo until standard input ends.
pub fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (tls, ca) = identity_of_localhost()?;
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
    let address = Address { url: format!("https://{}", listener.local_addr()?), ca };
    println!("{}", serde_json::to_string(&address)?);
    std::io::stdout().flush()?;
    runtime.spawn(accept(listener, TlsAcceptor::from(Arc::new(tls))));
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn identity_of_localhost() -> anyhow::Result<(ServerConfig, String)> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.self_signed(&key)?;
    let secret = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, certificate.pem()))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor) {
    let router = axum::Router::new().route(JOBS, axum::routing::post(create));
    while let Ok((tcp, _)) = listener.accept().await {
        let (tls, router) = (tls.clone(), router.clone());
        tokio::spawn(async move {
            let _ = tcp.set_nodelay(true);
            let Ok(stream) = tls.accept(tcp).await else { return };
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http2().max_concurrent_streams(STREAMS_MAX);
            let service = TowerToHyperService::new(router);
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn create(body: Bytes) -> Response<Body> {
    let (code, text) = match echo(&body) {
        Ok(text) => (StatusCode::CREATED, text.into_bytes()),
        Err(status) => (StatusCode::BAD_REQUEST, status.to_bytes()),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn echo(body: &Bytes) -> Result<String, Status> {
    let kind = StoredKind::of(&muster_model::Kind::new(muster_model::kinds::JOB)).expect("jobs are served");
    let mut object = decode(&kind.resource, body, Encoding::Json, FieldValidation::Warn)?.object;
    identity(&mut object, Some("default"), None)?;
    let uid = Uid(random_id());
    let name = names::generated("train-", u64::try_from(random_id() >> 64).unwrap_or_default());
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.insert("name".to_owned(), json!(name));
        meta.insert("uid".to_owned(), json!(uid.to_string()));
    }
    let admitted =
        admit(kind, object, None).map_err(|errors| Status::invalid(&kind.resource, &name, &errors))?;
    let stored = preview(&admitted, Key::job("default", &name), None, (uid, muster_controller::now()));
    Ok(render::object(kind, &stored, &Default::default()))
}

#[cfg(test)]
mod tests {
    use super::super::bodies::gpu_job;
    use super::*;

    #[test]
    fn a_job_comes_back_complete() {
        let text = echo(&Bytes::from(gpu_job().to_string())).expect("a good job");
        let job: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(job["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("train-")));
        assert_eq!(job["spec"]["template"]["spec"]["restartPolicy"], "Never");
        assert!(job["spec"]["selector"]["matchLabels"].is_object());
    }
}
