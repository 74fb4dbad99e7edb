//! L1: after healing there is a leader, and the hub writes.

/// A leader so long after healing.
pub const LEADER_MS: u64 = 2_000;
/// An acknowledged write.
pub const SERVICE_MS: u64 = 5_000;
