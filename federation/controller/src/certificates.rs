//! What this replica shows and whom it trusts: replaced while connections live, so that a rotation or renewal costs none.
//!
//! Its own certificate is made here, at each start and at half-life, and never lies on a disk.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use muster_model::{Revision, TimeMs};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::sync::watch;

use crate::authorities::{AuthorityError, AuthoritySet};
use crate::config::ControllerConfig;
use crate::hub::now;
use crate::pki::{Authority, CERTIFICATE_LIFETIME};
use crate::replica::StartError;
use crate::secrets::Vault;
use crate::tls::{ClientAuth, TlsError, TlsMaterial};

/// Why certificates could not be taken into use.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// The authorities are of no use.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A certificate could not be made.
    #[error(transparent)]
    Pki(#[from] crate::pki::PkiError),
    /// TLS does not take them.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The certificates of a replica. Clones share them.
#[derive(Clone)]
pub struct Certificates {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    addresses: Vec<IpAddr>,
    current: ArcSwap<Current>,
    adopted: watch::Sender<Revision>,
}

/// What is in use.
struct Current {
    set: AuthoritySet,
    authority: Arc<Authority>,
    tls: TlsMaterial,
    issued_at: TimeMs,
    api: Arc<ServerConfig>,
    agents: Arc<ServerConfig>,
    raft: Arc<ServerConfig>,
}

impl Current {
    fn make(
        (name, addresses): (&str, &[IpAddr]),
        set: AuthoritySet,
        now: TimeMs,
    ) -> Result<Current, CertificatesError> {
        let authority = set.issuing()?;
        let own = authority.issue_replica(name, addresses, now)?;
        let tls = TlsMaterial {
            trusted: set.bundle(),
            issuer: authority.certificate().to_owned(),
            certificate: own.certificate,
            key: own.key,
        };
        let server = |auth| Ok::<_, TlsError>(Arc::new(tls.server(auth)?));
        Ok(Current {
            api: server(ClientAuth::Optional)?,
            agents: server(ClientAuth::Members)?,
            raft: server(ClientAuth::Required)?,
            authority: Arc::new(authority),
            set,
            tls,
            issued_at: now,
        })
    }
}

impl Certificates {
    /// Certificates of the replica `name` under these authorities.
    ///
    /// # Errors
    /// If none can be made.
    pub fn new(
        name: &str,
        addresses: Vec<IpAddr>,
        set: AuthoritySet,
        now: TimeMs,
    ) -> Result<Certificates, CertificatesError> {
        let current = Current::make((name, &addresses), set, now)?;
        let inner = Inner {
            name: name.to_owned(),
            addresses,
            current: ArcSwap::from_pointee(current),
            adopted: watch::channel(Revision::default()).0,
        };
        Ok(Certificates { inner: Arc::new(inner) })
    }

    /// Keys and certificates of a replica, as they lie in its folder.
    ///
    /// # Errors
    /// Its key file or its copy of the authorities cannot be used, or no certificate can be made.
    pub fn open(config: &ControllerConfig) -> anyhow::Result<(Vault, Certificates)> {
        let unusable = || StartError::Keys(config.key_file());
        let vault = Vault::open(&config.key_file()).with_context(unusable)?;
        let authorities = AuthoritySet::read(&config.authority_file(), &vault, config.cluster());
        let authorities = authorities.with_context(unusable)?;
        let certificates = Certificates::new(&config.name, addresses(config), authorities, now())?;
        Ok((vault, certificates))
    }

    /// Takes authorities into use, as of this revision of their object.
    ///
    /// # Errors
    /// If they are of no use: what was in use stays.
    pub fn adopt(&self, set: AuthoritySet, at: Revision, now: TimeMs) -> Result<(), CertificatesError> {
        self.replace(set, now)?;
        self.inner.adopted.send_replace(at);
        Ok(())
    }

    /// Makes a new certificate of its own when half of the old one's life is over.
    ///
    /// # Errors
    /// If none can be made.
    pub fn renew_if_due(&self, now: TimeMs) -> Result<bool, CertificatesError> {
        let current = self.inner.current.load();
        let half = current.issued_at.0 + CERTIFICATE_LIFETIME.0 / 2;
        // A clock that went back would otherwise leave it with a certificate that is not valid yet.
        if now.0 < half && now >= current.issued_at {
            return Ok(false);
        }
        self.replace(current.set.clone(), now)?;
        Ok(true)
    }

    fn replace(&self, set: AuthoritySet, now: TimeMs) -> Result<(), CertificatesError> {
        let made = Current::make((&self.inner.name, &self.inner.addresses), set, now)?;
        self.inner.current.store(Arc::new(made));
        Ok(())
    }

    /// Waits until the authorities of this revision, or newer ones, are in use here.
    pub async fn until(&self, revision: Revision) {
        // The sender lives as long as `self`.
        let _ = self.inner.adopted.subscribe().wait_for(|adopted| *adopted >= revision).await;
    }

    /// How a port meets its clients, from the next handshake on.
    pub fn server(&self, auth: ClientAuth) -> Arc<ServerConfig> {
        let current = self.inner.current.load();
        Arc::clone(match auth {
            ClientAuth::Optional => &current.api,
            ClientAuth::Members => &current.agents,
            ClientAuth::Required => &current.raft,
        })
    }

    /// How another replica is dialled.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn client_to_replica(&self, replica: &str) -> Result<ClientConfig, TlsError> {
        self.inner.current.load().tls.client_to_replica(replica)
    }

    /// The authority that issues.
    pub fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.inner.current.load().authority)
    }

    /// All authorities.
    pub fn set(&self) -> AuthoritySet {
        self.inner.current.load().set.clone()
    }

    /// The certificates of all that are trusted.
    pub fn trusted(&self) -> Vec<CertificateDer<'static>> {
        let bundle = self.set().bundle();
        CertificateDer::pem_slice_iter(bundle.as_bytes()).filter_map(Result::ok).collect()
    }
}

/// The addresses that a replica's certificate names: where it is told to listen, and this machine.
pub fn addresses(config: &ControllerConfig) -> Vec<IpAddr> {
    let own = config.own().map(|own| vec![own.api.ip(), own.agents.ip(), own.raft.ip()]).unwrap_or_default();
    let mut all: Vec<IpAddr> = own.into_iter().filter(|address| !address.is_unspecified()).collect();
    all.push(std::net::Ipv4Addr::LOCALHOST.into());
    all.sort_unstable();
    all.dedup();
    all
}
