//! `Accept` and `Content-Type`: answers are JSON, or YAML when asked for; bodies may be protobuf too.
//!
//! kubectl asks for protobuf first and JSON second for built-in kinds: what is not served is passed over, and only when
//! nothing is left the answer is 406.

use serde_json::Value;

use crate::document::Encoding;
use crate::status::Status;

/// Media types that answers may have.
pub const SERVED: [&str; 2] = ["application/json", "application/yaml"];
/// Media types that bodies may have.
pub const READ: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

const META_GROUP: &str = "meta.k8s.io";
const DISCOVERY_GROUP: &str = "apidiscovery.k8s.io";

/// What an answer is made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The object or list itself.
    Full,
    /// A Table of this version (`v1`, `v1beta1`).
    Table(&'static str),
    /// `PartialObjectMetadata` of this version.
    PartialMetadata(&'static str),
    /// `PartialObjectMetadataList` of this version.
    PartialMetadataList(&'static str),
    /// `APIGroupDiscoveryList` of this version (`v2`, `v2beta1`).
    Discovery(&'static str),
}

/// What kind of answer an endpoint gives; decides which shapes it can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// One object.
    Object,
    /// A list or a watch.
    Collection,
    /// `/api` or `/apis`.
    Discovery,
    /// Documents that have one shape only.
    Plain,
}

impl Endpoint {
    /// The shape that `as=KIND;g=GROUP;v=VERSION` names here.
    fn shape(self, kind: &str, group: &str, version: &str) -> Option<Shape> {
        let meta = |version| match version {
            "v1" => Some("v1"),
            "v1beta1" => Some("v1beta1"),
            _ => None,
        };
        match (self, kind, group) {
            (_, "", _) => Some(Shape::Full),
            (Endpoint::Object | Endpoint::Collection, "Table", META_GROUP) => meta(version).map(Shape::Table),
            (Endpoint::Object | Endpoint::Collection, "PartialObjectMetadata", META_GROUP) => {
                meta(version).map(Shape::PartialMetadata)
            }
            (Endpoint::Collection, "PartialObjectMetadataList", META_GROUP) => {
                meta(version).map(Shape::PartialMetadataList)
            }
            (Endpoint::Discovery, "APIGroupDiscoveryList", DISCOVERY_GROUP) => match version {
                "v2" => Some(Shape::Discovery("v2")),
                "v2beta1" => Some(Shape::Discovery("v2beta1")),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The answer a client wants most among those that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Encoding of the answer.
    pub encoding: Encoding,
    /// Shape of the answer.
    pub shape: Shape,
}

impl Accepted {
    /// The `Content-Type` of the answer.
    pub fn content_type(self) -> String {
        let base = match self.encoding {
            Encoding::Json => READ[0],
            Encoding::Yaml => READ[1],
            Encoding::Protobuf => READ[2],
        };
        match self.shape {
            Shape::Discovery(version) => {
                format!("{base};g={DISCOVERY_GROUP};v={version};as=APIGroupDiscoveryList")
            }
            _ => base.to_owned(),
        }
    }
}

/// Chooses by the `Accept` header; no header accepts everything.
///
/// # Errors
/// 406 when nothing that is served is accepted.
pub fn accept(header: Option<&str>, endpoint: Endpoint) -> Result<Accepted, Status> {
    let header = header.filter(|text| !text.trim().is_empty()).unwrap_or("*/*");
    let mut clauses: Vec<Clause<'_>> = header.split(',').map(Clause::parse).collect();
    // Stable: of equal quality the first one wins.
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.quality));
    let served = |clause: &Clause<'_>| {
        let encoding = clause.encoding?;
        let shape = endpoint.shape(clause.kind, clause.group, clause.version)?;
        (clause.quality > 0).then_some(Accepted { encoding, shape })
    };
    clauses.iter().find_map(served).ok_or_else(|| Status::not_acceptable(&SERVED))
}

/// The encoding of a body; none means JSON.
///
/// # Errors
/// 415 for a type that is not understood.
pub fn content_type(header: Option<&str>) -> Result<Encoding, Status> {
    let essence =
        header.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "*/*" | "application/json" => Ok(Encoding::Json),
        "application/yaml" => Ok(Encoding::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Encoding::Protobuf),
        _ => Err(Status::unsupported_media_type(&READ)),
    }
}

/// Renders JSON bytes as YAML, for the rare client that asks for it.
///
/// # Errors
/// 500 when the bytes are not JSON.
pub fn to_yaml(json: &[u8]) -> Result<Vec<u8>, Status> {
    let value: Value = serde_json::from_slice(json).map_err(|error| Status::internal(&error.to_string()))?;
    let text = serde_saphyr::to_string(&value).map_err(|error| Status::internal(&error.to_string()))?;
    Ok(text.into_bytes())
}

#[derive(Debug, Default)]
struct Clause<'a> {
    encoding: Option<Encoding>,
    kind: &'a str,
    group: &'a str,
    version: &'a str,
    /// Thousandths.
    quality: u16,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let encoding = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/json" | "application/*" | "*/*" => Some(Encoding::Json),
            "application/yaml" => Some(Encoding::Yaml),
            _ => None,
        };
        let mut clause = Self { encoding, quality: 1000, ..Self::default() };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim() {
                "as" => clause.kind = value.trim(),
                "g" => clause.group = value.trim(),
                "v" => clause.version = value.trim(),
                "q" => clause.quality = quality(value.trim()),
                _ => {}
            }
        }
        clause
    }
}

