//! Label selectors, as Kubernetes defines them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requirement {
    /// The label is there with one of these values.
    In(Arc<str>, Vec<Arc<str>>),
    /// The label is absent or has another value than these.
    NotIn(Arc<str>, Vec<Arc<str>>),
    /// The label is there.
    Exists(Arc<str>),
    /// The label is absent.
    Absent(Arc<str>),
}

/// All of these requirements; the empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(pub Vec<Requirement>);

impl Selector {
    /// Whether these labels satisfy every requirement; else the first that they do not.
    pub fn check(&self, labels: &BTreeMap<Arc<str>, Arc<str>>) -> Result<(), &Requirement> {
        self.0.iter().find(|r| !r.holds(labels)).map_or(Ok(()), Err)
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<Arc<str>, Arc<str>>) -> bool {
        match self {
            Requirement::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        }
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Requirement::In(key, values) if values.len() == 1 => write!(f, "{key}={}", values[0]),
            Requirement::In(key, values) => write!(f, "{key} in ({})", values.join(",")),
            Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(",")),
            Requirement::Exists(key) => f.write_str(key),
            Requirement::Absent(key) => write!(f, "!{key}"),
        }
    }
}
