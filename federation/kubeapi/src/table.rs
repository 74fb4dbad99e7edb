//! `meta.k8s.io` Table output.

use jiff::Timestamp;
use serde_json::Value;

/// The age cell of an object: time since its creation.
pub fn age(object: &Value, now: Timestamp) -> Value {
    let _ = (object, now);
    Value::Null
}
