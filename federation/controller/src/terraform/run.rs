//! One run for one intent: what is done with Terraform and the module's sweep, step by step.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::child::{self, ChildError, ChildSpec, Ended};
use super::folder::Folder;
use super::plan_limits;

/// How long each part may take.
const INIT_LIMIT: Duration = Duration::from_secs(120);
const PLAN_LIMIT: Duration = Duration::from_secs(300);
const APPLY_LIMIT: Duration = Duration::from_secs(1800);
const SWEEP_LIMIT: Duration = Duration::from_secs(300);
/// Bytes of a plan as JSON that are read.
const PLAN_MAX_BYTES: usize = 16 << 20;
/// Lines of a failure that are told; all of them are in the log.
const TOLD_LINES: usize = 3;
const TOLD_CHARS: usize = 400;

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Leadership was lost, or the replica ends: whoever leads next goes on.
    #[error("it was cancelled")]
    Cancelled,
    /// A part of it failed.
    #[error("{part}: {reason}")]
    Failed {
        /// Which.
        part: &'static str,
        /// What was said.
        reason: String,
    },
}

/// One run.
pub struct Run {
    /// The program.
    pub terraform: PathBuf,
    /// Its working folder.
    pub folder: Folder,
    /// Access to the state, and what the module takes from the environment.
    pub env: Vec<(String, OsString)>,
    /// Ends it.
    pub cancel: CancellationToken,
}

impl Run {
    /// Makes the member: init, plan, check the plan, apply.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn apply(&self) -> Result<(), RunError> {
        self.init().await?;
        self.terraform("plan", &["plan", "-input=false", "-no-color", "-out=plan.bin"], PLAN_LIMIT).await?;
        let shown = self.child("show", &["show", "-json", "plan.bin"], PLAN_LIMIT, PLAN_MAX_BYTES).await?;
        plan_limits::check(&shown.stdout)
            .map_err(|error| RunError::Failed { part: "plan", reason: error.to_string() })?;
        self.terraform("apply", &["apply", "-input=false", "-no-color", "plan.bin"], APPLY_LIMIT).await?;
        Ok(())
    }

    /// Removes the member: what the state says, and then what has the tag and no state.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn destroy(&self) -> Result<(), RunError> {
        self.init().await?;
        self.terraform("destroy", &["destroy", "-auto-approve", "-input=false", "-no-color"], APPLY_LIMIT)
            .await?;
        self.script("destroy").await
    }

    /// Runs the module's own script: `destroy` for this intent, or `sweep` for the pool.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn script(&self, verb: &'static str) -> Result<(), RunError> {
        let spec = ChildSpec {
            program: "/bin/sh".into(),
            args: vec!["member.sh".into(), verb.into()],
            folder: self.folder.path().to_owned(),
            env: self.env.clone(),
            limit: SWEEP_LIMIT,
            stdout_max_bytes: 0,
        };
        self.ended("sweep", child::run(spec, &self.cancel).await).map(drop)
    }

    async fn init(&self) -> Result<(), RunError> {
        self.terraform("init", &["init", "-input=false", "-no-color", "-reconfigure"], INIT_LIMIT).await
    }

    async fn terraform(&self, part: &'static str, args: &[&str], limit: Duration) -> Result<(), RunError> {
        self.child(part, args, limit, 0).await.map(drop)
    }

    async fn child(
        &self,
        part: &'static str,
        args: &[&str],
        limit: Duration,
        stdout_max_bytes: usize,
    ) -> Result<Ended, RunError> {
        let spec = ChildSpec {
            program: self.terraform.clone(),
            args: args.iter().map(Into::into).collect(),
            folder: self.folder.path().to_owned(),
            env: self.env.clone(),
            limit,
            stdout_max_bytes,
        };
        self.ended(part, child::run(spec, &self.cancel).await)
    }

    fn ended(&self, part: &'static str, result: Result<Ended, ChildError>) -> Result<Ended, RunError> {
        let failed = |reason: String| RunError::Failed { part, reason };
        match result {
            Err(ChildError::Cancelled) => Err(RunError::Cancelled),
            Err(error) => {
                self.folder.log(part, &error.to_string());
                Err(failed(error.to_string()))
            }
            Ok(ended) => {
                self.folder.log(&format!("{part}: {}", ended.status), &ended.output);
                if ended.status.success() { Ok(ended) } else { Err(failed(told(&ended.output))) }
            }
        }
    }
}

/// What a failed child said that helps: its errors, without frames and empty lines.
fn told(output: &str) -> String {
    let bare = |line: &str| line.trim_start_matches(['│', '╷', '╵', ' ']).trim().to_owned();
    let lines: Vec<String> = output.lines().map(bare).filter(|line| !line.is_empty()).collect();
    let first_error = lines.iter().position(|line| line.starts_with("Error:"));
    let from = first_error.unwrap_or(lines.len().saturating_sub(TOLD_LINES));
    let text = lines.get(from..).unwrap_or_default().iter().take(TOLD_LINES).map(String::as_str);
    let text = text.collect::<Vec<_>>().join("; ");
    if text.is_empty() {
        "it failed and said nothing".to_owned()
    } else {
        text.chars().take(TOLD_CHARS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_told_not_the_frames() {
        let output = "Initializing...\n╷\n│ Error: Error acquiring the state lock\n│ \n│ Error message: HTTP remote state already locked\n│ Lock Info:\n│   ID: 1\n╵\n";
        assert_eq!(
            told(output),
            "Error: Error acquiring the state lock; Error message: HTTP remote state already locked; Lock Info:"
        );
        assert_eq!(told("a\nb\nc\nd\n"), "b; c; d");
        assert_eq!(told(""), "it failed and said nothing");
    }
}
