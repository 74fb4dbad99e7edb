//! What pod templates name travels with the job: the leader's edge resolves names and sends the documents along.
//!
//! ```text
//!  Full, Delta --references of each attempt--> state --open--> Documents, before the message itself
//!  ConfigMap or Secret changed ------------------------------> Documents again, to sessions that were told of it
//! ```
//!
//! [`open`] is the one place where a reference becomes values. Nothing here is kept beyond names: values go into one
//! message, and members hold them in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use muster_core::State;
use muster_kubeapi::kinds::{self, Reference};
use muster_leader::SessionId;
use muster_model::{DesiredAttempt, Epoch, Event, Key, Kind, ToMember};
use muster_proto::federation::{AttemptDocuments, DocumentKind, HubMessage, PodDocument};

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
#[derive(Default)]
pub struct TravellingDocuments {
    told: BTreeMap<SessionId, BTreeMap<Epoch, Named>>,
}

impl TravellingDocuments {
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
            ToMember::Ack { .. } | ToMember::ReportsTaken { .. } | ToMember::Close { .. } => Vec::new(),
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
        let mut messages = Vec::new();
        for (session, told) in &self.told {
            let attempts = told.iter().filter(|(_, named)| names_it(named));
            let attempts = attempts.map(|(epoch, named)| documents(*epoch, named, state)).collect();
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
        let told = self.told.entry(session).or_default();
        let mut all = Vec::new();
        for attempt in attempts {
            let references = kinds::references(&attempt.body);
            if references.is_empty() {
                continue;
            }
            let named = Named { namespace: Arc::clone(&attempt.job.namespace), references };
            all.push(documents(attempt.epoch, &named, state));
            told.insert(attempt.epoch, named);
        }
        in_messages(all)
    }
}

fn documents(epoch: Epoch, named: &Named, state: &State) -> AttemptDocuments {
    let mut left = ATTEMPT_MAX_BYTES;
    let mut documents = Vec::new();
    for reference in &named.references {
        let found = open(state, &named.namespace, reference);
        if let Some(document) = found.filter(|document| bytes_of(document) <= left) {
            left -= bytes_of(&document);
            documents.push(document);
        }
    }
    AttemptDocuments { epoch, documents }
}

/// The values of what a template names, if it is there: the one place where they are read.
fn open(state: &State, namespace: &str, reference: &Reference) -> Option<PodDocument> {
    let (kind, of, name) = match reference {
        Reference::ConfigMap(name) => (CONFIG_MAPS, DocumentKind::ConfigMap, name),
        Reference::Secret(name) => (SECRETS, DocumentKind::Secret, name),
    };
    let key = Key { kind: Kind::new(kind), namespace: namespace.into(), name: name.as_str().into() };
    let object = state.get(&key)?;
    let data = match of {
        DocumentKind::ConfigMap => kinds::config_map_data(object),
        // No kind of this name is served yet, so none is ever found.
        DocumentKind::Secret => return None,
    };
    let data = data.into_iter().map(|(key, value)| (key, Bytes::from(value))).collect();
    Some(PodDocument { kind: of, name: name.clone(), data })
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
