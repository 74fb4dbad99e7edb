//! Name and namespace of a body against those of its path.

use serde_json::{Map, Value, json};

use crate::quote::go_value;
use crate::status::Status;

/// Puts the path's namespace into the object, and checks that the body names no other namespace or name. `name` is the
/// path's, `None` on create.
///
/// # Errors
/// 400 when they differ, or when an update names nothing.
pub fn identity(object: &mut Value, namespace: Option<&str>, name: Option<&str>) -> Result<(), Status> {
    let Some(map) = object.as_object_mut() else {
        return Err(Status::bad_request("the object must be a JSON object"));
    };
    let meta = map.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if meta.is_null() {
        *meta = Value::Object(Map::new());
    }
    let Value::Object(meta) = meta else {
        return Err(Status::bad_request(format!("metadata must be an object, not {}", go_value(meta))));
    };
    check_namespace(meta, namespace)?;
    let given = meta.get("name").and_then(Value::as_str).unwrap_or_default();
    match name {
        None => Ok(()),
        Some(name) if name == given => Ok(()),
        Some(name) if given.is_empty() => Err(Status::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        Some(name) => Err(Status::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        ))),
    }
}

fn check_namespace(meta: &mut Map<String, Value>, namespace: Option<&str>) -> Result<(), Status> {
    let given = meta.get("namespace").and_then(Value::as_str).unwrap_or_default();
    match namespace {
        None => Ok(()),
        Some(namespace) if given.is_empty() => {
            meta.insert("namespace".to_owned(), json!(namespace));
            Ok(())
        }
        Some(namespace) if given == namespace => Ok(()),
        Some(_) => Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}
