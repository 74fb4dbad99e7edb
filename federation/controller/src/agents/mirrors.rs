//! Pods of our attempts as their members show them: for people, served by the leader, not in the log.
//!
//! A mirror's resource version is `term << 40 | sequence`: under another leader every version is another, and a watch that
//! resumes with an older term hears 410.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use muster_model::{MemberName, Uid};
use muster_proto::federation::{PodMirror, PodUpdates};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::watch_cache::Gone;

/// Pods kept per member; a member that shows more is cut, and says so in the log of this process.
const PODS_MAX: usize = 100_000;
/// Changes kept for watches.
const RING_MAX: usize = 8_192;
/// Bits of the sequence in a resource version.
const SEQUENCE_BITS: u32 = 40;

/// A pod and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredPod {
    /// The member that shows it.
    pub member: MemberName,
    /// What it shows.
    pub pod: PodMirror,
    /// Its resource version.
    pub version: u64,
}

/// One change of one mirror.
#[derive(Clone, Debug)]
pub struct MirrorChange {
    /// As it was.
    pub old: Option<Arc<MirroredPod>>,
    /// As it is.
    pub new: Option<Arc<MirroredPod>>,
    /// Resource version of the change.
    pub version: u64,
}

/// Namespace and name.
type PodKey = (Arc<str>, String);

#[derive(Default)]
struct Inner {
    term: u64,
    sequence: u64,
    pods: BTreeMap<PodKey, Arc<MirroredPod>>,
    ring: VecDeque<MirrorChange>,
    /// Who showed pods of which job.
    members: BTreeMap<Uid, BTreeSet<MemberName>>,
    complete_after: u64,
}

/// All mirrors of this replica, filled while it leads.
pub struct Mirrors {
    inner: RwLock<Inner>,
    version: watch::Sender<u64>,
}

impl Default for Mirrors {
    fn default() -> Self {
        Mirrors { inner: RwLock::default(), version: watch::channel(0).0 }
    }
}

impl Mirrors {
    /// Starts anew under a term.
    pub fn reset(&self, term: u64) {
        let version = term << SEQUENCE_BITS;
        *self.inner.write() = Inner { term, complete_after: version, ..Inner::default() };
        self.version.send_replace(version);
    }

    /// Takes what a member shows.
    pub fn update(&self, member: &MemberName, updates: PodUpdates) {
        let mut inner = self.inner.write();
        if updates.resync {
            let shown: Vec<PodKey> = updates.pods.iter().map(key_of).collect();
            let mine = inner.pods.iter().filter(|(_, pod)| pod.member == *member).map(|(key, _)| key.clone());
            let gone: Vec<PodKey> = mine.filter(|key| !shown.contains(key)).collect();
            gone.iter().for_each(|key| inner.remove(key));
        }
        for removed in &updates.removed {
            let is_it =
                |pod: &MirroredPod| pod.pod.job_uid == removed.job_uid && pod.pod.name == removed.name;
            let found = inner.pods.iter().find(|(_, pod)| pod.member == *member && is_it(pod));
            if let Some(key) = found.map(|(key, _)| key.clone()) {
                inner.remove(&key);
            }
        }
        for pod in updates.pods {
            inner.put(member, pod);
        }
        self.version.send_replace(inner.version());
    }

    /// The members that showed pods of a job, which is gone: each is told once.
    pub fn forget_job(&self, job: Uid) -> BTreeSet<MemberName> {
        self.inner.write().members.remove(&job).unwrap_or_default()
    }

    /// One pod.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<MirroredPod>> {
        self.inner.read().pods.get(&(namespace.into(), name.to_owned())).cloned()
    }

    /// All pods of a namespace, or of all (`None`), by name, and the version of the list.
    pub fn list(&self, namespace: Option<&str>) -> (u64, Vec<Arc<MirroredPod>>) {
        let inner = self.inner.read();
        let wanted =
            |(key, _): &(&PodKey, &Arc<MirroredPod>)| namespace.is_none_or(|namespace| *key.0 == *namespace);
        (inner.version(), inner.pods.iter().filter(wanted).map(|(_, pod)| Arc::clone(pod)).collect())
    }

    /// Changes after a version, oldest first.
    ///
    /// # Errors
    /// `Gone` if the ring does not reach back so far, or the version is of another term.
    pub fn changes(&self, after: u64, limit: usize) -> Result<Vec<MirrorChange>, Gone> {
        let inner = self.inner.read();
        if after < inner.complete_after || after > inner.version() {
            return Err(Gone);
        }
        let first = inner.ring.partition_point(|change| change.version <= after);
        Ok(inner.ring.range(first..).take(limit).cloned().collect())
    }

    /// The version, to wait on.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

impl Inner {
    fn version(&self) -> u64 {
        (self.term << SEQUENCE_BITS) | self.sequence
    }

    fn put(&mut self, member: &MemberName, pod: PodMirror) {
        let key = key_of(&pod);
        let old = self.pods.get(&key).cloned();
        if old.as_ref().is_some_and(|old| old.pod == pod && old.member == *member) {
            return;
        }
        if old.is_none() && self.pods.len() >= PODS_MAX {
            tracing::warn!(%member, limit = PODS_MAX, "too many pods to mirror");
            return;
        }
        self.members.entry(pod.job_uid).or_default().insert(member.clone());
        self.sequence += 1;
        let version = self.version();
        let new = Arc::new(MirroredPod { member: member.clone(), pod, version });
        self.pods.insert(key, Arc::clone(&new));
        self.tell(MirrorChange { old, new: Some(new), version });
    }

    fn remove(&mut self, key: &PodKey) {
        let Some(old) = self.pods.remove(key) else { return };
        self.sequence += 1;
        let version = self.version();
        self.tell(MirrorChange { old: Some(old), new: None, version });
    }

    fn tell(&mut self, change: MirrorChange) {
        self.ring.push_back(change);
        if self.ring.len() > RING_MAX {
            self.complete_after =
                self.ring.pop_front().map_or(self.complete_after, |dropped| dropped.version);
        }
    }
}

fn key_of(pod: &PodMirror) -> PodKey {
    (Arc::clone(&pod.job.namespace), pod.name.clone())
}
