//! The state: objects by key, a few scalars, and what is derived from them.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdSet;
use muster_model::{
    Document, FaultOrder, FaultTarget, JobSpec, Key, Kind, MemberName, Object, Revision, Status, TimeMs,
    TransferOrder, Uid, kinds,
};

use crate::audit::ChainHead;
use crate::by_key::ByKey;
use crate::digest::hash128;
use crate::index::Indexes;
use crate::intern::Pool;

/// The state of the hub. Cheap to clone: a clone is a frozen view.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) objects: OrdSet<ByKey>,
    pub(crate) revision: Revision,
    pub(crate) time: TimeMs,
    pub(crate) generation: u16,
    pub(crate) audit: ChainHead,
    pub(crate) ledger: ChainHead,
    pub(crate) garbage: OrdSet<Garbage>,
    pub(crate) indexes: Indexes,
    texts: Pool<str>,
    specs: Pool<JobSpec>,
    objects_digest: u128,
}

/// What hangs on something that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Garbage {
    /// The objects of a namespace that is being deleted.
    Namespace(Arc<str>),
    /// The dependents of an owner that was deleted, or is being deleted in the foreground.
    Dependents(Uid),
    /// The dependents of an owner that was deleted without them.
    Orphans(Uid),
}

/// The scalars of a state: with the objects, all that a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last revision.
    pub revision: Revision,
    /// The time of the last entry.
    pub time: TimeMs,
    /// The hub generation.
    pub generation: u16,
    /// Audit records so far.
    pub audit_sequence: u64,
    /// Hash of the last one.
    pub audit_hash: [u8; 32],
    /// Where the ledger ends.
    pub ledger: ChainHead,
    /// Namespaces whose objects go.
    pub garbage_namespaces: Vec<Arc<str>>,
    /// Owners whose dependents go.
    pub garbage_dependents: Vec<Uid>,
    /// Owners whose dependents stay without them.
    pub garbage_orphans: Vec<Uid>,
    /// The digest, to be found again after a restore.
    pub digest: u128,
}

/// A snapshot that is not what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Objects are missing, or changed.
    #[error("the snapshot's digest is {expected:032x}, its objects give {found:032x}")]
    DigestDiffers {
        /// As the header says.
        expected: u128,
        /// As found.
        found: u128,
    },
}

impl State {
    /// An empty state of this hub generation (0 for a new hub; a restore raises it).
    pub fn new(generation: u16) -> State {
        State { generation, ..State::default() }
    }

    /// The last revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The time of the last entry.
    pub fn time(&self) -> TimeMs {
        self.time
    }

    /// Where the audit chain ends.
    pub fn audit(&self) -> ChainHead {
        self.audit
    }

    /// Where the ledger ends.
    pub fn ledger(&self) -> ChainHead {
        self.ledger
    }

