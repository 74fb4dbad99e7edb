//! `muster.sh/v1alpha1 GameDay`: faults by plan, on a schedule, with probes, limits and a report.

mod read;
mod show;
#[cfg(test)]
mod tests;

use super::column::{AGE, NAME, text, wide};
use super::kind::StoredKind;
use crate::resource::{ALL_VERBS, Column, NameRule, Origin, Resource};

pub use show::run_json;

const COLUMNS: &[Column] = &[
    NAME,
    text("Schedule", "When it begins by itself."),
    text("Dry Run", "Whether a run by schedule only tells its plan."),
    text("Phase", "Whether a run is under way."),
    text("Verdict", "What came out of the last run."),
    AGE,
    wide("Runs", "How often it was run."),
    wide("Zone", "Zone of the schedule."),
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "muster.sh",
        version: "v1alpha1",
        kind: "GameDay",
        plural: "gamedays",
        singular: "gameday",
        short_names: &["gd"],
        categories: &["muster"],
        namespaced: false,
        verbs: ALL_VERBS,
        subresources: &[],
        columns: COLUMNS,
        schema: "sh.muster.v1alpha1.GameDay",
        origin: Origin::Custom,
        name_rule: NameRule::Subdomain,
        field_labels: &[],
        default: read::default,
        validate: |_, _| Vec::new(),
    },
    read: read::read,
    show: show::show,
    cells: show::cells,
};
