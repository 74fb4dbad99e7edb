//! What only a leader decides: liveness of members, planning, expiry.
