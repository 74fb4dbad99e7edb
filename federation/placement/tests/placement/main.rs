//! What placement promises: explanations as golden texts, and rules over random fleets.

mod explain;
mod fixture;
mod plan;
mod properties;
