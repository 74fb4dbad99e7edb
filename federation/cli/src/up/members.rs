//! The members file: who the members are and what they have.

use std::collections::BTreeMap;
use std::path::Path;

use muster_controller::quantity;
use muster_model::{
    Backend, ClusterSpec, GpuModel, Location, NodeShape, PriceClass, Resources, Taint, TaintEffect,
};
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::exit::Failure;
use crate::verbs::yaml_error;

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
    /// Bytes per second that transfers of datasets may bring in, as a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_limit: Option<String>,
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

impl MemberEntry {
    /// The entry as the agent takes it.
    pub fn to_agent(&self) -> Result<muster_member_agent::MemberEntry, Failure> {
        let nodes = self.nodes.iter().enumerate().map(|(i, node)| node.shape(i));
        Ok(muster_member_agent::MemberEntry { spec: self.spec()?, nodes: nodes.collect::<Result<_, _>>()? })
    }

    fn spec(&self) -> Result<ClusterSpec, Failure> {
        let LocationEntry { provider, region, zone } = &self.location;
        let location = Location {
            provider: provider.as_str().into(),
            region: region.as_str().into(),
            zone: zone.as_deref().map(Into::into),
        };
        let price_class = match self.price_class.as_str() {
            "onPrem" => PriceClass::OnPrem,
            "onDemand" => PriceClass::OnDemand,
            "spot" => PriceClass::Spot,
            other => {
                return Err(Failure::input(format!(
                    "priceClass: {other:?} must be one of onPrem, onDemand, spot"
                )));
            }
        };
        let backend = match self.backend.as_str() {
            "process" => Backend::Process,
            "simulated" => Backend::Simulated,
            other => {
                return Err(Failure::input(format!(
                    "backend: {other:?} is not there yet; process and simulated are"
                )));
            }
        };
        let taints = self.taints.iter().map(TaintEntry::taint).collect::<Result<_, _>>()?;
        let labels =
            self.labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
        let transfer_bytes_per_second = self.transfer_limit()?;
        Ok(ClusterSpec {
            location,
            price_class,
            backend,
            labels,
            taints,
            unschedulable: false,
            transfer_bytes_per_second,
        })
    }

    fn transfer_limit(&self) -> Result<Option<u64>, Failure> {
        let Some(text) = &self.transfer_limit else { return Ok(None) };
        match quantity::units(text) {
            Ok(limit) if limit > 0 => Ok(Some(limit)),
            _ => Err(Failure::input(format!(
                "transferLimit: {text:?} must be bytes per second as a quantity above 0, such as 50Mi"
            ))),
        }
    }
}

impl TaintEntry {
    fn taint(&self) -> Result<Taint, Failure> {
        let effect = match self.effect.as_str() {
            "NoSchedule" => TaintEffect::NoSchedule,
            "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
            "NoExecute" => TaintEffect::NoExecute,
            other => return Err(Failure::input(format!("taints: effect {other:?} is not one"))),
        };
        Ok(Taint { key: self.key.as_str().into(), value: self.value.as_str().into(), effect })
    }
}

impl NodeEntry {
    fn shape(&self, i: usize) -> Result<NodeShape, Failure> {
        let bad = |field: &str, reason: String| Failure::input(format!("nodes[{i}].{field}: {reason}"));
        let cpu_milli = quantity::milli(&self.cpu).map_err(|error| bad("cpu", error.to_string()))?;
        let memory_bytes = quantity::units(&self.memory).map_err(|error| bad("memory", error.to_string()))?;
        let gpu_milli = self.gpu.as_ref().map_or(0, |gpu| u64::from(gpu.count) * 1000);
        Ok(NodeShape {
            gpu_model: self.gpu.as_ref().map(|gpu| GpuModel::new(gpu.model.as_str())),
            allocatable: Resources { gpu_milli, cpu_milli, memory_bytes },
            nodes: self.count,
        })
    }
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
    let file: MembersFile = serde_saphyr::from_str(&text)
        .map_err(|error| Failure::input(format!("{name}: {}", yaml_error(&error))))?;
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
