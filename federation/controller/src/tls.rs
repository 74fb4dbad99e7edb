//! TLS of the three ports. Our own binaries speak 1.3 only; the API port takes 1.2 too, for people's clients.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};

use crate::identity::Peer;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text holds no certificate or key.
    #[error("{0}: no certificate or key in PEM")]
    Pem(&'static str),
    /// The parts do not fit each other.
    #[error("certificate, key and authority do not fit")]
    Config(#[source] rustls::Error),
}

/// Certificate, key and authorities of this process, in PEM.
pub struct TlsMaterial {
    /// The certificates of the authorities that are trusted.
    pub trusted: String,
    /// The certificate of the authority that issued this process's own.
    pub issuer: String,
    /// This process's certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// How a server port treats client certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Users may have one.
    Optional,
    /// Members may have none when they join, or an expired one when they renew.
    Members,
    /// Replicas must have one.
    Required,
}

impl TlsMaterial {
    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        for trusted in CertificateDer::pem_slice_iter(self.trusted.as_bytes()) {
            roots.add(trusted.map_err(|_| TlsError::Pem("authorities"))?).map_err(TlsError::Config)?;
        }
        Ok(Arc::new(roots))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let own = CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|_| TlsError::Pem("certificate"))?;
        let issuer = CertificateDer::from_pem_slice(self.issuer.as_bytes());
        Ok(vec![own, issuer.map_err(|_| TlsError::Pem("issuer"))?])
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|_| TlsError::Pem("key"))
    }

    /// The server side of a port.
    pub fn server(&self, auth: ClientAuth) -> Result<ServerConfig, TlsError> {
        let roots = WebPkiClientVerifier::builder(self.roots()?);
        let verifier = match auth {
            ClientAuth::Required => roots.build(),
            ClientAuth::Optional | ClientAuth::Members => roots.allow_unauthenticated().build(),
        };
        let verifier = verifier.map_err(|error| TlsError::Config(Error::General(error.to_string())))?;
        let verifier: Arc<dyn ClientCertVerifier> = match auth {
            ClientAuth::Members => Arc::new(ExpiredMembers(verifier)),
            ClientAuth::Optional | ClientAuth::Required => verifier,
        };
        let builder = match auth {
            ClientAuth::Optional => ServerConfig::builder(),
            _ => ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]),
        };
        let mut config = builder
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain()?, self.key()?)
            .map_err(TlsError::Config)?;
        // A resumed session would show the certificate of the first one, expired or not.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = match auth {
            ClientAuth::Optional => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            _ => vec![b"h2".to_vec()],
        };
        Ok(config)
    }

    /// The client side towards another replica of this name.
    pub fn client_to_replica(&self, replica: &str) -> Result<ClientConfig, TlsError> {
        let inner = rustls::client::WebPkiServerVerifier::builder(self.roots()?)
            .build()
            .map_err(|error| TlsError::Config(Error::General(error.to_string())))?;
        let verifier = Arc::new(OnlyReplica { inner, replica: replica.to_owned() });
        let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(self.chain()?, self.key()?)
            .map_err(TlsError::Config)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// Takes a member's certificate that has expired, if it was good in its last second: it still proves possession, for
/// renewal and nothing else. What it may do is checked per call.
#[derive(Debug)]
struct ExpiredMembers(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for ExpiredMembers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let result = self.0.verify_client_cert(end_entity, intermediates, now);
        let expired = matches!(
            result,
            Err(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. }
            ))
        );
        match Peer::of(end_entity) {
            Ok(Peer::Member(member)) if expired => {
                let last =
                    UnixTime::since_unix_epoch(std::time::Duration::from_millis(member.not_after.0 - 1000));
                self.0.verify_client_cert(end_entity, intermediates, last)
            }
            _ => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }
}

/// Takes only the certificate of one replica, whatever address it was reached at.
#[derive(Debug)]
struct OnlyReplica {
    inner: Arc<rustls::client::WebPkiServerVerifier>,
    replica: String,
}

impl ServerCertVerifier for OnlyReplica {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {}
            Err(error) => return Err(error),
        }
        match Peer::of(end_entity) {
            Ok(Peer::Replica(name)) if name == self.replica => Ok(ServerCertVerified::assertion()),
            _ => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
