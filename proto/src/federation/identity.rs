//! Joining: what an agent asks for, and the identity it gets.

use std::fmt;

use bytes::Bytes;
use muster_model::{ClusterSpec, DurationMs, MemberName};

use super::field::{FieldError, convert, nonempty};
use super::pb;

/// How long after its end a member's certificate still proves who asks for a renewal.
pub const RENEWAL_GRACE: DurationMs = DurationMs::from_secs(30 * 24 * 3600);

/// An agent asks to become a member.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The one-time token.
    pub token: String,
    /// The name it is bound to.
    pub name: MemberName,
    /// PKCS#10 request; only its public key counts.
    pub csr_der: Bytes,
    /// The member as it describes itself.
    pub cluster: ClusterSpec,
}

impl fmt::Debug for JoinRequest {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A member's certificate and whom it may trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Certificates in DER, leaf first; at least one.
    pub certificate_chain: Vec<Bytes>,
    /// Every CA in DER that may sign the hub's certificates; at least one.
    pub hub_cas: Vec<Bytes>,
    /// `HOST:PORT` of every replica's agent port.
    pub hub_addresses: Vec<String>,
}

impl From<JoinRequest> for pb::JoinRequest {
    fn from(request: JoinRequest) -> Self {
        Self {
            token: request.token,
            name: request.name.to_string(),
            csr_der: request.csr_der,
            cluster: Some((&request.cluster).into()),
        }
    }
}

impl TryFrom<pb::JoinRequest> for JoinRequest {
    type Error = FieldError;

    fn try_from(request: pb::JoinRequest) -> Result<Self, FieldError> {
        Ok(Self {
            token: nonempty(request.token, "token")?,
            name: MemberName::new(nonempty(request.name, "name")?),
            csr_der: request.csr_der,
            cluster: convert(request.cluster, "cluster")?,
        })
    }
}

impl From<Identity> for pb::Identity {
    fn from(identity: Identity) -> Self {
        Self {
            certificate_chain_der: identity.certificate_chain,
            hub_ca_der: identity.hub_cas,
            hub_addresses: identity.hub_addresses,
        }
    }
}

impl TryFrom<pb::Identity> for Identity {
    type Error = FieldError;

    fn try_from(identity: pb::Identity) -> Result<Self, FieldError> {
        let empty = |field| Err(FieldError::new(field, "must not be empty"));
        if identity.certificate_chain_der.is_empty() {
            return empty("certificate_chain_der");
        }
        if identity.hub_ca_der.is_empty() {
            return empty("hub_ca_der");
        }
        Ok(Self {
            certificate_chain: identity.certificate_chain_der,
            hub_cas: identity.hub_ca_der,
            hub_addresses: identity.hub_addresses,
        })
    }
}

impl From<Identity> for pb::JoinResponse {
    fn from(identity: Identity) -> Self {
        Self { identity: Some(identity.into()) }
    }
}

impl TryFrom<pb::JoinResponse> for Identity {
    type Error = FieldError;

    fn try_from(response: pb::JoinResponse) -> Result<Self, FieldError> {
        convert(response.identity, "identity")
    }
}

impl From<Identity> for pb::RenewResponse {
    fn from(identity: Identity) -> Self {
        Self { identity: Some(identity.into()) }
    }
}

impl TryFrom<pb::RenewResponse> for Identity {
    type Error = FieldError;

    fn try_from(response: pb::RenewResponse) -> Result<Self, FieldError> {
        convert(response.identity, "identity")
    }
}
