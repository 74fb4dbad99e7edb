//! A rotation of the hub's authority: who still has to move, and the next step when nobody has.
//!
//! The leader asks the other replicas, and looks at the certificates that members opened their sessions with: a certificate
//! that was issued after a step began came together with that step's authorities. Members are told to renew; their sessions
//! change, their leases and jobs do not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_consensus::ReplicaId;
use muster_core::State;
use muster_model::{
    Answer, Command, DurationMs, Kind, MemberName, Principal, PutMode, Rejection, TimeMs, kinds,
};
use muster_proto::federation::HubMessage;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

use crate::agents::Sessions;
use crate::authorities::{AuthorityError, AuthoritySet, Phase, authority_key};
use crate::certificates::Certificates;
use crate::hub::{Hub, HubError, now};
use crate::identity::authority_key_id;
use crate::pki::ca_pin;
use crate::secrets::{Vault, hub_principal, precondition, put};

/// Between two times that a member is told.
const TELL_AGAIN: Duration = Duration::from_secs(5);
/// Members told in one look: their renewals come at once.
const TELL_MAX: usize = 200;
/// How long after a rotation members are told to renew once more. Not for ever: a replica whose clock is behind issues what
/// looks old.
const FORGET_WITHIN: DurationMs = DurationMs::from_secs(600);
/// Where a replica says what it shows and trusts.
pub const IDENTITY_PATH: &str = "/muster/v1/replica/identity";

/// Someone who still has to move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Laggard {
    /// `replica` or `member`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What is missing.
    pub reason: &'static str,
}

/// Why a step was not made.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The hub did not answer.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The authorities cannot be read or sealed here.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// There are none in the log yet.
    #[error("the hub's authorities are not in the log yet; try again in a second")]
    NotFounded,
    /// The object changed meanwhile.
    #[error("{0}")]
    Rejected(Rejection),
}

/// The rotation of one hub. Clones share it.
#[derive(Clone)]
pub struct Rotation {
    parts: Arc<RotationParts>,
    told: Arc<Mutex<BTreeMap<MemberName, Instant>>>,
}

/// What it needs.
pub struct RotationParts {
    /// The hub.
    pub hub: Hub,
    /// Keys.
    pub vault: Vault,
    /// Certificates of this replica.
    pub certificates: Certificates,
    /// Sessions of members with this replica.
    pub sessions: Sessions,
    /// All replicas.
    pub replicas: BTreeMap<ReplicaId, String>,
    /// The federation.
    pub cluster_id: u128,
}

impl Rotation {
    /// A rotation of these parts.
    pub fn new(parts: RotationParts) -> Rotation {
        Rotation { parts: Arc::new(parts), told: Arc::default() }
    }

    /// The authorities in this state.
    ///
    /// # Errors
    /// If there are none, or without the key.
    pub fn authorities(&self, state: &State) -> Result<AuthoritySet, RotationError> {
        let object = state.get(&authority_key()).ok_or(RotationError::NotFounded)?;
        Ok(AuthoritySet::unseal(&self.parts.vault, &object.document, self.parts.cluster_id)?)
    }

    /// Begins a rotation.
    ///
    /// # Errors
    /// During one, and what keeps it from being committed.
    pub async fn begin(&self, by: Principal) -> Result<AuthoritySet, RotationError> {
        let state = self.parts.hub.linearizable().await?;
        let next = self.authorities(&state)?.begin(now())?;
        self.replace(&state, &next, by).await?;
        Ok(next)
    }

    /// Goes on without those who have not moved.
    ///
    /// # Errors
    /// Without a rotation, and what keeps it from being committed.
    pub async fn leave_behind(&self, by: Principal) -> Result<AuthoritySet, RotationError> {
        let state = self.parts.hub.linearizable().await?;
        let next = self.authorities(&state)?.advance(now());
        let next = next.ok_or(AuthorityError::Phase("there is no rotation to go on with"))?;
        self.replace(&state, &next, by).await?;
        Ok(next)
    }

    /// The leader's part: tells members to renew, and makes the next step when everybody is there.
    ///
    /// # Errors
    /// What keeps the step from being committed; it is tried again.
    pub async fn drive(&self) -> Result<(), RotationError> {
        let own = self.parts.certificates.set();
        if own.phase == Phase::Stable {
            self.tell_to_forget(&own)?;
            return Ok(());
        }
        let state = self.parts.hub.linearizable().await?;
        let set = self.authorities(&state)?;
        let laggards = self.laggards(&state, &set).await?;
        self.tell(laggards.iter().filter(|laggard| laggard.kind == "member"));
        let Some(next) = set.advance(now()).filter(|_| laggards.is_empty()) else { return Ok(()) };
        self.replace(&state, &next, hub_principal()).await?;
        tracing::info!(phase = ?next.phase, "rotation of the authority: next step");
        Ok(())
    }

