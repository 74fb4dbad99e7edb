//! Who is at the other end of a connection, read from its certificate.
//!
//! One SPIFFE URI in the certificate makes it a replica's or a member's, and never a user's; none makes it a user's:
//! common name and organisations, as Kubernetes reads them.

use muster_model::{MemberName, TimeMs};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The trust domain of every SPIFFE id.
const DOMAIN: &str = "spiffe://muster/";

/// Who a certificate says its holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A replica of the hub.
    Replica(String),
    /// A member's agent.
    Member(MemberCertificate),
    /// A person or program that uses the API.
    User {
        /// Common name.
        name: String,
        /// Organisations.
        groups: Vec<String>,
    },
}

/// A member's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberCertificate {
    /// The member.
    pub name: MemberName,
    /// When it was issued.
    pub not_before: TimeMs,
    /// When it expires.
    pub not_after: TimeMs,
    /// The key of the authority that issued it, as certificates name keys (RFC 5280, 4.2.1.1); empty if it does not say.
    pub issuer_key: Vec<u8>,
}

#[cfg(test)]
impl MemberCertificate {
    /// One that is always good.
    pub fn ageless(name: &str) -> MemberCertificate {
        let (not_before, not_after) = (TimeMs(0), TimeMs(u64::MAX));
        MemberCertificate { name: MemberName::new(name), not_before, not_after, issuer_key: Vec::new() }
    }
}

/// A certificate that says nothing we understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not X.509.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// More than one URI, or one of another domain.
    #[error("the certificate's URI is not one SPIFFE id of this federation")]
    ForeignUri,
    /// Neither URI nor common name.
    #[error("the certificate names nobody")]
    Nameless,
}

/// The SPIFFE id of a replica.
pub fn replica_uri(name: &str) -> String {
    format!("{DOMAIN}hub/{name}")
}

/// The SPIFFE id of a member.
pub fn member_uri(name: &str) -> String {
    format!("{DOMAIN}member/{name}")
}

impl Peer {
    /// Reads an end entity certificate, in DER.
    pub fn of(certificate: &[u8]) -> Result<Peer, PeerError> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| PeerError::Unreadable)?;
        let uris = uris(&certificate)?;
        match uris.as_slice() {
            [] => user(&certificate),
            [uri] => by_uri(uri, &certificate),
            _ => Err(PeerError::ForeignUri),
        }
    }
}

fn uris(certificate: &X509Certificate<'_>) -> Result<Vec<String>, PeerError> {
    let names = certificate.subject_alternative_name().map_err(|_| PeerError::Unreadable)?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    };
    Ok(names.iter().filter_map(uri).collect())
}

fn by_uri(uri: &str, certificate: &X509Certificate<'_>) -> Result<Peer, PeerError> {
    let path = uri.strip_prefix(DOMAIN).ok_or(PeerError::ForeignUri)?;
    match path.split_once('/') {
        Some(("hub", name)) if !name.is_empty() => Ok(Peer::Replica(name.to_owned())),
        Some(("member", name)) if !name.is_empty() => {
            let validity = certificate.validity();
            Ok(Peer::Member(MemberCertificate {
                name: MemberName::new(name),
                not_before: seconds(validity.not_before.timestamp()),
                not_after: seconds(validity.not_after.timestamp()),
                issuer_key: issuer_key(certificate),
            }))
        }
        _ => Err(PeerError::ForeignUri),
    }
}

fn issuer_key(certificate: &X509Certificate<'_>) -> Vec<u8> {
    let named = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref(),
        _ => None,
    });
    named.map(|key| key.0.to_vec()).unwrap_or_default()
}

/// The key of an authority (PEM), as the certificates it issues name it.
pub fn authority_key_id(certificate: &str) -> Vec<u8> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap_or_else(|_| Vec::new().into());
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return Vec::new() };
    let named = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0.to_vec()),
        _ => None,
    });
    named.unwrap_or_default()
}

fn seconds(timestamp: i64) -> TimeMs {
    TimeMs(u64::try_from(timestamp).unwrap_or_default() * 1000)
}

fn user(certificate: &X509Certificate<'_>) -> Result<Peer, PeerError> {
    let text =
        |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| attribute.as_str().ok().map(str::to_owned);
    let name = certificate.subject().iter_common_name().find_map(text).ok_or(PeerError::Nameless)?;
    let groups = certificate.subject().iter_organization().filter_map(text).collect();
    Ok(Peer::User { name, groups })
}
