//! The served kinds, one file each: schema name, columns, defaults, validation.
//!
//! A new kind is a file with a `pub static RESOURCE: Resource` and a line in [`ALL`].

pub use crate::resource::{
    ALL_VERBS, Column, FieldLabel, NameRule, Origin, READ_VERBS, Registry, Resource, Subresource, Verb,
};

/// Every served kind in the order discovery lists them.
pub static ALL: &[&Resource] = &[];

/// The registry of every served kind.
pub const fn registry() -> Registry {
    Registry::new(ALL)
}
