//! Answers: objects, lists and failures as the client wants to read them.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WARNING};
use http::{HeaderValue, Response, StatusCode};
use muster_kubeapi::document::Encoding;
use muster_kubeapi::kinds::Rows;
use muster_kubeapi::list::ListMeta;
use muster_kubeapi::negotiate::{self, Accepted, Endpoint, Shape};
use muster_kubeapi::options::Query;
use muster_kubeapi::resource::Resource;
use muster_kubeapi::status::Status;
use muster_kubeapi::table::{IncludeObject, TableStyle, TableWriter, partial_metadata};
use muster_kubeapi::validate::warning_header;
use muster_model::TimeMs;
use serde_json::Value;

use super::call::Call;
use super::items::Item;
use crate::hub::now;

/// An answer, or why there is none.
pub type Answered = Result<Response<Body>, Status>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How the client wants to read the answer.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Encoding and shape.
    pub accepted: Accepted,
    /// What rows of a Table carry.
    pub include: IncludeObject,
    /// Indented, for people.
    pub pretty: bool,
}

impl Wanted {
    /// Reads it from the head of a request.
    ///
    /// # Errors
    /// 406 if nothing of what is accepted is served, 400 for an option that cannot be read.
    pub fn of(call: &Call, endpoint: Endpoint, query: &Query) -> Result<Wanted, Status> {
        let accepted = negotiate::accept(call.header(&http::header::ACCEPT), endpoint)?;
        let include = IncludeObject::parse(query)?;
        Ok(Wanted { accepted, include, pretty: query.flag("pretty") })
    }

    /// Whether rendered bytes must be read again before they are sent.
    pub fn is_rewritten(&self) -> bool {
        self.pretty || self.accepted.encoding == Encoding::Yaml
    }
}

/// One object in the shape that is wanted.
///
/// # Errors
/// 500 if what was rendered is not JSON, which it is.
pub fn object(resource: &Resource, wanted: &Wanted, code: StatusCode, item: &Item) -> Answered {
    let bytes = match wanted.accepted.shape {
        Shape::Table(version) => {
            let style = TableStyle { include: wanted.include, with_columns: true };
            table(resource, version, style, Some(item), item.revision())
        }
        Shape::PartialMetadata(version) | Shape::PartialMetadataList(version) => {
            partial_metadata(version, item.render_metadata().as_bytes())
        }
        Shape::Full | Shape::Discovery(_) => item.render().into_bytes(),
    };
    finish(wanted, code, bytes)
}

/// A Table with one row or none.
pub fn table(
    resource: &Resource,
    version: &str,
    style: TableStyle,
    item: Option<&Item>,
    revision: u64,
) -> Vec<u8> {
    let mut table = TableWriter::new(resource, version, &ListMeta::at(revision), style);
    if let Some(item) = item {
        row(&mut table, style.include, item, &mut Rows::new(now()), now());
    }
    table.finish()
}

/// Adds a row, with as much of the object as is wanted.
pub fn row(table: &mut TableWriter, include: IncludeObject, item: &Item, rows: &mut Rows, now: TimeMs) {
    let object = match include {
        IncludeObject::None => String::new(),
        IncludeObject::Metadata => item.render_metadata(),
        IncludeObject::Object => item.render(),
    };
    table.row(&item.cells(rows, now), object.as_bytes());
}

/// JSON bytes in the encoding that is wanted.
///
/// # Errors
/// 500 if the bytes are not JSON, which they are.
pub fn finish(wanted: &Wanted, code: StatusCode, json: Vec<u8>) -> Answered {
    let bytes = match wanted.accepted.encoding {
        Encoding::Yaml => negotiate::to_yaml(&json)?,
        Encoding::Json | Encoding::Protobuf if wanted.pretty => indented(&json)?,
        Encoding::Json | Encoding::Protobuf => json,
    };
    let content_type = HeaderValue::from_str(&wanted.accepted.content_type()).unwrap_or(JSON);
    Ok(response(code, content_type, bytes.into()))
}

/// A JSON document.
pub fn json(code: StatusCode, value: &Value) -> Response<Body> {
    response(code, JSON, value.to_string().into())
}

/// JSON text.
pub fn json_bytes(code: StatusCode, bytes: impl Into<Bytes>) -> Response<Body> {
    response(code, JSON, bytes.into())
}

/// Plain text.
pub fn text(code: StatusCode, text: &str) -> Response<Body> {
    response(
        code,
        HeaderValue::from_static("text/plain; charset=utf-8"),
        Bytes::copy_from_slice(text.as_bytes()),
    )
}

/// A JSON stream whose parts are made as they are read.
pub fn stream(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A failure.
pub fn failure(status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_bytes(code, status.to_bytes());
    if let Some(seconds) = status.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds a `Warning` header for each text. One that cannot be a header is left out.
pub fn with_warnings(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        if let Ok(value) = HeaderValue::from_str(&warning_header(warning)) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

/// What we rendered, as a value.
///
/// # Errors
/// 500 if it is not JSON, which it is.
pub fn parsed(rendered: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(rendered).map_err(|error| Status::internal(&error.to_string()))
}

/// Indents JSON.
///
/// # Errors
/// 500 if it is not JSON.
pub fn indented(json: &[u8]) -> Result<Vec<u8>, Status> {
    let mut bytes =
        serde_json::to_vec_pretty(&parsed(json)?).map_err(|error| Status::internal(&error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn response(code: StatusCode, content_type: HeaderValue, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
