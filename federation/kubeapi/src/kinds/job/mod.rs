//! `batch/v1 Job`: defaults and rules of a Kubernetes API server of 1.34, read into pod sets, shown from typed state.

mod columns;
mod default;
mod policies;
mod policy_rules;
mod read;
mod show;
mod update;
mod validate;

#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod show_tests;
#[cfg(test)]
mod tests;

use super::kind::StoredKind;
use crate::resource::{ALL_VERBS, NameRule, Origin, Resource, Subresource, Verb};

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "batch",
        version: "v1",
        kind: "Job",
        plural: "jobs",
        singular: "job",
        short_names: &[],
        categories: &["all"],
        namespaced: true,
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            kind: "Job",
            verbs: &[Verb::Get, Verb::Patch, Verb::Update],
        }],
        columns: columns::COLUMNS,
        schema: "io.k8s.api.batch.v1.Job",
        origin: Origin::BuiltIn,
        name_rule: NameRule::Subdomain,
        field_labels: &[],
        default: default::default,
        validate: validate::validate,
    },
    read: read::read,
    show: show::show,
    cells: columns::cells,
};
