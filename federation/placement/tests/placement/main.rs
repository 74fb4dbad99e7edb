//! What placement promises: explanations as golden texts, and rules over random fleets.

mod carried;
mod costs;
mod filters;
mod fixture;
mod packing;
mod plan;
mod properties;
mod replan;
mod reservations;
