//! Reading a body once: into a [`Value`], and into a list of what a strict reader objects to.
//!
//! Duplicate fields are gone once a map is built, so they are seen while parsing; unknown fields are seen in the same pass,
//! in the order in which they stand in the document. Nothing is dropped: a user's unknown field stays in the value.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::protobuf;
use crate::schema::{Schemas, Type};

/// How the body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`, bodies of built-in kinds only.
    Protobuf,
}

/// A parsed body.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// All of it, unknown fields included; of duplicates the last.
    pub value: Value,
    /// `unknown field "spec.foo"`, `duplicate field "data.a"`, in document order.
    pub findings: Vec<String>,
}

/// The body could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON.
    #[error("json parse error: {0}")]
    Json(String),
    /// Not YAML, or more than one document.
    #[error("yaml parse error: {0}")]
    Yaml(String),
    /// Not protobuf of this kind.
    #[error("protobuf parse error: {0}")]
    Protobuf(String),
}

/// Parses `body`. With a schema, fields that `definition` does not know are found as well.
///
/// # Errors
/// When the body is not one document of the encoding.
pub fn parse(
    body: &[u8],
    encoding: Encoding,
    schema: Option<(&Schemas, &str)>,
) -> Result<Document, ParseError> {
    let root = schema.map(|(_, name)| Type::Reference(name.to_owned()));
    let reader = Reader {
        schemas: schema.map(|(schemas, _)| schemas),
        path: RefCell::new(Vec::new()),
        findings: RefCell::new(Vec::new()),
    };
    let seed = Seed { reader: &reader, ty: root.as_ref() };
    let value = match encoding {
        Encoding::Json => parse_json(body, seed)?,
        Encoding::Yaml => parse_yaml(body, seed)?,
        Encoding::Protobuf => parse_protobuf(body, schema)?,
    };
    Ok(Document { value, findings: reader.findings.into_inner() })
}

/// The unknown fields of a value that is already parsed, in order of name.
pub fn unknown_fields(value: &Value, schemas: &Schemas, definition: &str) -> Vec<String> {
    let root = Type::Reference(definition.to_owned());
    let reader =
        Reader { schemas: Some(schemas), path: RefCell::new(Vec::new()), findings: RefCell::new(Vec::new()) };
    let seed = Seed { reader: &reader, ty: Some(&root) };
    seed.deserialize(value).expect("a value that was parsed can be read again");
    reader.findings.into_inner()
}

fn parse_json(body: &[u8], seed: Seed<'_>) -> Result<Value, ParseError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = seed.deserialize(&mut deserializer).map_err(|e| ParseError::Json(e.to_string()))?;
    deserializer.end().map_err(|e| ParseError::Json(e.to_string()))?;
    Ok(value)
}

/// Protobuf has numbers for fields: there is nothing unknown or duplicate to be found.
fn parse_protobuf(body: &[u8], schema: Option<(&Schemas, &str)>) -> Result<Value, ParseError> {
    let failed = |why: String| ParseError::Protobuf(why);
    let (schemas, definition) = schema.ok_or_else(|| failed("no kind to read it as".to_owned()))?;
    protobuf::decode(body, schemas, definition).map_err(|error| failed(error.to_string()))
}

fn parse_yaml(body: &[u8], seed: Seed<'_>) -> Result<Value, ParseError> {
    serde_saphyr::with_deserializer_from_slice_with_options(
        body,
        // Only `true` and `false` are booleans, and messages fit on a line.
        serde_saphyr::options! { strict_booleans: true, with_snippet: false },
        |deserializer| seed.deserialize(deserializer),
    )
    .map_err(|error| ParseError::Yaml(error.to_string()))
}

enum Step {
    Field(String),
    Item(usize),
}

struct Reader<'a> {
    schemas: Option<&'a Schemas>,
    path: RefCell<Vec<Step>>,
    findings: RefCell<Vec<String>>,
}