/// `0.75` as thousandths; what cannot be read counts as 1 (RFC 9110 leaves it open).
fn quality(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse::<u16>()) {
        ("0", Ok(thousandths)) => thousandths,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(header: &str, endpoint: Endpoint) -> Result<(Encoding, Shape), u16> {
        accept(Some(header), endpoint).map(|a| (a.encoding, a.shape)).map_err(|status| status.code)
    }

    #[test]
    fn the_headers_that_clients_really_send() {
        use Encoding::{Json, Yaml};
        use Endpoint::{Collection, Discovery, Object};
        for (header, endpoint, want) in [
            ("application/vnd.kubernetes.protobuf,application/json", Object, Ok((Json, Shape::Full))),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Collection,
                Ok((Json, Shape::Table("v1"))),
            ),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
                Collection,
                Ok((Json, Shape::PartialMetadataList("v1"))),
            ),
            (
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
                Discovery,
                Ok((Json, Shape::Discovery("v2"))),
            ),
            ("application/json;stream=watch", Collection, Ok((Json, Shape::Full))),
            ("application/json;q=0.5, application/yaml", Object, Ok((Yaml, Shape::Full))),
            ("application/json, */*", Object, Ok((Json, Shape::Full))),
            ("application/json;as=Table;v=v9;g=meta.k8s.io", Object, Err(406)),
            ("application/vnd.kubernetes.protobuf", Object, Err(406)),
            ("application/json;q=0", Object, Err(406)),
        ] {
            assert_eq!(chosen(header, endpoint), want, "{header}");
        }
        assert_eq!(accept(None, Object).unwrap().content_type(), "application/json");
    }

    #[test]
    fn bodies_are_json_or_yaml() {
        assert_eq!(content_type(Some("application/json; charset=utf-8")), Ok(Encoding::Json));
        assert_eq!(content_type(Some("application/yaml")), Ok(Encoding::Yaml));
        assert_eq!(content_type(None), Ok(Encoding::Json));
        assert_eq!(content_type(Some("application/vnd.kubernetes.protobuf")), Ok(Encoding::Protobuf));
        assert_eq!(content_type(Some("application/cbor")).unwrap_err().code, 415);
        assert_eq!(to_yaml(br#"{"a":[1,"x"]}"#).unwrap(), b"a:\n- 1\n- x\n");
    }
}
