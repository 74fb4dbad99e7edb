//! The query of one of our own endpoints.

use std::collections::BTreeMap;

use muster_kubeapi::status::Status;

use super::call::Call;

/// Names and values, each name once: the last one counts.
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// The query of a request.
    pub fn of(call: &Call) -> Query {
        let text = call.parts.uri.query().unwrap_or_default();
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        };
        Query(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// A value, if it is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A number, if it is there.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        let wrong = |_| Status::bad_request(format!("{name}: must be a number of at most 64 bits"));
        self.get(name).map(str::parse).transpose().map_err(wrong)
    }
}

/// Percent-decoded; what is no UTF-8 then is replaced.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (bytes[at], digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_decoded() {
        for (text, want) in [("a%3Db%2f+c", "a=b/ c"), ("%", "%"), ("%zz", "%zz"), ("%C3%A4", "ä")] {
            assert_eq!(decoded(text), want);
        }
    }
}