    /// Who has not made the present step, replicas first.
    ///
    /// # Errors
    /// If the authorities are of no use.
    pub async fn laggards(&self, state: &State, set: &AuthoritySet) -> Result<Vec<Laggard>, RotationError> {
        if set.phase == Phase::Stable {
            return Ok(Vec::new());
        }
        let issuing = set.issuing()?;
        let wanted = json!({"authorities": set.pins(), "issuer": ca_pin(issuing.certificate())});
        let others = self.parts.replicas.iter().map(async |(id, name)| {
            let said = if *id == self.parts.hub.id() {
                Some(identity(&self.parts.certificates))
            } else {
                self.parts.hub.peers().get_json(*id, IDENTITY_PATH).await
            };
            let reason = match said {
                None => "not reached",
                Some(said) if moved(&said, &wanted) => return None,
                Some(_) => "has not taken the authorities into use",
            };
            Some(Laggard { kind: "replica", name: name.clone(), reason })
        });
        let replicas = futures::future::join_all(others).await.into_iter().flatten();
        let issuer_key = authority_key_id(issuing.certificate());
        Ok(replicas.chain(self.members(state, set, &issuer_key)).collect())
    }

    fn members(&self, state: &State, set: &AuthoritySet, issuer_key: &[u8]) -> Vec<Laggard> {
        // Certificates tell whole seconds: one of the second in which the step began may be of before.
        let since = TimeMs((set.since().0 / 1000 + 1) * 1000);
        let joined = state
            .list(&Kind::new(kinds::CLUSTER), None, None)
            .filter(|object| object.cluster().is_some_and(|cluster| cluster.status.joined_at.is_some()));
        let laggard = |name: &str| {
            let reason = match self.parts.sessions.of(&MemberName::new(name)) {
                None => "not in contact",
                Some(open) if open.certificate.not_before < since => "has not renewed its certificate",
                Some(open) if open.certificate.issuer_key != issuer_key => {
                    "has a certificate of the old authority"
                }
                Some(_) => return None,
            };
            Some(Laggard { kind: "member", name: name.to_owned(), reason })
        };
        joined.filter_map(|object| laggard(&object.key.name)).collect()
    }

    /// At the end members still trust the old authority: what they renew now knows the new one only.
    fn tell_to_forget(&self, set: &AuthoritySet) -> Result<(), AuthorityError> {
        if now().since(set.since()) < FORGET_WITHIN {
            let issuer_key = authority_key_id(set.issuing()?.certificate());
            self.tell(self.members(&self.parts.hub.stale(), set, &issuer_key).iter());
        }
        Ok(())
    }

    fn tell<'a>(&self, members: impl Iterator<Item = &'a Laggard>) {
        let mut told = self.told.lock();
        told.retain(|_, at| at.elapsed() < TELL_AGAIN);
        let due = members.map(|laggard| MemberName::new(laggard.name.as_str()));
        let due: Vec<MemberName> = due.filter(|name| !told.contains_key(name)).take(TELL_MAX).collect();
        for name in due {
            if let Some(outbox) = self.parts.sessions.outbox(&name) {
                outbox.try_send(HubMessage::RenewNow);
                told.insert(name, Instant::now());
            }
        }
    }

    async fn replace(&self, state: &State, next: &AuthoritySet, by: Principal) -> Result<(), RotationError> {
        let there = state.get(&authority_key()).ok_or(RotationError::NotFounded)?;
        let with = self.parts.vault.current(state);
        let document =
            next.seal(&self.parts.vault, with, self.parts.cluster_id).map_err(AuthorityError::from)?;
        let put = put(authority_key(), PutMode::Replace(precondition(there)), document, by);
        match self.parts.hub.propose(Command::Put(Box::new(put))).await? {
            Answer::Rejected(rejection) => Err(RotationError::Rejected(rejection)),
            _ => Ok(()),
        }
    }
}

/// What a replica shows and trusts.
pub fn identity(certificates: &Certificates) -> Value {
    json!({
        "authorities": certificates.set().pins(),
        "issuer": ca_pin(certificates.authority().certificate()),
    })
}

fn moved(said: &Value, wanted: &Value) -> bool {
    ["authorities", "issuer"].iter().all(|field| said[field] == wanted[field])
}
