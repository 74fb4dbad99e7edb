//! JSON patch (RFC 6902) by the `json-patch` crate, with the limits and the two leniencies of the real server.

use json_patch::{AddOperation, Patch, PatchOperation};
use serde_json::Value;

use crate::status::{Reason, Status};

/// Most operations of one patch.
pub const MAX_OPERATIONS: usize = 10_000;
/// Most bytes that all `copy` operations of a patch add up to; without it a short patch could make a huge object.
const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

const REJECTED: &str = "the server rejected our request due to an error in our request";

/// Applies `patch` to a copy of `current`.
pub(super) fn apply(current: &Value, patch: Value) -> Result<Value, Status> {
    let Value::Array(operations) = &patch else {
        return Err(Status::bad_request("a JSON patch must be a list of operations"));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(Status::too_large(&format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let Patch(operations) = serde_json::from_value(patch).map_err(|_| rejected())?;
    let mut object = current.clone();
    let mut copied_bytes = 0;
    for operation in operations {
        if let PatchOperation::Copy(copy) = &operation {
            copied_bytes += object.pointer(copy.from.as_str()).map_or(0, |value| value.to_string().len());
            if copied_bytes > MAX_COPIED_BYTES {
                return Err(rejected());
            }
        }
        let Some(operation) = lenient(&object, operation) else { continue };
        json_patch::patch(&mut object, &[operation]).map_err(|_| rejected())?;
    }
    Ok(object)
}

/// The real server lets `replace` create a field, and lets `test` take null for a field that is not there.
fn lenient(object: &Value, operation: PatchOperation) -> Option<PatchOperation> {
    match operation {
        PatchOperation::Replace(replace) if object.pointer(replace.path.as_str()).is_none() => {
            Some(PatchOperation::Add(AddOperation { path: replace.path, value: replace.value }))
        }
        PatchOperation::Test(test)
            if test.value.is_null() && object.pointer(test.path.as_str()).is_none() =>
        {
            None
        }
        other => Some(other),
    }
}

fn rejected() -> Status {
    Status::new(Reason::Invalid, REJECTED)
}
