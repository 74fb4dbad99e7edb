//! What `cargo xtask test` runs, in this order. A new stage is one line.
//!
//! `cargo` is the toolchain's cargo, `xtask` this program. A stage that prints libtest summaries counts as its tests,
//! any other one counts as one.

/// One command of the test run.
pub struct Stage {
    /// Shown above its output.
    pub name: &'static str,
    /// Whether `--quick` leaves it out.
    pub when: When,
    /// Program and arguments.
    pub command: &'static [&'static str],
}

/// In which runs a stage takes part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In every run.
    Always,
    /// Not with `--quick`.
    Full,
}

/// All stages.
pub const STAGES: [Stage; 7] = [
    Stage { name: "tidy", when: When::Always, command: &["xtask", "tidy"] },
    Stage { name: "plant", when: When::Full, command: &["xtask", "tidy", "--plant"] },
    Stage { name: "check", when: When::Full, command: &["xtask", "check"] },
    // Tests of real processes start the executable.
    Stage {
        name: "muster",
        when: When::Always,
        command: &["cargo", "build", "--locked", "--package", "muster", "--bin", "muster"],
    },
    Stage {
        name: "tests",
        when: When::Always,
        command: &["cargo", "test", "--workspace", "--locked", "--no-fail-fast"],
    },
    Stage { name: "sim", when: When::Full, command: &["xtask", "sim", "--seeds", "200"] },
    // That the benchmarks work; their figures are taken on quiet machines.
    Stage { name: "bench", when: When::Full, command: &["xtask", "bench", "all", "--smoke"] },
];
