//! What one pod asks for: requests, else limits, of its containers (Kubernetes "Resource sharing within containers",
//! KEP-753 for sidecars, KEP-2837 for pods as a whole).

use std::collections::BTreeSet;

use muster_model::Resources;

use crate::kinds::at::At;
use crate::kinds::quantity::{self, QuantityError};

/// Resource names that count as GPUs.
pub(super) const GPUS: [&str; 3] = ["nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi"];

/// Names that placement leaves to the member.
const LEFT_TO_THE_MEMBER: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Whether a resource is counted in whole pieces: devices have a vendor's domain.
pub(super) fn is_whole(name: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(domain, _)| domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io"))
}

/// An amount of a resource that is not counted in pieces, in the unit it is kept in.
pub(super) fn amount(name: &str, text: &str) -> Result<u64, QuantityError> {
    if name == "cpu" { quantity::milli(text) } else { quantity::units(text) }
}

/// What the pod asks for.
pub(super) fn request(spec: &At<'_>) -> Resources {
    let containers = spec.field("containers");
    let mut running = containers.items().fold(Resources::default(), |sum, item| sum.plus(&of(&item)));
    let (mut sidecars, mut starting) = (Resources::default(), Resources::default());
    for item in spec.field("initContainers").items() {
        let asked = of(&item);
        if item.field("restartPolicy").text() == "Always" {
            sidecars = sidecars.plus(&asked);
            starting = most(&starting, &sidecars);
        } else {
            starting = most(&starting, &sidecars.plus(&asked));
        }
    }
    running = running.plus(&sidecars);
    let asked = whole_pod(spec, most(&running, &starting));
    asked.plus(&listed(&spec.field("overhead")))
}

/// Resources of the pod as a whole go before the sum of its containers; GPUs cannot be given there.
fn whole_pod(spec: &At<'_>, sum: Resources) -> Resources {
    let whole = spec.field("resources");
    let named = |name: &str| {
        whole.field("requests").field(name).is_set() || whole.field("limits").field(name).is_set()
    };
    let asked = of(spec);
    Resources {
        gpu_milli: sum.gpu_milli,
        cpu_milli: if named("cpu") { asked.cpu_milli } else { sum.cpu_milli },
        memory_bytes: if named("memory") { asked.memory_bytes } else { sum.memory_bytes },
    }
}

/// What one container asks for.
fn of(item: &At<'_>) -> Resources {
    let resources = item.field("resources");
    let (requests, limits) = (resources.field("requests"), resources.field("limits"));
    let asked = |name: &str, parse: fn(&str) -> Result<u64, QuantityError>| {
        let either = if requests.field(name).is_set() { requests.field(name) } else { limits.field(name) };
        quantity::text_of(either.value).and_then(|text| parse(&text).ok()).unwrap_or_default()
    };
    Resources {
        gpu_milli: GPUS.into_iter().map(|gpu| asked(gpu, quantity::milli)).sum(),
        cpu_milli: asked("cpu", quantity::milli),
        memory_bytes: asked("memory", quantity::units),
    }
}

fn listed(list: &At<'_>) -> Resources {
    let amount = |name: &str, parse: fn(&str) -> Result<u64, QuantityError>| {
        quantity::text_of(list.field(name).value).and_then(|text| parse(&text).ok()).unwrap_or_default()
    };
    Resources {
        gpu_milli: 0,
        cpu_milli: amount("cpu", quantity::milli),
        memory_bytes: amount("memory", quantity::units),
    }
}

fn most(one: &Resources, other: &Resources) -> Resources {
    Resources {
        gpu_milli: one.gpu_milli.max(other.gpu_milli),
        cpu_milli: one.cpu_milli.max(other.cpu_milli),
        memory_bytes: one.memory_bytes.max(other.memory_bytes),
    }
}

/// Warnings about resources that placement does not count.
pub(super) fn warnings(spec: &At<'_>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for container in spec.field("containers").items().chain(spec.field("initContainers").items()) {
        for list in ["requests", "limits"] {
            names.extend(container.field("resources").field(list).entries().map(|(name, _)| name));
        }
    }
    let counted = |name: &&str| GPUS.contains(name) || LEFT_TO_THE_MEMBER.contains(name);
    let mut warnings: Vec<_> = names
        .iter()
        .filter(|name| !counted(name))
        .map(|name| {
            format!(
                "resource {name} is not counted by placement: only {}, cpu and memory are",
                GPUS.join(", ")
            )
        })
        .collect();
    if names.iter().any(|name| GPUS[1..].contains(name)) {
        warnings.push(format!(
            "{} and {} are placed on GPUs of any vendor unless models are named in a Placement's gpus",
            GPUS[1], GPUS[2]
        ));
    }
    warnings
}
