//! What pod templates name travels with the job: the leader's edge resolves names and sends the documents along.
//!
//! ```text
//!  Full, Delta --references of each attempt--> state --open--> Documents, before the message itself
//!  ConfigMap or Secret changed ------------------------------> Documents again, to sessions that were told of it
//! ```
//!
//! [`open`] is the one place where a reference becomes values. Nothing here is kept beyond names: values go into one
//! message, to the one member that holds the attempt, which keeps them in memory. A Secret whose key this replica lacks is
//! not there for the pod, which waits; it is sent when the key comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use muster_core::State;
use muster_kubeapi::kinds::{self, Reference};
use muster_leader::SessionId;
use muster_model::{DesiredAttempt, Epoch, Event, Key, Kind, ToMember};
use muster_proto::federation::{AttemptDocuments, DocumentKind, HubMessage, PodDocument};

use crate::secrets::{KeyId, SealError, Vault};

/// The model's name of ConfigMaps.
const CONFIG_MAPS: &str = "configmaps";
/// The model's name of Secrets.
const SECRETS: &str = "secrets";
/// The most bytes of values for one attempt: what is over it is left out, and the pod says that it is missing.
const ATTEMPT_MAX_BYTES: usize = 16 << 20;
/// Values in one message; an attempt is not cut.
const MESSAGE_BYTES: usize = 16 << 20;

/// What one attempt's template names.
struct Named {
    namespace: Arc<str>,
    references: BTreeSet<Reference>,
}

/// Who was told of what, by names.
pub struct TravellingDocuments {
    vault: Vault,
    /// The keys that were there when it was last looked.
    keys: Vec<KeyId>,
    told: BTreeMap<SessionId, BTreeMap<Epoch, Named>>,
}

impl TravellingDocuments {
    /// Nobody was told of anything yet.
    pub fn new(vault: Vault) -> TravellingDocuments {
        TravellingDocuments { keys: vault.ids(), vault, told: BTreeMap::new() }
    }

    /// What has to be sent over the session before this message.
    pub fn before(&mut self, session: SessionId, message: &ToMember, state: &State) -> Vec<HubMessage> {
        match message {
            ToMember::Full { attempts, .. } => {
                self.told.insert(session, BTreeMap::new());
                self.tell(session, attempts, state)
            }
            ToMember::Delta { changed, gone, .. } => {
                if let Some(told) = self.told.get_mut(&session) {
                    gone.iter().for_each(|epoch| drop(told.remove(epoch)));
                }
                self.tell(session, changed, state)
            }
            ToMember::Ack { .. }
            | ToMember::ReportsTaken { .. }
            | ToMember::Close { .. }
            | ToMember::Transfers { .. } => Vec::new(),
        }
    }

    /// What has to be sent because objects changed: attempts whose templates name one get it again, a pod may wait for it.
    pub fn changed(&self, events: &[Event], state: &State) -> Vec<(SessionId, HubMessage)> {
        let keys = events.iter().filter_map(|event| match event {
            Event::Changed { key, .. } => Some(key),
            _ => None,
        });
        keys.flat_map(|key| self.object_changed(key, state)).collect()
    }

    fn object_changed(&self, key: &Key, state: &State) -> Vec<(SessionId, HubMessage)> {
        let name = key.name.to_string();
        let reference = match key.kind.as_str() {
            CONFIG_MAPS => Reference::ConfigMap(name),
            SECRETS => Reference::Secret(name),
            _ => return Vec::new(),
        };
        let names_it =
            |named: &Named| named.namespace == key.namespace && named.references.contains(&reference);
        self.again(names_it, state)
    }

    /// What has to be sent because the keys of this replica changed: attempts whose templates name Secrets get them again.
    pub fn keys_changed(&mut self, state: &State) -> Vec<(SessionId, HubMessage)> {
        let keys = self.vault.ids();
        if std::mem::replace(&mut self.keys, keys) == self.keys {
            return Vec::new();
        }
        let is_secret = |reference: &Reference| matches!(reference, Reference::Secret(_));
        self.again(|named| named.references.iter().any(is_secret), state)
    }

    fn again(&self, which: impl Fn(&Named) -> bool, state: &State) -> Vec<(SessionId, HubMessage)> {
        let mut messages = Vec::new();
        for (session, told) in &self.told {
            let attempts = told.iter().filter(|(_, named)| which(named));
            let attempts = attempts.map(|(epoch, named)| self.documents(*epoch, named, state)).collect();
            messages.extend(in_messages(attempts).into_iter().map(|message| (*session, message)));
        }
        messages
    }

    /// The session is over.
    pub fn closed(&mut self, session: SessionId) {
        self.told.remove(&session);
    }

    fn tell(
        &mut self,
        session: SessionId,
        attempts: &[Arc<DesiredAttempt>],
        state: &State,
    ) -> Vec<HubMessage> {
        let mut all = Vec::new();
        for attempt in attempts {
            let references = kinds::references(&attempt.body);
            if references.is_empty() {
                continue;
            }
            let named = Named { namespace: Arc::clone(&attempt.job.namespace), references };
            all.push(self.documents(attempt.epoch, &named, state));
            self.told.entry(session).or_default().insert(attempt.epoch, named);
        }
        in_messages(all)
    }

    fn documents(&self, epoch: Epoch, named: &Named, state: &State) -> AttemptDocuments {
        let mut left = ATTEMPT_MAX_BYTES;
        let mut documents = Vec::new();
        for reference in &named.references {
            let found = open(&self.vault, state, &named.namespace, reference).unwrap_or_else(|error| {
                tracing::error!(epoch = epoch.0, %error, "a Secret does not travel with its attempt");
                None
            });
            if let Some(document) = found.filter(|document| bytes_of(document) <= left) {
                left -= bytes_of(&document);
                documents.push(document);
            }
        }
        AttemptDocuments { epoch, documents }
    }
}

/// The values of what a template names, if it is there: the one place where they are read.
fn open(
    vault: &Vault,
    state: &State,
    namespace: &str,
    reference: &Reference,
) -> Result<Option<PodDocument>, SealError> {
    let (kind, of, name) = match reference {
        Reference::ConfigMap(name) => (CONFIG_MAPS, DocumentKind::ConfigMap, name),
        Reference::Secret(name) => (SECRETS, DocumentKind::Secret, name),
    };
    let key = Key { kind: Kind::new(kind), namespace: namespace.into(), name: name.as_str().into() };
    let Some(object) = state.get(&key) else { return Ok(None) };
    let data = match of {
        DocumentKind::ConfigMap => kinds::config_map_data(object),
        DocumentKind::Secret => kinds::secret_data(&*vault.open_object(object)?),
    };
    let data = data.into_iter().map(|(key, value)| (key, Bytes::from(value))).collect();
    Ok(Some(PodDocument { kind: of, name: name.clone(), data }))
}

fn bytes_of(document: &PodDocument) -> usize {
    document.data.iter().map(|(key, value)| key.len() + value.len()).sum()
}

fn in_messages(attempts: Vec<AttemptDocuments>) -> Vec<HubMessage> {
    let mut messages = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for attempt in attempts {
        let more: usize = attempt.documents.iter().map(bytes_of).sum();
        if bytes + more > MESSAGE_BYTES && !part.is_empty() {
            messages.push(HubMessage::Documents(std::mem::take(&mut part)));
            bytes = 0;
        }
        bytes += more;
        part.push(attempt);
    }
    if !part.is_empty() {
        messages.push(HubMessage::Documents(part));
    }
    messages
}
