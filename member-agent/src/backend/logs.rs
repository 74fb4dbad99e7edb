//! What may be asked of a pod's log, as `PodLogOptions` of the Kubernetes API says it.

use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;

pub use crate::shim::log_line::Stream as LogOutput;

/// A log as it is read, in chunks of any size.
pub type LogStream = BoxStream<'static, std::io::Result<Bytes>>;

/// Which part of a log, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Which container; none means the only one.
    pub container: Option<String>,
    /// Whether to go on until the pod has ended.
    pub follow: bool,
    /// Only so many lines from the end; new ones are not counted.
    pub tail_lines: Option<u64>,
    /// Only what is at most so old. With `since_time` the later of both counts.
    pub since_seconds: Option<u64>,
    /// Only what is not older.
    pub since_time: Option<Timestamp>,
    /// Only what was written there; none means both.
    pub output: Option<LogOutput>,
    /// Whether each line begins with its time.
    pub timestamps: bool,
    /// The most bytes to return.
    pub limit_bytes: Option<u64>,
}

impl LogOptions {
    /// The oldest time that is wanted, counted from `now`.
    pub(crate) fn since(&self, now: Timestamp) -> Option<Timestamp> {
        let seconds = self.since_seconds.map(|seconds| {
            let ago = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            now.checked_sub(ago).unwrap_or(Timestamp::MIN)
        });
        self.since_time.max(seconds)
    }
}
