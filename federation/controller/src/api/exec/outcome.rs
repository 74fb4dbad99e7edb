//! How a command ended, as a `Status` on the error channel (kubectl reads the exit code from its cause).

use muster_proto::federation::StreamError;
use serde_json::{Value, json};

/// The command ended with this code.
pub fn exited(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// It was not run, or how it ended is not known.
pub fn failed(error: &StreamError) -> Value {
    json!({"metadata": {}, "status": "Failure", "message": error.message, "reason": "InternalError", "code": 500})
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use muster_proto::federation::StreamErrorCode;

    use super::*;

    #[test]
    fn kubectl_finds_the_code() {
        expect![[r#"{"metadata":{},"status":"Success"}"#]].assert_eq(&exited(0).to_string());
        let failure = exited(7);
        assert_eq!(failure["reason"], "NonZeroExitCode");
        assert_eq!(failure["details"]["causes"][0], json!({"reason": "ExitCode", "message": "7"}));
        let error = StreamError { code: StreamErrorCode::Internal, message: "gone".to_owned() };
        assert_eq!(
            (&failed(&error)["status"], &failed(&error)["message"]),
            (&json!("Failure"), &json!("gone"))
        );
    }
}
