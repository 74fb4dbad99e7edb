//! Programs of other projects that tests and benchmarks use, built from their Go modules.
//!
//! ```text
//!  wanted --MUSTER_KUBE_TOOLS--> the folder it names, as it is
//!         \-------otherwise-----> the user's cache: there and of these versions, or built now by e2e/kube/build
//! ```
//!
//! Nothing is downloaded as a binary. Without Go a test says that it is skipped; in CI (`CI` is set) it fails instead.

mod build;
mod tool;

pub use build::{Missing, find};
pub use tool::Tool;

use std::io::Write;
use std::path::PathBuf;

/// The programs, in order. `None` if one is missing and this is not CI: then the reason was printed.
///
/// # Panics
/// In CI, with the reason: there nothing is skipped.
pub fn or_skip<const N: usize>(tools: [Tool; N]) -> Option<[PathBuf; N]> {
    let found: Result<Vec<PathBuf>, Missing> = tools.iter().map(|tool| find(*tool)).collect();
    match found {
        Ok(paths) => paths.try_into().ok(),
        Err(missing) if in_ci() => panic!("in CI nothing is skipped: {missing}"),
        Err(missing) => {
            // Past the capture of the test's output: a skipped test must be seen.
            let _ = writeln!(std::io::stderr(), "skipped: {missing}");
            None
        }
    }
}

fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}
