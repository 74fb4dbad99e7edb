//! TLS towards the hub: 1.3 only, the hub known by its authority and its SPIFFE id, never by a DNS name.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use muster_proto::federation::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Every replica of the hub has a certificate with one URI below this.
const HUB_URI: &str = "spiffe://muster/hub/";

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The pin is not one.
    #[error("--ca-pin: must be sha256: and 64 hexadecimal digits, as `muster cluster join` prints it")]
    Pin,
    /// Key, certificate or authority do not fit.
    #[error("the member's key, certificate or authority cannot be used")]
    Material(#[source] Error),
    /// The key's PEM cannot be read.
    #[error("the member's key cannot be read")]
    Key(#[source] rustls_pki_types::pem::Error),
}

/// The certificate shown to the hub and the authorities it is known by. Replaced while connections live.
#[derive(Debug)]
pub(crate) struct Credentials {
    current: RwLock<Arc<Current>>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Current {
    certified: Arc<CertifiedKey>,
    roots: RootCertStore,
}

impl Credentials {
    /// Credentials of this key and identity.
    pub(crate) fn new(key_pem: &str, identity: &Identity) -> Result<Arc<Credentials>, TlsError> {
        let provider = provider();
        let current = RwLock::new(Arc::new(current(&provider, key_pem, identity)?));
        Ok(Arc::new(Credentials { current, provider }))
    }

    /// Replaces the identity: the next handshake uses it.
    pub(crate) fn replace(&self, key_pem: &str, identity: &Identity) -> Result<(), TlsError> {
        let next = Arc::new(current(&self.provider, key_pem, identity)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// How to connect with them.
    pub(crate) fn config(self: &Arc<Self>) -> Result<Arc<ClientConfig>, TlsError> {
        let verifier = HubVerifier { trust: Trust::Known(self.clone()), provider: self.provider.clone() };
        let config = builder(&self.provider, verifier)?.with_client_cert_resolver(self.clone());
        Ok(with_h2(config))
    }

    fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// How to connect without a certificate to a hub whose authority has this hash.
pub(crate) fn pinned(ca_pin: &str) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let pin = parse_pin(ca_pin).ok_or(TlsError::Pin)?;
    let verifier = HubVerifier { trust: Trust::Pinned(pin), provider: provider.clone() };
    Ok(with_h2(builder(&provider, verifier)?.with_no_client_auth()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn builder(
    provider: &Arc<CryptoProvider>,
    verifier: HubVerifier,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Material)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

fn with_h2(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would show the certificate of the first one, renewed or not.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn current(provider: &CryptoProvider, key_pem: &str, identity: &Identity) -> Result<Current, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(TlsError::Key)?;
    let chain = identity.certificate_chain.iter().map(der).collect();
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Material)?;
    let mut roots = RootCertStore::empty();
    for ca in &identity.hub_cas {
        roots.add(der(ca)).map_err(TlsError::Material)?;
    }
    Ok(Current { certified: Arc::new(certified), roots })
}

fn der(bytes: &Bytes) -> CertificateDer<'static> {
    CertificateDer::from(bytes.to_vec())
}

/// Whether this authority, in DER, has this pin.
pub(crate) fn has_pin(ca: &[u8], pin: &str) -> bool {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, ca);
    parse_pin(pin).is_some_and(|pin| hash.as_ref() == pin)
}

fn parse_pin(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:")?;
    let pairs = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[derive(Debug)]
enum Trust {
    /// The authorities of an identity.
    Known(Arc<Credentials>),
    /// The authority that the hub shows, if it has this hash.
    Pinned([u8; 32]),
}

/// Takes a server that has a hub's SPIFFE id under a trusted authority.
#[derive(Debug)]
struct HubVerifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl HubVerifier {
    fn roots(&self, shown: &[CertificateDer<'_>]) -> Result<RootCertStore, Error> {
        let pin = match &self.trust {
            Trust::Known(credentials) => return Ok(credentials.current().roots.clone()),
            Trust::Pinned(pin) => pin,
        };
        let hash = |der: &[u8]| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        let authority = shown.iter().find(|shown| hash(shown).as_ref() == pin);
        let authority = authority.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        Ok(roots)
    }
}

impl ServerCertVerifier for HubVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = self.roots(intermediates)?;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, now, algorithms)?;
        if !is_hub(end_entity) {
            return Err(Error::InvalidCertificate(CertificateError::NotValidForName));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken between our own binaries".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether its only URI is a hub replica's.
fn is_hub(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    let uris: Vec<&str> = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    matches!(uris.as_slice(), [uri] if uri.strip_prefix(HUB_URI).is_some_and(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_sha256_in_hexadecimal() {
        assert_eq!(parse_pin(&format!("sha256:{}", "0a".repeat(32))), Some([10; 32]));
        for text in [
            "",
            "sha256:",
            "sha1:00",
            &format!("sha256:{}", "0a".repeat(31)),
            &format!("sha256:{}x", "0a".repeat(31)),
            &format!("sha256:{}", "é".repeat(32)),
        ] {
            assert_eq!(parse_pin(text), None, "{text}");
        }
    }
}
