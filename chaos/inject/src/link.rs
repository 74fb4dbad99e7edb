//! The host's way to the hub. It goes beside the member's session, which a fault may have cut.

use std::future::Future;

use muster_model::{FaultNews, FaultOrder, Uid};

/// The hub's answer to a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportReply {
    /// It is committed; an injection may go on.
    Taken,
    /// It is not, and will not be: nothing may be injected.
    Refused(String),
}

/// The hub was not reached, or what it made of the report is unknown: ask again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LinkError(pub String);

/// The host's way to the hub.
pub trait FaultLink: Send + Sync + 'static {
    /// Says how far a fault is.
    fn report(
        &self,
        id: &str,
        uid: Uid,
        news: FaultNews,
    ) -> impl Future<Output = Result<ReportReply, LinkError>> + Send;

    /// What the hub wants of this host now.
    fn orders(&self) -> impl Future<Output = Result<Vec<FaultOrder>, LinkError>> + Send;
}
