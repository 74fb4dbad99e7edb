//! JSON text by concatenation: what lists are made of.

use std::fmt::Write;

use muster_model::TimeMs;

use crate::resource::Resource;

/// Appends a JSON string.
pub(super) fn push_text(out: &mut String, text: &str) {
    let plain = text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Appends a time as a JSON string.
pub(super) fn push_time(out: &mut String, time: TimeMs) {
    push_display(out, &format_args!("\"{time}\""));
}

/// Appends whatever it prints as, without quotes.
pub(super) fn push_display(out: &mut String, value: &dyn std::fmt::Display) {
    write!(out, "{value}").expect("a String takes everything");
}

/// Appends `group/version` as a JSON string.
pub(super) fn push_api_version(out: &mut String, resource: &Resource) {
    out.push('"');
    if !resource.group.is_empty() {
        out.push_str(resource.group);
        out.push('/');
    }
    out.push_str(resource.version);
    out.push('"');
}

/// Writes an object's fields one by one.
pub(super) struct Fields<'a> {
    out: &'a mut String,
    first: bool,
}

impl<'a> Fields<'a> {
    /// Opens an object.
    pub(super) fn open(out: &'a mut String) -> Fields<'a> {
        out.push('{');
        Fields { out, first: true }
    }

    /// Begins a field; the caller appends its value.
    pub(super) fn name(&mut self, name: &str) -> &mut String {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }

    /// A text field.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        push_text(self.name(name), text);
    }

    /// A text field, left out when it is empty.
    pub(super) fn filled(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.text(name, text);
        }
    }

    /// A time field.
    pub(super) fn time(&mut self, name: &str, time: TimeMs) {
        push_time(self.name(name), time);
    }

    /// A field of what prints as a JSON number or literal.
    pub(super) fn literal(&mut self, name: &str, value: &dyn std::fmt::Display) {
        push_display(self.name(name), value);
    }

    /// A text field of what prints without characters that JSON escapes.
    pub(super) fn plain(&mut self, name: &str, value: &dyn std::fmt::Display) {
        push_display(self.name(name), &format_args!("\"{value}\""));
    }

    /// A list; `item` appends one item.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut String, T),
    ) {
        let out = self.name(name);
        out.push('[');
        for (index, one) in items.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            item(out, one);
        }
        out.push(']');
    }

    /// The text, with the object still open.
    pub(super) fn unclosed(self) -> &'a mut String {
        self.out
    }

    /// Closes the object.
    pub(super) fn close(self) {
        self.out.push('}');
    }
}
