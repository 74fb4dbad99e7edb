//! One-time tokens, and the pin by which an agent knows the hub.

use std::process::Command;

use http::{Method, StatusCode};
use muster_e2e::local::{Federation, muster_exe, until};
use muster_proto::federation::Identity as Joined;
use muster_proto::federation::pb::federation_client::FederationClient;
use muster_proto::federation::pb::{ClusterSpec, JoinRequest, Location};
use serde_json::{Value, json};
use tonic::Code;

use super::certificates::{Identity, Maker, key_and_request, nobody, pem};
use super::connect::{Port, address, channel};
use super::tokens::is_stored_nowhere;

/// A token for a member of this name: what `muster cluster join` prints, in parts.
pub async fn join_token(federation: &Federation, name: &str, ttl_s: u64) -> Value {
    let body = json!({"name": name, "ttlSeconds": ttl_s});
    let reply = federation
        .api()
        .request(Method::POST, "/muster/v1/jointokens", Some(&body))
        .await
        .expect("an answer");
    assert_eq!(reply.status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&reply.body));
    reply.json().expect("a token")
}

/// Joins as an agent does; gives the identity that the hub signed, or its code and its words.
pub async fn join(federation: &Federation, name: &str, token: &str) -> Result<Identity, (Code, String)> {
    let (key, csr) = key_and_request();
    let location = Location { provider: "onprem".to_owned(), region: "test".to_owned(), zone: None };
    let cluster =
        ClusterSpec { location: Some(location), price_class: 1, backend: 2, ..ClusterSpec::default() };
    let request = JoinRequest {
        token: token.to_owned(),
        name: name.to_owned(),
        csr_der: csr.into(),
        cluster: Some(cluster),
    };
    let ca = Maker::of(federation).ca().to_owned();
    // Any replica takes it.
    let at = address(federation, "controller-3", Port::Agents);
    let joined = FederationClient::new(channel(&at, &ca, &nobody())).join(request).await;
    let joined = joined.map_err(|status| (status.code(), status.message().to_owned()))?;
    let joined = Joined::try_from(joined.into_inner()).expect("an identity");
    let certificate = pem(&joined.certificate_chain[0]);
    Ok(Identity { what: "joined", issued: Some(muster_controller::pki::Issued { certificate, key }) })
}

pub async fn tokens_are_good_once(federation: &Federation) {
    let token = join_token(federation, "probe", 60).await;
    let token = token["token"].as_str().expect("text");
    let refused = |result: Result<Identity, (Code, String)>, why: &str| {
        let (code, message) = result.err().expect("refused");
        assert_eq!(code, Code::PermissionDenied, "{message}");
        assert!(message.contains(why), "{message}");
    };
    refused(join(federation, "imposter", token).await, "another member");
    refused(join(federation, "probe", "guessed").await, "unknown");
    assert!(join(federation, "probe", token).await.is_ok(), "those tries did not use it up");
    refused(join(federation, "probe", token).await, "used");
    let expired = join_token(federation, "probe", 1).await;
    let expires = expired["expiresAt"].as_str().expect("a time").to_owned();
    until("its end", || async { (muster_controller::now().to_string() > expires).then_some(()) }).await;
    refused(join(federation, "probe", expired["token"].as_str().expect("text")).await, "expired");
    for bad in ["", "../up", "UPPER", &"a".repeat(64)] {
        let (code, message) = join(federation, bad, "any").await.err().expect("refused");
        assert!(code == Code::InvalidArgument && message.contains("name"), "{bad}: {message}");
    }
    is_stored_nowhere(federation, token);
}

/// An agent that is led to another hub tells it nothing.
pub async fn the_agent_checks_the_pin(federation: &Federation) {
    let state = tempfile::tempdir().expect("a folder");
    let line = join_token(federation, "pinned", 60).await;
    let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("{key} in {line}")).to_owned();
    let entry = state.path().join("entry.yaml");
    let yaml = "name: pinned\nlocation: {provider: onprem, region: test}\npriceClass: onPrem\nbackend: simulated\nnodes: []\n";
    std::fs::write(&entry, yaml).expect("written");
    let wrong_pin = format!("sha256:{}", "0".repeat(64));
    let mut agent = Command::new(muster_exe());
    agent.args([
        "agent",
        "--name",
        "pinned",
        "--join",
        &text("url"),
        "--ca-pin",
        &wrong_pin,
        "--members-entry",
    ]);
    agent.arg(&entry).arg("--state").arg(state.path().join("state")).env("MUSTER_JOIN_TOKEN", text("token"));
    let output =
        tokio::task::spawn_blocking(move || agent.output()).await.expect("no panic").expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("pinned authority"), "{said}");
    assert!(join(federation, "pinned", &text("token")).await.is_ok(), "the token was not shown to that hub");
}
