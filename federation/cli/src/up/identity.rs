//! What a federation is known by and what it keeps secret: sealing keys, certificate authorities, and the administrator's
//! certificate. Whatever has expired since the last start is made anew: nobody has to be there.
//!
//! ```text
//!  DIR/keys/secrets.key                       made once; everything else is worth nothing without it
//!  DIR/controllers/NAME/authority.sealed      authorities and their keys, sealed with it; kept by each replica
//!  DIR/pki/ca.crt, admin.crt, admin.key       whom the hub is trusted by, and the administrator
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use muster_controller::authorities::{AuthoritySet, write_sealed};
use muster_controller::pki::{Authority, Issued, ca_pin, is_fresh};
use muster_controller::secrets::{Vault, add_key};
use muster_model::TimeMs;
use parking_lot::Mutex;

use super::layout::private_dir;
use super::state_file::write_by_rename;
use crate::exit::Failure;

const COPY: &str = "authority.sealed";

/// Keys and certificates of a federation.
pub struct Identity {
    /// The sealing keys.
    pub key_file: PathBuf,
    source: Source,
    shown: Mutex<Arc<Shown>>,
}

/// What clients see.
pub struct Shown {
    /// The certificates of all authorities that are trusted, in PEM.
    pub trusted: String,
    /// What the issuing one is known by.
    pub ca_pin: String,
    /// The administrator's certificate.
    pub admin: Issued,
}

impl Identity {
    /// Makes what is missing or has expired. `replicas` are the folders of the replicas.
    pub fn prepare(
        dir: &Path,
        key_file: Option<PathBuf>,
        replicas: Vec<PathBuf>,
        cluster_id: &str,
    ) -> anyhow::Result<Identity> {
        let now = muster_controller::now();
        // Replicas have folders of their own.
        let key_file = key_file.map(std::path::absolute).transpose()?;
        let pki = dir.join("pki");
        private_dir(&pki)?;
        let cluster_id = u128::from_str_radix(cluster_id, 16)
            .map_err(|_| Failure::state(format!("{}: not a number", dir.join("cluster-id").display())))?;
        let copies = all_replicas(dir);
        let vault = vault(dir, key_file.as_deref(), !copies.is_empty())?;
        let key_file = key_file.unwrap_or_else(|| own_key_file(dir));
        let set = match newest(&copies, &vault, cluster_id)? {
            Some(set) => set,
            None => founding(&pki, now)?,
        };
        for folder in replicas {
            private_dir(&folder)?;
            let copy = folder.join(COPY);
            // One that was left behind by a rotation could not speak to the others.
            let is_newest = copy.exists()
                && AuthoritySet::read(&copy, &vault, cluster_id).is_ok_and(|own| own.since() >= set.since());
            if !is_newest {
                write_sealed(&copy, &set.seal(&vault, vault.first(), cluster_id)?)?;
            }
        }
        // Every replica has a sealed copy: the key that earlier versions left here in the open has no more use.
        let _ = fs::remove_file(pki.join("ca.key"));
        let source = Source { pki, copies: all_replicas(dir), vault, cluster_id };
        let shown = source.shown(&set, now)?;
        Ok(Identity { key_file, source, shown: Mutex::new(Arc::new(shown)) })
    }

    /// What is shown now.
    pub fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.lock())
    }

    /// Looks whether the hub's authorities changed, or half of the administrator's certificate's life is over. Says whether
    /// there is something new to show.
    pub fn follow(&self) -> anyhow::Result<bool> {
        self.source.vault.follow_file();
        let Some(set) = newest(&self.source.copies, &self.source.vault, self.source.cluster_id)? else {
            return Ok(false);
        };
        let (next, before) = (self.source.shown(&set, muster_controller::now())?, self.shown());
        let changed = next.trusted != before.trusted || next.admin.certificate != before.admin.certificate;
        *self.shown.lock() = Arc::new(next);
        Ok(changed)
    }
}

/// Where it comes from.
struct Source {
    pki: PathBuf,
    copies: Vec<PathBuf>,
    vault: Vault,
    cluster_id: u128,
}

impl Source {
    fn shown(&self, set: &AuthoritySet, now: TimeMs) -> anyhow::Result<Shown> {
        let authority = set.issuing()?;
        let trusted = set.bundle();
        let file = self.pki.join("ca.crt");
        if fs::read_to_string(&file).ok().as_ref() != Some(&trusted) {
            write_by_rename(&file, trusted.as_bytes(), 0o600)?;
        }
        let admin = admin(&self.pki, &authority, now)?;
        Ok(Shown { ca_pin: ca_pin(authority.certificate()), trusted, admin })
    }
}

/// The copies of all replicas that there ever were in this folder.
fn all_replicas(dir: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(dir.join("controllers")).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join(COPY)).filter(|copy| copy.exists()).collect()
}

fn own_key_file(dir: &Path) -> PathBuf {
    dir.join("keys/secrets.key")
}

/// The sealing keys. They are made for a new federation only: an old one that lost them is not made to forget.
fn vault(dir: &Path, given: Option<&Path>, is_old: bool) -> anyhow::Result<Vault> {
    let own = own_key_file(dir);
    if given.is_none() && !is_old && !own.exists() {
        add_key(&own).map_err(|error| Failure::state(error.to_string()))?;
    }
    let opened = Vault::open(given.unwrap_or(&own));
    Ok(opened.map_err(|error| Failure::state(error.to_string()))?)
}

/// The newest of the replicas' authorities; `None` in a new federation.
fn newest(copies: &[PathBuf], vault: &Vault, cluster_id: u128) -> anyhow::Result<Option<AuthoritySet>> {
    let mut sets = Vec::new();
    for copy in copies {
        let set = AuthoritySet::read(copy, vault, cluster_id);
        sets.push(set.map_err(|error| Failure::state(format!("{}: {error}", copy.display())))?);
    }
    Ok(sets.into_iter().max_by_key(AuthoritySet::since))
}

/// The authority of a new federation, or the one that an earlier version left in the open.
fn founding(pki: &Path, now: TimeMs) -> anyhow::Result<AuthoritySet> {
    let (certificate, key) = (pki.join("ca.crt"), pki.join("ca.key"));
    if !key.exists() {
        return Ok(AuthoritySet::generate(now)?);
    }
    let read = |path: &Path| fs::read_to_string(path).with_context(|| path.display().to_string());
    Ok(AuthoritySet::of(Issued { certificate: read(&certificate)?, key: read(&key)? }, now))
}

/// The administrator's certificate: the one that is there if half of its life is left and the authority still issues.
fn admin(pki: &Path, authority: &Authority, now: TimeMs) -> anyhow::Result<Issued> {
    let (certificate, key) = (pki.join("admin.crt"), pki.join("admin.key"));
    let there = fs::read_to_string(&certificate).and_then(|text| Ok((text, fs::read_to_string(&key)?)));
    if let Ok((certificate, key)) = there
        && is_fresh(&certificate, authority.certificate(), now)
    {
        return Ok(Issued { certificate, key });
    }
    let issued = authority.issue_user("muster-admin", &["system:masters"], now)?;
    // The key first: a certificate without its key is never left.
    write_by_rename(&key, issued.key.as_bytes(), 0o600)?;
    write_by_rename(&certificate, issued.certificate.as_bytes(), 0o600)?;
    Ok(issued)
}
