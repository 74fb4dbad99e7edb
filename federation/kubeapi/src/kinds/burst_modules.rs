//! Terraform modules that burst pools may name, with the variables that a pool may set. They are part of the executable: see
//! `terraform/modules`.

/// A module.
#[derive(Debug)]
pub struct Module {
    /// Its name in `spec.module`.
    pub name: &'static str,
    /// Variables that a pool may set.
    pub variables: &'static [Variable],
    /// Variables that the hub sets.
    pub of_the_hub: &'static [&'static str],
}

/// A variable of a module.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
}

/// What a variable takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Text.
    Text,
    /// A whole number that is not negative.
    Number,
}

/// All of them.
pub static MODULES: &[Module] = &[Module {
    name: "process-cluster",
    variables: &[
        Variable { name: "root", takes: Takes::Text },
        Variable { name: "log_level", takes: Takes::Text },
        Variable { name: "stop_seconds", takes: Takes::Number },
    ],
    of_the_hub: &["intent", "pool", "member", "join_url", "ca_pin", "members_entry", "muster"],
}];

/// The module of this name.
pub fn find(name: &str) -> Option<&'static Module> {
    MODULES.iter().find(|module| module.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_variables_are_those_of_the_module() {
        let text = include_str!("../../../../terraform/modules/process-cluster/variables.tf");
        let declared: BTreeSet<&str> =
            text.lines().filter_map(|line| line.strip_prefix("variable \"")?.split('"').next()).collect();
        let module = find("process-cluster").unwrap();
        let own = module.variables.iter().map(|variable| variable.name);
        let known: BTreeSet<&str> = own.chain(module.of_the_hub.iter().copied()).collect();
        assert_eq!(known, declared);
    }
}
