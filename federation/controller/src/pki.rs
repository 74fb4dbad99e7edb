//! The hub's certificate authority: replicas, members, users. P-256 keys; a member's key never comes here.

use std::net::IpAddr;

use muster_model::{DurationMs, MemberName, TimeMs};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::identity::{member_uri, replica_uri};

/// How long a member's or replica's certificate is good. Renewed at half-life.
pub const CERTIFICATE_LIFETIME: DurationMs = DurationMs::from_secs(48 * 3600);
/// How long a user's certificate is good.
const USER_LIFETIME: DurationMs = DurationMs::from_secs(365 * 24 * 3600);
/// How long the authority is good.
const CA_LIFETIME: DurationMs = DurationMs::from_secs(10 * 365 * 24 * 3600);
/// Certificates are valid from a little before, since clocks differ.
const BACKDATE: DurationMs = DurationMs::from_secs(60);

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A key or certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[source] rcgen::Error),
    /// The authority's PEM files cannot be read.
    #[error("cannot read the certificate authority")]
    Read(#[source] rcgen::Error),
    /// A request for a certificate is not one, or is not signed by its key.
    #[error("the certificate request is refused")]
    Request(#[source] rcgen::Error),
}

/// What a joining agent knows the hub's authority by: `sha256:` and the hexadecimal hash of its certificate in DER.
pub fn ca_pin(certificate: &str) -> String {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes());
    let der = der.map(|der| der.to_vec()).unwrap_or_default();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Whether a certificate (PEM) has half of its life before it and was issued by this authority (PEM).
pub fn is_fresh(certificate: &str, authority: &str, now: TimeMs) -> bool {
    let der = |text: &str| CertificateDer::from_pem_slice(text.as_bytes());
    let (Ok(own), Ok(issuer)) = (der(certificate), der(authority)) else { return false };
    let (Ok((_, own)), Ok((_, issuer))) =
        (X509Certificate::from_der(&own), X509Certificate::from_der(&issuer))
    else {
        return false;
    };
    let seconds = |time: x509_parser::time::ASN1Time| time.timestamp();
    let (from, until) = (seconds(own.validity().not_before), seconds(own.validity().not_after));
    let now = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
    from <= now && now < from + (until - from) / 2 && own.verify_signature(Some(issuer.public_key())).is_ok()
}

/// A certificate and its key, in PEM.
#[derive(Clone, Serialize, Deserialize)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key. Secret.
    pub key: String,
}

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new authority: certificate and key, in PEM.
    pub fn generate(now: TimeMs) -> Result<Issued, PkiError> {
        let key = KeyPair::generate().map_err(PkiError::Make)?;
        let mut params = params(now, CA_LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = name("muster-ca", &[]);
        let certificate = params.self_signed(&key).map_err(PkiError::Make)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The authority of these PEM texts.
    pub fn load(certificate: &str, key: &str) -> Result<Authority, PkiError> {
        let key = KeyPair::from_pem(key).map_err(PkiError::Read)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(PkiError::Read)?;
        Ok(Authority { issuer, certificate: certificate.to_owned() })
    }

    /// Its certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A replica's certificate: server and client, by SPIFFE id, and for kubectl by address.
    pub fn issue_replica(
        &self,
        replica: &str,
        addresses: &[IpAddr],
        now: TimeMs,
    ) -> Result<Issued, PkiError> {
        let mut params = params(now, CERTIFICATE_LIFETIME);
        params.distinguished_name = name(replica, &[]);
        params.subject_alt_names = addresses.iter().map(|address| SanType::IpAddress(*address)).collect();
        for dns in ["localhost", "muster", "kubernetes"] {
            params.subject_alt_names.push(SanType::DnsName(dns.try_into().expect("an ASCII name")));
        }
        params.subject_alt_names.push(uri(&replica_uri(replica))?);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    /// A user's client certificate.
    pub fn issue_user(&self, user: &str, groups: &[&str], now: TimeMs) -> Result<Issued, PkiError> {
        let mut params = params(now, USER_LIFETIME);
        params.distinguished_name = name(user, groups);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    /// A user's certificate for the key that signed this request, in PEM. What the request says of names is not looked at.
    pub fn sign_user(
        &self,
        request: &[u8],
        user: &str,
        groups: &[&str],
        now: TimeMs,
    ) -> Result<String, PkiError> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
            .map_err(PkiError::Request)?;
        let mut params = params(now, USER_LIFETIME);
        params.distinguished_name = name(user, groups);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&request.public_key, &self.issuer).map_err(PkiError::Make)?;
        Ok(certificate.pem())
    }

    /// A member's certificate for the key that signed this request. What the request says of names is not looked at.
    pub fn sign_member(
        &self,
        request: &[u8],
        member: &MemberName,
        (from, lifetime): (TimeMs, DurationMs),
    ) -> Result<CertificateDer<'static>, PkiError> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
            .map_err(PkiError::Request)?;
        let mut params = params_exact(from, lifetime);
        params.distinguished_name = name(member.as_str(), &[]);
        params.subject_alt_names = vec![uri(&member_uri(member.as_str()))?];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&request.public_key, &self.issuer).map_err(PkiError::Make)?;
        Ok(certificate.der().clone())
    }

    fn issue(&self, params: &CertificateParams) -> Result<Issued, PkiError> {
        let key = KeyPair::generate().map_err(PkiError::Make)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(PkiError::Make)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn params(now: TimeMs, lifetime: DurationMs) -> CertificateParams {
    params_exact(TimeMs(now.0.saturating_sub(BACKDATE.0)), DurationMs(lifetime.0 + BACKDATE.0))
}

fn params_exact(from: TimeMs, lifetime: DurationMs) -> CertificateParams {
    let mut params = CertificateParams::default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + std::time::Duration::from_secs(from.0 / 1000);
    params.not_after = epoch + std::time::Duration::from_secs((from.0 + lifetime.0) / 1000);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn name(common: &str, organisations: &[&str]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for organisation in organisations {
        name.push(DnType::OrganizationName, *organisation);
    }
    name.push(DnType::CommonName, common);
    name
}

fn uri(text: &str) -> Result<SanType, PkiError> {
    Ok(SanType::URI(text.try_into().map_err(PkiError::Make)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Peer;

    #[test]
    fn a_member_gets_its_name_by_certificate_and_a_user_never_has_one() {
        let now = TimeMs(1_795_000_000_000);
        let ca = Authority::generate(now).expect("a CA");
        let ca = Authority::load(&ca.certificate, &ca.key).expect("reads its own PEM");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name = name("somebody-else", &["system:masters"]);
        let request = params.serialize_request(&key).expect("a request");
        let member = MemberName::new("onprem-a");
        let certificate =
            ca.sign_member(request.der(), &member, (now, CERTIFICATE_LIFETIME)).expect("signed");
        let Ok(Peer::Member(found)) = Peer::of(&certificate) else { panic!("a member") };
        assert_eq!((found.name, found.not_before), (member, now));
        assert_eq!(found.not_after, now.plus(CERTIFICATE_LIFETIME));
        let user = ca.issue_user("dana", &["system:masters"], now).expect("issued");
        let der = CertificateDer::from_pem_slice(user.certificate.as_bytes()).expect("PEM");
        let expected = Peer::User { name: "dana".to_owned(), groups: vec!["system:masters".to_owned()] };
        assert_eq!(Peer::of(&der), Ok(expected));
    }

    #[test]
    fn a_request_that_its_key_did_not_sign_is_refused() {
        let now = TimeMs(1_795_000_000_000);
        let ca = Authority::generate(now).expect("a CA");
        let ca = Authority::load(&ca.certificate, &ca.key).expect("reads its own PEM");
        let key = KeyPair::generate().expect("a key");
        let request = CertificateParams::default().serialize_request(&key).expect("a request");
        let mut bytes = request.der().to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(ca.sign_member(&bytes, &MemberName::new("a"), (now, CERTIFICATE_LIFETIME)).is_err());
    }
}
