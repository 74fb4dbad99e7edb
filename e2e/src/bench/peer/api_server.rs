//! kube-apiserver alone, with one etcd: no controller touches the objects.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rcgen::KeyPair;

use super::{Binaries, Etcd};
use crate::bench::endpoint::Endpoint;
use crate::bench::process::{Folder, Server, free_port};
use crate::tools::Tool;

/// Of a user in `system:masters`, whom priority and fairness do not hold back.
const TOKEN: &str = "bench";
/// How long it may take to serve.
const READY: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// A running API server.
pub struct ApiServer {
    server: Server,
    etcd: Etcd,
    endpoint: Endpoint,
    _folder: Folder,
}

impl ApiServer {
    /// Starts one; waits until it serves.
    pub async fn start(binaries: &Binaries) -> anyhow::Result<ApiServer> {
        let folder = Folder::new("kube")?;
        let dir = folder.path();
        let etcd = Etcd::alone(binaries, dir)?;
        std::fs::write(dir.join("tokens"), format!("{TOKEN},bench,1,system:masters\n"))?;
        let accounts = KeyPair::generate()?;
        std::fs::write(dir.join("sa.key"), accounts.serialize_pem())?;
        std::fs::write(dir.join("sa.pub"), accounts.public_key_pem())?;
        let port = free_port()?;
        let arguments = arguments(dir, etcd.port, port);
        let mut server =
            Server::start(binaries.path(Tool::KubeApiserver), &arguments, &dir.join("kube-apiserver.log"))?;
        let endpoint = ready(&mut server, port, dir).await?;
        Ok(ApiServer { server, etcd, endpoint, _folder: folder })
    }

    /// Its API.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// The server and its etcd.
    pub fn processes(&self) -> Vec<i32> {
        vec![self.server.pid(), self.etcd.pid()]
    }
}

fn arguments(dir: &Path, etcd_port: u16, port: u16) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", dir.display()),
        format!("--token-auth-file={}", file("tokens")),
        "--authorization-mode=AlwaysAllow".to_owned(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/24".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ]
}

/// It makes its own certificate first, then opens its port, then its namespaces.
async fn ready(server: &mut Server, port: u16, dir: &Path) -> anyhow::Result<Endpoint> {
    let start = Instant::now();
    while start.elapsed() < READY && server.is_running() {
        let certificate = std::fs::read(dir.join("apiserver.crt")).unwrap_or_default();
        let endpoint = Endpoint::new(&format!("https://127.0.0.1:{port}"), &certificate, TOKEN);
        let endpoint = endpoint.context("the API server's certificate")?;
        if endpoint.get("/api/v1/namespaces/default").await.is_ok() {
            return Ok(endpoint);
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("kube-apiserver was not ready in {READY:?}: {}", server.last_words())
}
