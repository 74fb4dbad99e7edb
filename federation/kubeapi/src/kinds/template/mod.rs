//! Pod templates, as every work kind has them: defaults, rules, and what a pod asks for.

mod affinity;
mod default;
mod needs;
mod references;
mod request;
mod validate;

#[cfg(test)]
mod tests;

pub(super) use affinity::label_selector;
pub(super) use default::default;
pub(super) use needs::needs;
pub use references::{Reference, references};
pub(super) use validate::{effect_of, validate};
