//! Who is measured, behind one face: an API over HTTPS with a token, and the processes that serve it.

use anyhow::Context as _;
use muster::client::Kubeconfig;

use super::context::Context;
use super::echo::Echo;
use super::endpoint::Endpoint;
use super::peer::{ApiServer, Binaries};
use super::report::Role;
use crate::local::{Federation, Options};

/// A running server.
pub enum Subject {
    /// `muster up`: three replicas, fsync, four members that idle.
    Muster(Box<Federation>),
    /// kube-apiserver and one etcd.
    Peer(ApiServer),
    /// Our HTTP stack without a hub.
    Limit(Echo),
}

impl Subject {
    /// Starts one; waits until it serves. `None` if there is no peer in this run.
    pub fn start(role: Role, peers: Option<&Binaries>, context: &Context) -> anyhow::Result<Option<Subject>> {
        Ok(match (role, peers) {
            (Role::Muster, _) => Some(Subject::Muster(Box::new(Federation::start(&Options::default())))),
            (Role::Limit, _) => Some(Subject::Limit(Echo::start()?)),
            (Role::Peer, Some(binaries)) => Some(Subject::Peer(context.wait(ApiServer::start(binaries))?)),
            (Role::Peer, None) => None,
        })
    }

    /// Who it is.
    pub fn role(&self) -> Role {
        match self {
            Subject::Muster(_) => Role::Muster,
            Subject::Peer(_) => Role::Peer,
            Subject::Limit(_) => Role::Limit,
        }
    }

    /// Its API, as an administrator with a token.
    pub fn endpoint(&self) -> anyhow::Result<Endpoint> {
        match self {
            Subject::Muster(federation) => front_of(federation),
            Subject::Peer(server) => Ok(server.endpoint()),
            Subject::Limit(echo) => Ok(echo.endpoint()),
        }
    }

    /// The processes that serve it: replicas and front, or API server and etcd.
    pub fn processes(&self) -> Vec<i32> {
        match self {
            Subject::Muster(federation) => {
                let front = federation.up_json()["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
                replicas_of(federation).into_iter().chain(front).collect()
            }
            Subject::Peer(server) => server.processes(),
            Subject::Limit(echo) => vec![echo.pid()],
        }
    }

    /// The processes that hold the objects, in groups that together hold each object once.
    pub fn stores(&self) -> Vec<Vec<i32>> {
        match self {
            Subject::Muster(federation) => replicas_of(federation).into_iter().map(|pid| vec![pid]).collect(),
            Subject::Peer(server) => vec![server.processes()],
            Subject::Limit(_) => Vec::new(),
        }
    }
}

/// The front port of a federation with the token of its kubeconfig.
pub fn front_of(federation: &Federation) -> anyhow::Result<Endpoint> {
    let text = std::fs::read_to_string(federation.dir.join("kubeconfig"))?;
    let target = Kubeconfig::parse(&text).map_err(anyhow::Error::msg)?.target(None)?;
    let token = target.token.context("the kubeconfig of `muster up` holds no token")?;
    Endpoint::new(&target.server, &target.ca, &token)
}

fn replicas_of(federation: &Federation) -> Vec<i32> {
    federation.names("controller").iter().map(|name| federation.pid(name)).collect()
}
