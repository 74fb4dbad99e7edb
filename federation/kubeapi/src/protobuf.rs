//! Reading Kubernetes protobuf: kubectl and client-go write built-in kinds in it. Answers are JSON, which they accept.
//!
//! ```text
//! "k8s\0" | Unknown { typeMeta { apiVersion, kind }, raw } -> message by field numbers (wire.json) and types (schema)
//! ```
//!
//! The encoding writes every field that is no pointer, given or not: empty text, and zeros of such fields, mean "not given".

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::schema::{Field, Schemas, Shape, Type};
use crate::wire_format::{Payload, WireError, fields};

const MAGIC: &[u8] = b"k8s\0";
/// Deeper than any Kubernetes type that makes sense; a guard for the stack.
const DEPTH_MAX: usize = 64;

static SLOTS: LazyLock<BTreeMap<String, BTreeMap<String, String>>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        definitions: BTreeMap<String, BTreeMap<String, String>>,
    }
    let file: File =
        serde_json::from_str(include_str!("schema/wire.json")).expect("the embedded numbers parse");
    file.definitions
});

/// Decodes a body of `definition`.
///
/// # Errors
/// When it is not in the envelope, is cut off, or has a value of the wrong kind.
pub fn decode(body: &[u8], schemas: &Schemas, definition: &str) -> Result<Value, WireError> {
    let envelope =
        body.strip_prefix(MAGIC).ok_or(WireError("the body does not begin with the bytes k8s\\0"))?;
    let (mut type_meta, mut raw) = ([String::new(), String::new()], &[][..]);
    for field in fields(envelope) {
        match field? {
            (1, Payload::Bytes(bytes)) => type_meta = [text_at(bytes, 1)?, text_at(bytes, 2)?],
            (2, Payload::Bytes(bytes)) => raw = bytes,
            (3, Payload::Bytes(encoding)) if !encoding.is_empty() => {
                return Err(WireError("a content encoding is not supported"));
            }
            _ => {}
        }
    }
    let decoder = Decoder { schemas };
    let mut object = Map::new();
    decoder.message(definition, known_fields(schemas, definition)?, raw, &mut object, 0)?;
    for (key, text) in ["apiVersion", "kind"].into_iter().zip(type_meta) {
        if !text.is_empty() {
            object.insert(key.to_owned(), json!(text));
        }
    }
    Ok(Value::Object(object))
}

fn known_fields<'a>(
    schemas: &'a Schemas,
    definition: &str,
) -> Result<&'a BTreeMap<String, Field>, WireError> {
    match schemas.get(definition).map(|definition| &definition.shape) {
        Some(Shape::Object(fields)) if SLOTS.contains_key(definition) => Ok(fields),
        _ => Err(WireError("this kind is not served in protobuf; send JSON")),
    }
}

struct Decoder<'a> {
    schemas: &'a Schemas,
}

impl Decoder<'_> {
    /// Reads a message into `out`. Inlined structs are messages on the wire and have their fields in the outer object.
    fn message(
        &self,
        slots_of: &str,
        known: &BTreeMap<String, Field>,
        bytes: &[u8],
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), WireError> {
        if depth > DEPTH_MAX {
            return Err(WireError("nested too deeply"));
        }
        let Some(slots) = SLOTS.get(slots_of) else { return Ok(()) };
        for field in fields(bytes) {
            let (number, payload) = field?;
            let Some(slot) = slots.get(&number.to_string()) else { continue };
            if let (Some(inlined), Payload::Bytes(bytes)) = (slot.strip_prefix('<'), &payload) {
                self.message(inlined, known, bytes, out, depth + 1)?;
                continue;
            }
            let name = slot.trim_end_matches('?');
            let absent = slot.ends_with('?') && matches!(payload, Payload::Varint(0));
            if let Some(field) = known.get(name).filter(|_| !absent) {
                self.put(out, name, &field.ty, &payload, depth)?;
            }
        }
        Ok(())
    }

    fn put(
        &self,
        out: &mut Map<String, Value>,
        name: &str,
        ty: &Type,
        payload: &Payload<'_>,
        depth: usize,
    ) -> Result<(), WireError> {
        match ty {
            Type::List(inner) => {
                let item = self.value(inner, payload, depth)?;
                if let Value::Array(items) = out.entry(name).or_insert_with(|| json!([])) {
                    items.push(item);
                }
            }
            Type::Map(inner) => {
                let (key, value) = self.entry(inner, payload, depth)?;
                if let Value::Object(entries) = out.entry(name).or_insert_with(|| json!({})) {
                    entries.insert(key, value);
                }
            }
            _ => {
                let value = self.value(ty, payload, depth)?;
                if !value.is_null() && value != "" {
                    out.insert(name.to_owned(), value);
                }
            }
        }
        Ok(())
    }

    fn entry(&self, inner: &Type, payload: &Payload<'_>, depth: usize) -> Result<(String, Value), WireError> {
        let bytes = payload.bytes()?;
        let mut value = None;
        for field in fields(bytes) {
            if let (2, payload) = field? {
                value = Some(self.value(inner, &payload, depth)?);
            }
        }
        Ok((text_at(bytes, 1)?, value.unwrap_or_else(|| json!(""))))
    }

    fn value(&self, ty: &Type, payload: &Payload<'_>, depth: usize) -> Result<Value, WireError> {
        match self.schemas.resolve(ty) {
            Type::String(format) if format == "date-time" => time(payload.bytes()?),
            Type::String(format) if format == "byte" => Ok(json!(STANDARD.encode(payload.bytes()?))),
            Type::String(_) => Ok(json!(text(payload.bytes()?)?)),
            Type::Integer(_) => Ok(json!(payload.varint()?.cast_signed())),
            Type::Boolean => Ok(json!(payload.varint()? != 0)),
            Type::Number => Err(WireError("numbers with a fraction are not served in protobuf; send JSON")),
            Type::Quantity => Ok(json!(text_at(payload.bytes()?, 1)?)),
            Type::IntOrString => int_or_string(payload.bytes()?),
            Type::Object | Type::Any => raw_json(payload.bytes()?),
            Type::Reference(name) => {
                let mut object = Map::new();
                let known = known_fields(self.schemas, name)?;
                self.message(name, known, payload.bytes()?, &mut object, depth + 1)?;
                Ok(Value::Object(object))
            }
            Type::List(_) | Type::Map(_) => {
                Err(WireError("lists of lists are not served in protobuf; send JSON"))
            }
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| WireError("a text is not UTF-8"))
}

