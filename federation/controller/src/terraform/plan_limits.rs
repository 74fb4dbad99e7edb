//! What a plan may do before it is carried out: a bounded number of new resources, and nothing that is there changed or
//! removed. A module that asks for more has a mistake, and money hangs on it.

use serde_json::Value;

/// Resources that one member may consist of.
const RESOURCES_MAX: usize = 200;

/// Why a plan is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverLimits {
    /// Too many resources.
    #[error(
        "the plan makes {0} resources, at most {RESOURCES_MAX} are allowed for one member: see the module"
    )]
    TooMany(usize),
    /// Something that is there would go.
    #[error("the plan would {1} {0}, and a member is only ever added: see the module")]
    Touches(String, String),
    /// `terraform show -json` said something else.
    #[error("the plan cannot be read: {0}")]
    Unreadable(String),
}

/// Checks the output of `terraform show -json` of a plan.
///
/// # Errors
/// See [`OverLimits`].
pub fn check(shown: &[u8]) -> Result<(), OverLimits> {
    let plan: Value =
        serde_json::from_slice(shown).map_err(|error| OverLimits::Unreadable(error.to_string()))?;
    if !plan["format_version"].is_string() {
        return Err(OverLimits::Unreadable("it has no format_version".to_owned()));
    }
    let changes = plan["resource_changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut made = 0;
    for change in changes {
        let address = change["address"].as_str().unwrap_or_default();
        let actions = change["change"]["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
        for action in actions.iter().filter_map(Value::as_str) {
            match action {
                "create" => made += 1,
                "no-op" | "read" => {}
                other => return Err(OverLimits::Touches(address.to_owned(), other.to_owned())),
            }
        }
    }
    if made > RESOURCES_MAX { Err(OverLimits::TooMany(made)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_only_adds_and_not_too_much() {
        let plan = |actions: &[&str], count: usize| {
            let change = json!({"address": "terraform_data.member", "change": {"actions": actions}});
            json!({"format_version": "1.2", "resource_changes": vec![change; count]}).to_string()
        };
        assert_eq!(check(plan(&["create"], 1).as_bytes()), Ok(()));
        assert_eq!(check(plan(&["no-op"], 500).as_bytes()), Ok(()));
        assert_eq!(check(plan(&["create"], 201).as_bytes()), Err(OverLimits::TooMany(201)));
        for actions in [&["delete"][..], &["delete", "create"], &["create", "delete"], &["update"]] {
            assert!(
                matches!(check(plan(actions, 1).as_bytes()), Err(OverLimits::Touches(..))),
                "{actions:?}"
            );
        }
        for text in ["", "{}", "not JSON"] {
            assert!(matches!(check(text.as_bytes()), Err(OverLimits::Unreadable(_))), "{text}");
        }
    }
}
