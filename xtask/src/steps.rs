//! Steps with a name: each is shown while it runs (on a terminal only), then as one line with its time.
//!
//! A failing step prints what its command printed, then how to repair it.

use std::io::{IsTerminal, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// Runs steps one after the other.
pub struct Steps {
    terminal: bool,
}

impl Steps {
    /// Steps that report on stdout, with a progress line when stderr is a terminal.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    /// Runs one command with its output held back; `repair` says what helps when it fails.
    pub fn command(&self, name: &str, command: &mut Command, repair: &str) -> anyhow::Result<()> {
        self.step(name, || {
            let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
            if output.status.success() {
                return Ok(());
            }
            let stdout = String::from_utf8_lossy(&output.stdout);
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("{stdout}{stderr}\n{name} failed ({}). {repair}", output.status)
        })
    }

    /// Runs one piece of work under a name.
    pub fn step<T>(&self, name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let progress = self.begin(name);
        let started = Instant::now();
        let result = work();
        progress.finish_and_clear();
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        let label = if self.terminal { format!("{name:<34}") } else { String::new() };
        println!("{label}{verdict:<7}{}", seconds(started.elapsed()));
        result
    }

    /// Off a terminal the name is printed at once, so that a log shows what a long silence is.
    fn begin(&self, name: &str) -> ProgressBar {
        if !self.terminal {
            print!("{name:<34}");
            // A closed stdout is found by the next println.
            let _ = std::io::stdout().flush();
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("a constant template");
        let progress = ProgressBar::new_spinner().with_style(style).with_message(name.to_owned());
        progress.enable_steady_tick(Duration::from_millis(120));
        progress
    }
}

/// `12.3 s`.
pub fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}
