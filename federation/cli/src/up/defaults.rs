//! What a new federation begins with: members, prices, datasets, and jobs to look at.

/// The members, as a members file.
pub const MEMBERS: &str = include_str!("defaults/members.yaml");
/// The price book.
pub const PRICES: &str = include_str!("defaults/prices.yaml");
/// Three datasets.
pub const DATASETS: &str = include_str!("defaults/datasets.yaml");
/// Three jobs that show cost against locality.
pub const EXAMPLE: &str = include_str!("defaults/example.yaml");
