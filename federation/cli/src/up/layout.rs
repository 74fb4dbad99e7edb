//! Where everything of a federation lies, on which ports, under which certificates.

use std::fs;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use muster_controller::HistoryConfig;
use muster_controller::config::{ControllerConfig, ReplicaConfig, TerraformConfig};
use serde_json::json;

use super::identity::Identity;
use super::members::MemberEntry;
use super::state_file::write_by_rename;
use crate::client::Target;
use crate::exit::Failure;

/// A federation's folder, made ready.
pub struct Layout {
    /// The folder.
    pub dir: PathBuf,
    /// The ports.
    pub ports: Ports,
    /// The members.
    pub members: Vec<MemberEntry>,
    /// Keys, authorities, and the administrator's certificate.
    identity: Identity,
    /// Kept so that no second `up` uses the folder.
    _lock: fs::File,
}

/// What is asked of a folder.
pub struct Wanted {
    /// The folder.
    pub dir: PathBuf,
    /// Replicas.
    pub controllers: usize,
    /// First port; 0 for free ones.
    pub port_base: u16,
    /// Members.
    pub members: Vec<MemberEntry>,
    /// Keys from elsewhere.
    pub secrets_key: Option<PathBuf>,
}

/// All ports, on loopback.
pub struct Ports {
    /// Where users and members are told to go.
    pub front: SocketAddr,
    /// One set per replica.
    pub replicas: Vec<ReplicaPorts>,
}

/// Ports of one replica.
#[derive(Clone, Copy)]
pub struct ReplicaPorts {
    /// API.
    pub api: SocketAddr,
    /// Agents.
    pub agents: SocketAddr,
    /// Raft.
    pub raft: SocketAddr,
    /// Health and metrics.
    pub ops: SocketAddr,
}

/// Throws a state folder away, after asking.
pub fn reset(dir: &Path, yes: bool) -> Result<(), Failure> {
    if !dir.exists() {
        return Ok(());
    }
    if !dir.join("cluster-id").exists() {
        return Err(Failure::state(format!(
            "--reset: {} is not a folder that `muster up` made; remove it yourself",
            dir.display()
        )));
    }
    // Held until it is gone: never the folder of a federation that runs.
    let _lock = lock(dir)?;
    if !yes && !agreed(dir) {
        return Err(Failure::usage("--reset: not without your yes; give --yes to skip the question"));
    }
    fs::remove_dir_all(dir).map_err(|error| Failure::state(format!("{}: {error}", dir.display())))
}

fn agreed(dir: &Path) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    print!("Throw away the federation in {}, its jobs and logs included? [y/N] ", dir.display());
    let mut answer = String::new();
    std::io::stdout().flush().is_ok()
        && std::io::stdin().read_line(&mut answer).is_ok()
        && answer.trim() == "y"
}

impl Layout {
    /// Makes what is missing in the folder: identity, keys, certificates, configurations.
    pub fn prepare(wanted: Wanted) -> anyhow::Result<Layout> {
        let Wanted { dir, controllers, port_base, members, secrets_key } = wanted;
        private_dir(&dir)?;
        let lock = lock(&dir)?;
        let cluster_id =
            keep(&dir.join("cluster-id"), || Ok(format!("{:032x}", muster_controller::random_id())))?;
        let ports = Ports::choose(port_base, controllers)?;
        let copies = (0..controllers).map(|i| dir.join("controllers").join(controller_name(i))).collect();
        let identity = Identity::prepare(&dir, secrets_key, copies, &cluster_id)?;
        let layout = Layout { dir, ports, members, identity, _lock: lock };
        for i in 0..controllers {
            layout.prepare_controller(i, &cluster_id)?;
        }
        for member in &layout.members {
            private_dir(&layout.member_dir(&member.name))?;
            let entry = serde_json::to_vec_pretty(member).context("members")?;
            write_by_rename(&layout.member_entry(&member.name), &entry, 0o600)?;
        }
        private_dir(&layout.logs())?;
        Ok(layout)
    }

    fn prepare_controller(&self, i: usize, cluster_id: &str) -> anyhow::Result<()> {
        let name = controller_name(i);
        let dir = self.controller_dir(&name);
        let replicas = self.ports.replicas.iter().enumerate().map(|(i, ports)| ReplicaConfig {
            id: i as u64 + 1,
            name: controller_name(i),
            api: ports.api,
            agents: ports.agents,
            raft: ports.raft,
        });
        let config = ControllerConfig {
            name,
            cluster_id: cluster_id.to_owned(),
            data_dir: dir.clone(),
            replicas: replicas.collect(),
            ops: self.ports.replicas[i].ops,
            history: HistoryConfig::default(),
            terraform: TerraformConfig { program: None, root: Some(self.burst_root()) },
            secrets_key: Some(self.identity.key_file.clone()),
        };
        let text = serde_json::to_vec_pretty(&config).context("configuration")?;
        Ok(write_by_rename(&dir.join("config.json"), &text, 0o600)?)
    }

    /// Folder of a replica.
    pub fn controller_dir(&self, name: &str) -> PathBuf {
        self.dir.join("controllers").join(name)
    }

    /// Folder of a member.
    pub fn member_dir(&self, name: &str) -> PathBuf {
        self.dir.join("members").join(name)
    }

    /// A member's entry, as a file of its own.
    pub fn member_entry(&self, name: &str) -> PathBuf {
        self.dir.join("members").join(format!("{name}.json"))
    }

    /// Folder of members that burst pools made.
    pub fn burst_root(&self) -> PathBuf {
        self.dir.join("burst")
    }

