//! Makes a stopped federation look as if weeks had passed: every certificate on its disks has expired.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use muster_controller::Peer;
use muster_controller::pki::Authority;
use muster_model::{DurationMs, MemberName, TimeMs};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::security::authorities;

const WEEK_MS: u64 = 7 * 24 * 3_600_000;

/// Members' certificates ended a second after they were issued, one's for longer than a renewal takes it, and the
/// administrator's a year ago. Replicas keep none.
pub fn weeks_pass(dir: &Path) {
    let authority = authorities(dir).issuing().expect("an authority");
    let now = muster_controller::now();
    let ago = |weeks: u64| TimeMs(now.0 / 1000 * 1000 - weeks * WEEK_MS);
    for (i, member) in members(dir).iter().enumerate() {
        age_member(member, &authority, (i == 0).then(|| ago(6)));
    }
    let admin = authority.issue_user("muster-admin", &["system:masters"], ago(104)).expect("issued");
    std::fs::write(dir.join("pki/admin.crt"), admin.certificate).expect("written");
    std::fs::write(dir.join("pki/admin.key"), admin.key).expect("written");
}

/// Whether all members have certificates that are good now, and trust the hub's authority and no other.
pub fn all_are_renewed(dir: &Path) -> Option<()> {
    let authority = authorities(dir).issuing().expect("an authority");
    let der: String = authority.certificate().lines().filter(|line| !line.starts_with('-')).collect();
    let is_renewed = |folder: &Path| {
        let identity: Value =
            serde_json::from_slice(&std::fs::read(folder.join("identity.json")).ok()?).ok()?;
        let leaf = BASE64_STANDARD.decode(identity["certificateChain"][0].as_str()?).ok()?;
        let Ok(Peer::Member(own)) = Peer::of(&leaf) else { return None };
        (own.not_after > muster_controller::now() && identity["hubCas"] == json!([der])).then_some(())
    };
    members(dir).iter().try_for_each(|member| is_renewed(member))
}

fn members(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("members")).expect("members").flatten();
    let folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    assert!(!folders.is_empty());
    folders
}

/// Without a time its certificate was issued when the real one was: what is older than the join is refused.
fn age_member(folder: &Path, authority: &Authority, issued: Option<TimeMs>) {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    let key = KeyPair::from_pem(&read("key.pem")).expect("its key");
    let request = CertificateParams::default().serialize_request(&key).expect("a request");
    let name = folder.file_name().and_then(|name| name.to_str()).expect("a name");
    let mut identity: Value = serde_json::from_str(&read("identity.json")).expect("an identity");
    let leaf =
        BASE64_STANDARD.decode(identity["certificateChain"][0].as_str().expect("text")).expect("base64");
    let Ok(Peer::Member(real)) = Peer::of(&leaf) else { panic!("a member's certificate") };
    let short = (issued.unwrap_or(real.not_before), DurationMs::from_secs(1));
    let signed = authority.sign_member(request.der(), &MemberName::new(name), short).expect("signed");
    identity["certificateChain"] = json!([BASE64_STANDARD.encode(&signed)]);
    std::fs::write(folder.join("identity.json"), identity.to_string()).expect("written");
}
