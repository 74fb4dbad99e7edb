//! Keeps keys and certificates of this replica up to date.
//!
//! ```text
//!  authorities.muster.sh/hub changed --> Vault --> Certificates, sealed copy in the replica's folder
//!  key file changed                  --> Vault
//!  half of the certificate's life    --> Certificates
//!  this replica leads                --> founds the object; seals anew; drives a rotation
//! ```

use std::path::PathBuf;
use std::time::Duration;

use muster_core::State;
use muster_model::{Answer, Command, Kind, PutMode, Rejection, Revision, kinds};
use tokio_util::sync::CancellationToken;

use crate::authorities::{AuthorityError, AuthoritySet, authority_key, authority_uid, write_sealed};
use crate::certificates::{Certificates, CertificatesError};
use crate::hub::{Hub, now};
use crate::rotation::Rotation;
use crate::secrets::{Vault, hub_principal, put, reseal};
use crate::terraform::StateStore;

/// Between two looks at the clock, the key file, and what is sealed.
const LOOK: Duration = Duration::from_secs(1);

/// What it keeps.
pub struct Keeper {
    /// The hub.
    pub hub: Hub,
    /// Keys.
    pub vault: Vault,
    /// Terraform's states.
    pub states: StateStore,
    /// Certificates.
    pub certificates: Certificates,
    /// How one authority takes over from another.
    pub rotation: Rotation,
    /// Where the sealed copy of the authorities lies.
    pub copy: PathBuf,
    /// The federation.
    pub cluster_id: u128,
}

/// Why authorities of the hub are not in use here.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
}

impl Keeper {
    /// Runs until it is cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        let mut moved = self.hub.moved(&Kind::new(kinds::AUTHORITY));
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut adopted = Revision::default();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = moved.changed() => if changed.is_err() {
                    moved = self.hub.moved(&Kind::new(kinds::AUTHORITY));
                },
                _ = ticks.tick() => self.look().await,
            }
            adopted = self.adopt(adopted).unwrap_or_else(|error| {
                tracing::error!(%error, "the hub's authorities are not in use here");
                adopted
            });
        }
    }

    async fn look(&self) {
        self.vault.follow_file();
        match self.certificates.renew_if_due(now()) {
            Ok(true) => tracing::info!("own certificate renewed"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "own certificate not renewed"),
        }
        if self.hub.leads().is_none() {
            return;
        }
        let state = self.hub.stale();
        if state.get(&authority_key()).is_none() {
            self.found(&state).await;
        }
        if let Err(error) = reseal(&self.hub, &self.vault).await {
            tracing::warn!(%error, "not everything is sealed anew; trying again");
        }
        if let Err(error) = self.states.reseal().await {
            tracing::warn!(%error, "not every Terraform state is sealed anew; trying again");
        }
        if let Err(error) = self.rotation.drive().await {
            tracing::warn!(%error, "rotation of the authority: no step made; trying again");
        }
    }

    /// Takes the hub's authorities into use if they changed since this revision; gives the one they are of.
    fn adopt(&self, adopted: Revision) -> Result<Revision, KeepError> {
        let state = self.hub.stale();
        let Some(object) = state.get(&authority_key()).filter(|object| object.meta.revision > adopted) else {
            return Ok(adopted);
        };
        let set = AuthoritySet::unseal(&self.vault, &object.document, self.cluster_id)?;
        if set.since() < self.certificates.set().since() {
            // This replica's log is behind the copy that it was started with, by which it catches up.
            return Ok(adopted);
        }
        // The copy first: a replica that shows a certificate must be able to show it after a restart too.
        write_sealed(&self.copy, &object.document)?;
        let (phase, revision) = (set.phase, object.meta.revision);
        self.certificates.adopt(set, revision, now())?;
        tracing::info!(?phase, revision = revision.0, "the hub's authorities are in use");
        Ok(revision)
    }

    /// The first leader of a hub puts the authorities it was started with into the log.
    async fn found(&self, state: &State) {
        let sealed = self.certificates.set().seal(&self.vault, self.vault.current(state), self.cluster_id);
        let document = match sealed {
            Ok(document) => document,
            Err(error) => return tracing::error!(%error, "the authorities are not in the log"),
        };
        let mode = PutMode::Create { uid: authority_uid(self.cluster_id) };
        let command = Command::Put(Box::new(put(authority_key(), mode, document, hub_principal())));
        match self.hub.propose(command).await {
            Ok(Answer::Rejected(Rejection::AlreadyExists(_)) | Answer::Stored(_)) => {}
            other => tracing::warn!(?other, "the authorities are not in the log yet; trying again"),
        }
    }
}
