//! The whole federation: simulated on one thread, and as real processes.
