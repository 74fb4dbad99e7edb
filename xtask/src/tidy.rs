//! `cargo xtask tidy`: the rules that no compiler knows.
//!
//! Every check is a function from what was read once (`Tree`) to problems; a problem names file, line, reason and the
//! next step. `--plant` turns the question around: it plants each forbidden thing in a copy and demands that the
//! checks see it, since a check that cannot go red protects nothing.

mod dead;
mod direction;
mod functions;
mod hygiene;
mod licence;
mod links;
mod modules;
mod plant;
mod problem;
mod pure_reach;
mod pure_text;
mod scan;
mod supply;
mod toml;
mod tree;

use std::process::ExitCode;

use anyhow::bail;

use self::problem::Problem;
use self::tree::Tree;
use crate::purity;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Flags of `cargo xtask tidy`.
#[derive(clap::Args)]
pub struct Options {
    /// Plant each forbidden thing in a copy and see that it is found
    #[arg(long, conflicts_with = "generate")]
    plant: bool,
    /// Write the generated clippy.toml files and nothing else
    #[arg(long)]
    generate: bool,
}

/// Runs tidy, or the planting.
pub fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<ExitCode> {
    let steps = Steps::new();
    match options {
        Options { generate: true, .. } => {
            steps.step("clippy.toml files", || purity::write(workspace.root()))?
        }
        Options { plant: true, .. } => steps.step("plant", || plant::run(workspace))?,
        Options { .. } => steps.step("tidy", || all(workspace))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// All checks; the error lists every problem.
pub fn all(workspace: &Workspace) -> anyhow::Result<()> {
    let tree = Tree::read(workspace)?;
    let mut problems = generated_files(workspace);
    problems.extend(direction::check(&tree));
    problems.extend(pure_text::check(&tree));
    problems.extend(dead::check(&tree));
    problems.extend(functions::check(&tree));
    problems.extend(hygiene::check(&tree, workspace.root()));
    problems.extend(links::check(&tree));
    problems.extend(supply::check(workspace)?);
    problems.extend(pure_reach::check(workspace)?);
    problems.sort();
    problems.dedup();
    if problems.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = problems.iter().map(Problem::to_string).collect();
    bail!("{}\ntidy: {} problems", list.join("\n"), problems.len())
}

/// clippy.toml files say what the list says.
fn generated_files(workspace: &Workspace) -> Vec<Problem> {
    purity::generated()
        .into_iter()
        .filter(|(path, content)| {
            std::fs::read_to_string(workspace.root().join(path)).ok().as_ref() != Some(content)
        })
        .map(|(path, _)| {
            Problem::file(&path, "differs from the list in xtask/src/purity.rs: run `cargo xtask fix`")
        })
        .collect()
}
