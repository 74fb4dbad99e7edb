//! What the hub warns of beside its answer.

use crate::client::Reply;

/// Prints each `Warning` header (RFC 7234: `299 - "text"`) to standard error.
pub fn print(reply: &Reply) {
    for warning in &reply.warnings {
        eprintln!("muster: warning: {}", text(warning));
    }
}

fn text(header: &str) -> String {
    let quoted = header.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
    quoted.map_or(header, |(text, _)| text).replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_taken_out() {
        assert_eq!(text(r#"299 - "unknown field \"spec.x\"""#), "unknown field \"spec.x\"");
        assert_eq!(text("plain"), "plain");
    }
}
