//! etcd with its defaults, fsync included: alone under the API server, or as a group of three that is written to over its JSON
//! gateway.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::Binaries;
use crate::bench::process::{Folder, Server, free_port};
use crate::tools::Tool;

/// How long a group may take to serve.
const READY: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// One member of a group.
pub struct Etcd {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    server: Server,
    /// The port of its clients.
    pub port: u16,
}

/// Where a member listens.
#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    peer: u16,
}

impl Etcd {
    /// A group of one.
    pub fn alone(binaries: &Binaries, dir: &Path) -> anyhow::Result<Etcd> {
        let ports = [Ports { client: free_port()?, peer: free_port()? }];
        Etcd::start(binaries, dir, 0, &ports)
    }

    fn start(binaries: &Binaries, dir: &Path, own: usize, group: &[Ports]) -> anyhow::Result<Etcd> {
        let peer = |at: usize| format!("http://127.0.0.1:{}", group[at].peer);
        let members: Vec<String> = (0..group.len()).map(|at| format!("m{at}={}", peer(at))).collect();
        let client = format!("http://127.0.0.1:{}", group[own].client);
        let arguments = vec![
            format!("--name=m{own}"),
            format!("--data-dir={}", dir.join(format!("etcd-{own}")).display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={}", peer(own)),
            format!("--initial-advertise-peer-urls={}", peer(own)),
            format!("--initial-cluster={}", members.join(",")),
            "--log-level=error".to_owned(),
        ];
        let (program, log) = (binaries.path(Tool::Etcd).to_owned(), dir.join(format!("etcd-{own}.log")));
        let server = Server::start(&program, &arguments, &log)?;
        Ok(Etcd { program, arguments, log, server, port: group[own].client })
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.server.pid()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again after a kill, at once, as a supervisor would.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.server = Server::start(&self.program, &self.arguments, &self.log)?;
        Ok(())
    }
}

/// Three members on this machine.
pub struct EtcdGroup {
    /// The members.
    pub members: Vec<Etcd>,
    _folder: Folder,
}

impl EtcdGroup {
    /// Starts one; waits until it serves.
    pub async fn start(binaries: &Binaries) -> anyhow::Result<EtcdGroup> {
        let folder = Folder::new("etcd")?;
        let ports = (0..3).map(|_| Ok(Ports { client: free_port()?, peer: free_port()? }));
        let ports = ports.collect::<anyhow::Result<Vec<Ports>>>()?;
        let members = (0..3).map(|own| Etcd::start(binaries, folder.path(), own, &ports));
        let group = EtcdGroup { members: members.collect::<anyhow::Result<_>>()?, _folder: folder };
        group.healed().await?;
        Ok(group)
    }

    /// Waits until all members serve and know everything; gives the leader's position.
    pub async fn healed(&self) -> anyhow::Result<usize> {
        let start = Instant::now();
        while start.elapsed() < READY {
            if let Some(leader) = self.leader_if_healthy().await {
                return Ok(leader);
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("etcd did not heal in {READY:?}: {}", self.members[0].server.last_words())
    }

    async fn leader_if_healthy(&self) -> Option<usize> {
        let mut leader = None;
        let mut indexes = Vec::new();
        for (at, member) in self.members.iter().enumerate() {
            let status = post(member.port, "/v3/maintenance/status", &json!({})).await.ok()?;
            if status["leader"] == status["header"]["member_id"] {
                leader = Some(at);
            }
            indexes.push(status["raftAppliedIndex"].as_str()?.to_owned());
        }
        leader.filter(|_| indexes.iter().all(|index| *index == indexes[0]))
    }

    /// Writes a key at a member; an answer means that it is kept.
    pub async fn put(&self, member: usize, key: &str) -> anyhow::Result<()> {
        let member = &self.members[member % self.members.len()];
        let answer =
            post(member.port, "/v3/kv/put", &json!({"key": base64(key), "value": base64("kept")})).await?;
        answer
            .pointer("/header/revision")
            .map(|_| ())
            .with_context(|| format!("no acknowledgement: {answer}"))
    }

    /// Whether a key is there.
    pub async fn has(&self, key: &str) -> anyhow::Result<bool> {
        let answer = post(self.members[0].port, "/v3/kv/range", &json!({"key": base64(key)})).await?;
        Ok(answer["count"] == "1")
    }
}

/// One request over a connection of its own.
async fn post(port: u16, path: &str, body: &Value) -> anyhow::Result<Value> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await?;
    tokio::spawn(connection);
    let request =
        Request::post(path).header(HOST, "127.0.0.1").body(Full::new(Bytes::from(body.to_string())))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        bail!("{path}: {status} {}", String::from_utf8_lossy(&bytes));
    }
    Ok(serde_json::from_slice(&bytes)?)
}

/// The gateway takes bytes as base64.
fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}
