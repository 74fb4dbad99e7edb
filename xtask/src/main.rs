//! The one door for people and CI: `cargo xtask COMMAND`.
//!
//! Each command is one file. This package uses no other package of the workspace, so that it builds in seconds
//! and still runs when they do not compile.

mod check;
mod fix;
mod mutants;
mod openapi;
mod program;
mod purity;
mod stages;
mod steps;
mod test;
mod tidy;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::workspace::Workspace;

/// Checks, tests and programs of the Muster workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Formatting, lints, docs, every package alone, and tidy; stops at the first failure
    Check,
    /// Repair what a machine can repair: formatting, safe lint fixes, generated clippy.toml files
    Fix,
    /// The rules that compilers do not know: direction, purity, licences, dead files, sizes, links
    Tidy(tidy::Options),
    /// Everything CI runs; the last line is `N passed, M failed`
    Test(test::Options),
    /// Run the seeded simulator; arguments, output and exit code are its own
    #[command(disable_help_flag = true)]
    Sim(program::Arguments),
    /// Switch each deliberate bug on that a test is to catch, and see it caught
    Mutants,
    /// Run a benchmark by name; arguments, output and exit code are its own
    #[command(disable_help_flag = true)]
    Bench(program::Arguments),
    /// Regenerate the table of merge keys from a published Kubernetes OpenAPI document
    Openapi {
        /// The published swagger.json
        #[arg(long, value_name = "FILE")]
        swagger: PathBuf,
        /// Where the table goes
        #[arg(long, value_name = "FILE", default_value = "federation/kubeapi/src/schema/builtin.json")]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        Command::Check => check::run(&workspace),
        Command::Fix => fix::run(&workspace),
        Command::Tidy(options) => tidy::run(&workspace, &options),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Sim(arguments) => program::run(&workspace, "sim", &arguments),
        Command::Mutants => mutants::run(&workspace),
        Command::Bench(arguments) => program::run(&workspace, "bench", &arguments),
        Command::Openapi { swagger, out } => {
            openapi::run(&swagger, &workspace.root().join(out)).map(|()| ExitCode::SUCCESS)
        }
    }
}
