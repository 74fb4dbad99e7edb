//! Terraform states with their locks, in the hub's own store: sealed, through raft, changed by compare and swap.
//!
//! ```text
//!  terraformstates.muster.sh/NAME            {lock, size, inline | pieces}        one object, one revision
//!  terraformstates.muster.sh/NAME.ID.0000    a piece of a state that is too large for one log entry
//! ```
//!
//! Pieces are written first and named after a random id, so that a writer that dies leaves the old state whole; what nobody
//! names is removed by the next write.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use muster_core::State;
use muster_model::{
    Answer, Command, Delete, Document, EventSeverity, Key, Kind, Object, Precondition, Principal,
    Propagation, Put, PutMode, Rejection, Spec, kinds,
};
use serde::{Deserialize, Serialize};

use super::holder::Holder;
use crate::agents::{random_id, random_uid};
use crate::hub::{Hub, HubError};
use crate::secrets::{KeyId, SealError, Vault};

/// Bytes of a state at most.
pub const STATE_MAX_BYTES: usize = 16 << 20;
/// Bytes of a lock document at most.
const LOCK_MAX_BYTES: usize = 64 << 10;
/// Sealed bytes that fit the object itself, and bytes of one piece: an entry takes 4 MiB, and base64 adds a third.
const INLINE_MAX_BYTES: usize = 1 << 20;
const PIECE_BYTES: usize = 2 << 20;
/// How often a change is tried again when another one came first.
const TRIES: usize = 8;

/// Why a state was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The hub did not do it.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Someone else holds the lock; their lock document.
    #[error("the state is locked")]
    Locked(String),
    /// Whoever writes or unlocks does not hold the lock any more.
    #[error("the lock {0:?} is not held any more: it was broken, or another run has it")]
    LockLost(String),
    /// It is larger than a state may be.
    #[error("a state has at most {STATE_MAX_BYTES} bytes")]
    TooLarge,
    /// A lock document that is none.
    #[error("the lock document must be a JSON object with an ID, of at most {LOCK_MAX_BYTES} bytes")]
    BadLock,
    /// It cannot be sealed or opened with the keys of this replica.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// What is stored cannot be read.
    #[error("the stored state cannot be read: {0}")]
    Damaged(String),
    /// Others keep changing it.
    #[error("the state keeps changing; try again")]
    Contended,
}

/// How a lock was got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// It was free, or held already by the same ID.
    Free,
    /// A run that is over had it.
    Broken(Box<Holder>),
}

/// What the object of a state says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) lock: Option<LockRecord>,
    /// Bytes of the state; none: there is no state.
    size: Option<usize>,
    /// The key that seals it.
    pub(super) key: Option<KeyId>,
    /// The sealed state in base64, if it is small.
    pub(super) inline: Option<String>,
    /// Id and number of its pieces, if it is not.
    pub(super) pieces: Option<(String, usize)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockRecord {
    id: String,
    /// The user who took it.
    holder: String,
    /// The lock document as Terraform sent it.
    document: String,
}

impl Record {
    /// Names a sealed state as the one that counts.
    pub(super) fn take(&mut self, sealed: &Sealed) {
        self.key = Some(sealed.key);
        self.inline.clone_from(&sealed.inline);
        self.pieces.clone_from(&sealed.pieces);
    }
}

/// All states of the hub.
#[derive(Clone)]
pub struct StateStore {
    pub(super) hub: Hub,
    pub(super) vault: Vault,
}

/// A state that was sealed: the key, and where the bytes are.
pub(super) struct Sealed {
    pub(super) key: KeyId,
    pub(super) inline: Option<String>,
    pub(super) pieces: Option<(String, usize)>,
}

impl StateStore {
    /// The states in this hub.
    pub fn new(hub: Hub, vault: Vault) -> StateStore {
        StateStore { hub, vault }
    }

