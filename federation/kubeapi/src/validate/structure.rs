//! Types, required fields and allowed words against the schema.
//!
//! One walk finds everything; built-in kinds report the first wrong type as a decoding error (400), kinds as from a CRD
//! report all of it as field errors (422).

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::field::FieldError;
use crate::quote::go_quote;
use crate::schema::{Definition, Field, Schemas, Type};

const MONEY_NUMBER: &str = " (a JSON number is a binary fraction, which cannot hold most amounts of money exactly: put it in \
                            quotes, such as \"12.34\")";

/// One place where an object does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StructureError {
    /// The wrong type. `decoding` is the text a decoder of a built-in kind gives.
    WrongType {
        /// `json: cannot unmarshal string into Go struct field ...`
        decoding: String,
        /// The same as a field error.
        field: FieldError,
    },
    /// A required field is not there.
    Missing(FieldError),
    /// Not one of the allowed words.
    Word(FieldError),
}

impl StructureError {
    /// As one line of a 422.
    pub fn field_error(&self) -> &FieldError {
        match self {
            StructureError::WrongType { field, .. } => field,
            StructureError::Missing(field) | StructureError::Word(field) => field,
        }
    }
}

/// Everything in `object` that does not fit `definition`. Unknown fields are not looked at.
pub fn structure(schemas: &Schemas, definition: &str, object: &Value) -> Vec<StructureError> {
    let mut walk = Walk { schemas, owner: "", keys: Vec::new(), path: String::new(), errors: Vec::new() };
    walk.value(&Type::Reference(definition.to_owned()), object);
    walk.errors
}

struct Walk<'a> {
    schemas: &'a Schemas,
    /// Definition whose field is being looked at.
    owner: &'a str,
    /// Field names from the root, without indexes: what a Go decoder prints.
    keys: Vec<String>,
    /// Path with indexes: what a user reads.
    path: String,
    errors: Vec<StructureError>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, ty: &Type, value: &Value) {
        match (self.schemas.resolve(ty), value) {
            (_, Value::Null) | (Type::Any, _) => {}
            (Type::Reference(_), Value::Object(map)) => self.object(ty, map),
            (Type::List(inner), Value::Array(items)) => self.items(inner, items),
            (Type::Map(inner), Value::Object(map)) => self.entries(inner, map),
            (Type::Quantity, _) => self.quantity(value),
            (Type::String(format), Value::String(text)) if format == "date-time" => self.time(text),
            (scalar, _) if fits(scalar, value) => {}
            (expected, _) => self.wrong_type(expected, value),
        }
    }

    fn object(&mut self, ty: &Type, map: &Map<String, Value>) {
        let schemas = self.schemas;
        let Some((name, definition, fields)) = schemas.fields_of(ty) else { return };
        let owner = std::mem::replace(&mut self.owner, name);
        self.required(definition, map);
        for (key, value) in map {
            if let Some(field) = fields.get(key) {
                self.inside(key, |walk| {
                    walk.word(field, value);
                    walk.value(&field.ty, value);
                });
            }
        }
        self.owner = owner;
    }

    fn required(&mut self, definition: &Definition, map: &Map<String, Value>) {
        for name in &definition.required {
            if map.get(name).is_none_or(Value::is_null) {
                let path = self.child(name);
                self.errors.push(StructureError::Missing(FieldError::required(path, "")));
            }
        }
    }

    fn word(&mut self, field: &Field, value: &Value) {
        let Value::String(word) = value else { return };
        if !field.words.is_empty() && !field.words.contains(word) {
            let allowed: Vec<_> = field.words.iter().map(String::as_str).collect();
            self.errors.push(StructureError::Word(FieldError::not_supported(
                self.path.clone(),
                word,
                &allowed,
            )));
        }
    }

    fn items(&mut self, inner: &Type, items: &[Value]) {
        for (index, item) in items.iter().enumerate() {
            let length = self.path.len();
            self.path.push_str(&format!("[{index}]"));
            self.value(inner, item);
            self.path.truncate(length);
        }
    }

    /// Keys of a map do not show in a Go decoder's path, and in brackets in ours.
    fn entries(&mut self, inner: &Type, map: &Map<String, Value>) {
        for (key, value) in map {
            let length = self.path.len();
            self.path.push_str(&format!("[{key}]"));
            self.value(inner, value);
            self.path.truncate(length);
        }
    }

    fn inside(&mut self, key: &str, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        self.keys.push(key.to_owned());
        look(self);
        self.keys.pop();
        self.path.truncate(length);
    }

    fn child(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn quantity(&mut self, value: &Value) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        if !is_quantity(&text) {
            let rule =
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
            self.push_wrong(rule.to_owned(), FieldError::invalid(self.path.clone(), value, rule));
        }
    }

    fn time(&mut self, text: &str) {
        if text.parse::<Timestamp>().is_err() {
            let quoted = go_quote(text);
            let layout = "\"2006-01-02T15:04:05Z07:00\"";
            let decoding = format!("parsing time {quoted} as {layout}: cannot parse {quoted} as \"2006\"");
            let detail = "must be an RFC 3339 time such as 2026-01-31T09:30:00Z";
            self.push_wrong(decoding, FieldError::invalid_text(self.path.clone(), text, detail));
        }
    }

    fn wrong_type(&mut self, expected: &Type, value: &Value) {
        let given = given_name(expected, value);
        let owner = short(self.owner);
        let decoding = format!(
            "json: cannot unmarshal {given} into Go struct field {owner}.{} of type {}",
            self.keys.join("."),
            go_type(expected)
        );
        let mut detail = format!(
            "{} in body must be of type {}: {}",
            self.path,
            json_type(expected),
            go_quote(json_name(value))
        );
        if is_money(expected) && value.is_number() {
            detail.push_str(MONEY_NUMBER);
        }
        let shown = Value::String(json_name(value).to_owned());
        self.push_wrong(decoding, FieldError::type_invalid(self.path.clone(), &shown, detail));
    }

    fn push_wrong(&mut self, decoding: String, field: FieldError) {
        self.errors.push(StructureError::WrongType { decoding, field });
    }
}

