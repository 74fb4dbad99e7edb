//! What one replica needs to know to start: written by `muster up`, or by hand for a hub on several machines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use muster_consensus::ReplicaId;
use serde::{Deserialize, Serialize};

use crate::history::HistoryConfig;

/// Configuration of `muster controller --config FILE`, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControllerConfig {
    /// Name of this replica, one of `replicas`.
    pub name: String,
    /// 32 hexadecimal digits: the federation. Every data folder carries it.
    pub cluster_id: String,
    /// Folder of this replica's log, snapshots and history.
    pub data_dir: PathBuf,
    /// All founding replicas, this one included: 1, 3 or 5.
    pub replicas: Vec<ReplicaConfig>,
    /// Address of the health and metrics port; plain HTTP.
    pub ops: SocketAddr,
    /// How long and how much of history is kept.
    #[serde(default)]
    pub history: HistoryConfig,
    /// How burst pools run Terraform.
    #[serde(default)]
    pub terraform: TerraformConfig,
    /// The keys that Secrets and the certificate authority are sealed with; `keys/secrets.key` in `data_dir` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_key: Option<PathBuf>,
}

/// How burst pools run Terraform. What is not set is the ordinary.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TerraformConfig {
    /// The program; without it `MUSTER_TERRAFORM`, or `terraform` on PATH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// Folder below which process members keep their state unless their pool says otherwise; without it `burst` in the
    /// data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
}

/// One replica as the others see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplicaConfig {
    /// Its number in raft; at least 1, never used again for another.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Address of the API port.
    pub api: SocketAddr,
    /// Address of the agents port.
    pub agents: SocketAddr,
    /// Address of the raft port.
    pub raft: SocketAddr,
}

impl ControllerConfig {
    /// The file of the keys that Secrets are sealed with.
    pub fn key_file(&self) -> PathBuf {
        self.secrets_key.clone().unwrap_or_else(|| self.data_dir.join("keys/secrets.key"))
    }

    /// The sealed copy of the hub's authorities in this replica's folder.
    pub fn authority_file(&self) -> PathBuf {
        self.data_dir.join("authority.sealed")
    }

    /// The federation as a number.
    pub fn cluster(&self) -> u128 {
        u128::from_str_radix(&self.cluster_id, 16).unwrap_or_default()
    }

    /// All replicas by number.
    pub fn names(&self) -> BTreeMap<ReplicaId, String> {
        let named = |replica: &ReplicaConfig| Some((ReplicaId::new(replica.id)?, replica.name.clone()));
        self.replicas.iter().filter_map(named).collect()
    }

    /// This replica among `replicas`.
    pub fn own(&self) -> Option<&ReplicaConfig> {
        self.replicas.iter().find(|replica| replica.name == self.name)
    }

    /// What is wrong with it, by field.
    pub fn check(&self) -> Result<(), String> {
        if self.own().is_none() {
            return Err(format!("name: {:?} is not among replicas", self.name));
        }
        if ![1, 3, 5].contains(&self.replicas.len()) {
            return Err(format!("replicas: {} of them; 1, 3 or 5 can agree", self.replicas.len()));
        }
        if self.cluster_id.len() != 32 || u128::from_str_radix(&self.cluster_id, 16).is_err() {
            return Err("clusterId: must be 32 hexadecimal digits".to_owned());
        }
        let mut ids: Vec<u64> = self.replicas.iter().map(|replica| replica.id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != self.replicas.len() || ids.first() == Some(&0) {
            return Err("replicas: ids must be different and at least 1".to_owned());
        }
        Ok(())
    }
}