impl Reader<'_> {
    fn report(&self, class: &str) {
        let mut text = String::new();
        for step in self.path.borrow().iter() {
            match step {
                Step::Field(name) if text.is_empty() => text.push_str(name),
                Step::Field(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                Step::Item(index) => text.push_str(&format!("[{index}]")),
            }
        }
        self.findings.borrow_mut().push(format!("{class} field \"{text}\""));
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    reader: &'a Reader<'a>,
    /// `None` where nothing is known, so that nothing can be unknown.
    ty: Option<&'a Type>,
}

enum Known<'a> {
    Yes(Option<&'a Type>),
    No,
}

impl<'a> Seed<'a> {
    /// What the schema says about the field `key` of this value.
    fn field(&self, key: &str) -> Known<'a> {
        let (Some(schemas), Some(ty)) = (self.reader.schemas, self.ty) else { return Known::Yes(None) };
        match ty {
            Type::Map(inner) => Known::Yes(Some(inner)),
            Type::Reference(_) => match schemas.fields_of(ty) {
                Some((_, _, fields)) => {
                    fields.get(key).map_or(Known::No, |field| Known::Yes(Some(&field.ty)))
                }
                None => Known::Yes(None),
            },
            _ => Known::Yes(None),
        }
    }

    fn item(&self) -> Seed<'a> {
        let ty = match self.ty {
            Some(Type::List(inner)) => Some(inner.as_ref()),
            _ => None,
        };
        Seed { reader: self.reader, ty }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            self.reader.path.borrow_mut().push(Step::Item(items.len()));
            let item = seq.next_element_seed(self.item());
            self.reader.path.borrow_mut().pop();
            match item? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            self.reader.path.borrow_mut().push(Step::Field(key.clone()));
            let ty = match self.field(&key) {
                Known::Yes(ty) => ty,
                Known::No => {
                    self.reader.report("unknown");
                    None
                }
            };
            if fields.contains_key(&key) {
                self.reader.report("duplicate");
            }
            let value = map.next_value_seed(Seed { reader: self.reader, ty });
            self.reader.path.borrow_mut().pop();
            fields.insert(key, value?);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(body: &str, encoding: Encoding, want: &Expect) {
        let schema = Some((Schemas::embedded(), "io.k8s.api.batch.v1.Job"));
        let text = match parse(body.as_bytes(), encoding, schema) {
            Ok(document) => format!("{}\n{}", document.value, document.findings.join("\n")),
            Err(error) => error.to_string(),
        };
        want.assert_eq(&text);
    }

    #[test]
    fn unknown_and_duplicate_fields_in_document_order() {
        check(
            r#"{"spec":{"x":1,"suspend":true,"suspend":false,"template":{"spec":{"containers":[{"name":"a"},{"z":{"q":1}}]}}}}"#,
            Encoding::Json,
            &expect![[r#"
                {"spec":{"suspend":false,"template":{"spec":{"containers":[{"name":"a"},{"z":{"q":1}}]}},"x":1}}
                unknown field "spec.x"
                duplicate field "spec.suspend"
                unknown field "spec.template.spec.containers[1].z""#]],
        );
    }

    #[test]
    fn yaml_is_read_by_the_same_rules() {
        check(
            "metadata: {name: yes, labels: {a: \"1\"}}\nspec: {foo: 10, backoffLimit: 3}\n",
            Encoding::Yaml,
            &expect![[r#"
                {"metadata":{"labels":{"a":"1"},"name":"yes"},"spec":{"backoffLimit":3,"foo":10}}
                unknown field "spec.foo""#]],
        );
    }

    #[test]
    fn what_is_not_one_document_is_refused() {
        check(
            "{",
            Encoding::Json,
            &expect![["json parse error: EOF while parsing an object at line 1 column 1"]],
        );
        check(
            "{} {}",
            Encoding::Json,
            &expect![["json parse error: trailing characters at line 1 column 4"]],
        );
        assert!(parse(b"a: 1\na: 2\n", Encoding::Yaml, None).is_err());
    }

    #[test]
    fn bodies_that_would_grow_or_go_deep_are_refused() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        assert!(parse(deep.as_bytes(), Encoding::Json, None).is_err());
        let deep_yaml = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(parse(deep_yaml.as_bytes(), Encoding::Yaml, None).is_err());
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(parse(bomb.as_bytes(), Encoding::Yaml, None).is_err());
    }
}
