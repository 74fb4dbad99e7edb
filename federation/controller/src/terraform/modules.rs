//! The modules, as they are in `terraform/modules`: part of the executable, so that a hub needs no other file.

/// A file of a module.
pub struct File {
    /// Its name in the module's folder.
    pub name: &'static str,
    /// What is in it.
    pub text: &'static str,
}

macro_rules! files {
    ($module:literal: $($name:literal),*) => {
        &[$(File {
            name: $name,
            text: include_str!(concat!("../../../../terraform/modules/", $module, "/", $name)),
        }),*]
    };
}

/// The files of a module; `None` if there is no such module.
pub fn files(module: &str) -> Option<&'static [File]> {
    match module {
        "process-cluster" => {
            Some(files!("process-cluster": "main.tf", "variables.tf", "outputs.tf", "member.sh"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_that_a_pool_may_name_is_there() {
        for module in muster_kubeapi::kinds::burst_modules::MODULES {
            let files = files(module.name).unwrap_or_default();
            assert!(files.iter().any(|file| file.name == "variables.tf"), "{}", module.name);
            assert!(files.iter().any(|file| file.name == "member.sh"), "{} has a sweep", module.name);
        }
        assert!(files("unheard-of").is_none());
    }
}
