//! Progress on stderr: a bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over so many steps.
pub fn bar(what: &str, steps: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:40} {bar:30} {pos}/{len} {elapsed}").expect("a fixed template");
    ProgressBar::new(steps).with_style(style).with_message(what.to_owned())
}
