//! What a user may do. Until RBAC exists: members of `system:masters` everything, others only look at what is served.

use muster_kubeapi::path::{Request, Route};
use muster_kubeapi::status::{Attempt, Status};

use super::authn::User;

const ADVICE: &str = "only members of the group system:masters may do this until RBAC is served";

/// Whether the user may ask for this. `method` and `path` are for paths that are no resource.
///
/// # Errors
/// 403 in the words of the real server.
pub fn check(user: &User, route: &Route, method: &str, path: &str) -> Result<(), Status> {
    if user.is_master() {
        return Ok(());
    }
    match route {
        Route::Discovery(_)
        | Route::OpenApiV2
        | Route::OpenApiIndex
        | Route::OpenApiDocument(_)
        | Route::Version => Ok(()),
        Route::Resource(request) => Err(forbidden(user, request)),
        Route::Other => Err(forbidden_path(user, method, path)),
    }
}

/// Whether the user may use one of our own endpoints.
///
/// # Errors
/// 403.
pub fn check_path(user: &User, method: &str, path: &str) -> Result<(), Status> {
    if user.is_master() { Ok(()) } else { Err(forbidden_path(user, method, path)) }
}

fn forbidden_path(user: &User, method: &str, path: &str) -> Status {
    Status::forbidden_path(&user.name, &method.to_ascii_lowercase(), path)
}

fn forbidden(user: &User, request: &Request) -> Status {
    let attempt = Attempt {
        user: &user.name,
        verb: request.verb.as_str(),
        name: request.name.as_deref().unwrap_or_default(),
        namespace: request.namespace.as_deref(),
        subresource: request.subresource.map_or("", |sub| sub.name),
        advice: ADVICE,
    };
    Status::forbidden(request.resource, &attempt)
}