    /// The object of this name.
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key).map(|found| &found.0)
    }

    /// All objects in key order.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.iter().map(|found| &found.0)
    }

    /// The objects of a kind, of one namespace or of all (`None`), from behind `after` on, in key order.
    pub fn list<'a>(
        &'a self,
        kind: &Kind,
        namespace: Option<&'a str>,
        after: Option<&Key>,
    ) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let kind = kind.clone();
        let first =
            Key { kind: kind.clone(), namespace: namespace.unwrap_or_default().into(), name: "".into() };
        let start = after.map_or(Bound::Included(first), |key| Bound::Excluded(key.clone()));
        self.objects
            .range((start, Bound::Unbounded))
            .map(|found| &found.0)
            .take_while(move |o| o.key.kind == kind && namespace.is_none_or(|n| *n == *o.key.namespace))
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: &Kind) -> u64 {
        self.indexes.counts.get(kind).copied().unwrap_or_default()
    }

    /// Jobs that are not finished.
    pub fn live_jobs(&self) -> impl Iterator<Item = &Key> {
        self.indexes.live_jobs.iter().map(|job| &job.0.key)
    }

    /// Jobs that hold something on this member: a live attempt, or a reservation.
    pub fn jobs_on(&self, member: &MemberName) -> impl Iterator<Item = &Key> {
        let member = member.clone();
        let start = (member.clone(), Key::new("", "", ""));
        self.indexes.by_member.range(start..).take_while(move |(m, _)| *m == member).map(|(_, key)| key)
    }

    /// Transfers to a member that are open.
    pub fn open_transfers_to(&self, member: &MemberName) -> impl Iterator<Item = &Key> {
        of_member(&self.indexes.open_transfers, member)
    }

    /// Datasets of which a member holds something.
    pub fn copies_at(&self, member: &MemberName) -> impl Iterator<Item = &Key> {
        of_member(&self.indexes.copies, member)
    }

    /// What the hub wants of a member as the target of transfers.
    pub fn transfer_orders(&self, member: &MemberName) -> Vec<TransferOrder> {
        let cluster = self.get(&Key::cluster(member.as_str())).and_then(|object| object.cluster());
        let bytes_per_second = cluster.and_then(|cluster| cluster.spec.transfer_bytes_per_second);
        let order = |key: &Key| {
            let object = self.get(key)?;
            let transfer = object.transfer()?;
            Some(TransferOrder {
                transfer: key.clone(),
                uid: object.meta.uid,
                data: transfer.data.clone(),
                source: transfer.source.clone(),
                folder: Arc::clone(&transfer.folder),
                bytes_per_second,
            })
        };
        self.open_transfers_to(member).filter_map(order).collect()
    }

    /// Faults that are not over, the one that ends first first.
    pub fn open_faults(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.indexes.open_faults.iter().filter_map(|(_, key)| self.get(key))
    }

    /// What the hub wants of this host: faults that shall be in effect, and those whose end it has not heard of.
    pub fn fault_orders(&self, host: &FaultTarget, now: TimeMs) -> Vec<FaultOrder> {
        let order = |object: &Arc<Object>| {
            let fault = object.fault()?;
            let concerns = fault.spec.target == *host && fault.spec.kind.needs_host();
            (concerns && (fault.is_open() || fault.is_unconfirmed())).then(|| FaultOrder {
                id: Arc::clone(&object.key.name),
                uid: object.meta.uid,
                kind: fault.spec.kind,
                wanted: fault.is_wanted() && fault.expires > now,
                left: fault.expires.since(now),
                expires: fault.expires,
            })
        };
        self.list(&Kind::new(kinds::FAULT), None, None).filter_map(order).collect()
    }

    /// When the next object expires.
    pub fn next_expiry(&self) -> Option<TimeMs> {
        self.indexes.expiry.get_min().map(|(at, _)| *at)
    }

    /// Whether something hangs on deleted owners or namespaces.
    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    /// The digest: equal on all replicas that applied the same entries.
    pub fn digest(&self) -> u128 {
        let garbage: Vec<_> = self.garbage.iter().collect();
        let scalars = (self.revision, self.time, self.generation, self.audit, self.ledger, garbage);
        self.objects_digest.wrapping_add(hash128(&scalars))
    }

    /// Whether the objects' part of the digest is this.
    pub(crate) fn digest_is(&self, objects_digest: u128) -> bool {
        self.objects_digest == objects_digest
    }

    /// The scalars, for a snapshot.
    pub fn header(&self) -> Header {
        let mut header = Header {
            revision: self.revision,
            time: self.time,
            generation: self.generation,
            audit_sequence: self.audit.sequence,
            audit_hash: self.audit.hash,
            ledger: self.ledger,
            garbage_namespaces: Vec::new(),
            garbage_dependents: Vec::new(),
            garbage_orphans: Vec::new(),
            digest: self.digest(),
        };
        for garbage in &self.garbage {
            match garbage {
                Garbage::Namespace(name) => header.garbage_namespaces.push(Arc::clone(name)),
                Garbage::Dependents(uid) => header.garbage_dependents.push(*uid),
                Garbage::Orphans(uid) => header.garbage_orphans.push(*uid),
            }
        }
        header
    }

    /// The state that a snapshot holds. Errors if the objects are not those the header was made with.
    pub fn restore(header: &Header, objects: impl Iterator<Item = Object>) -> Result<State, RestoreError> {
        let mut state = State::new(header.generation);
        for object in objects {
            let object = state.shared(object);
            state.insert(&Arc::new(object));
        }
        state.revision = header.revision;
        state.time = header.time;
        state.audit = ChainHead { sequence: header.audit_sequence, hash: header.audit_hash };
        state.ledger = header.ledger;
        let namespaces = header.garbage_namespaces.iter().cloned().map(Garbage::Namespace);
        let dependents = header.garbage_dependents.iter().copied().map(Garbage::Dependents);
        let orphans = header.garbage_orphans.iter().copied().map(Garbage::Orphans);
        state.garbage = namespaces.chain(dependents).chain(orphans).collect();
        let found = state.digest();
        if found == header.digest {
            Ok(state)
        } else {
            Err(RestoreError::DigestDiffers { expected: header.digest, found })
        }
    }

    /// Puts an object in place of what is there; indexes and digest follow. Gives back what was there.
    pub(crate) fn insert(&mut self, object: &Arc<Object>) -> Option<Arc<Object>> {
        let old = self.objects.insert(ByKey(Arc::clone(object))).map(|ByKey(old)| old);
        if let Some(old) = &old {
            self.forget(old);
        }
        self.indexes.add(object);
        self.objects_digest = self.objects_digest.wrapping_add(hash128(&**object));
        old
    }

    /// Takes an object out; indexes and digest follow.
    pub(crate) fn take_out(&mut self, key: &Key) -> Option<Arc<Object>> {
        let ByKey(old) = self.objects.remove(key)?;
        self.forget(&old);
        Some(old)
    }

    fn forget(&mut self, old: &Arc<Object>) {
        self.indexes.remove(old);
        self.objects_digest = self.objects_digest.wrapping_sub(hash128(&**old));
        self.texts.release(&old.document.body);
        self.texts.release(&old.document.metadata);
        self.texts.release(&old.key.kind.0);
        self.texts.release(&old.key.namespace);
        match &old.status {
            Status::Job(job) => {
                self.specs.release(&job.spec);
                self.texts.release(&job.completed_indexes);
            }
            Status::Event(event) => {
                for text in [&event.reason, &event.message, &event.source] {
                    self.texts.release(text);
                }
            }
            _ => {}
        }
    }

    /// The object with its text and spec replaced by shared ones, each counted once more.
    pub(crate) fn shared(&mut self, mut object: Object) -> Object {
        object.key.kind = Kind(self.texts.share(&object.key.kind.0));
        object.key.namespace = self.texts.share(&object.key.namespace);
        object.document = Document {
            metadata: self.texts.share(&object.document.metadata),
            body: self.texts.share(&object.document.body),
        };
        match &mut object.status {
            Status::Job(job) => {
                job.spec = self.specs.share(&job.spec);
                job.completed_indexes = self.texts.share(&job.completed_indexes);
            }
            // What is told of a thousand jobs is told in the same words.
            Status::Event(event) => {
                for text in [&mut event.reason, &mut event.message, &mut event.source] {
                    *text = self.texts.share(text);
                }
            }
            _ => {}
        }
        object
    }
}

/// The keys of one member in an index by member.
fn of_member<'a>(index: &'a OrdSet<(MemberName, Key)>, member: &MemberName) -> impl Iterator<Item = &'a Key> {
    let member = member.clone();
    let start = (member.clone(), Key::new("", "", ""));
    index.range(start..).take_while(move |(m, _)| *m == member).map(|(_, key)| key)
}