fn fits(ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (Type::Object, Value::Object(_))
        | (Type::String(_), Value::String(_))
        | (Type::IntOrString, Value::String(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Number, Value::Number(_)) => true,
        (Type::Integer(format), Value::Number(number)) => match number.as_i64() {
            Some(whole) => format != "int32" || i32::try_from(whole).is_ok(),
            None => false,
        },
        (Type::IntOrString, Value::Number(number)) => {
            number.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
        }
        _ => false,
    }
}

fn is_money(ty: &Type) -> bool {
    matches!(ty, Type::String(format) if format == "money")
}

/// Syntax of a quantity: sign, digits with at most one point, and a suffix or an exponent.
fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, suffix) = unsigned.split_at(digits);
    if number.matches('.').count() > 1 || !number.contains(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let units = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    units.contains(&suffix)
        || suffix.strip_prefix(['e', 'E']).is_some_and(|exponent| {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        })
}

/// What was given, as Go's decoder names it: numbers with their text when only their size is wrong.
fn given_name(expected: &Type, value: &Value) -> String {
    match (expected, value) {
        (Type::Integer(_), Value::Number(number)) => format!("number {number}"),
        (_, Value::Bool(_)) => "bool".to_owned(),
        _ => json_name(value).to_owned(),
    }
}

fn json_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn json_type(ty: &Type) -> &'static str {
    match ty {
        Type::String(_) => "string",
        Type::Integer(_) => "integer",
        Type::Number => "number",
        Type::Boolean => "boolean",
        Type::IntOrString => "integer or string",
        Type::Quantity => "quantity",
        Type::List(_) => "array",
        Type::Any | Type::Object | Type::Reference(_) | Type::Map(_) => "object",
    }
}

fn go_type(ty: &Type) -> String {
    match ty {
        Type::String(_) => "string".to_owned(),
        Type::Integer(format) if format.is_empty() => "int64".to_owned(),
        Type::Integer(format) => format.clone(),
        Type::Number => "float64".to_owned(),
        Type::Boolean => "bool".to_owned(),
        Type::IntOrString => "intstr.IntOrString".to_owned(),
        Type::Quantity => "resource.Quantity".to_owned(),
        Type::List(inner) => format!("[]{}", go_type(inner)),
        Type::Map(inner) => format!("map[string]{}", go_type(inner)),
        Type::Reference(name) => format!("v1.{}", short(name)),
        Type::Any | Type::Object => "map[string]interface {}".to_owned(),
    }
}

fn short(definition: &str) -> &str {
    definition.rsplit('.').next().unwrap_or(definition)
}
