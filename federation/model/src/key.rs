//! How objects are named.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::ids::text_id;

text_id! {
    /// A kind, written as plural and group: `jobs.batch`, `configmaps`, `clusters.muster.sh`.
    Kind
}

/// The kinds that the core itself looks into; all others are opaque names to it.
pub mod kinds {
    /// `v1 Namespace`: a tenant.
    pub const NAMESPACE: &str = "namespaces";
    /// `v1 Secret`: its document is sealed before it is proposed.
    pub const SECRET: &str = "secrets";
    /// `v1 Event`.
    pub const EVENT: &str = "events";
    /// `batch/v1 Job`.
    pub const JOB: &str = "jobs.batch";
    /// `muster.sh Cluster`: a member.
    pub const CLUSTER: &str = "clusters.muster.sh";
    /// `muster.sh Placement`.
    pub const PLACEMENT: &str = "placements.muster.sh";
    /// `muster.sh Dataset`.
    pub const DATASET: &str = "datasets.muster.sh";
    /// `muster.sh PriceBook`.
    pub const PRICE_BOOK: &str = "pricebooks.muster.sh";
    /// `muster.sh Run`: one attempt of a job.
    pub const RUN: &str = "runs.muster.sh";
    /// `muster.sh BurstPool`: members made by Terraform.
    pub const BURST_POOL: &str = "burstpools.muster.sh";
    /// A Terraform state with its lock, or a piece of one, sealed; never served as an object.
    pub const TERRAFORM_STATE: &str = "terraformstates.muster.sh";
    /// `muster.sh Fault`: one injected fault.
    pub const FAULT: &str = "faults.muster.sh";
    /// `muster.sh GameDay`.
    pub const GAME_DAY: &str = "gamedays.muster.sh";
    /// Says, by being there, that no fault may be injected; never served.
    pub const CHAOS_STOP: &str = "chaosstops.muster.sh";
    /// `muster.sh Transfer`: bytes of a dataset on their way to a member.
    pub const TRANSFER: &str = "transfers.muster.sh";
    /// A join token; never served.
    pub const JOIN_TOKEN: &str = "jointokens.muster.sh";
    /// A bearer token of a user, hashed; never served.
    pub const CREDENTIAL: &str = "credentials.muster.sh";
    /// The hub's certificate authorities, sealed; never served.
    pub const AUTHORITY: &str = "authorities.muster.sh";
    /// Which key new documents are sealed with; never served.
    pub const SEALING: &str = "sealing.muster.sh";
}

/// The name of an object: unique over all objects of all time spans in which it exists.
///
/// Ordered by kind, namespace, name, so that a list of one kind, or of one kind in one namespace, is one range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The namespace (= tenant); empty for kinds of cluster scope.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        let by_kind = compare(&self.kind.0, &other.kind.0);
        let by_namespace = || compare(&self.namespace, &other.namespace);
        by_kind.then_with(by_namespace).then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Kinds and namespaces are interned in the state, so that most comparisons need not read them.
fn compare(one: &Arc<str>, other: &Arc<str>) -> Ordering {
    if Arc::ptr_eq(one, other) { Ordering::Equal } else { one.cmp(other) }
}

impl Key {
    /// A key of these parts.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Key {
        Key { kind: Kind::new(kind), namespace: namespace.into(), name: name.into() }
    }

    /// A job's key.
    pub fn job(namespace: &str, name: &str) -> Key {
        Key::new(kinds::JOB, namespace, name)
    }

    /// A member's key.
    pub fn cluster(name: &MemberNameRef) -> Key {
        Key::new(kinds::CLUSTER, "", name)
    }

    /// A namespace's key.
    pub fn namespace(name: &str) -> Key {
        Key::new(kinds::NAMESPACE, "", name)
    }

    /// A fault's key.
    pub fn fault(id: &str) -> Key {
        Key::new(kinds::FAULT, "", id)
    }

    /// A game day's key.
    pub fn game_day(name: &str) -> Key {
        Key::new(kinds::GAME_DAY, "", name)
    }

    /// The key of the lever that stops all chaos.
    pub fn chaos_stop() -> Key {
        Key::new(kinds::CHAOS_STOP, "", "stop")
    }

    /// The key of a transfer: there is at most one of a dataset to a member.
    pub fn transfer(namespace: &str, dataset: &str, target: &MemberNameRef) -> Key {
        Key::new(kinds::TRANSFER, namespace, &format!("{dataset}:{target}"))
    }

    /// Whether the key is of this kind.
    pub fn is(&self, kind: &str) -> bool {
        &*self.kind.0 == kind
    }
}

/// The text of a member's name.
pub type MemberNameRef = str;

impl fmt::Display for Key {
    /// `jobs.batch/default/train`, or `namespaces/team-a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}
