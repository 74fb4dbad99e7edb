//! The answers of a backend that are not "done": refused, gone, or unknown.

use std::io;

use super::pod::PodId;
use crate::shim::client::ClientError;
use crate::shim::error::ShimError;

/// Why a call was not carried out, or whether it was is unknown.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The template asks for what this backend does not do. Starting it again gives the same answer.
    #[error("{field}: {message}")]
    Refused {
        /// For conditions and Events.
        reason: RefusalReason,
        /// The template's field.
        field: String,
        /// Why, and what would help.
        message: String,
    },
    /// The template names something that is not there yet; nothing ran. Starting it again may do.
    #[error("{message}")]
    Missing {
        /// What, as the kubelet says it.
        message: String,
    },
    /// The grant had lapsed before the command was executed; nothing ran.
    #[error("pod {0}: the fence deadline passed before the start")]
    TooLate(PodId),
    /// The fence has begun; it is final for this epoch.
    #[error("pod {0} is fenced; a renewal comes too late")]
    Fenced(PodId),
    /// The pod was started without a fence deadline.
    #[error("pod {0} was started without a fence deadline")]
    NotFenced(PodId),
    /// The pod has ended.
    #[error("pod {0} has ended")]
    Ended(PodId),
    /// No such pod here.
    #[error("pod {0} is not on this member")]
    NotFound(PodId),
    /// Only ended pods can be removed.
    #[error("pod {0} has not ended; stop it first")]
    NotEnded(PodId),
    /// The pod has no container of that name.
    #[error("container {container} is not in pod {pod}; it has: {known}")]
    NoSuchContainer {
        /// The pod.
        pod: PodId,
        /// What was asked for.
        container: String,
        /// What there is.
        known: String,
    },
    /// There is nothing to run a command in, or to attach to.
    #[error("{0}")]
    NoExec(String),
    /// The launcher failed; nothing ran. The pod is observed as unknown until it is started again or stopped.
    #[error("the shim could not be started: {0}")]
    Launch(String),
    /// The system failed; whether the call was carried out is unknown, `observe` tells.
    #[error("{0}")]
    System(&'static str, #[source] io::Error),
    /// The pod's folder is not usable; whether the call was carried out is unknown.
    #[error("the pod's folder can not be used")]
    Folder(#[from] ShimError),
    /// The shim did not answer; whether it carried the request out is unknown.
    #[error("pod {0}: no answer from its shim")]
    NoAnswer(PodId, #[source] ClientError),
}

/// Why a template is refused, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// It names no command; images are not run here.
    NoCommand,
    /// An environment variable comes from where nothing can be had.
    UnsupportedEnv,
    /// A volume of a kind that is not had here.
    UnsupportedVolume,
    /// A field is not what the Kubernetes API says.
    Malformed,
}
