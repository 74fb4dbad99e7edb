//! Field selectors: `metadata.name=x,involvedObject.kind!=Pod`, over the few fields a kind declares.

use serde_json::Value;

use crate::resource::{FieldLabel, Resource};
use crate::status::Status;

const NAME: FieldLabel = FieldLabel { label: "metadata.name", pointer: "/metadata/name", fallback: "" };
const NAMESPACE: FieldLabel =
    FieldLabel { label: "metadata.namespace", pointer: "/metadata/namespace", fallback: "" };

/// All terms must hold; none selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: FieldLabel,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Parses the `fieldSelector` parameter for a kind; empty text selects everything.
    ///
    /// # Errors
    /// 400 for a term that cannot be read or a field that this kind does not select by.
    pub fn parse(resource: &Resource, text: &str) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for part in split_terms(text).into_iter().filter(|part| !part.is_empty()) {
            let (label, equal, value) = split_term(part).ok_or_else(|| {
                Status::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'"))
            })?;
            let value = unescape(value).map_err(Status::bad_request)?;
            terms.push(Term { field: find(resource, label)?, equal, value });
        }
        Ok(Self { terms })
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object is selected; `lookup` gives the text at a JSON pointer. Absent is the empty text.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| {
            let filled = |pointer: &str| lookup(pointer).filter(|text| !text.is_empty());
            let value =
                filled(term.field.pointer).or_else(|| filled(term.field.fallback)).unwrap_or_default();
            (value == term.value) == term.equal
        })
    }

    /// Whether this object is selected.
    pub fn matches_object(&self, object: &Value) -> bool {
        self.matches(
            |pointer| if pointer.is_empty() { None } else { object.pointer(pointer).and_then(Value::as_str) },
        )
    }

    /// The one name that is asked for, so that a list can be a lookup.
    pub fn single_name(&self) -> Option<&str> {
        let term = self.terms.iter().find(|term| term.equal && term.field.label == NAME.label)?;
        Some(&term.value)
    }
}

fn find(resource: &Resource, label: &str) -> Result<FieldLabel, Status> {
    let mut known = [NAME, NAMESPACE].into_iter().chain(resource.field_labels.iter().copied());
    known.find(|field| field.label == label).ok_or_else(|| {
        Status::bad_request(format!("field label {label:?} not supported for {}", resource.kind))
    })
}

/// Splits at commas that are not escaped.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// `label`, whether it must be equal, and the value as it was written.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let index = term.find(['=', '!'])?;
    let (label, rest) = term.split_at(index);
    if let Some(value) = rest.strip_prefix("!=") {
        return Some((label, false, value));
    }
    let value = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
    Some((label, true, value))
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => out.push(next),
                Some(next) => {
                    return Err(format!("invalid field selector: invalid escape sequence: \\{next}"));
                }
                None => return Err("invalid field selector: invalid escape sequence: \\".to_owned()),
            },
            '=' => return Err("invalid field selector: unescaped character in value: =".to_owned()),
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::samples::EVENT;

    #[test]
    fn selects_by_declared_fields() {
        let event = json!({"metadata": {"name": "e"}, "involvedObject": {"name": "a,b"}, "reportingComponent": "hub"});
        for (selector, want) in [
            ("", true),
            ("metadata.name=e", true),
            ("metadata.name!=e", false),
            ("involvedObject.name=a\\,b,metadata.name==e", true),
            ("source=hub", true),
            ("metadata.namespace=", true),
        ] {
            let parsed = FieldSelector::parse(&EVENT, selector).unwrap();
            assert_eq!(parsed.matches_object(&event), want, "{selector}");
        }
        assert_eq!(FieldSelector::parse(&EVENT, "metadata.name=e").unwrap().single_name(), Some("e"));
    }

    #[test]
    fn a_field_nobody_selects_by_is_refused() {
        let status = FieldSelector::parse(&EVENT, "message=x").unwrap_err();
        assert_eq!(status.message, "field label \"message\" not supported for Event");
    }
}
