//! The identity that an agent starts with: the one in its folder while it is of use, else a new one by joining.

use std::path::Path;
use std::time::Duration;

use muster_model::{ClusterSpec, MemberName, TimeMs};
use muster_proto::federation::{Identity, RENEWAL_GRACE};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::agent::BadFlag;
use crate::join::{JoinInfo, join, wall_clock};
use crate::state_folder::StateFolder;
use crate::tls::has_pin;

/// What a stored identity is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The hub takes it, or renews it.
    Good,
    /// It ended too long ago for a renewal.
    Ended,
    /// The hub that is to be joined has an authority that it does not know.
    OtherAuthority,
}

/// Whether the member whose state lies in this folder has to join the hub of this authority: it never did, or what it has
/// is of no use any more.
pub fn needs_join(folder: &Path, ca_pin: &str) -> bool {
    let own = StateFolder::read_only(folder).ok().and_then(|folder| folder.identity().ok().flatten());
    own.is_none_or(|own| standing(&own, ca_pin, wall_clock()) != Standing::Good)
}

/// The identity in the folder, or a new one.
pub(crate) async fn identity(
    folder: &StateFolder,
    info: Option<&JoinInfo>,
    member: &MemberName,
    spec: &ClusterSpec,
) -> anyhow::Result<Identity> {
    let own = folder.identity()?;
    let (own, info) = match (own, info) {
        (Some(own), Some(info)) => (own, info),
        (Some(own), None) => return Ok(own),
        (None, Some(info)) => return join(folder, info, member, spec).await,
        (None, None) => {
            let folder = folder.path().display();
            let help = format!("run the line that `muster cluster join {member}` prints");
            return Err(BadFlag(format!("--join: {folder} holds no identity yet: {help}")).into());
        }
    };
    match standing(&own, &info.ca_pin, wall_clock()) {
        Standing::Good => Ok(own),
        Standing::Ended => join(folder, info, member, spec).await,
        Standing::OtherAuthority => {
            // Either this member was left behind when the authority was replaced, or the line is older than that.
            let once = JoinInfo { patience: Duration::ZERO, ..info.clone() };
            join(folder, &once, member, spec).await.or_else(|error| {
                tracing::warn!(error = format!("{error:#}"), "not joined anew; going on with what is there");
                Ok(own)
            })
        }
    }
}

fn standing(own: &Identity, ca_pin: &str, now: TimeMs) -> Standing {
    let ended = ends(own).is_none_or(|ends| now > ends.plus(RENEWAL_GRACE));
    if ended {
        Standing::Ended
    } else if own.hub_cas.iter().any(|ca| has_pin(ca, ca_pin)) {
        Standing::Good
    } else {
        Standing::OtherAuthority
    }
}

/// When the certificate ends.
fn ends(own: &Identity) -> Option<TimeMs> {
    let (_, leaf) = X509Certificate::from_der(own.certificate_chain.first()?).ok()?;
    Some(TimeMs(u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_long_ago_or_knows_another_authority_joins_anew() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 1, 3);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let own = Identity {
            certificate_chain: vec![der.clone().into()],
            hub_cas: vec![der.into()],
            hub_addresses: vec![],
        };
        let ends = TimeMs(1_767_398_400_000);
        let last = ends.plus(RENEWAL_GRACE);
        let (pin, other) = (format!("sha256:{hex}"), format!("sha256:{}", "0".repeat(64)));
        assert_eq!(standing(&own, &pin, last), Standing::Good, "it ended, and is renewed");
        assert_eq!(standing(&own, &pin, TimeMs(last.0 + 1)), Standing::Ended);
        assert_eq!(standing(&own, &other, ends), Standing::OtherAuthority);
    }
}
