//! L7: a replica that lags catches up, by log or by snapshot, and elections come to rest.

/// All replicas have applied so long after healing what was committed at healing.
pub const LEVEL_MS: u64 = 10_000;
/// Terms that may begin in the liveness phase: one leader is found, and perhaps one hand-over follows.
pub const MAX_TERMS_AFTER_HEALING: usize = 4;
