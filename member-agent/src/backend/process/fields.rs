//! A JSON object of a pod template, read field by field; what is not as it should be is refused by its path.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::backend::error::{BackendError, RefusalReason};

/// A JSON object of the template, which knows where it is, for messages.
pub(crate) struct Fields<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Fields<'a> {
    /// The whole template.
    pub(crate) fn template(value: &'a Value) -> Fields<'a> {
        Fields { value, path: "template".to_owned() }
    }

    /// For messages.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, BackendError> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let path = format!("{}.{name}", self.path);
        if value.is_object() {
            Ok(Some(Fields { value, path }))
        } else {
            Err(malformed(&path, "not an object"))
        }
    }

    pub(crate) fn list(&self, name: &str) -> Result<Vec<Fields<'a>>, BackendError> {
        let path = format!("{}.{name}", self.path);
        let items = self.array(name)?.iter().enumerate();
        let fields = items.map(|(index, value)| Fields { value, path: format!("{path}[{index}]") });
        Ok(fields.collect())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, BackendError> {
        let Some(value) = self.given(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| malformed(&format!("{}.{name}", self.path), "not a string"))
    }

    pub(crate) fn required_text(&self, name: &str) -> Result<&'a str, BackendError> {
        self.text(name)?.ok_or_else(|| malformed(&format!("{}.{name}", self.path), "it is required"))
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.given(name).and_then(Value::as_bool) == Some(true)
    }

    /// What a map of texts holds, in order of key.
    pub(crate) fn text_map(&self, name: &str) -> BTreeMap<String, String> {
        let entries = self.given(name).and_then(Value::as_object).into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// Whether the field is there and holds something.
    pub(crate) fn is_filled(&self, name: &str) -> bool {
        self.given(name).is_some_and(|value| match value {
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            _ => true,
        })
    }

    /// A file mode, as JSON has it in decimal.
    pub(crate) fn mode(&self, name: &str) -> Result<Option<u32>, BackendError> {
        let path = format!("{}.{name}", self.path);
        let Some(mode) = self.number(name)? else { return Ok(None) };
        let mode = u32::try_from(mode).ok().filter(|mode| *mode <= 0o777);
        mode.map(Some).ok_or_else(|| malformed(&path, "a mode between 0 and 0777 (decimal 511) is wanted"))
    }

    /// A quantity of bytes.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<u64>, BackendError> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let path = format!("{}.{name}", self.path);
        parse_bytes(&text).map(Some).ok_or_else(|| malformed(&path, "not a quantity of bytes such as 64Mi"))
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Vec<&'a str>, BackendError> {
        let texts: Option<Vec<&str>> = self.array(name)?.iter().map(Value::as_str).collect();
        texts.ok_or_else(|| malformed(&format!("{}.{name}", self.path), "not a list of strings"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, BackendError> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let message = "not a whole number of 0 or more";
        value.as_u64().map(Some).ok_or_else(|| malformed(&format!("{}.{name}", self.path), message))
    }

    pub(crate) fn array(&self, name: &str) -> Result<&'a [Value], BackendError> {
        let Some(value) = self.given(name) else { return Ok(&[]) };
        let array =
            value.as_array().ok_or_else(|| malformed(&format!("{}.{name}", self.path), "not a list"))?;
        Ok(array)
    }

    /// Null means absent, as in the Kubernetes API.
    pub(crate) fn given(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }
}

/// A refusal for `field`.
pub(crate) fn refuse(reason: RefusalReason, field: &str, message: &str) -> BackendError {
    BackendError::Refused { reason, field: field.to_owned(), message: message.to_owned() }
}

/// A field that is not what the Kubernetes API says.
pub(crate) fn malformed(field: &str, message: &str) -> BackendError {
    refuse(RefusalReason::Malformed, field, message)
}

/// A quantity of bytes in whole units, rounded up: `1.5Gi`, `64Mi`, `1000`, `1e3`.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u128); 13] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
        ("", 1),
    ];
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, suffix) = text.split_at(digits);
    let unit = match suffix.strip_prefix(['e', 'E']).and_then(|power| power.parse::<u32>().ok()) {
        Some(power) => 10u128.checked_pow(power)?,
        None => UNITS.iter().find(|(name, _)| *name == suffix)?.1,
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + decimals.len() == 0 || decimals.len() > 18 {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(decimals.len()).ok()?);
    let digits: u128 = format!("{whole}{decimals}").parse().ok()?;
    u64::try_from(digits.checked_mul(unit)?.div_ceil(scale)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_of_bytes_are_whole_and_rounded_up() {
        let table = [
            ("1Mi", Some(1 << 20)),
            ("1.5Ki", Some(1536)),
            ("1000", Some(1000)),
            ("2k", Some(2000)),
            ("1e3", Some(1000)),
            ("0.1", Some(1)),
            ("12E", Some(12_000_000_000_000_000_000)),
            ("99E", None),
            ("", None),
            ("Mi", None),
            ("1.2.3", None),
            ("-1", None),
            ("1 Mi", None),
        ];
        for (text, want) in table {
            assert_eq!(parse_bytes(text), want, "{text}");
        }
    }
}
