//! The certificate authorities that a hub trusts, the one that issues, and how one takes over from another.
//!
//! ```text
//!  Stable [A] --rotate--> Distributing [A, B], A issues --everybody trusts B--> Issuing [A, B], B issues
//!      ^                                                                            |
//!      +---------------------------- everybody has a certificate of B --------------+
//! ```
//!
//! Certificates and keys together are one document, `authorities.muster.sh/hub`: sealed, replicated, in snapshots. A copy of
//! the sealed document lies in each replica's folder, so that it can start before it has heard from the others.

use std::path::Path;

use muster_model::{Document, Key, TimeMs, Uid, kinds, mutant};
use serde::{Deserialize, Serialize};

use crate::pki::{Authority, Issued, PkiError, ca_pin};
use crate::secrets::{KeyId, SealError, Vault, write_private};

/// Where a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// One authority.
    Stable,
    /// A new one is trusted by more and more.
    Distributing,
    /// The new one issues; the old one is still trusted.
    Issuing,
}

/// The authorities of a hub.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthoritySet {
    /// Certificates and keys; during a rotation the old one first.
    authorities: Vec<Issued>,
    /// Where a rotation stands.
    pub phase: Phase,
    /// Since when, in milliseconds of Unix time: of two copies the newer one counts.
    since_ms: u64,
}

/// Why authorities could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The sealed copy cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What was sealed is no set of authorities.
    #[error("the hub's authorities cannot be read: they were sealed by another version")]
    Content,
    /// A certificate or key is not one.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// There is a rotation already, or none to finish.
    #[error("{0}")]
    Phase(&'static str),
}

/// The name of the object.
pub fn authority_key() -> Key {
    Key::new(kinds::AUTHORITY, "", "hub")
}

/// Its uid: the federation's own id, so that a copy is bound to its federation.
pub fn authority_uid(cluster_id: u128) -> Uid {
    Uid(cluster_id)
}

impl AuthoritySet {
    /// One new authority.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn generate(now: TimeMs) -> Result<AuthoritySet, PkiError> {
        Ok(AuthoritySet::of(Authority::generate(now)?, now))
    }

    /// An authority that was made before.
    pub fn of(authority: Issued, now: TimeMs) -> AuthoritySet {
        AuthoritySet { authorities: vec![authority], phase: Phase::Stable, since_ms: now.0 }
    }

    /// The one that issues.
    ///
    /// # Errors
    /// If it is not a certificate and its key.
    pub fn issuing(&self) -> Result<Authority, AuthorityError> {
        let issuing = match self.phase {
            Phase::Distributing if mutant!(new_authority_issues_at_once) => self.authorities.last(),
            Phase::Stable | Phase::Distributing => self.authorities.first(),
            Phase::Issuing => self.authorities.last(),
        };
        let issuing = issuing.ok_or(AuthorityError::Content)?;
        Ok(Authority::load(&issuing.certificate, &issuing.key)?)
    }

    /// The certificates of all that are trusted, in PEM.
    pub fn bundle(&self) -> String {
        self.authorities.iter().map(|authority| authority.certificate.as_str()).collect()
    }

    /// Since when it stands so.
    pub fn since(&self) -> TimeMs {
        TimeMs(self.since_ms)
    }

    /// What each is known by.
    pub fn pins(&self) -> Vec<String> {
        self.authorities.iter().map(|authority| ca_pin(&authority.certificate)).collect()
    }

    /// The first step of a rotation: a new authority is trusted.
    ///
    /// # Errors
    /// During a rotation.
    pub fn begin(&self, now: TimeMs) -> Result<AuthoritySet, AuthorityError> {
        if self.phase != Phase::Stable {
            return Err(AuthorityError::Phase("the authority is being rotated already"));
        }
        let mut authorities = self.authorities.clone();
        authorities.push(Authority::generate(now)?);
        Ok(AuthoritySet { authorities, phase: Phase::Distributing, since_ms: now.0.max(self.since_ms) })
    }

    /// The next step of a rotation; `None` if there is none.
    pub fn advance(&self, now: TimeMs) -> Option<AuthoritySet> {
        let (phase, authorities) = match self.phase {
            Phase::Stable => return None,
            Phase::Distributing if !mutant!(old_authority_dropped_early) => {
                (Phase::Issuing, self.authorities.clone())
            }
            Phase::Distributing | Phase::Issuing => {
                (Phase::Stable, self.authorities[self.authorities.len() - 1..].to_vec())
            }
        };
        Some(AuthoritySet { authorities, phase, since_ms: now.0.max(self.since_ms) })
    }

    /// The sealed document of the object.
    ///
    /// # Errors
    /// Without the key.
    pub fn seal(&self, vault: &Vault, with: KeyId, cluster_id: u128) -> Result<Document, SealError> {
        let text = serde_json::to_string(self).expect("plain data is JSON");
        let plain = Document { metadata: "".into(), body: text.into() };
        vault.seal(with, &authority_key(), authority_uid(cluster_id), &plain)
    }

    /// The set in a sealed document.
    ///
    /// # Errors
    /// Without the key, or if it is not this federation's.
    pub fn unseal(
        vault: &Vault,
        sealed: &Document,
        cluster_id: u128,
    ) -> Result<AuthoritySet, AuthorityError> {
        let plain = vault.open_document(&authority_key(), authority_uid(cluster_id), sealed)?;
        let set: AuthoritySet = serde_json::from_str(&plain.body).map_err(|_| AuthorityError::Content)?;
        if set.authorities.is_empty() { Err(AuthorityError::Content) } else { Ok(set) }
    }

    /// The set whose sealed copy lies in a file.
    ///
    /// # Errors
    /// As [`AuthoritySet::unseal`], and if the file cannot be read.
    pub fn read(path: &Path, vault: &Vault, cluster_id: u128) -> Result<AuthoritySet, AuthorityError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| AuthorityError::File { path: path.display().to_string(), source })?;
        let sealed = Document { metadata: "".into(), body: text.trim().into() };
        AuthoritySet::unseal(vault, &sealed, cluster_id)
    }
}