    /// A state, if there is one.
    ///
    /// # Errors
    /// The hub, or what is stored is damaged.
    pub async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.hub.linearizable().await?;
        self.opened(&state, name, &find(&state, name)?.1)
    }

    /// The state that a record says of, opened.
    pub(super) fn opened(
        &self,
        state: &State,
        name: &str,
        record: &Record,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(size) = record.size else { return Ok(None) };
        let sealed = match (&record.inline, &record.pieces) {
            (Some(text), _) => decoded(text)?,
            (None, Some((id, count))) => gathered(state, name, id, *count)?,
            (None, None) => return Err(StoreError::Damaged("it has a size and no content".to_owned())),
        };
        let with =
            record.key.ok_or_else(|| StoreError::Damaged("it does not say what seals it".to_owned()))?;
        let plain = self.vault.open_bytes(with, &key(name), &sealed)?;
        if plain.len() == size {
            Ok(Some(plain))
        } else {
            Err(StoreError::Damaged("its size differs".to_owned()))
        }
    }

    /// Writes a state. If it is locked, `lock` must be the lock's ID; if it is not, there must be none.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn write(
        &self,
        name: &str,
        lock: Option<&str>,
        plain: &[u8],
        by: &Principal,
    ) -> Result<(), StoreError> {
        if plain.len() > STATE_MAX_BYTES {
            return Err(StoreError::TooLarge);
        }
        let state = self.hub.linearizable().await?;
        check_lock(&find(&state, name)?.1, lock)?;
        let sealed = self.sealed(self.vault.current(&state), name, plain, by).await?;
        self.change(name, by, |record| {
            check_lock(record, lock)?;
            record.size = Some(plain.len());
            record.take(&sealed);
            Ok(())
        })
        .await?;
        self.drop_strays(name, sealed.pieces.as_ref().map(|(id, _)| id.as_str()), by).await
    }

    /// Seals a state; what is too large for its object is written as pieces, which nothing names yet.
    pub(super) async fn sealed(
        &self,
        with: KeyId,
        name: &str,
        plain: &[u8],
        by: &Principal,
    ) -> Result<Sealed, StoreError> {
        let sealed = self.vault.seal_bytes(with, &key(name), plain)?;
        if sealed.len() <= INLINE_MAX_BYTES {
            return Ok(Sealed { key: with, inline: Some(BASE64_STANDARD.encode(&sealed)), pieces: None });
        }
        Ok(Sealed { key: with, inline: None, pieces: Some(self.put_pieces(name, &sealed, by).await?) })
    }

    /// Takes the lock. One that a run of the hub left behind is broken by the run that goes on, and told.
    ///
    /// # Errors
    /// [`StoreError::Locked`] with the document of whoever holds it.
    pub async fn lock(&self, name: &str, document: &[u8], user: &str) -> Result<Locked, StoreError> {
        let id = lock_id(document).ok_or(StoreError::BadLock)?;
        let text = String::from_utf8(document.to_vec()).map_err(|_| StoreError::BadLock)?;
        let wanted = LockRecord { id, holder: user.to_owned(), document: text };
        let mut broken = None;
        self.change(name, &Principal::new(user), |record| {
            broken = None;
            if let Some(held) = record.lock.as_ref().filter(|held| held.id != wanted.id) {
                let dead = dead_holder(&held.holder, user);
                broken = Some(dead.ok_or_else(|| StoreError::Locked(held.document.clone()))?);
            }
            record.lock = Some(wanted.clone());
            Ok(())
        })
        .await?;
        match broken {
            None => Ok(Locked::Free),
            Some(holder) => {
                self.tell_broken(&holder).await;
                Ok(Locked::Broken(Box::new(holder)))
            }
        }
    }

    /// Gives the lock back. Without a document, which is how `terraform force-unlock` asks, whoever holds it.
    ///
    /// # Errors
    /// [`StoreError::LockLost`] if another one is held.
    pub async fn unlock(&self, name: &str, document: &[u8], user: &str) -> Result<(), StoreError> {
        let id = if document.is_empty() { None } else { Some(lock_id(document).ok_or(StoreError::BadLock)?) };
        self.change(name, &Principal::new(user), |record| {
            match (&record.lock, &id) {
                (Some(held), Some(id)) if held.id != *id => return Err(StoreError::LockLost(id.clone())),
                _ => record.lock = None,
            }
            Ok(())
        })
        .await
    }

    /// Removes a state, its lock included.
    ///
    /// # Errors
    /// The hub.
    pub async fn remove(&self, name: &str, by: &Principal) -> Result<(), StoreError> {
        self.delete(key(name), by).await?;
        self.drop_strays(name, None, by).await
    }

    /// Changes the object of a state, again if another change came first.
    pub(super) async fn change(
        &self,
        name: &str,
        by: &Principal,
        mut change: impl FnMut(&mut Record) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let state = self.hub.linearizable().await?;
            let (there, mut record) = find(&state, name)?;
            change(&mut record)?;
            let mode = match &there {
                None => PutMode::Create { uid: random_uid() },
                Some(there) => PutMode::Replace(Precondition {
                    revision: Some(there.meta.revision),
                    uid: Some(there.meta.uid),
                }),
            };
            let body = serde_json::to_string(&record).expect("a record is plain data");
            match self.hub.propose(put(key(name), mode, body, by)).await? {
                Answer::Rejected(
                    Rejection::Conflict { .. }
                    | Rejection::AlreadyExists(_)
                    | Rejection::NotFound(_)
                    | Rejection::UidChanged { .. },
                ) => {}
                Answer::Rejected(other) => return Err(HubError::Refused(other.to_string()).into()),
                _ => return Ok(()),
            }
        }
        Err(StoreError::Contended)
    }

    async fn put_pieces(
        &self,
        name: &str,
        sealed: &[u8],
        by: &Principal,
    ) -> Result<(String, usize), StoreError> {
        let id = format!("{:032x}", random_id());
        let pieces: Vec<&[u8]> = sealed.chunks(PIECE_BYTES).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let mode = PutMode::Create { uid: random_uid() };
            let command = put(piece_key(name, &id, number), mode, BASE64_STANDARD.encode(piece), by);
            if let Answer::Rejected(rejection) = self.hub.propose(command).await? {
                return Err(HubError::Refused(rejection.to_string()).into());
            }
        }
        Ok((id, pieces.len()))
    }

    /// Removes pieces that the state does not name.
    async fn drop_strays(&self, name: &str, kept: Option<&str>, by: &Principal) -> Result<(), StoreError> {
        let state = self.hub.linearizable().await?;
        let prefix = format!("{name}.");
        let kept = kept.map(|id| format!("{name}.{id}."));
        let first = key(&prefix);
        let pieces = state.list(&Kind::new(kinds::TERRAFORM_STATE), None, Some(&first));
        let pieces = pieces.take_while(|object| object.key.name.starts_with(&prefix));
        let strays =
            pieces.filter(|object| kept.as_ref().is_none_or(|kept| !object.key.name.starts_with(kept)));
        for stray in strays.map(|object| object.key.clone()).collect::<Vec<_>>() {
            self.delete(stray, by).await?;
        }
        Ok(())
    }

    pub(super) async fn delete(&self, key: Key, by: &Principal) -> Result<(), StoreError> {
        let command = Command::Delete(Delete {
            key,
            precondition: Precondition::default(),
            propagation: Propagation::Background,
            grace_s: None,
            principal: by.clone(),
        });
        match self.hub.propose(command).await? {
            Answer::Rejected(Rejection::NotFound(_)) => Ok(()),
            Answer::Rejected(rejection) => Err(HubError::Refused(rejection.to_string()).into()),
            _ => Ok(()),
        }
    }

    async fn tell_broken(&self, holder: &Holder) {
        let message = format!(
            "The lock of {}'s state was left by a run of term {} that is over; it was broken",
            holder.member, holder.term
        );
        let note = Command::Note {
            involved: Key::new(kinds::BURST_POOL, "", &holder.pool),
            reason: "LockBroken".into(),
            message: message.into(),
            severity: EventSeverity::Warning,
            source: "muster".into(),
        };
        if let Err(error) = self.hub.propose(note).await {
            tracing::warn!(member = holder.member, %error, "a broken lock could not be told");
        }
    }
}

