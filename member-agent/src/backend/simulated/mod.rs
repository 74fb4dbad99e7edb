//! Pods that are only played: nothing is executed. For tests, for planning, and for members on paper.
//!
//! The script is in the template's annotations: [`SECONDS`], [`EXIT_CODE`], [`IGNORES_TERM`], [`OUTPUT`]. Time
//! comes from an injected clock; what is due by it is put on record whenever the backend is asked. Every warning
//! and log of it says that it is simulated.

mod backend;
mod play;

pub use backend::SimulatedBackend;

/// Annotation: how long the pod runs, whole seconds, 1 unless given.
pub const SECONDS: &str = "muster.sh/simulated-seconds";
/// Annotation: its exit code, 0 unless given.
pub const EXIT_CODE: &str = "muster.sh/simulated-exit-code";
/// Annotation: `true` if only SIGKILL ends it early.
pub const IGNORES_TERM: &str = "muster.sh/simulated-ignores-term";
/// Annotation: lines that it writes when it starts.
pub const OUTPUT: &str = "muster.sh/simulated-output";
