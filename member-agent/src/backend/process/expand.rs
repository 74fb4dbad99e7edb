//! `$(VAR)` references in commands, arguments and values, by the rules of the Kubernetes API
//! (`Container.command`): `$$` stands for `$`, so `$$(VAR)` is the text `$(VAR)`; an unknown name stays as it is.

use std::collections::BTreeMap;

/// Replaces the references in `text` that `known` has a value for.
pub(crate) fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = reference(rest) {
            match known.get(name) {
                Some(value) => out.push_str(value),
                None => out.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out + rest
}

fn reference(after_dollar: &str) -> Option<(&str, &str)> {
    after_dollar.strip_prefix('(')?.split_once(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_follow_the_rules_of_the_api() {
        let known = BTreeMap::from([("A".to_owned(), "1".to_owned()), ("E".to_owned(), String::new())]);
        let table = [
            ("plain", "plain"),
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$(E)", ""),
            ("$(MISSING)", "$(MISSING)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$A ${A}", "$A ${A}"),
            ("open $(A", "open $(A"),
            ("100$", "100$"),
            ("$$", "$"),
            ("é$(A)é", "é1é"),
        ];
        for (text, want) in table {
            assert_eq!(expand(text, &known), want, "{text}");
        }
    }
}
