//! `/openapi/v2`, without definitions. kubectl reads it before it takes a `kind: List` apart; finding no definition of an
//! item there, it leaves the checks to the server, which makes them anyway. What there is to know is in version 3.

use serde_json::{Value, json};

/// What kubectl accepts for the document in protobuf, and what it is called in the answer since `@` is not allowed there.
pub const PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

const TITLE: &str = "Muster";
const VERSION: &str = "unversioned";

/// The document as JSON.
pub fn json() -> Value {
    json!({"swagger": "2.0", "info": {"title": TITLE, "version": VERSION}, "paths": {}, "definitions": {}})
}

/// The document in protobuf: `swagger` is field 1, `info` 2 with `title` 1 and `version` 2, `paths` 8.
pub fn protobuf() -> Vec<u8> {
    let info = [text(1, TITLE), text(2, VERSION)].concat();
    [text(1, "2.0"), field(2, &info), field(8, &[])].concat()
}

fn text(number: u8, text: &str) -> Vec<u8> {
    field(number, text.as_bytes())
}

/// A field with a length, which is short here.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("everything in this document is short");
    [&[number << 3 | 2, length], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_what_clients_take_apart() {
        assert_eq!(json()["swagger"], "2.0");
        assert_eq!(protobuf(), b"\x0a\x032.0\x12\x15\x0a\x06Muster\x12\x0bunversioned\x42\x00");
    }
}
