//! What people were told, from history: longer than the hour for which an Event is an object.
//!
//! ```text
//!  GET /muster/v1/events?namespace=NS&name=NAME&since=TIME&limit=N     muster events
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use muster_kubeapi::kinds::{StoredKind, parse_time};
use muster_kubeapi::status::Status;
use muster_model::{EventSeverity, TimeMs};
use muster_proto::history::{Told, decode_event};
use serde_json::{Value, json};

use super::call::Call;
use super::history::{blocking, caught_up};
use super::query::Query;
use super::respond::{self, Answered};
use crate::history::{HistoryError, StreamName, frame_records};

/// Events of one answer, the newest.
const EVENTS_MAX: usize = 1_000;

/// Events since a time, each once as it was told last, the newest last.
///
/// # Errors
/// 400 for a question that cannot be read, 503 without a leader or history.
pub async fn events(call: &Call) -> Answered {
    let query = Query::of(call);
    let since = match query.get("since") {
        Some(text) => parse_time(text).map_err(|rule| Status::bad_request(format!("since: {rule}")))?,
        None => TimeMs(0),
    };
    let limit = query.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(EVENTS_MAX).min(EVENTS_MAX);
    let wanted = Wanted {
        namespace: query.get("namespace").map(str::to_owned),
        name: query.get("name").map(str::to_owned),
        since,
    };
    caught_up(call).await?;
    let history = call.api.hub.history().clone();
    let mut told = blocking(move || {
        let pages = history.pages(StreamName::Events)?;
        let ends = pages.iter().skip(1).map(|next| next.segment.first_time_ms).chain([u64::MAX]);
        let mut last: BTreeMap<(Arc<str>, Arc<str>), Told> = BTreeMap::new();
        for (page, _) in pages.iter().zip(ends).filter(|(_, end_ms)| *end_ms >= since.0) {
            let bytes = page.read().map_err(|error| HistoryError::Failed(error.to_string()))?;
            let found = frame_records(&bytes).filter_map(|record| decode_event(record.payload).ok());
            for told in found.filter(|told| wanted.holds(told)) {
                last.insert((Arc::clone(&told.namespace), Arc::clone(&told.name)), told);
            }
        }
        Ok(last.into_values().collect::<Vec<_>>())
    })
    .await?;
    told.sort_by_key(|told| told.revision);
    let cut = told.len().saturating_sub(limit);
    let shown: Vec<Value> = told[cut..].iter().map(shown).collect();
    Ok(respond::json(StatusCode::OK, &json!({"events": shown, "leftOut": cut})))
}

/// Which events are asked for.
struct Wanted {
    namespace: Option<String>,
    name: Option<String>,
    since: TimeMs,
}

impl Wanted {
    fn holds(&self, told: &Told) -> bool {
        told.event.last >= self.since
            && self.namespace.as_deref().is_none_or(|namespace| *namespace == *told.namespace)
            && self.name.as_deref().is_none_or(|name| *name == *told.event.involved.name)
    }
}

fn shown(told: &Told) -> Value {
    let event = &told.event;
    let kind = StoredKind::of(&event.involved.kind).map_or("object", |kind| kind.resource.singular);
    json!({
        "namespace": &*told.namespace,
        "object": format!("{kind}/{}", event.involved.name),
        "type": if event.severity == EventSeverity::Warning { "Warning" } else { "Normal" },
        "reason": &*event.reason,
        "message": &*event.message,
        "source": &*event.source,
        "count": event.count,
        "first": event.first.to_string(),
        "last": event.last.to_string(),
    })
}
