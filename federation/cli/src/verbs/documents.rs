//! What `-f` names: objects in YAML or JSON, one after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::exit::Failure;

/// Kinds without a namespace, for paths that are made without asking the hub which kinds it serves.
const CLUSTER_SCOPED: [&str; 3] = ["Namespace", "Cluster", "PriceBook"];

/// The objects of a text: several YAML documents or JSON values, anchors resolved, Lists taken apart. Each has an
/// `apiVersion` and a `kind`.
pub fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let text = text.trim_start_matches('\u{feff}');
    let mut objects = Vec::new();
    for (i, document) in parse(text)?.into_iter().enumerate() {
        flatten(document, &format!("document {}", i + 1), &mut objects)?;
    }
    Ok(objects)
}

/// The objects of a file; `-` is standard input. An empty file is refused: nothing to do is never what was meant.
pub fn read(path: &Path) -> anyhow::Result<Vec<Value>> {
    let name = path.display();
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| Failure::input(format!("{name}: {error}")))?;
    // The failure's own message must carry the file, so that its exit code survives.
    let objects = documents(&text).map_err(|error| Failure::input(format!("{name}: {error}")))?;
    if objects.is_empty() {
        return Err(Failure::input(format!(
            "{name}: no objects in it; each needs apiVersion, kind and metadata.name"
        ))
        .into());
    }
    Ok(objects)
}

/// The path of the collection that an object belongs to, without asking the hub.
pub fn collection_path(document: &Value, default_namespace: &str) -> anyhow::Result<String> {
    let (version, kind) = identity(document, "document")?;
    let prefix = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let plural = plural(kind);
    if CLUSTER_SCOPED.contains(&kind) {
        return Ok(format!("{prefix}/{plural}"));
    }
    let namespace = document["metadata"]["namespace"].as_str().unwrap_or(default_namespace);
    Ok(format!("{prefix}/namespaces/{namespace}/{plural}"))
}

fn plural(kind: &str) -> String {
    let word = kind.to_lowercase();
    match word.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if word.ends_with(['s', 'x']) || word.ends_with("ch") => format!("{word}es"),
        _ => format!("{word}s"),
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<Value>> {
    // JSON first: its escapes of characters beyond 16 bits are not YAML. What is no JSON may still be YAML in braces.
    if text.trim_start().starts_with(['{', '['])
        && let Some(values) = parse_json(text)?
    {
        return Ok(values);
    }
    serde_saphyr::from_multiple(text).map_err(|error| yaml_failure(text, &error).into())
}

/// What is wrong with a YAML text and where, in one line: without a part of it, which may be a key.
pub fn yaml_error(error: &serde_saphyr::Error) -> String {
    // The parser's advice on duplicate keys is for programmers.
    let advice = ", set DuplicateKeyPolicy in Options if acceptable";
    error.without_snippet().to_string().replace(advice, "; remove one")
}

fn yaml_failure(text: &str, error: &serde_saphyr::Error) -> Failure {
    let message = yaml_error(error);
    let Some(location) = error.location() else { return Failure::input(message) };
    let lines_before = usize::try_from(location.line()).unwrap_or(usize::MAX).saturating_sub(1);
    let mut number = 1;
    for (i, line) in text.lines().take(lines_before).enumerate() {
        let begun = text.lines().take(i).any(|line| !line.trim().is_empty() && !line.starts_with('#'));
        number += usize::from(line.starts_with("---") && begun);
    }
    Failure::input(format!("document {number}: {message}"))
}

/// The JSON values of a text; `None` if it is no JSON.
fn parse_json(text: &str) -> Result<Option<Vec<Value>>, Failure> {
    let mut values = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Unique>();
    for (i, value) in stream.by_ref().enumerate() {
        match value {
            Ok(Unique(value)) => values.push(value),
            Err(error) if error.is_data() => {
                return Err(Failure::input(format!("document {}: {error}", i + 1)));
            }
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(values))
}

fn flatten(document: Value, place: &str, objects: &mut Vec<Value>) -> Result<(), Failure> {
    let (version, kind) = identity(&document, place)?;
    let Some(item_kind) = kind.strip_suffix("List").filter(|_| document["items"].is_array()) else {
        objects.push(document);
        return Ok(());
    };
    // Items of a typed list take kind and version from it, as the API's own answers are written.
    let inherited = (!item_kind.is_empty()).then(|| (version.to_owned(), item_kind.to_owned()));
    let Value::Object(mut list) = document else { return Ok(()) };
    let Some(Value::Array(items)) = list.remove("items") else { return Ok(()) };
    for (i, mut item) in items.into_iter().enumerate() {
        if let (Some((version, kind)), Some(item)) = (&inherited, item.as_object_mut()) {
            item.entry("apiVersion").or_insert_with(|| version.as_str().into());
            item.entry("kind").or_insert_with(|| kind.as_str().into());
        }
        flatten(item, &format!("{place}, item {}", i + 1), objects)?;
    }
    Ok(())
}

/// `apiVersion` and `kind`.
fn identity<'a>(document: &'a Value, place: &str) -> Result<(&'a str, &'a str), Failure> {
    if !document.is_object() {
        return Err(Failure::input(format!(
            "{place}: not an object; write `apiVersion:`, `kind:`, `metadata:` ..."
        )));
    }
    let field = |name: &str, example: &str| {
        let missing =
            || Failure::input(format!("{place}: {name}: missing; write it as in `{name}: {example}`"));
        let wrong = || Failure::input(format!("{place}: {name}: must be a text, as in `{name}: {example}`"));
        let value = document.get(name).filter(|value| !value.is_null()).ok_or_else(missing)?;
        value.as_str().filter(|text| !text.is_empty()).ok_or_else(wrong)
    };
    Ok((field("apiVersion", "batch/v1")?, field("kind", "Job")?))
}

/// A JSON value in which no object has a field twice. The hub would refuse such a field too, but it never sees it: of a
/// plain [`Value`] the last one wins silently.
struct Unique(Value);

impl<'de> serde::Deserialize<'de> for Unique {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Unique)
    }
}

impl<'de> DeserializeSeed<'de> for UniqueVisitor {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(UniqueVisitor)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(UniqueVisitor)?;
            if map.contains_key(&name) {
                return Err(A::Error::custom(format!("field {name:?} is there twice; remove one")));
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// The objects by the namespace they are meant for, in the order in which the namespaces appear first.
pub fn by_namespace(objects: Vec<Value>, default_namespace: &str) -> Vec<(String, Vec<Value>)> {
    let mut order: Vec<String> = Vec::new();
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for object in objects {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or(default_namespace).to_owned();
        if !groups.contains_key(&namespace) {
            order.push(namespace.clone());
        }
        groups.entry(namespace).or_default().push(object);
    }
    order.into_iter().filter_map(|namespace| groups.remove_entry(&namespace)).collect()
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
