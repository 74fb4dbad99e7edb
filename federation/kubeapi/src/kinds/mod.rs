//! The served kinds, one file each: identity, schema name, columns, defaults, rules, reading, and what is shown of them.
//!
//! ```text
//! Value --default, validate--> Value --read, split--> Spec + Document      admit
//! Object --Meta + Document + show--> JSON text                             render
//! Object --cells--> one row of a Table                                     rows
//! ```
//!
//! A new kind is a file with a `pub static KIND: StoredKind` and a line in [`ALL`] and [`STORED`]. Work kinds share what they
//! say about pods in `template`. Nothing here asks a clock or keeps anything.

mod admit;
mod at;
pub mod burst_modules;
mod burst_pool;
mod cluster;
mod column;
mod config_map;
mod dataset;
mod event;
mod fault;
mod game_day;
mod job;
mod json;
mod kind;
mod namespace;
mod placement;
mod placement_spec;
mod pod;
mod preview;
mod price_book;
pub mod quantity;
pub mod render;
mod rows;
mod run;
mod scalar;
mod secret;
mod select;
mod template;
mod transfer;

#[cfg(test)]
mod every_kind_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod muster_tests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use admit::{Admitted, TYPED_VERSION, admit};
pub use cluster::{cluster_document, complete_labels};
pub use config_map::config_map_data;
pub use fault::fault_json;
pub use game_day::run_json;
pub use kind::{Lease, LeaseOf, Live, Reading, StoredKind};
pub use namespace::default_namespace;
pub use pod::{
    ContainerEnd, ContainerMirror, ContainerState, ContainerStreams, PodMirror, PodPhase, pod_cells, pod_into,
};
pub use preview::preview;
pub use rows::Rows;
pub use scalar::{exact_time, parse_duration, parse_time};
pub use secret::secret_data;
pub use select::{labels, selects};
pub use template::{Reference, references};

pub use crate::resource::{
    ALL_VERBS, Column, FieldLabel, NameRule, Origin, READ_VERBS, Registry, Resource, Subresource, Verb,
};

/// Every served kind in the order discovery lists them.
pub static ALL: &[&Resource] = &[
    &namespace::KIND.resource,
    &config_map::KIND.resource,
    &secret::KIND.resource,
    &event::KIND.resource,
    &pod::RESOURCE,
    &job::KIND.resource,
    &cluster::KIND.resource,
    &placement::KIND.resource,
    &dataset::KIND.resource,
    &price_book::KIND.resource,
    &burst_pool::KIND.resource,
    &run::KIND.resource,
    &fault::KIND.resource,
    &game_day::KIND.resource,
    &transfer::KIND.resource,
];

/// The kinds whose objects the hub stores: all but the mirrors.
pub static STORED: &[&StoredKind] = &[
    &namespace::KIND,
    &config_map::KIND,
    &secret::KIND,
    &event::KIND,
    &job::KIND,
    &cluster::KIND,
    &placement::KIND,
    &dataset::KIND,
    &price_book::KIND,
    &burst_pool::KIND,
    &run::KIND,
    &fault::KIND,
    &game_day::KIND,
    &transfer::KIND,
];

/// The registry of every served kind.
pub const fn registry() -> Registry {
    Registry::new(ALL)
}
