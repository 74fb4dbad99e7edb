//! Bearer tokens of users.

use http::{Method, StatusCode};
use muster_e2e::local::Federation;
use serde_json::json;

use super::certificates::{Maker, nobody};
use super::connect::{Port, address, get};

const NAMESPACES: &str = "/api/v1/namespaces";

pub async fn bearer_tokens(federation: &Federation) {
    let admin = new_token(federation, "carol", &["system:masters"]).await;
    let other = new_token(federation, "dana", &["team-vision"]).await;
    let hub = Maker::of(federation);
    for controller in federation.names("controller") {
        let at = address(federation, &controller, Port::Api);
        let status = |token: Option<String>| {
            let (at, ca) = (at.clone(), hub.ca().to_owned());
            async move { get(&at, &ca, &nobody(), NAMESPACES, token.as_deref()).await }
        };
        assert_eq!(status(Some(admin.clone())).await, Some(200), "{controller}");
        assert_eq!(status(Some(other.clone())).await, Some(403), "{controller}: not of system:masters");
        assert_eq!(status(Some(format!("{admin}0"))).await, Some(401), "{controller}: a bad token");
        assert_eq!(status(Some(admin[..63].to_owned())).await, Some(401), "{controller}: a part of a token");
        assert_eq!(status(None).await, Some(401), "{controller}: no token");
    }
    // A certificate that names a member is never a user, whatever token comes with it.
    let member = hub.member("member", "onprem-paris", 0);
    let at = address(federation, "controller-1", Port::Api);
    assert_eq!(get(&at, hub.ca(), &member, NAMESPACES, Some(&admin)).await, Some(401));
    for token in [&admin, &other] {
        is_stored_nowhere(federation, token);
    }
}

/// Asked of every replica until each knows it: a token is looked for in what a replica has applied.
async fn new_token(federation: &Federation, user: &str, groups: &[&str]) -> String {
    let body = json!({"user": user, "groups": groups});
    let reply = federation
        .api()
        .request(Method::POST, "/muster/v1/credentials", Some(&body))
        .await
        .expect("an answer");
    assert_eq!(reply.status, StatusCode::CREATED);
    for context in ["muster-1", "muster-2", "muster-3"] {
        // A read of the newest state makes the replica catch up.
        let reply =
            federation.api_of(Some(context)).request(Method::GET, NAMESPACES, None).await.expect("an answer");
        assert_eq!(reply.status, StatusCode::OK);
    }
    reply.json().expect("a token")["token"].as_str().expect("text").to_owned()
}

/// Whoever reads the hub's disk or logs learns no token.
pub fn is_stored_nowhere(federation: &Federation, token: &str) {
    for folder in ["controllers", "members", "logs"] {
        let mut folders = vec![federation.dir.join(folder)];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder of the federation").flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(kind) if kind.is_file() => {
                        files += 1;
                        // A file may go while we look.
                        let bytes = std::fs::read(entry.path()).unwrap_or_default();
                        let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
                        assert!(!found, "{} holds a token in plain text", entry.path().display());
                    }
                    _ => {}
                }
            }
        }
        assert!(files > 0, "{folder}: something was looked at");
    }
}
