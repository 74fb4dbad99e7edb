//! Joining the hub, and renewing the certificate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use muster_chaos_inject::Gate;
use muster_model::{ClusterSpec, MemberName, TimeMs};
use muster_proto::federation::{Identity, JoinRequest, pb};
use rustls::ClientConfig;
use tokio::sync::{Notify, mpsc};
use tonic::Code;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::agent::{BadFlag, Event};
use crate::backoff::Backoff;
use crate::dial::dial;
use crate::state_folder::StateFolder;
use crate::tls::{Credentials, pinned};

/// Between two renewals, even if the hub's clock makes every certificate look old.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// Between the first two tries to join, and at most between two.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Where and with what to join.
#[derive(Clone)]
pub struct JoinInfo {
    /// `https://HOST:PORT` of an agent port; several, separated by commas, are tried in turn.
    pub url: String,
    /// The one-time token.
    pub token: String,
    /// `sha256:HEX` of the hub's authority.
    pub ca_pin: String,
    /// How long to go on while no hub answers, or none can decide.
    pub patience: Duration,
}

/// Joins under `name` and stores the identity. A refusal is final: the token is used or wrong. What is not final is tried
/// again at the next address for as long as there is patience.
pub(crate) async fn join(
    folder: &StateFolder,
    info: &JoinInfo,
    name: &MemberName,
    cluster: &ClusterSpec,
) -> anyhow::Result<Identity> {
    let csr_der = request(&folder.key_pem()?, name)?;
    let request = JoinRequest {
        token: info.token.clone(),
        name: name.clone(),
        csr_der: csr_der.into(),
        cluster: cluster.clone(),
    };
    let (started, mut backoff) = (Instant::now(), Backoff::new(folder.id(), FIRST_WAIT, LONGEST_WAIT));
    let addresses =
        info.url.split(',').map(|url| url.strip_prefix("https://").unwrap_or(url).trim_end_matches('/'));
    for address in addresses.cycle() {
        let error = match ask(address, info, &request).await {
            Ok(identity) => {
                folder.store_identity(&identity)?;
                tracing::info!(%name, hub = address, "joined");
                return Ok(identity);
            }
            Err(NotJoined::Final(error)) => return Err(error),
            Err(NotJoined::Retry(error)) => error,
        };
        if started.elapsed() >= info.patience {
            return Err(error);
        }
        tracing::info!(hub = address, error = format!("{error:#}"), "not joined yet, trying again");
        tokio::time::sleep(backoff.next()).await;
    }
    Err(BadFlag("--join: no address is given".to_owned()).into())
}

/// Why a try to join came to nothing.
enum NotJoined {
    /// Another try may do.
    Retry(anyhow::Error),
    /// None will.
    Final(anyhow::Error),
}

async fn ask(address: &str, info: &JoinInfo, request: &JoinRequest) -> Result<Identity, NotJoined> {
    let tls = pinned(&info.ca_pin).map_err(|error| NotJoined::Final(BadFlag(error.to_string()).into()))?;
    let nobody = || format!("--join {}: no hub with the pinned authority answers there", info.url);
    let mut client = dial(address, tls).await.with_context(nobody).map_err(NotJoined::Retry)?;
    let response = client.join(pb::JoinRequest::from(request.clone())).await;
    let response = response.map_err(|status| not_joined(&request.name, &status))?;
    Identity::try_from(response.into_inner()).map_err(|error| NotJoined::Final(error.into()))
}

/// The hub refused a credential, for good: a context in the error of [`crate::run`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("the hub refused to take {name} in: {reason}; get a new line with `muster cluster join {name}`")]
pub struct Refused {
    name: MemberName,
    reason: String,
}

/// What a join that failed means: only some answers are about the token or the name.
fn not_joined(name: &MemberName, status: &tonic::Status) -> NotJoined {
    let reason = status.message();
    match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => {
            NotJoined::Final(Refused { name: name.clone(), reason: reason.to_owned() }.into())
        }
        // Nothing was decided, or nobody knows: a token that was used after all is refused for good.
        Code::Unavailable | Code::Unknown | Code::Aborted | Code::Cancelled => NotJoined::Retry(
            anyhow::anyhow!("the hub could not take {name} in: {reason}; start the agent again"),
        ),
        _ => NotJoined::Final(anyhow::anyhow!("the hub cannot take {name} in: {reason}")),
    }
}

