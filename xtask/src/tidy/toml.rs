//! Reads the TOML that deny.toml is written in: tables, arrays of tables, strings, booleans, integers, arrays and inline
//! tables. Anything else is an error that names the line, never a guess.

use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// The document as JSON.
pub fn parse(text: &str) -> anyhow::Result<Value> {
    let mut root = Map::new();
    let mut table: Vec<String> = Vec::new();
    let mut reader = Reader { text, at: 0 };
    loop {
        reader.skip_blank();
        if reader.rest().is_empty() {
            return Ok(Value::Object(root));
        }
        entry(&mut reader, &mut root, &mut table).with_context(|| format!("line {}", reader.line()))?;
    }
}

/// One `[table]`, `[[table]]` or `key = value`.
fn entry(
    reader: &mut Reader<'_>,
    root: &mut Map<String, Value>,
    table: &mut Vec<String>,
) -> anyhow::Result<()> {
    if reader.accept("[[") {
        *table = reader.keys()?;
        reader.expect("]]")?;
        return open_array(root, table);
    }
    if reader.accept("[") {
        *table = reader.keys()?;
        return reader.expect("]");
    }
    let key = reader.key()?;
    reader.expect("=")?;
    let value = reader.value()?;
    if select(root, table)?.insert(key.clone(), value).is_some() {
        bail!("`{key}` twice");
    }
    Ok(())
}

fn open_array(root: &mut Map<String, Value>, table: &[String]) -> anyhow::Result<()> {
    let (last, parents) = table.split_last().context("an empty name")?;
    let array = select(root, parents)?.entry(last.clone()).or_insert_with(|| Value::Array(Vec::new()));
    array.as_array_mut().context("not an array of tables")?.push(Value::Object(Map::new()));
    Ok(())
}

/// The table of that name, made when missing; for an array of tables its last one.
fn select<'a>(
    mut table: &'a mut Map<String, Value>,
    names: &[String],
) -> anyhow::Result<&'a mut Map<String, Value>> {
    for name in names {
        let entry = table.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
        let entry = match entry {
            Value::Array(tables) => tables.last_mut().context("an empty array")?,
            other => other,
        };
        table = entry.as_object_mut().with_context(|| format!("`{name}` is not a table"))?;
    }
    Ok(table)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn line(&self) -> usize {
        super::scan::line_of(self.text, self.at)
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            let comment = if rest[blank..].starts_with('#') {
                rest[blank..].find('\n').unwrap_or(rest.len() - blank)
            } else {
                0
            };
            if blank + comment == 0 {
                return;
            }
            self.at += blank + comment;
        }
    }

    fn accept(&mut self, token: &str) -> bool {
        self.skip_blank();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn expect(&mut self, token: &str) -> anyhow::Result<()> {
        if !self.accept(token) {
            bail!("`{token}` expected");
        }
        Ok(())
    }

    fn key(&mut self) -> anyhow::Result<String> {
        self.skip_blank();
        if self.rest().starts_with('"') {
            return self.string();
        }
        let key: String =
            self.rest().chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
        if key.is_empty() {
            bail!("a key expected");
        }
        self.at += key.len();
        Ok(key)
    }

    fn keys(&mut self) -> anyhow::Result<Vec<String>> {
        let mut keys = vec![self.key()?];
        while self.accept(".") {
            keys.push(self.key()?);
        }
        Ok(keys)
    }

    fn value(&mut self) -> anyhow::Result<Value> {
        self.skip_blank();
        match self.rest().chars().next() {
            Some('"') => self.string().map(Value::String),
            Some('[') => self.array(),
            Some('{') => self.inline_table(),
            _ if self.accept("true") => Ok(Value::Bool(true)),
            _ if self.accept("false") => Ok(Value::Bool(false)),
            _ => self.integer(),
        }
    }

    fn string(&mut self) -> anyhow::Result<String> {
        let length = self.rest()[1..].find(['"', '\\', '\n']).context("an open string")?;
        let text = self.rest()[1..=length].to_owned();
        self.at += 1 + length;
        if !self.rest().starts_with('"') {
            bail!("a string of one line without escapes expected");
        }
        self.at += 1;
        Ok(text)
    }

    fn integer(&mut self) -> anyhow::Result<Value> {
        let digits: String = self.rest().chars().take_while(char::is_ascii_digit).collect();
        self.at += digits.len();
        Ok(Value::from(digits.parse::<u64>().context("a value expected")?))
    }

    fn array(&mut self) -> anyhow::Result<Value> {
        self.expect("[")?;
        let mut values = Vec::new();
        while !self.accept("]") {
            values.push(self.value()?);
            if !self.accept(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(Value::Array(values))
    }

    fn inline_table(&mut self) -> anyhow::Result<Value> {
        self.expect("{")?;
        let mut table = Map::new();
        while !self.accept("}") {
            let key = self.key()?;
            self.expect("=")?;
            table.insert(key, self.value()?);
            if !self.accept(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Value::Object(table))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents() {
        for (text, value) in [
            ("", json!({})),
            ("# c\na = 1 # c\nb = \"#\"", json!({"a": 1, "b": "#"})),
            ("[a.b]\nc = true\n[d]\ne = false", json!({"a": {"b": {"c": true}}, "d": {"e": false}})),
            ("a = [\n  \"x\", # c\n  \"y\",\n]", json!({"a": ["x", "y"]})),
            ("a = [{ b = 1, c-d = \"e\" }, {}]", json!({"a": [{"b": 1, "c-d": "e"}, {}]})),
            ("[[a.b]]\nc = 1\n[[a.b]]\nc = 2", json!({"a": {"b": [{"c": 1}, {"c": 2}]}})),
        ] {
            assert_eq!(parse(text).expect(text), value, "{text}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        for (text, line) in [("a = 1\nb =", "line 2"), ("\n\na = \"x", "line 3"), ("a = 1\na = 2", "line 2")]
        {
            let error = parse(text).expect_err(text);
            assert_eq!(error.to_string(), line, "{text}");
        }
    }
}
