//! `muster.sh/v1alpha1 Cluster`: a member of the federation.

mod read;
mod show;

#[cfg(test)]
mod tests;

use super::column::{AGE, NAME, text, wide};
use super::kind::StoredKind;
use crate::resource::{ALL_VERBS, Column, NameRule, Origin, Resource, Subresource, Verb};

pub use read::{cluster_document, complete_labels};

const COLUMNS: &[Column] = &[
    NAME,
    text("Location", "Provider, region and zone."),
    text("Price", "How its capacity is paid: onPrem, onDemand or spot."),
    text("GPUs", "Free and all GPUs."),
    text("Ready", "Whether it holds its lease, and takes jobs."),
    AGE,
    wide("Models", "GPU models, free and all of each."),
    wide("Nodes", "How many Nodes it has."),
    wide("Backend", "What runs its jobs."),
    wide("Agent", "Version of its agent."),
    wide("Fencing", "Whether its backend can end attempts at a deadline."),
    wide("Taints", "Taints that keep jobs away."),
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "muster.sh",
        version: "v1alpha1",
        kind: "Cluster",
        plural: "clusters",
        singular: "cluster",
        short_names: &["cl"],
        categories: &["muster"],
        namespaced: false,
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            kind: "Cluster",
            verbs: &[Verb::Get, Verb::Patch, Verb::Update],
        }],
        columns: COLUMNS,
        schema: "sh.muster.v1alpha1.Cluster",
        origin: Origin::Custom,
        name_rule: NameRule::Subdomain,
        field_labels: &[],
        default: read::default,
        validate: read::validate,
    },
    read: read::read,
    show: show::show,
    cells: show::cells,
};
