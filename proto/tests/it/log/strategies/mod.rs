//! Any value of the model that a log or a snapshot may hold.

use proptest::prelude::*;

type Of<T> = BoxedStrategy<T>;

/// A struct from a strategy for each field.
macro_rules! each {
    ($name:ident { $($field:ident: $strategy:expr),* $(,)? }) => {
        ($($strategy,)*).prop_map(|($($field,)*)| $name { $($field),* }).boxed()
    };
}

/// One of these values.
macro_rules! one_of {
    ($($value:expr),* $(,)?) => { prop_oneof![$(Just($value)),*].boxed() };
}

mod burst;
mod chaos;
mod clusters;
mod commands;
mod data;
mod jobs;
mod objects;
mod transfers;
mod words;

pub use commands::entry;
pub use objects::{header, object, objects};