    /// Folder of all logs.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// The way to the hub as the administrator, through the front.
    pub fn target(&self) -> Target {
        let shown = self.identity.shown();
        Target {
            server: format!("https://{}", self.ports.front),
            ca: shown.trusted.clone().into_bytes(),
            identity: Some((
                shown.admin.certificate.clone().into_bytes(),
                shown.admin.key.clone().into_bytes(),
            )),
            token: None,
            namespace: "default".to_owned(),
        }
    }

    /// What the hub is known by to an agent that joins.
    pub fn ca_pin(&self) -> String {
        self.identity.shown().ca_pin.clone()
    }

    /// Rewrites the kubeconfig if there is something new to show.
    pub fn follow_identity(&self) -> anyhow::Result<()> {
        if self.identity.follow()? { self.publish_kubeconfig() } else { Ok(()) }
    }

    /// The administrator's bearer token, made once by the hub.
    pub fn token_file(&self) -> PathBuf {
        self.dir.join("pki/admin.token")
    }

    /// Writes the kubeconfig: the front as the current context, and one context per replica.
    pub fn publish_kubeconfig(&self) -> anyhow::Result<()> {
        let shown = self.identity.shown();
        let token = fs::read_to_string(self.token_file()).context("the administrator's token")?;
        let servers = std::iter::once(("muster".to_owned(), self.ports.front)).chain(
            self.ports.replicas.iter().enumerate().map(|(i, ports)| (format!("muster-{}", i + 1), ports.api)),
        );
        let servers: Vec<(String, SocketAddr)> = servers.collect();
        let ca = BASE64_STANDARD.encode(&shown.trusted);
        let cluster = |(name, address): &(String, SocketAddr)| json!({"name": name, "cluster": {"server": format!("https://{address}"), "certificate-authority-data": ca}});
        let context = |(name, _): &(String, SocketAddr)| json!({"name": name, "context": {"cluster": name, "user": "muster-admin", "namespace": "default"}});
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "muster",
            "clusters": servers.iter().map(cluster).collect::<Vec<_>>(),
            "contexts": servers.iter().map(context).collect::<Vec<_>>(),
            "users": [{"name": "muster-admin", "user": {
                "client-certificate-data": BASE64_STANDARD.encode(&shown.admin.certificate),
                "client-key-data": BASE64_STANDARD.encode(&shown.admin.key),
                "token": token.trim(),
            }}],
        });
        // JSON is YAML: every client reads it.
        let text = serde_json::to_vec_pretty(&kubeconfig).context("kubeconfig")?;
        Ok(write_by_rename(&self.kubeconfig(), &text, 0o600)?)
    }
}

/// `controller-1`, `controller-2`, ...
pub fn controller_name(i: usize) -> String {
    format!("controller-{}", i + 1)
}

impl Ports {
    fn choose(base: u16, controllers: usize) -> Result<Ports, Failure> {
        if base == 0 {
            return free_ports(controllers);
        }
        if base > 65_000 {
            return Err(Failure::usage("--port-base: at most 65000; 40 ports from it on are used"));
        }
        let port = |offset: usize| local(base + offset as u16);
        let replicas = (0..controllers).map(|i| ReplicaPorts {
            api: port(1 + i),
            agents: port(11 + i),
            raft: port(21 + i),
            ops: port(31 + i),
        });
        let ports = Ports { front: port(0), replicas: replicas.collect() };
        ports.check_free()?;
        Ok(ports)
    }

    fn all(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let replicas =
            self.replicas.iter().flat_map(|ports| [ports.api, ports.agents, ports.raft, ports.ops]);
        std::iter::once(self.front).chain(replicas)
    }

    fn check_free(&self) -> Result<(), Failure> {
        for address in self.all() {
            if let Err(error) = TcpListener::bind(address) {
                let hint = "stop what uses it, or give --port-base another number (0 takes free ports)";
                return Err(Failure::port(format!("port {}: {error}; {hint}", address.port())));
            }
        }
        Ok(())
    }
}

/// Ports that were free a moment ago. All are held until the last is found, so that none is found twice.
fn free_ports(controllers: usize) -> Result<Ports, Failure> {
    let mut held = Vec::new();
    let mut next = || {
        let listener =
            TcpListener::bind(local(0)).map_err(|error| Failure::port(format!("no free port: {error}")))?;
        let address =
            listener.local_addr().map_err(|error| Failure::port(format!("no free port: {error}")))?;
        held.push(listener);
        Ok::<_, Failure>(address)
    };
    let front = next()?;
    let mut replicas = Vec::new();
    for _ in 0..controllers {
        replicas.push(ReplicaPorts { api: next()?, agents: next()?, raft: next()?, ops: next()? });
    }
    Ok(Ports { front, replicas })
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

pub(super) fn private_dir(path: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Failure::state(format!("cannot make {}: {error}", path.display())))
}

/// Only one `up` may use a folder.
fn lock(dir: &Path) -> Result<fs::File, Failure> {
    let path = dir.join("lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Failure::state(format!("{}: {error}", path.display())))?;
    file.try_lock().map_err(|_| {
        Failure::state(format!(
            "{} is in use by another `muster up`; stop it, or give --state another folder",
            dir.display()
        ))
    })?;
    Ok(file)
}

/// The text of a file, made if it is not there.
fn keep(path: &Path, make: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<String> {
    if !path.exists() {
        write_by_rename(path, make()?.as_bytes(), 0o600)
            .map_err(|error| Failure::state(format!("{}: {error}", path.display())))?;
    }
    let text =
        fs::read_to_string(path).map_err(|error| Failure::state(format!("{}: {error}", path.display())))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(text.trim().to_owned())
}
