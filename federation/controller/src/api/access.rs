//! `kubectl auth can-i` and `kubectl auth whoami`: reviews of the asking user itself.

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use muster_kubeapi::document;
use muster_kubeapi::negotiate;
use muster_kubeapi::status::Status;
use serde_json::{Value, json};

use super::call::Call;
use super::respond::{self, Answered};

/// Whether a path is of a review, and which.
pub fn review_of(path: &str) -> Option<Review> {
    match path {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => Some(Review::Access),
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => Some(Review::Subject),
        _ => None,
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// May I do this?
    Access,
    /// Who am I?
    Subject,
}

/// Answers a review.
///
/// # Errors
/// 400 for a body that cannot be read.
pub fn answer(call: &Call, review: Review, body: &Bytes) -> Answered {
    let encoding = negotiate::content_type(call.header(&CONTENT_TYPE))?;
    let parsed =
        document::parse(body, encoding, None).map_err(|error| Status::bad_request(error.to_string()))?;
    let mut value = parsed.value;
    if !value.is_object() {
        return Err(Status::bad_request("the body must be a review object"));
    }
    value["status"] = match review {
        Review::Access => access(call),
        Review::Subject => {
            json!({"userInfo": {"username": call.user.name, "groups": groups(call)}})
        }
    };
    Ok(respond::json(StatusCode::CREATED, &value))
}

fn access(call: &Call) -> Value {
    if call.user.is_master() {
        return json!({"allowed": true, "reason": "member of system:masters"});
    }
    json!({"allowed": false, "reason": "only members of the group system:masters may do this until RBAC is served"})
}

fn groups(call: &Call) -> Vec<&str> {
    let own = call.user.groups.iter().map(String::as_str).filter(|group| *group != "system:authenticated");
    own.chain(["system:authenticated"]).collect()
}