/// A request for a certificate for the member's key, in DER.
fn request(key_pem: &str, name: &MemberName) -> anyhow::Result<Vec<u8>> {
    let key = rcgen::KeyPair::from_pem(key_pem).context("key.pem cannot be read")?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name.as_str());
    Ok(params.serialize_request(&key)?.der().to_vec())
}

/// Keeps the certificate fresh: at half-life, give or take a tenth, and after its end too.
pub(crate) struct Renewal {
    pub(crate) folder: StateFolder,
    pub(crate) name: MemberName,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) addresses: Vec<String>,
    /// Closed while a partition is done to this agent on purpose.
    pub(crate) gate: Gate,
    /// Told when the hub wants it renewed now.
    pub(crate) asked: Arc<Notify>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
}

impl Renewal {
    /// Runs until it is dropped.
    pub(crate) async fn run(self, mut identity: Identity) {
        loop {
            let wait = renew_at(&identity, self.folder.id()).unwrap_or_default().since(wall_clock());
            let asked = tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait.0).max(SHORTEST_WAIT)) => false,
                () = self.asked.notified() => true,
            };
            let mut backoff =
                Backoff::new(self.folder.id(), Duration::from_secs(1), Duration::from_secs(300));
            identity = loop {
                self.gate.clone().opened().await;
                match self.renew().await {
                    Ok(identity) => break identity,
                    Err(error) => {
                        tracing::warn!(error = format!("{error:#}"), "certificate not renewed, trying again")
                    }
                }
                tokio::time::sleep(backoff.next()).await;
            };
            if asked {
                // The agent ends before this task does.
                let _ = self.events.send(Event::Renewed);
            }
        }
    }

    async fn renew(&self) -> anyhow::Result<Identity> {
        let key = self.folder.key_pem()?;
        let csr_der = request(&key, &self.name)?;
        let mut last = None;
        for address in &self.addresses {
            let mut client = match dial(address, self.tls.clone()).await {
                Ok(client) => client,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            match client.renew(pb::RenewRequest { csr_der: csr_der.clone().into() }).await {
                Ok(response) => return self.take(&key, Identity::try_from(response.into_inner())?),
                Err(status) => last = Some(status.into()),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no hub address is known")))
    }

    fn take(&self, key: &str, identity: Identity) -> anyhow::Result<Identity> {
        self.credentials.replace(key, &identity)?;
        self.folder.store_identity(&identity)?;
        tracing::info!("certificate renewed");
        Ok(identity)
    }
}

/// When the certificate is due for renewal: half of its life, moved by up to a tenth of it by folder id and serial number,
/// so that members that joined together do not renew together.
fn renew_at(identity: &Identity, folder_id: u128) -> anyhow::Result<TimeMs> {
    let Some(leaf) = identity.certificate_chain.first() else { bail!("no certificate") };
    let (_, leaf) = X509Certificate::from_der(leaf).context("certificate")?;
    let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0) * 1000;
    let from = ms(leaf.validity().not_before.timestamp());
    let life = ms(leaf.validity().not_after.timestamp()).saturating_sub(from);
    let mix =
        leaf.raw_serial().iter().fold(folder_id as u64, |mix, byte| mix.rotate_left(8) ^ u64::from(*byte));
    let spread = mix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    // 40 % to 60 % of its life.
    Ok(TimeMs(from + life * 2 / 5 + life / 5 * (spread % 1000) / 1000))
}

pub(crate) fn wall_clock() -> TimeMs {
    use crate::shim::clock::{Clock, SystemClock};
    TimeMs(SystemClock.now().real_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_at_half_life_give_or_take_a_tenth() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 1, 3);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let identity =
            Identity { certificate_chain: vec![der.into()], hub_cas: vec![], hub_addresses: vec![] };
        let start = 1_767_225_600_000;
        let mut times: Vec<u64> =
            (0..50u128).map(|id| renew_at(&identity, id << 20).unwrap().0 - start).collect();
        let day = 86_400_000;
        assert!(times.iter().all(|at| (day * 4 / 5..=day * 6 / 5).contains(at)), "{times:?}");
        times.sort_unstable();
        times.dedup();
        assert!(times.len() > 25, "{times:?}");
    }
}
