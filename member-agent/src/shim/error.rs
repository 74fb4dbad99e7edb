//! What can go wrong before the job's first process exists.

use std::path::PathBuf;

/// Why the shim did not come up. The job has not run when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// A file of the pod's folder could not be used.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried, for example `read`.
        action: &'static str,
        /// The file, relative to the pod's folder or absolute.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A record is not what this version writes.
    #[error("{} is not a record of this version: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A system call failed.
    #[error("{call}")]
    System {
        /// Its name and purpose.
        call: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The spec cannot be run.
    #[error("spec.json: {field}: {reason}")]
    Spec {
        /// The field at fault.
        field: &'static str,
        /// Why, and what would help.
        reason: String,
    },
    /// The folder was used before: a shim runs one command once.
    #[error("this pod was started before; a pod is started once, the agent makes a new one")]
    StartedBefore,
    /// The forked shim ended without saying why.
    #[error("the shim died before it was ready: {0}")]
    DiedEarly(String),
}

impl ShimError {
    /// With every cause, in one line.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> ShimError {
        let path = path.into();
        move |source| ShimError::File { action, path, source }
    }

    /// For `map_err` on system calls.
    pub(crate) fn system<E: Into<std::io::Error>>(call: &'static str) -> impl FnOnce(E) -> ShimError {
        move |source| ShimError::System { call, source: source.into() }
    }
}
