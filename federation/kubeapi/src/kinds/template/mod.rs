//! Pod templates, as every work kind has them: defaults, rules, and what a pod asks for.

mod affinity;
mod default;
mod needs;
mod request;
mod validate;

#[cfg(test)]
mod tests;

pub(super) use affinity::label_selector;
pub(super) use default::default;
pub(super) use needs::needs;
pub(super) use validate::{effect_of, validate};
