//! Label and field selectors: which objects of a collection a request means.

mod field;
mod label;

pub use field::FieldSelector;
pub use label::{LabelSelector, Operator, Requirement};
