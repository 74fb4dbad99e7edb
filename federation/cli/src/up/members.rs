//! The members file: who the members are and what they have.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::defaults;
use crate::exit::Failure;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersFile {
    members: Vec<MemberEntry>,
}

/// One member, as interfaces.md describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberEntry {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub location: LocationEntry,
    /// `onPrem`, `onDemand` or `spot`.
    pub price_class: String,
    /// `process`, `simulated` or `kubernetes`.
    #[serde(default = "process")]
    pub backend: String,
    /// Kubeconfig context, for `kubernetes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints.
    #[serde(default)]
    pub taints: Vec<TaintEntry>,
    /// Nodes.
    #[serde(default)]
    pub nodes: Vec<NodeEntry>,
}

/// A place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocationEntry {
    /// `aws`, `gcp`, `azure`, `onprem`.
    pub provider: String,
    /// Region or site.
    pub region: String,
    /// Zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A taint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaintEntry {
    /// Key.
    pub key: String,
    /// Value.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`.
    pub effect: String,
}

/// Nodes that are alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// How many.
    pub count: u32,
    /// CPU of each, as a quantity.
    pub cpu: String,
    /// Memory of each, as a quantity.
    pub memory: String,
    /// GPUs of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuEntry>,
}

/// GPUs of a Node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuEntry {
    /// Model, as GPU feature discovery labels it.
    pub model: String,
    /// How many.
    pub count: u32,
}

fn process() -> String {
    "process".to_owned()
}

/// The members of a file, or the default ones.
pub fn load(path: Option<&Path>) -> Result<Vec<MemberEntry>, Failure> {
    let (name, text) = match path {
        None => ("the default members".to_owned(), defaults::MEMBERS.to_owned()),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::input(format!("--members {}: {error}", path.display())))?;
            (format!("--members {}", path.display()), text)
        }
    };
    let file: MembersFile =
        serde_saphyr::from_str(&text).map_err(|error| Failure::input(format!("{name}: {error}")))?;
    check(&file.members).map_err(|reason| Failure::input(format!("{name}: {reason}")))?;
    Ok(file.members)
}

fn check(members: &[MemberEntry]) -> Result<(), String> {
    if members.is_empty() {
        return Err("members: at least one is needed".to_owned());
    }
    let one_of = |field: String, value: &str, allowed: &[&str]| {
        let found = allowed.contains(&value);
        found.then_some(()).ok_or_else(|| format!("{field}: {value:?} must be one of {}", allowed.join(", ")))
    };
    for (i, member) in members.iter().enumerate() {
        let field = |name: &str| format!("members[{i}].{name}");
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if member.name.is_empty() || member.name.len() > 63 || !member.name.chars().all(good) {
            return Err(format!("{}: must be 1 to 63 lower case letters, digits and '-'", field("name")));
        }
        if members[..i].iter().any(|other| other.name == member.name) {
            return Err(format!("{}: {:?} is there twice", field("name"), member.name));
        }
        one_of(field("priceClass"), &member.price_class, &["onPrem", "onDemand", "spot"])?;
        one_of(field("backend"), &member.backend, &["process", "simulated", "kubernetes"])?;
        for (t, taint) in member.taints.iter().enumerate() {
            let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            one_of(field(&format!("taints[{t}].effect")), &taint.effect, &effects)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_members_are_well_formed() {
        let members = load(None).expect("they are our own");
        assert_eq!(members.len(), 4);
        assert_eq!(members.iter().filter(|member| member.price_class == "spot").count(), 2);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            ("members: []", "members: at least one is needed"),
            (
                "members: [{name: A, location: {provider: aws, region: r}, priceClass: spot}]",
                "members[0].name: must be 1 to 63 lower case letters, digits and '-'",
            ),
            (
                "members: [{name: a, location: {provider: aws, region: r}, priceClass: cheap}]",
                "members[0].priceClass: \"cheap\" must be one of onPrem, onDemand, spot",
            ),
        ] {
            let file: MembersFile = serde_saphyr::from_str(text).expect("YAML");
            assert_eq!(check(&file.members), Err(message.to_owned()));
        }
    }
}
