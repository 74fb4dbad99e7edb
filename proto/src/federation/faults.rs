//! Faults on purpose: what the hub wants of a member, and what the member says.

use muster_model::{DurationMs, FaultKind, FaultNews, FaultOrder, TimeMs, Uid};

use super::field::{FieldError, UNKNOWN_VALUE, convert_all, id_bytes, nonempty, uid};
use super::pb;

/// What a member asks and says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultsRequest {
    /// How far a fault is; `None`: only the orders are asked for.
    pub report: Option<FaultReport>,
}

/// How far a fault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// The fault's name.
    pub id: String,
    /// Its uid.
    pub uid: Uid,
    /// How far it is.
    pub news: FaultNews,
}

/// What the hub says to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultsResponse {
    /// What it wants now.
    pub orders: Vec<FaultOrder>,
    /// Why the report was refused; `None`: it is committed.
    pub refused: Option<String>,
}

impl From<FaultsRequest> for pb::FaultsRequest {
    fn from(request: FaultsRequest) -> Self {
        let report = |report: FaultReport| pb::FaultReport {
            id: report.id,
            uid: id_bytes(report.uid.0),
            reverted_ms: match report.news {
                FaultNews::Injecting => None,
                FaultNews::Reverted { at } => Some(at.0),
            },
        };
        Self { report: request.report.map(report) }
    }
}

impl TryFrom<pb::FaultsRequest> for FaultsRequest {
    type Error = FieldError;

    fn try_from(request: pb::FaultsRequest) -> Result<Self, FieldError> {
        let read = |report: pb::FaultReport| {
            Ok(FaultReport {
                id: nonempty(report.id, "report.id")?,
                uid: uid(&report.uid, "report.uid")?,
                news: match report.reverted_ms {
                    None => FaultNews::Injecting,
                    Some(at) => FaultNews::Reverted { at: TimeMs(at) },
                },
            })
        };
        Ok(Self { report: request.report.map(read).transpose()? })
    }
}

impl From<FaultsResponse> for pb::FaultsResponse {
    fn from(response: FaultsResponse) -> Self {
        Self { orders: response.orders.iter().map(Into::into).collect(), refused: response.refused }
    }
}

impl TryFrom<pb::FaultsResponse> for FaultsResponse {
    type Error = FieldError;

    fn try_from(response: pb::FaultsResponse) -> Result<Self, FieldError> {
        Ok(Self { orders: convert_all(response.orders, "orders")?, refused: response.refused })
    }
}

impl From<&FaultOrder> for pb::FaultOrder {
    fn from(order: &FaultOrder) -> Self {
        let kind = match order.kind {
            FaultKind::Drain => pb::FaultKind::Drain,
            FaultKind::Partition => pb::FaultKind::Partition,
            FaultKind::Kill => pb::FaultKind::Kill,
            FaultKind::Pause => pb::FaultKind::Pause,
        };
        Self {
            id: order.id.to_string(),
            uid: id_bytes(order.uid.0),
            kind: kind.into(),
            wanted: order.wanted,
            left_ms: order.left.0,
            expires_ms: order.expires.0,
        }
    }
}

impl TryFrom<pb::FaultOrder> for FaultOrder {
    type Error = FieldError;

    fn try_from(order: pb::FaultOrder) -> Result<Self, FieldError> {
        let kind = match order.kind() {
            pb::FaultKind::Drain => FaultKind::Drain,
            pb::FaultKind::Partition => FaultKind::Partition,
            pb::FaultKind::Kill => FaultKind::Kill,
            pb::FaultKind::Pause => FaultKind::Pause,
            pb::FaultKind::Unspecified => return Err(FieldError::new("kind", UNKNOWN_VALUE)),
        };
        Ok(Self {
            id: nonempty(order.id, "id")?.into(),
            uid: uid(&order.uid, "uid")?,
            kind,
            wanted: order.wanted,
            left: DurationMs(order.left_ms),
            expires: TimeMs(order.expires_ms),
        })
    }
}
