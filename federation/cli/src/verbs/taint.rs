//! Taints as they are written: `KEY=VALUE:EFFECT`, `KEY:EFFECT`, and with `-` at the end to remove them.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::exit::Failure;

/// What Kubernetes knows as effects.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// One change of a member's taints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Set it.
    Set {
        /// Key.
        key: String,
        /// Value; may be empty.
        value: String,
        /// Effect.
        effect: String,
    },
    /// Remove it: of one effect, or of all.
    Remove {
        /// Key.
        key: String,
        /// Effect.
        effect: Option<String>,
    },
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Change, String> {
        let (body, removes) = text.strip_suffix('-').map_or((text, false), |body| (body, true));
        let (left, effect) =
            body.split_once(':').map_or((body, None), |(left, effect)| (left, Some(effect.to_owned())));
        let (key, value) = left.split_once('=').unwrap_or((left, ""));
        if key.is_empty() {
            return Err(format!("{text:?}: no key; write KEY=VALUE:EFFECT"));
        }
        if let Some(effect) = effect.as_deref().filter(|effect| !EFFECTS.contains(effect)) {
            return Err(format!(
                "{text:?}: effect {effect:?} is not known; there are: {}",
                EFFECTS.join(", ")
            ));
        }
        let key = key.to_owned();
        match (removes, effect) {
            (true, effect) => Ok(Change::Remove { key, effect }),
            (false, Some(effect)) => Ok(Change::Set { key, value: value.to_owned(), effect }),
            (false, None) => {
                Err(format!("{text:?}: no effect; write {text}:NoSchedule, or {text}- to remove it"))
            }
        }
    }
}

impl Change {
    /// Whether it takes something away.
    pub fn is_removal(&self) -> bool {
        matches!(self, Change::Remove { .. })
    }

    /// Makes the change.
    pub fn apply(&self, taints: &mut Vec<Value>, overwrite: bool) -> Result<(), Failure> {
        match self {
            Change::Set { key, value, effect } => {
                let wanted = match value.as_str() {
                    "" => json!({"key": key, "effect": effect}),
                    value => json!({"key": key, "value": value, "effect": effect}),
                };
                let same = taints
                    .iter_mut()
                    .find(|taint| taint["key"] == key.as_str() && taint["effect"] == effect.as_str());
                match same {
                    Some(taint) if taint["value"].as_str().unwrap_or_default() == value => {}
                    Some(_) if !overwrite => {
                        let message = format!(
                            "taint {key}:{effect} is there with another value; --overwrite changes it"
                        );
                        return Err(Failure::usage(message));
                    }
                    Some(taint) => *taint = wanted,
                    None => taints.push(wanted),
                }
            }
            Change::Remove { key, effect } => {
                let before = taints.len();
                let is_meant = |taint: &Value| {
                    taint["key"] == key.as_str()
                        && effect.as_ref().is_none_or(|effect| taint["effect"] == effect.as_str())
                };
                taints.retain(|taint| !is_meant(taint));
                if taints.len() == before {
                    let effect = effect.as_ref().map(|effect| format!(":{effect}")).unwrap_or_default();
                    return Err(Failure::negative(format!("there is no taint {key}{effect}")));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The taints after the changes, or the error.
    fn check(taints: &Value, changes: &[&str], overwrite: bool, want: Result<Value, &str>) {
        let mut got = taints.as_array().unwrap().clone();
        let made = changes
            .iter()
            .try_for_each(|change| change.parse::<Change>().unwrap().apply(&mut got, overwrite));
        assert_eq!(
            made.map(|()| Value::Array(got)).map_err(|failure| failure.to_string()),
            want.map_err(str::to_owned)
        );
    }

    #[test]
    fn taints_are_set_and_removed() {
        let a = json!({"key": "a", "value": "1", "effect": "NoSchedule"});
        let b = json!({"key": "a", "effect": "NoExecute"});
        check(&json!([]), &["a=1:NoSchedule", "a:NoExecute"], false, Ok(json!([a, b])));
        check(&json!([a, b]), &["a=1:NoSchedule"], false, Ok(json!([a, b])));
        check(&json!([a, b]), &["a:NoSchedule-"], false, Ok(json!([b])));
        check(&json!([a, b]), &["a-"], false, Ok(json!([])));
        let changed = json!({"key": "a", "value": "2", "effect": "NoSchedule"});
        check(&json!([a]), &["a=2:NoSchedule"], true, Ok(json!([changed])));
        check(
            &json!([a]),
            &["a=2:NoSchedule"],
            false,
            Err("taint a:NoSchedule is there with another value; --overwrite changes it"),
        );
        check(&json!([a]), &["b-"], false, Err("there is no taint b"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, want) in [
            ("=1:NoSchedule", "\"=1:NoSchedule\": no key; write KEY=VALUE:EFFECT"),
            ("a=1", "\"a=1\": no effect; write a=1:NoSchedule, or a=1- to remove it"),
            (
                "a:Never",
                "\"a:Never\": effect \"Never\" is not known; there are: NoSchedule, PreferNoSchedule, NoExecute",
            ),
        ] {
            assert_eq!(text.parse::<Change>(), Err(want.to_owned()));
        }
    }
}
