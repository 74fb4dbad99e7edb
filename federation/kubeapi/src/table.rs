//! `meta.k8s.io` Table output: what kubectl prints without `-o`.
//!
//! Rows are written next to each other from bytes that exist already: a Table of 30,000 objects is never one tree of values.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::list::ListMeta;
use crate::options::Query;
use crate::quote::go_quote;
use crate::resource::Resource;
use crate::status::Status;

/// What each row carries beside its cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// The object's metadata (the default).
    #[default]
    Metadata,
    /// Nothing.
    None,
    /// The whole object.
    Object,
}

impl IncludeObject {
    /// Reads the `includeObject` parameter.
    ///
    /// # Errors
    /// 400 for an unknown word.
    pub fn parse(query: &Query) -> Result<Self, Status> {
        match query.get("includeObject").unwrap_or_default() {
            "" | "Metadata" => Ok(IncludeObject::Metadata),
            "None" => Ok(IncludeObject::None),
            "Object" => Ok(IncludeObject::Object),
            other => Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', \
                 'Object', 'None', or empty",
                go_quote(other)
            ))),
        }
    }
}

/// Writes one Table.
#[derive(Debug)]
pub struct TableWriter {
    out: Vec<u8>,
    api_version: String,
    include: IncludeObject,
    rows: usize,
}

#[derive(Deserialize)]
struct MetadataOnly<'a> {
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

impl TableWriter {
    /// Begins a Table of `meta.k8s.io/VERSION` (`v1` or `v1beta1`). A watch sends columns only in its first event, and
    /// leaves them out by `with_columns: false`.
    pub fn new(resource: &Resource, version: &str, meta: &ListMeta, table: TableStyle) -> Self {
        let api_version = format!("meta.k8s.io/{version}");
        let columns: Vec<Value> =
            if table.with_columns { resource.columns.iter().map(column).collect() } else { Vec::new() };
        let mut out = Vec::with_capacity(4096);
        out.extend_from_slice(b"{\"kind\":\"Table\",\"apiVersion\":");
        push_json(&mut out, &json!(api_version));
        out.extend_from_slice(b",\"metadata\":");
        push_json(&mut out, &meta.to_value());
        out.extend_from_slice(b",\"columnDefinitions\":");
        push_json(&mut out, &Value::Array(columns));
        out.extend_from_slice(b",\"rows\":[");
        Self { out, api_version, include: table.include, rows: 0 }
    }

    /// Adds a row: cells, and the rendered JSON of the object they are about.
    pub fn row(&mut self, cells: &[Value], object: &[u8]) {
        if self.rows > 0 {
            self.out.push(b',');
        }
        self.rows += 1;
        self.out.extend_from_slice(b"{\"cells\":");
        serde_json::to_writer(&mut self.out, cells).expect("values are written to memory");
        match self.include {
            IncludeObject::None => {}
            IncludeObject::Object => {
                self.out.extend_from_slice(b",\"object\":");
                self.out.extend_from_slice(object);
            }
            IncludeObject::Metadata => {
                self.out.extend_from_slice(b",\"object\":");
                partial_metadata_into(&mut self.out, &self.api_version, object);
            }
        }
        self.out.push(b'}');
    }

    /// Bytes written since the last [`TableWriter::take`].
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written since the last [`TableWriter::take`].
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes what was written so far, so that a long Table is sent in pieces.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The finished document, or its last piece.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"]}");
        self.out
    }
}

/// How a Table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStyle {
    /// What rows carry beside cells.
    pub include: IncludeObject,
    /// Whether column definitions are written.
    pub with_columns: bool,
}

/// A `PartialObjectMetadata` of an object's rendered JSON, for `as=PartialObjectMetadata`.
pub fn partial_metadata(version: &str, object: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    partial_metadata_into(&mut out, &format!("meta.k8s.io/{version}"), object);
    out
}

fn partial_metadata_into(out: &mut Vec<u8>, api_version: &str, object: &[u8]) {
    let metadata = serde_json::from_slice::<MetadataOnly<'_>>(object).ok().and_then(|parsed| parsed.metadata);
    out.extend_from_slice(b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"");
    out.extend_from_slice(api_version.as_bytes());
    out.extend_from_slice(b"\",\"metadata\":");
    out.extend_from_slice(metadata.map_or(b"{}", |raw| raw.get().as_bytes()));
    out.push(b'}');
}

fn push_json(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("values are written to memory");
}

fn column(column: &crate::resource::Column) -> Value {
    json!({"name": column.name, "type": column.kind, "format": column.format,
        "description": column.description, "priority": column.priority})
}

/// The age cell of an object: time since its creation.
pub fn age(object: &Value, now: Timestamp) -> Value {
    since(object.pointer("/metadata/creationTimestamp"), now)
}

/// Time since a timestamp field, or `<unknown>`.
pub fn since(time: Option<&Value>, now: Timestamp) -> Value {
    let then = time.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    match then {
        Some(then) => json!(human_duration(now.as_second().saturating_sub(then.as_second()))),
        None => json!("<unknown>"),
    }
}

/// A duration as kubectl prints ages: two units at most, the coarser the longer.
pub fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    // Clocks differ a little: what lies two seconds ahead is still "now".
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => pair((s / MINUTE, "m"), (s % MINUTE, "s")),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => pair((s / HOUR, "h"), (s % HOUR / MINUTE, "m")),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => pair((s / DAY, "d"), (s % DAY / HOUR, "h")),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => pair((s / YEAR, "y"), (s % YEAR / DAY, "d")),
        s => format!("{}y", s / YEAR),
    }
}

fn pair((coarse, unit): (i64, &str), (fine, fine_unit): (i64, &str)) -> String {
    if fine == 0 { format!("{coarse}{unit}") } else { format!("{coarse}{unit}{fine}{fine_unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::CONFIG_MAP;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        for (seconds, want) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (332, "5m32s"),
            (600, "10m"),
            (3 * 3600, "3h"),
            (4 * 3600 + 60, "4h1m"),
            (8 * 3600, "8h"),
            (48 * 3600, "2d"),
            (3 * 86400 + 7200, "3d2h"),
            (8 * 86400, "8d"),
            (2 * 365 * 86400, "2y"),
            (2 * 365 * 86400 + 86400, "2y1d"),
            (9 * 365 * 86400, "9y"),
        ] {
            assert_eq!(human_duration(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn a_table_holds_columns_rows_and_metadata() {
        let object = br#"{"kind":"ConfigMap","metadata":{"name":"a","creationTimestamp":"2026-01-01T00:00:00Z"},"data":{"k":"v"}}"#;
        let now: Timestamp = "2026-01-01T00:05:32Z".parse().unwrap();
        let value: Value = serde_json::from_slice(object).unwrap();
        let style = TableStyle { include: IncludeObject::Metadata, with_columns: true };
        let mut table = TableWriter::new(&CONFIG_MAP, "v1", &ListMeta::at(7), style);
        table.row(&[value["metadata"]["name"].clone(), age(&value, now)], object);
        let table: Value = serde_json::from_slice(&table.finish()).unwrap();
        assert_eq!(table["metadata"]["resourceVersion"], "7");
        assert_eq!(table["rows"][0]["cells"], json!(["a", "5m32s"]));
        assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(table["rows"][0]["object"]["data"], Value::Null);
        assert_eq!(table["columnDefinitions"][0]["format"], "name");
    }
}
