//! What is served: discovery, OpenAPI, version.

use axum::body::Body;
use http::header::{ACCEPT, ETAG, HOST, IF_NONE_MATCH};
use http::{HeaderValue, Response, StatusCode};
use muster_kubeapi::discovery;
use muster_kubeapi::negotiate::{self, Endpoint, Shape};
use muster_kubeapi::openapi::{Document, v2};
use muster_kubeapi::path::DiscoveryPath;
use muster_kubeapi::status::Status;

use super::call::Call;
use super::respond::{self, Answered};

/// `/version`.
pub fn version() -> Response<Body> {
    respond::json(StatusCode::OK, &discovery::version(env!("CARGO_PKG_VERSION")))
}

/// A discovery document.
///
/// # Errors
/// 404 for a group that is not served, 406.
pub fn document(call: &Call, path: &DiscoveryPath) -> Answered {
    let registry = &call.api.registry;
    let endpoint = match path {
        DiscoveryPath::Core | DiscoveryPath::Groups => Endpoint::Discovery,
        DiscoveryPath::Group(_) | DiscoveryPath::Resources { .. } => Endpoint::Plain,
    };
    let accepted = negotiate::accept(call.header(&ACCEPT), endpoint)?;
    let value = match (path, accepted.shape) {
        (DiscoveryPath::Core, Shape::Discovery(version)) => {
            Some(discovery::aggregated(registry, true, version))
        }
        (DiscoveryPath::Groups, Shape::Discovery(version)) => {
            Some(discovery::aggregated(registry, false, version))
        }
        (DiscoveryPath::Core, _) => {
            let address = call.header(&HOST).unwrap_or_default();
            Some(discovery::core_versions(registry, address))
        }
        (DiscoveryPath::Groups, _) => Some(discovery::group_list(registry)),
        (DiscoveryPath::Group(group), _) => discovery::group(registry, group),
        (DiscoveryPath::Resources { group, version }, _) => {
            discovery::resource_list(registry, group, version)
        }
    };
    let value = value.ok_or_else(Status::path_not_found)?;
    let mut response = respond::json(StatusCode::OK, &value);
    if let Ok(content_type) = HeaderValue::from_str(&accepted.content_type()) {
        response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    }
    Ok(response)
}

/// An OpenAPI document; 304 if the client has it.
///
/// # Errors
/// 404 for a group that is not served, 406.
pub fn openapi(call: &Call, document: Option<&Document>) -> Answered {
    let document = document.ok_or_else(Status::path_not_found)?;
    negotiate::accept(call.header(&ACCEPT), Endpoint::Plain)?;
    let known = call.header(&IF_NONE_MATCH).is_some_and(|known| document.matches(known));
    let mut response = match known {
        true => respond::json_bytes(StatusCode::NOT_MODIFIED, Vec::new()),
        false => respond::json_bytes(StatusCode::OK, document.body.clone()),
    };
    if let Ok(etag) = HeaderValue::from_str(&document.etag()) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

/// `/openapi/v2`, in protobuf for who accepts that.
pub fn openapi_v2(call: &Call) -> Response<Body> {
    let accepted = call.header(&ACCEPT).unwrap_or_default();
    if !v2::PROTOBUF.iter().any(|media_type| accepted.contains(media_type)) {
        return respond::json(StatusCode::OK, &v2::json());
    }
    let mut response = respond::json_bytes(StatusCode::OK, v2::protobuf());
    let [_, media_type] = v2::PROTOBUF;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
