//! Paths and queries.

/// A path segment or query value with everything escaped that could mean something else there.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A path with those parameters that have a value.
pub fn with_query<'a>(path: &str, parameters: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let given =
        parameters.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", escape(&value?))));
    let query = given.collect::<Vec<_>>().join("&");
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_absent_ones_left_out() {
        let query =
            [("labelSelector", Some("a in (b, c)".to_owned())), ("limit", None), ("x", Some("ä".to_owned()))];
        assert_eq!(with_query("/p", query), "/p?labelSelector=a%20in%20%28b%2C%20c%29&x=%C3%A4");
        assert_eq!(with_query("/p", [("limit", None)]), "/p");
    }
}
