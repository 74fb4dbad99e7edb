//! `-o`: objects as JSON, YAML or names.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::kinds::ServedKind;
use crate::exit::Failure;

/// How objects are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The whole object, as JSON
    Json,
    /// The whole object, as YAML
    Yaml,
    /// A table with all columns
    Wide,
    /// KIND/NAME, a line each
    Name,
}

/// How an answer that is no object is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataFormat {
    /// The hub's answer, as JSON
    Json,
    /// The hub's answer, as YAML
    Yaml,
}

impl DataFormat {
    /// The answer as text.
    pub fn render(self, answer: &Value) -> Result<String, Failure> {
        match self {
            DataFormat::Json => Ok(to_json(answer)),
            DataFormat::Yaml => to_yaml(answer),
        }
    }
}

/// How an answer is printed that is a table for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// The hub's answer, as JSON
    Json,
    /// The hub's answer, as YAML
    Yaml,
    /// A table with all columns
    Wide,
}

impl TableFormat {
    /// The answer as data, or as the table that `table` makes: with all columns if it is told so.
    pub fn render(
        format: Option<TableFormat>,
        answer: &Value,
        table: impl FnOnce(bool) -> String,
    ) -> Result<String, Failure> {
        match format {
            Some(TableFormat::Json) => DataFormat::Json.render(answer),
            Some(TableFormat::Yaml) => DataFormat::Yaml.render(answer),
            Some(TableFormat::Wide) => Ok(table(true)),
            None => Ok(table(false)),
        }
    }
}

/// Indented JSON.
pub fn to_json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Block YAML.
pub fn to_yaml(value: &Value) -> Result<String, Failure> {
    let mut options = serde_saphyr::SerializerOptions::default();
    // Long lines stay one line: wrapped text is hard to search and to compare.
    options.prefer_block_scalars = true;
    options.folded_wrap_chars = usize::MAX;
    options.min_fold_chars = usize::MAX;
    options.compact_list_indent = true;
    options.empty_as_braces = true;
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| Failure::negative(format!("-o yaml: {error}")))
}

/// `job.batch/NAME`.
pub fn full_name(kind: &ServedKind, object: &Value) -> String {
    format!("{}/{}", kind.qualified(), object["metadata"]["name"].as_str().unwrap_or_default())
}

/// Gives items of an API list the kind and version that the list says once.
pub fn items(kind: &ServedKind, list: &mut Value) -> Vec<Value> {
    let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let named = items.into_iter().map(|mut item| {
        if let Some(fields) = item.as_object_mut() {
            fields.entry("apiVersion").or_insert_with(|| kind.api_version().into());
            fields.entry("kind").or_insert_with(|| kind.kind.as_str().into());
        }
        item
    });
    named.collect()
}

/// Several objects as one.
pub fn list_of(items: Vec<Value>) -> Value {
    let mut list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}});
    list["items"] = Value::Array(items);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_reads_back_as_what_it_was() {
        let tricky = [
            "true",
            "-c",
            "-",
            "-1",
            "no",
            "1",
            "1.5",
            "0x1f",
            "null",
            "~",
            "",
            " a",
            "a ",
            "a: b",
            "- a",
            "#",
            "a #b",
            "x\ny\n",
            "x\n\ny",
            "\n",
            "'",
            "\"",
            "@x",
            "%x",
            "*x",
            "&x",
            "!x",
            "2026-01-01T00:00:00Z",
            "é😀",
            "a\tb",
            "sha256:ab",
            "{a}",
            "[a",
            "\u{1}",
            "=",
            "<<",
            ".inf",
            "012",
            "1_000",
            "12e03",
            "on",
            "Y",
            "---",
            "...",
            "? x",
            "| x",
            "> x",
            "trailing:",
            "a\r\nb",
            "\u{2028}",
            "  two\nlines",
        ];
        let long = "word ".repeat(60);
        let value = json!({
            "texts": tricky.to_vec(), "long": long, "n": [0, -1, 1.5, u64::MAX, i64::MIN], "b": [true, false, null], "empty": [{}, []],
            "nested": [[{"a": [{"b": "c"}]}], {"x": {"y": [1]}}], "block": "first\n  second: x\n\nlast\n", "kept": "x\n\n",
        });
        let yaml = to_yaml(&value).unwrap();
        let back: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        assert_eq!(back, value, "{yaml}");
        for text in tricky {
            let keyed = json!({text: {"k": text}});
            let yaml = to_yaml(&keyed).unwrap();
            let back: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
            assert_eq!(back, keyed, "{yaml}");
        }
    }
}
