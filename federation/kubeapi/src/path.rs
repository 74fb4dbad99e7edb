//! From method, path and query to what is asked for.

use http::Method;

use crate::options::{Options, Query, decode};
use crate::resource::{Registry, Resource, Subresource, Verb};
use crate::status::Status;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// An object, a collection, or a subresource.
    Resource(Box<Request>),
    /// `/api`, `/apis`, `/apis/GROUP`, `/apis/GROUP/VERSION`.
    Discovery(DiscoveryPath),
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3/PATH`, such as `apis/batch/v1`.
    OpenApiDocument(String),
    /// `/version`.
    Version,
    /// Not an API path: health, console, our own endpoints.
    Other,
}

/// Which discovery document is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryPath {
    /// `/api`.
    Core,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    Resources {
        /// Group; empty for core.
        group: String,
        /// Version.
        version: String,
    },
}

/// A request about objects of a served kind.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which kind.
    pub resource: &'static Resource,
    /// Namespace; `None` for kinds without, and for lists over all namespaces.
    pub namespace: Option<String>,
    /// Object; `None` for collections.
    pub name: Option<String>,
    /// Part of the object; `None` for all of it.
    pub subresource: Option<&'static Subresource>,
    /// What to do.
    pub verb: Verb,
    /// With which options.
    pub options: Options,
    /// The query as it came, for subresources with options of their own.
    pub query: Query,
}

/// Resources are statics, compared by their place in the API.
impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.resource, other.resource)
            && (&self.namespace, &self.name, self.subresource, self.verb)
                == (&other.namespace, &other.name, other.subresource, other.verb)
            && (&self.options, &self.query) == (&other.options, &other.query)
    }
}

/// Finds out what `method path?query` asks for.
///
/// # Errors
/// 404 for a path below a served group that names nothing, 405 for a verb that is not served there, 400 or 422 for
/// options that make no sense.
pub fn route(registry: &Registry, method: &Method, path: &str, query: &str) -> Result<Route, Status> {
    let segments: Vec<String> =
        path.split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false)).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["version"] => Ok(Route::Version),
        ["openapi", "v2"] => Ok(Route::OpenApiV2),
        ["openapi", "v3"] => Ok(Route::OpenApiIndex),
        ["openapi", "v3", rest @ ..] => Ok(Route::OpenApiDocument(rest.join("/"))),
        ["api"] => Ok(Route::Discovery(DiscoveryPath::Core)),
        ["apis"] => Ok(Route::Discovery(DiscoveryPath::Groups)),
        ["apis", group] => Ok(Route::Discovery(DiscoveryPath::Group((*group).to_owned()))),
        ["api", version, rest @ ..] => below(registry, method, ("", version), rest, query),
        ["apis", group, version, rest @ ..] => below(registry, method, (group, version), rest, query),
        _ => Ok(Route::Other),
    }
}

fn below(
    registry: &Registry,
    method: &Method,
    (group, version): (&str, &str),
    rest: &[&str],
    query: &str,
) -> Result<Route, Status> {
    if rest.is_empty() {
        let (group, version) = (group.to_owned(), version.to_owned());
        return Ok(Route::Discovery(DiscoveryPath::Resources { group, version }));
    }
    let place = place(registry, (group, version), rest).ok_or_else(Status::path_not_found)?;
    let query = Query::parse(query);
    let verb =
        verb(method, place.name.is_some(), query.flag("watch")).ok_or_else(Status::method_not_allowed)?;
    let served = place.subresource.map_or(place.resource.verbs, |sub| sub.verbs);
    let everywhere = place.resource.namespaced && place.namespace.is_none();
    let create_on_object = verb == Verb::Create && place.name.is_some() && place.subresource.is_none();
    let not_here = everywhere && !matches!(verb, Verb::List | Verb::Watch);
    if !served.contains(&verb) || not_here || create_on_object {
        return Err(Status::method_not_allowed());
    }
    let options = Options::parse(place.resource, verb, &query)?;
    let Place { resource, namespace, name, subresource } = place;
    Ok(Route::Resource(Box::new(Request { resource, namespace, name, subresource, verb, options, query })))
}

struct Place {
    resource: &'static Resource,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<&'static Subresource>,
}

/// `namespaces/NS/PLURAL[/NAME[/SUB]]` or `PLURAL[/NAME[/SUB]]`.
fn place(registry: &Registry, (group, version): (&str, &str), rest: &[&str]) -> Option<Place> {
    let find = |plural: &str| registry.by_plural(group, version, plural);
    // `namespaces/a/status` is the status of a Namespace, not a collection named status.
    if let ["namespaces", namespace, plural, tail @ ..] = rest
        && let Some(resource) = find(plural).filter(|resource| resource.namespaced)
    {
        return object(resource, Some(*namespace), tail);
    }
    let (plural, tail) = rest.split_first()?;
    let resource = find(plural)?;
    if resource.namespaced && !tail.is_empty() {
        return None;
    }
    object(resource, None, tail)
}

fn object(resource: &'static Resource, namespace: Option<&str>, tail: &[&str]) -> Option<Place> {
    let (name, subresource) = match tail {
        [] => (None, None),
        [name] => (Some((*name).to_owned()), None),
        [name, sub] => (Some((*name).to_owned()), Some(resource.subresource(sub)?)),
        _ => return None,
    };
    Some(Place { resource, namespace: namespace.map(str::to_owned), name, subresource })
}

fn verb(method: &Method, named: bool, watch: bool) -> Option<Verb> {
    match (method, named) {
        (&Method::GET | &Method::HEAD, true) => Some(Verb::Get),
        (&Method::GET, false) if watch => Some(Verb::Watch),
        (&Method::GET | &Method::HEAD, false) => Some(Verb::List),
        // On an object only a subresource takes a POST; its verbs say which.
        (&Method::POST, _) => Some(Verb::Create),
        (&Method::PUT, true) => Some(Verb::Update),
        (&Method::PATCH, true) => Some(Verb::Patch),
        (&Method::DELETE, true) => Some(Verb::Delete),
        (&Method::DELETE, false) => Some(Verb::DeleteCollection),
        _ => None,
    }
}
