//! `cargo xtask fix`: everything a machine can repair without changing meaning.

use std::process::ExitCode;

use crate::purity;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Regenerates clippy.toml files, applies clippy's machine-applicable suggestions, formats.
pub fn run(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    let steps = Steps::new();
    steps.step("clippy.toml files", || purity::write(workspace.root()))?;
    steps.command(
        "clippy --fix",
        &mut workspace.cargo([
            "clippy",
            "--fix",
            "--allow-dirty",
            "--allow-staged",
            "--workspace",
            "--all-targets",
        ]),
        "The code does not compile: repair what it names first.",
    )?;
    steps.command("fmt", &mut workspace.cargo(["fmt", "--all"]), "Repair the syntax it names.")?;
    Ok(ExitCode::SUCCESS)
}
