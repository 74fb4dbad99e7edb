//! `/terraform/state/NAME` as Terraform uses it: by Basic authentication, locked, and bounded.

use http::{Method, StatusCode};
use muster_e2e::local::Federation;
use serde_json::json;

const STATE: &str = "/terraform/state/by-hand";

pub async fn are_locked_and_bounded(federation: &Federation) {
    let api = federation.api();
    let call = |method: &'static str, path: String, body: Vec<u8>| {
        let api = api.clone();
        async move {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let reply = api.request_as(method, &path, "*/*", Some(("application/json", body.into()))).await;
            let reply = reply.expect("an answer");
            (reply.status, reply.body)
        }
    };
    let one = json!({"ID": "one", "Who": "petra"}).to_string().into_bytes();
    let two = json!({"ID": "two", "Who": "remi"}).to_string().into_bytes();
    assert_eq!(call("GET", STATE.to_owned(), vec![]).await.0, StatusCode::NOT_FOUND);
    assert_eq!(call("LOCK", STATE.to_owned(), one.clone()).await.0, StatusCode::OK);
    let (status, holder) = call("LOCK", STATE.to_owned(), two.clone()).await;
    assert_eq!((status, holder.as_ref()), (StatusCode::LOCKED, one.as_slice()), "it says who has it");
    assert_eq!(call("LOCK", STATE.to_owned(), one.clone()).await.0, StatusCode::OK, "a retry is not refused");
    assert_eq!(call("POST", STATE.to_owned(), b"{}".to_vec()).await.0, StatusCode::LOCKED);
    assert_eq!(call("POST", format!("{STATE}?ID=two"), b"{}".to_vec()).await.0, StatusCode::CONFLICT);
    // In pieces: beyond what one log entry takes.
    let large: Vec<u8> = (0..6_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(call("POST", format!("{STATE}?ID=one"), large.clone()).await.0, StatusCode::OK);
    let (status, read) = call("GET", STATE.to_owned(), vec![]).await;
    assert!(status == StatusCode::OK && read.as_ref() == large.as_slice(), "{status}: {} bytes", read.len());
    let (status, _) = call("POST", format!("{STATE}?ID=one"), vec![b' '; (16 << 20) + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(call("UNLOCK", STATE.to_owned(), two).await.0, StatusCode::CONFLICT);
    assert_eq!(call("UNLOCK", STATE.to_owned(), one).await.0, StatusCode::OK);
    assert_eq!(call("POST", STATE.to_owned(), b"{\"serial\":2}".to_vec()).await.0, StatusCode::OK);
    assert_eq!(call("GET", STATE.to_owned(), vec![]).await.1.as_ref(), b"{\"serial\":2}");
    assert_eq!(call("DELETE", STATE.to_owned(), vec![]).await.0, StatusCode::OK);
    assert_eq!(call("GET", STATE.to_owned(), vec![]).await.0, StatusCode::NOT_FOUND);
    assert_eq!(call("GET", "/terraform/state/..%2Fx".to_owned(), vec![]).await.0, StatusCode::NOT_FOUND);
}
