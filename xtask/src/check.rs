//! `cargo xtask check`: what must hold before a commit, cheapest first, stopping at the first failure.
//!
//! Everything shares one target folder, so that later steps reuse what earlier ones built. Each package is also
//! checked alone: in a workspace build, features that one package switches on hide that another forgot them.

use std::process::ExitCode;

use crate::steps::Steps;
use crate::tidy;
use crate::workspace::Workspace;

/// Runs all steps.
pub fn run(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    let steps = Steps::new();
    steps.command("fmt", &mut workspace.cargo(["fmt", "--all", "--check"]), "Run `cargo xtask fix`.")?;
    steps.step("tidy", || tidy::all(workspace))?;
    steps.command(
        "clippy",
        &mut workspace.cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
        "Repair what it names; `cargo xtask fix` applies the safe suggestions.",
    )?;
    for package in workspace.packages()? {
        steps.command(
            &format!("alone: {}", package.name),
            &mut workspace.cargo(["check", "--quiet", "--locked", "-p", &package.name]),
            "It builds only beside others: name the missing dependency or feature in its own Cargo.toml.",
        )?;
    }
    steps.command(
        "docs",
        workspace.cargo(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"),
        "Repair the doc comments it names.",
    )?;
    Ok(ExitCode::SUCCESS)
}