/// Leaves a sealed copy in a file.
///
/// # Errors
/// If it cannot be written.
pub fn write_sealed(path: &Path, sealed: &Document) -> Result<(), AuthorityError> {
    write_private(path, format!("{}\n", sealed.body).as_bytes())
        .map_err(|source| AuthorityError::File { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::add_key;

    const NOW: TimeMs = TimeMs(1_795_000_000_000);

    #[test]
    fn a_rotation_never_trusts_less_than_it_issues() {
        let first = AuthoritySet::generate(NOW).unwrap();
        assert!(first.advance(NOW).is_none());
        let both = first.begin(NOW).unwrap();
        assert!(both.begin(NOW).is_err());
        let pin = |set: &AuthoritySet| ca_pin(set.issuing().unwrap().certificate());
        assert_eq!(pin(&both), pin(&first), "nobody may trust the new one yet");
        assert_eq!(both.pins().len(), 2);
        let issuing = both.advance(NOW).unwrap();
        assert_ne!(pin(&issuing), pin(&first));
        assert_eq!(issuing.pins(), both.pins(), "the old one is still trusted");
        let last = issuing.advance(NOW).unwrap();
        assert_eq!((last.pins(), last.phase), (vec![pin(&issuing)], Phase::Stable));
    }

    #[test]
    fn a_copy_is_its_federations_own_and_shows_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("k");
        add_key(&key).unwrap();
        let vault = Vault::open(&key).unwrap();
        let set = AuthoritySet::generate(NOW).unwrap();
        let path = folder.path().join("authority.sealed");
        write_sealed(&path, &set.seal(&vault, vault.first(), 7).unwrap()).unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("PRIVATE"));
        assert_eq!(AuthoritySet::read(&path, &vault, 7).unwrap().pins(), set.pins());
        assert!(AuthoritySet::read(&path, &vault, 8).is_err());
    }

    /// Run alone, since a bug is switched on for the whole process: `cargo xtask mutants`.
    #[cfg(mutants)]
    #[test]
    fn mutants_are_caught_by_the_rules_above() {
        muster_model::mutants::assert_each_is_caught(&[
            ("new_authority_issues_at_once", a_rotation_never_trusts_less_than_it_issues),
            ("old_authority_dropped_early", a_rotation_never_trusts_less_than_it_issues),
        ]);
    }
}
