//! `kubectl auth can-i`, with `--list` too, and `kubectl auth whoami`: reviews of the asking user itself.

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use muster_kubeapi::document;
use muster_kubeapi::negotiate;
use muster_kubeapi::schema::Schemas;
use muster_kubeapi::status::Status;
use serde_json::{Value, json};

use super::call::Call;
use super::respond::{self, Answered};

/// Whether a path is of a review, and which.
pub fn review_of(path: &str) -> Option<Review> {
    match path {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => Some(Review::Access),
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews" => Some(Review::Rules),
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => Some(Review::Subject),
        _ => None,
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// May I do this?
    Access,
    /// What may I do?
    Rules,
    /// Who am I?
    Subject,
}

impl Review {
    /// The published definition of its body: kubectl writes it in protobuf.
    fn definition(self) -> &'static str {
        match self {
            Review::Access => "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
            Review::Rules => "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
            Review::Subject => "io.k8s.api.authentication.v1.SelfSubjectReview",
        }
    }
}

/// Answers a review.
///
/// # Errors
/// 400 for a body that cannot be read.
pub fn answer(call: &Call, review: Review, body: &Bytes) -> Answered {
    let encoding = negotiate::content_type(call.header(&CONTENT_TYPE))?;
    let schema = Some((Schemas::embedded(), review.definition()));
    let parsed =
        document::parse(body, encoding, schema).map_err(|error| Status::bad_request(error.to_string()))?;
    let mut value = parsed.value;
    if !value.is_object() {
        return Err(Status::bad_request("the body must be a review object"));
    }
    value["status"] = match review {
        Review::Access => access(call),
        Review::Rules => rules(call),
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

/// All of what a user may do, in the form that RBAC will have.
fn rules(call: &Call) -> Value {
    let (resources, paths) = match call.user.is_master() {
        true => (
            json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
            json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}]),
        ),
        false => {
            let open = [
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/openapi",
                "/openapi/*",
                "/version",
                "/livez",
                "/readyz",
                "/healthz",
            ];
            (json!([]), json!([{"verbs": ["get"], "nonResourceURLs": open}]))
        }
    };
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}

fn groups(call: &Call) -> Vec<&str> {
    let own = call.user.groups.iter().map(String::as_str).filter(|group| *group != "system:authenticated");
    own.chain(["system:authenticated"]).collect()
}
