//! Watch streams: one JSON event per line, and which event a change is to a watcher with a selector.

use serde_json::{Value, json};

use crate::resource::Resource;
use crate::status::Status;

/// Marks the bookmark that ends the initial events of a streaming list.
pub const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// Kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// The object is there, or begins to match.
    Added,
    /// The object changed.
    Modified,
    /// The object is gone, or no longer matches.
    Deleted,
    /// Nothing happened up to this revision.
    Bookmark,
    /// The stream ends with this Status.
    Error,
}

impl EventType {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Added => "ADDED",
            EventType::Modified => "MODIFIED",
            EventType::Deleted => "DELETED",
            EventType::Bookmark => "BOOKMARK",
            EventType::Error => "ERROR",
        }
    }
}

/// What a change is to a watcher whose selector matched before and matches now. `None` on a side means that there is no
/// object on it; the result of nothing to nothing is no event. A `Deleted` event carries the old object's fields at the
/// revision of the change.
pub fn transition(old_matches: Option<bool>, new_matches: Option<bool>) -> Option<EventType> {
    match (old_matches.unwrap_or(false), new_matches.unwrap_or(false)) {
        (false, false) => None,
        (false, true) => Some(EventType::Added),
        (true, true) => Some(EventType::Modified),
        (true, false) => Some(EventType::Deleted),
    }
}

/// One line of a stream around an object's rendered JSON.
pub fn frame(event: EventType, object: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(object.len() + 32);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(event.as_str().as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
    out
}

/// The line that ends a stream.
pub fn error(status: &Status) -> Vec<u8> {
    frame(EventType::Error, &status.to_bytes())
}

/// A bookmark at this revision.
pub fn bookmark(resource: &Resource, revision: u64) -> Vec<u8> {
    frame(EventType::Bookmark, bookmark_object(resource, revision, false).to_string().as_bytes())
}

/// The bookmark behind the last initial event of a `sendInitialEvents` watch.
pub fn initial_events_end(resource: &Resource, revision: u64) -> Vec<u8> {
    frame(EventType::Bookmark, bookmark_object(resource, revision, true).to_string().as_bytes())
}

fn bookmark_object(resource: &Resource, revision: u64, initial_end: bool) -> Value {
    let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
    if initial_end {
        metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
    }
    json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::JOB;

    #[test]
    fn what_leaves_a_selector_is_deleted_for_its_watcher() {
        use EventType::{Added, Deleted, Modified};
        for (old, new, want) in [
            (None, Some(true), Some(Added)),
            (None, Some(false), None),
            (Some(false), Some(true), Some(Added)),
            (Some(true), Some(true), Some(Modified)),
            (Some(true), Some(false), Some(Deleted)),
            (Some(true), None, Some(Deleted)),
            (Some(false), None, None),
            (Some(false), Some(false), None),
        ] {
            assert_eq!(transition(old, new), want, "{old:?} {new:?}");
        }
    }

    #[test]
    fn events_are_lines() {
        assert_eq!(frame(EventType::Added, b"{\"a\":1}"), b"{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n");
        let line = String::from_utf8(initial_events_end(&JOB, 5)).unwrap();
        assert_eq!(
            line,
            "{\"type\":\"BOOKMARK\",\"object\":{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"annotations\":\
             {\"k8s.io/initial-events-end\":\"true\"},\"creationTimestamp\":null,\"resourceVersion\":\"5\"}}}\n"
        );
        let gone = String::from_utf8(error(&Status::too_old_resource_version(1, 9))).unwrap();
        assert!(gone.starts_with("{\"type\":\"ERROR\"") && gone.contains("\"code\":410"), "{gone}");
    }
}
