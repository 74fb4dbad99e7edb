//! Certificates of every kind, made with the hub's own authority and with another one.

use std::path::Path;

use muster_controller::authorities::AuthoritySet;
use muster_controller::pki::{Authority, CERTIFICATE_LIFETIME, Issued};
use muster_controller::secrets::Vault;
use muster_e2e::local::Federation;
use muster_model::{MemberName, TimeMs};
use rcgen::{CertificateParams, KeyPair};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What a client shows.
#[derive(Clone)]
pub struct Identity {
    /// What it is, for messages.
    pub what: &'static str,
    /// Certificate and key in PEM; none means that it shows nothing.
    pub issued: Option<Issued>,
}

/// Makes certificates.
pub struct Maker(Authority);

impl Maker {
    /// With the authority of a federation.
    pub fn of(federation: &Federation) -> Maker {
        Maker(authorities(&federation.dir).issuing().expect("an authority"))
    }

    /// With an authority that nobody trusts.
    pub fn foreign() -> Maker {
        let issued = Authority::generate(now()).expect("an authority");
        Maker(Authority::load(&issued.certificate, &issued.key).expect("PEM"))
    }

    /// The authority's certificate, in PEM.
    pub fn ca(&self) -> &str {
        self.0.certificate()
    }

    pub fn user(&self, what: &'static str, name: &str, groups: &[&str]) -> Identity {
        Identity { what, issued: Some(self.0.issue_user(name, groups, now()).expect("issued")) }
    }

    pub fn replica(&self, what: &'static str, name: &str) -> Identity {
        let addresses = ["127.0.0.1".parse().expect("an address")];
        Identity { what, issued: Some(self.0.issue_replica(name, &addresses, now()).expect("issued")) }
    }

    /// A member's certificate that was issued so many hours ago; it is good for 48.
    pub fn member(&self, what: &'static str, name: &str, hours_ago: u64) -> Identity {
        let (key, request) = key_and_request();
        let from = TimeMs(now().0 / 1000 * 1000 - hours_ago * HOUR_MS);
        let signed = self
            .0
            .sign_member(&request, &MemberName::new(name), (from, CERTIFICATE_LIFETIME))
            .expect("signed");
        Identity { what, issued: Some(Issued { certificate: pem(&signed), key }) }
    }

    /// The same, expired for longer than a renewal takes it.
    pub fn long_expired_member(&self, what: &'static str, name: &str) -> Identity {
        self.member(what, name, (31 * DAY_MS) / HOUR_MS + 48)
    }
}

/// The authorities of the federation in this folder, opened with its key.
pub fn authorities(dir: &Path) -> AuthoritySet {
    let vault = Vault::open(&dir.join("keys/secrets.key")).expect("its key");
    let cluster_id = std::fs::read_to_string(dir.join("cluster-id")).expect("its id");
    let cluster_id = u128::from_str_radix(cluster_id.trim(), 16).expect("a number");
    let copy = dir.join("controllers/controller-1/authority.sealed");
    AuthoritySet::read(&copy, &vault, cluster_id).expect("its authorities")
}

/// Nothing.
pub fn nobody() -> Identity {
    Identity { what: "no certificate", issued: None }
}

/// A new key in PEM, and a request for a certificate signed by it, in DER.
pub fn key_and_request() -> (String, Vec<u8>) {
    let key = KeyPair::generate().expect("a key");
    let request = CertificateParams::default().serialize_request(&key).expect("a request");
    (key.serialize_pem(), request.der().to_vec())
}

/// A certificate in PEM.
pub fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::prelude::BASE64_STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn now() -> TimeMs {
    muster_controller::now()
}
