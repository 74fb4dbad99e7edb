//! Label selectors: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, `a>1`, joined by commas.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::{Map, Value};

use crate::field::FieldError;
use crate::status::Status;
use crate::validate::names;

/// All requirements must hold; none selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// One comma-separated part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Label key.
    pub key: String,
    /// How its value is compared.
    pub operator: Operator,
    /// What it is compared with; empty for `Exists` and `DoesNotExist`.
    pub values: BTreeSet<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// One of the values (`=`, `==`, `in`).
    In,
    /// None of the values, or no such label (`!=`, `notin`).
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// A whole number above the value.
    GreaterThan,
    /// A whole number below the value.
    LessThan,
}

impl LabelSelector {
    /// Parses the `labelSelector` parameter; empty text selects everything.
    ///
    /// # Errors
    /// 400 that says what was found and what was expected.
    pub fn parse(text: &str) -> Result<Self, Status> {
        let mut parser = Parser { tokens: tokens(text).into_iter().peekable() };
        parser.selector().map(|requirements| Self { requirements }).map_err(Status::bad_request)
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The parts.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object with these labels is selected. `lookup` gives a label's value.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(lookup(&requirement.key)))
    }

    /// Whether this object is selected.
    pub fn matches_object(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        self.matches(|key| {
            labels.and_then(|labels: &Map<String, Value>| labels.get(key)).and_then(Value::as_str)
        })
    }
}

impl Requirement {
    fn matches(&self, label: Option<&str>) -> bool {
        match self.operator {
            Operator::In => label.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => label.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => self.compare(label, |label, bound| label > bound),
            Operator::LessThan => self.compare(label, |label, bound| label < bound),
        }
    }

    fn compare(&self, label: Option<&str>, holds: impl Fn(i64, i64) -> bool) -> bool {
        let number = |text: &str| text.parse::<i64>().ok();
        match (label.and_then(number), self.values.first().and_then(|text| number(text))) {
            (Some(label), Some(bound)) => holds(label, bound),
            _ => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
    Open,
    Close,
    Comma,
}

impl Token {
    fn text(token: Option<&Token>) -> &str {
        match token {
            None => "",
            Some(Token::Word(word)) => word,
            Some(Token::Not) => "!",
            Some(Token::Equals) => "=",
            Some(Token::DoubleEquals) => "==",
            Some(Token::NotEquals) => "!=",
            Some(Token::Greater) => ">",
            Some(Token::Less) => "<",
            Some(Token::Open) => "(",
            Some(Token::Close) => ")",
            Some(Token::Comma) => ",",
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut followed_by_equals = || chars.next_if_eq(&'=').is_some();
        out.push(match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '>' => Token::Greater,
            '<' => Token::Less,
            '=' if followed_by_equals() => Token::DoubleEquals,
            '=' => Token::Equals,
            '!' if followed_by_equals() => Token::NotEquals,
            '!' => Token::Not,
            first => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|c| !c.is_whitespace() && !"=!(),><".contains(*c)) {
                    word.push(next);
                }
                Token::Word(word)
            }
        });
    }
    out
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
}

impl Parser {
    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.tokens.peek() {
                None => return Ok(requirements),
                Some(Token::Word(_) | Token::Not) => {}
                other => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        Token::text(other)
                    ));
                }
            }
            requirements
                .push(self.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?);
            match self.tokens.next() {
                None => return Ok(requirements),
                Some(Token::Comma) => match self.tokens.peek() {
                    Some(Token::Word(_) | Token::Not) => {}
                    other => {
                        return Err(format!(
                            "found '{}', expected: identifier after ','",
                            Token::text(other)
                        ));
                    }
                },
                other => {
                    return Err(format!(
                        "found '{}', expected: ',' or 'end of string'",
                        Token::text(other.as_ref())
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.tokens.next_if_eq(&Token::Not).is_some();
        let key = match self.tokens.next() {
            Some(Token::Word(word)) => word,
            other => return Err(format!("found '{}', expected: identifier", Token::text(other.as_ref()))),
        };
        check("<nil>", &key, &names::qualified_name(&key))?;
        if matches!(self.tokens.peek(), None | Some(Token::Comma)) {
            let operator = if negated { Operator::DoesNotExist } else { Operator::Exists };
            return Ok(Requirement { key, operator, values: BTreeSet::new() });
        }
        let (operator, values) = self.comparison()?;
        for (index, value) in values.iter().enumerate() {
            if matches!(operator, Operator::GreaterThan | Operator::LessThan) && value.parse::<i64>().is_err()
            {
                let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                return Err(FieldError::invalid_text(format!("values[{index}]"), value, detail).to_string());
            }
            check(&format!("values[{index}][{key}]"), value, &names::label_value(value))?;
        }
        Ok(Requirement { key, operator, values })
    }

    fn comparison(&mut self) -> Result<(Operator, BTreeSet<String>), String> {
        let token = self.tokens.next();
        let operator = match &token {
            Some(Token::Equals | Token::DoubleEquals) => Operator::In,
            Some(Token::NotEquals) => Operator::NotIn,
            Some(Token::Greater) => Operator::GreaterThan,
            Some(Token::Less) => Operator::LessThan,
            Some(Token::Word(word)) if word == "in" => return Ok((Operator::In, self.values()?)),
            Some(Token::Word(word)) if word == "notin" => return Ok((Operator::NotIn, self.values()?)),
            other => {
                return Err(format!(
                    "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                    Token::text(other.as_ref())
                ));
            }
        };
        Ok((operator, BTreeSet::from([self.exact()?])))
    }

    /// The value behind `=`; nothing means the empty value.
    fn exact(&mut self) -> Result<String, String> {
        if matches!(self.tokens.peek(), None | Some(Token::Comma)) {
            return Ok(String::new());
        }
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(format!("found '{}', expected: identifier", Token::text(other.as_ref()))),
        }
    }

    /// `(a,b)`; an empty place is the empty value.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        if self.tokens.peek() != Some(&Token::Open) {
            return Err(format!("found '{}' expected: '('", Token::text(self.tokens.peek())));
        }
        self.tokens.next();
        let mut values = BTreeSet::new();
        let mut place = String::new();
        loop {
            match self.tokens.next() {
                Some(Token::Word(word)) if place.is_empty() => place = word,
                Some(Token::Comma) => {
                    values.insert(std::mem::take(&mut place));
                }
                Some(Token::Close) => {
                    values.insert(place);
                    return Ok(values);
                }
                other => {
                    return Err(format!("found '{}', expected: ',' or ')'", Token::text(other.as_ref())));
                }
            }
        }
    }
}

fn check(path: &str, value: &str, broken: &[String]) -> Result<(), String> {
    match broken.is_empty() {
        true => Ok(()),
        false => Err(FieldError::invalid_text(path, value, broken.join("; ")).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selects_by_every_operator() {
        let job = json!({"metadata": {"labels": {"app": "train", "tier": "", "n": "7"}}});
        for (selector, want) in [
            ("", true),
            ("app=train", true),
            ("app==train,n", true),
            ("app!=train", false),
            ("gone!=x", true),
            ("app in (a, train)", true),
            ("app notin (a,train)", false),
            ("gone notin (a)", true),
            ("tier=", true),
            ("tier in (,x)", true),
            ("!gone", true),
            ("!app", false),
            ("n>6", true),
            ("n<7", false),
            ("app>1", false),
            ("in=1", false),
        ] {
            assert_eq!(LabelSelector::parse(selector).unwrap().matches_object(&job), want, "{selector}");
        }
    }
}