pub(super) fn key(name: &str) -> Key {
    Key::new(kinds::TERRAFORM_STATE, "", name)
}

pub(super) fn piece_key(name: &str, id: &str, number: usize) -> Key {
    key(&format!("{name}.{id}.{number:04}"))
}

fn put(key: Key, mode: PutMode, body: String, by: &Principal) -> Command {
    Command::Put(Box::new(Put {
        key,
        mode,
        spec: Spec::Opaque,
        typed_version: 1,
        document: Document { metadata: "".into(), body: body.into() },
        finalizers: Vec::new(),
        owners: Vec::new(),
        principal: by.clone(),
        idempotency: None,
    }))
}

/// The key that the state of an object is sealed with; `None` without one, and for a piece.
pub fn sealed_with(object: &Object) -> Option<KeyId> {
    serde_json::from_str::<Record>(&object.document.body).ok()?.key
}

pub(super) fn find(state: &State, name: &str) -> Result<(Option<Arc<Object>>, Record), StoreError> {
    let Some(object) = state.get(&key(name)) else { return Ok((None, Record::default())) };
    let record =
        serde_json::from_str(&object.document.body).map_err(|e| StoreError::Damaged(e.to_string()))?;
    Ok((Some(Arc::clone(object)), record))
}

fn gathered(state: &State, name: &str, id: &str, count: usize) -> Result<Vec<u8>, StoreError> {
    let mut sealed = Vec::new();
    for number in 0..count {
        let piece = state.get(&piece_key(name, id, number));
        let piece =
            piece.ok_or_else(|| StoreError::Damaged(format!("piece {number} of {count} is missing")))?;
        sealed.extend(decoded(&piece.document.body)?);
    }
    Ok(sealed)
}

fn decoded(text: &str) -> Result<Vec<u8>, StoreError> {
    BASE64_STANDARD.decode(text).map_err(|error| StoreError::Damaged(error.to_string()))
}

fn check_lock(record: &Record, lock: Option<&str>) -> Result<(), StoreError> {
    match (&record.lock, lock) {
        (None, None) => Ok(()),
        (Some(held), Some(id)) if held.id == id => Ok(()),
        (Some(held), None) => Err(StoreError::Locked(held.document.clone())),
        (_, Some(id)) => Err(StoreError::LockLost(id.to_owned())),
    }
}

/// The run that left a lock behind, if it is known to be over: the one that asks goes on where it ended.
fn dead_holder(held_by: &str, asks: &str) -> Option<Holder> {
    let (held_by, asks): (Holder, Holder) = (held_by.parse().ok()?, asks.parse().ok()?);
    asks.follows(&held_by).then_some(held_by)
}

fn lock_id(document: &[u8]) -> Option<String> {
    let value: serde_json::Value =
        (document.len() <= LOCK_MAX_BYTES).then(|| serde_json::from_slice(document).ok()).flatten()?;
    value["ID"].as_str().filter(|id| !id.is_empty()).map(str::to_owned)
}
