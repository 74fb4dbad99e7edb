//! Where pods run: one trait, several backends, one conformance suite that all of them pass.
//!
//! ```text
//!  machine --PodSpec--> Backend --> process    one shim per pod, real processes
//!     ^                    |        simulated  plays pods by a script on a clock
//!     +----ObservedPod-----+
//! ```
//!
//! A backend carries out and observes; it decides nothing about jobs. It keeps what it knows on disk, so that a
//! new agent adopts what an earlier one started. Under `restartPolicy: OnFailure` it starts containers again in place
//! and counts; when that is enough is the machine's to say.

mod documents;
mod error;
mod exec;
mod folder;
mod log_filter;
mod log_reader;
mod log_stream;
mod logs;
mod open;
mod pod;
pub mod process;
pub mod simulated;

use futures::future::BoxFuture;

pub use crate::shim::deadline::FenceGrant;
pub use crate::shim::protocol::StopReason;
pub use crate::shim::record::{ContainerEnd, ContainerState, ContainerStatus, ExitReason, ExitRecord};
pub use crate::shim::spec::PodIdentity;
pub use documents::{DocumentKind, Documents, PodDocument};
pub use error::{BackendError, RefusalReason};
pub use exec::{Exec, ExecInput, ExecOptions, ExecOutput};
pub use logs::{LogOptions, LogOutput, LogStream};
pub(crate) use open::open_backend;
pub use pod::{Capabilities, Gang, ObservedPod, PodData, PodId, PodSpec, PodState, Started, Stop};

/// A place that runs pods.
///
/// Every call may be repeated: starting what was started, stopping what has ended and removing what is gone are
/// done, not errors.
pub trait Backend: Send + Sync {
    /// What this backend can promise here.
    fn capabilities(&self) -> Capabilities;

    /// Starts a pod and returns once its command was executed or found impossible to execute. The id names it:
    /// a second start of one id starts nothing. [`BackendError::TooLate`] when its fence deadline came first,
    /// [`BackendError::Missing`] while something that its template names is not there.
    fn start(&self, pod: PodSpec) -> BoxFuture<'_, Result<Started, BackendError>>;

    /// Asks a pod to end: SIGTERM to all its processes, SIGKILL to what is left after the grace. Returns when the
    /// demand was taken, not when the pod has ended. Also settles a pod whose state is unknown.
    fn stop(&self, pod: PodId, stop: Stop) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Moves a pod's fence deadline later. [`BackendError::Fenced`] once the fence began: that is final.
    fn renew(&self, pod: PodId, grant: FenceGrant) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Every pod that was not removed, those of earlier agents included, by id.
    fn observe(&self) -> BoxFuture<'_, Result<Vec<ObservedPod>, BackendError>>;

    /// Waits until a pod that the last `observe` called running may have ended. For one waiter.
    fn changed(&self) -> BoxFuture<'_, ()>;

    /// Forgets an ended pod, with its log and folder. Only after its end was reported.
    fn remove(&self, pod: PodId) -> BoxFuture<'_, Result<(), BackendError>>;

    /// A pod's output, as the kubelet serves it.
    fn logs(&self, pod: PodId, options: LogOptions) -> BoxFuture<'_, Result<LogStream, BackendError>>;

    /// Runs a command beside the pod's own, with its environment, folder and limits, or attaches to what runs. A command
    /// dies with the pod, and when nobody reads its output any more. [`BackendError::NoExec`] where there is nothing to run
    /// it in.
    fn exec(&self, pod: PodId, options: ExecOptions) -> BoxFuture<'_, Result<Exec, BackendError>>;
}