/// The text field of this number; empty when it is not there.
fn text_at(message: &[u8], wanted: u32) -> Result<String, WireError> {
    let mut found = "";
    for field in fields(message) {
        if let (number, Payload::Bytes(bytes)) = field?
            && number == wanted
        {
            found = text(bytes)?;
        }
    }
    Ok(found.to_owned())
}

/// Time and MicroTime: seconds and nanoseconds. Nothing at all is the zero time, which JSON writes as null.
fn time(message: &[u8]) -> Result<Value, WireError> {
    let (mut seconds, mut nanos, mut given) = (0, 0, false);
    for field in fields(message) {
        match field? {
            (1, Payload::Varint(value)) => (seconds, given) = (value.cast_signed(), true),
            (2, Payload::Varint(value)) => {
                nanos = i32::try_from(value).map_err(|_| WireError("a time is out of range"))?
            }
            _ => {}
        }
    }
    if !given {
        return Ok(Value::Null);
    }
    let time = Timestamp::new(seconds, nanos).map_err(|_| WireError("a time is out of range"))?;
    let digits = if nanos == 0 { 0 } else { 6 };
    Ok(json!(format!("{time:.digits$}")))
}

fn int_or_string(message: &[u8]) -> Result<Value, WireError> {
    let (mut is_text, mut number) = (false, 0);
    for field in fields(message) {
        match field? {
            (1, Payload::Varint(kind)) => is_text = kind == 1,
            (2, Payload::Varint(value)) => number = value.cast_signed(),
            _ => {}
        }
    }
    if is_text { Ok(json!(text_at(message, 3)?)) } else { Ok(json!(number)) }
}

/// FieldsV1 and RawExtension carry JSON in their first field.
fn raw_json(message: &[u8]) -> Result<Value, WireError> {
    let text = text_at(message, 1)?;
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).map_err(|_| WireError("an embedded object is not JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// Empty texts, nulls, empty lists and objects, and zeros mean nothing to either encoding.
    fn settle(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let kept = map.iter().map(|(key, value)| (key.clone(), settle(value)));
                // JSON writes the port of a Node's kubelet even when nobody gave it.
                Value::Object(
                    kept.filter(|(k, v)| !v.is_null() && v != "" && (k != "Port" || v != 0)).collect(),
                )
            }
            Value::Array(items) => Value::Array(items.iter().map(settle).collect()),
            other => other.clone(),
        }
    }

    #[test]
    fn reads_what_the_real_server_writes() {
        let cases = samples::golden_folder("protobuf");
        assert!(cases.len() >= 6);
        for (name, golden) in cases {
            let bytes = STANDARD.decode(golden["protobuf"].as_str().unwrap()).unwrap();
            let schema = golden["schema"].as_str().unwrap();
            let decoded = decode(&bytes, Schemas::embedded(), schema).unwrap();
            assert_eq!(settle(&decoded), settle(&golden["json"]), "{name}");
        }
    }

    #[test]
    fn a_body_that_is_cut_off_or_changed_is_no_panic() {
        for (_, golden) in samples::golden_folder("protobuf") {
            let bytes = STANDARD.decode(golden["protobuf"].as_str().unwrap()).unwrap();
            let schema = golden["schema"].as_str().unwrap();
            for length in (0..bytes.len()).step_by(3) {
                let _ = decode(&bytes[..length], Schemas::embedded(), schema);
                let mut changed = bytes.clone();
                changed[length] ^= 0x55;
                let _ = decode(&changed, Schemas::embedded(), schema);
            }
            assert!(decode(&bytes[..bytes.len() / 2], Schemas::embedded(), schema).is_err());
        }
    }
}
