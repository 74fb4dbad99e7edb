//! Rules of names, label keys and label values (Kubernetes "Object Names and IDs", RFC 1123). Each check returns the rules
//! that are broken, in the words the real server uses.

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
    end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
    start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
    character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const KEY_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
    'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Longest DNS label.
pub const LABEL_MAX: usize = 63;
/// Longest DNS subdomain.
pub const SUBDOMAIN_MAX: usize = 253;

/// An RFC 1123 label: a Namespace, a container, or a name that becomes part of a host name.
pub fn dns_label(text: &str) -> Vec<String> {
    let mut broken = too_long(text, LABEL_MAX);
    if !is_label(text) {
        broken.push(if is_subdomain(text) {
            "must not contain dots".to_owned()
        } else {
            LABEL_RULE.to_owned()
        });
    }
    broken
}

/// An RFC 1123 subdomain: the name of most objects.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut broken = too_long(text, SUBDOMAIN_MAX);
    if !is_subdomain(text) {
        broken.push(SUBDOMAIN_RULE.to_owned());
    }
    broken
}

/// A label or annotation key: an optional subdomain and `/`, then a name of at most 63 characters.
pub fn qualified_name(text: &str) -> Vec<String> {
    let parts: Vec<_> = text.split('/').collect();
    let mut broken = Vec::new();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                broken.push("prefix part must be non-empty".to_owned());
            } else {
                broken.extend(dns_subdomain(prefix).into_iter().map(|rule| format!("prefix part {rule}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a qualified name {NAME_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        broken.push("name part must be non-empty".to_owned());
    }
    broken.extend(too_long(name, LABEL_MAX).into_iter().map(|rule| format!("name part {rule}")));
    if name.is_empty() || !is_loose_name(name) {
        broken.push(format!("name part {NAME_RULE}"));
    }
    broken
}

/// A label's value: empty, or a name of at most 63 characters.
pub fn label_value(text: &str) -> Vec<String> {
    let mut broken = too_long(text, LABEL_MAX);
    if !text.is_empty() && !is_loose_name(text) {
        broken.push(VALUE_RULE.to_owned());
    }
    broken
}

/// A key of a ConfigMap or Secret.
pub fn config_key(text: &str) -> Vec<String> {
    let mut broken = too_long(text, SUBDOMAIN_MAX);
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        broken.push(KEY_RULE.to_owned());
    }
    match text {
        "." => broken.push("must not be '.'".to_owned()),
        ".." => broken.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => broken.push("must not start with '..'".to_owned()),
        _ => {}
    }
    broken
}

/// Completes a `generateName` prefix with five characters drawn from `random`. The letters are those Kubernetes uses: no
/// vowels, so that no words appear, and nothing that looks like something else.
pub fn generated(prefix: &str, random: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    const SUFFIX: usize = 5;
    let mut name: String = prefix.chars().take(LABEL_MAX - SUFFIX).collect();
    let mut rest = random;
    for _ in 0..SUFFIX {
        let count = LETTERS.len() as u64;
        name.push(char::from(LETTERS[usize::try_from(rest % count).unwrap_or_default()]));
        rest /= count;
    }
    name
}

fn too_long(text: &str, max: usize) -> Vec<String> {
    if text.len() > max { vec![format!("must be no more than {max} characters")] } else { Vec::new() }
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !bytes.is_empty()
        && bytes.iter().all(|b| inner(b) || *b == b'-')
        && bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
}

fn is_subdomain(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(is_label)
}

fn is_loose_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}
