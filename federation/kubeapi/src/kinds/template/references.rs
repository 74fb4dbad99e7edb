//! What pod templates name beside themselves: ConfigMaps and Secrets, as variables and as volumes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kinds::at::At;

/// A ConfigMap or Secret in the job's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// `v1 ConfigMap` of this name.
    ConfigMap(String),
    /// `v1 Secret` of this name.
    Secret(String),
}

/// Everything that the template in the inside of a work kind's document names, optional or not. A document that names
/// nothing is not parsed.
pub fn references(body: &str) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    // All fields that name one have either in their own name: `configMapKeyRef`, `secretRef`, ...
    if !body.contains("\"configMap") && !body.contains("\"secret") {
        return found;
    }
    let Ok(document) = serde_json::from_str::<Value>(&format!("{{{body}}}")) else { return found };
    let spec = At::root(&document, "").down(&["spec", "template", "spec"]);
    for list in ["initContainers", "containers"] {
        spec.field(list).items().for_each(|container| of_container(&container, &mut found));
    }
    for volume in spec.field("volumes").items() {
        of_volume(&volume, &mut found);
        volume.down(&["projected", "sources"]).items().for_each(|source| of_volume(&source, &mut found));
    }
    found
}

fn of_container(container: &At<'_>, found: &mut BTreeSet<Reference>) {
    for source in container.field("envFrom").items() {
        add(Reference::ConfigMap, &source.down(&["configMapRef", "name"]), found);
        add(Reference::Secret, &source.down(&["secretRef", "name"]), found);
    }
    for variable in container.field("env").items() {
        let from = variable.field("valueFrom");
        add(Reference::ConfigMap, &from.down(&["configMapKeyRef", "name"]), found);
        add(Reference::Secret, &from.down(&["secretKeyRef", "name"]), found);
    }
}

/// A volume says `secretName`, a source of a projected one `name`.
fn of_volume(volume: &At<'_>, found: &mut BTreeSet<Reference>) {
    add(Reference::ConfigMap, &volume.down(&["configMap", "name"]), found);
    add(Reference::Secret, &volume.down(&["secret", "secretName"]), found);
    add(Reference::Secret, &volume.down(&["secret", "name"]), found);
}

fn add(kind: fn(String) -> Reference, name: &At<'_>, found: &mut BTreeSet<Reference>) {
    found.extend(name.some_text().map(|name| kind(name.to_owned())));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_to_name_a_document_is_found() {
        let names = |kind: &str, name: &str| json!({kind: {"name": name, "key": "k"}});
        let spec = json!({"template": {"spec": {
            "initContainers": [{"name": "i", "envFrom": [names("secretRef", "s1"), names("configMapRef", "c1")]}],
            "containers": [{"name": "m", "env": [
                {"name": "A", "valueFrom": names("configMapKeyRef", "c2")},
                {"name": "B", "valueFrom": names("secretKeyRef", "s2")},
                {"name": "C", "value": "configMap"},
            ]}],
            "volumes": [
                {"name": "a", "configMap": {"name": "c3"}},
                {"name": "b", "secret": {"secretName": "s3"}},
                {"name": "c", "projected": {"sources": [names("secret", "s4"), names("configMap", "c1")]}},
                {"name": "d", "emptyDir": {}},
            ],
        }}});
        let found = references(&format!("\"spec\":{spec}"));
        let names: Vec<String> = found.iter().map(|reference| format!("{reference:?}")).collect();
        let want = [
            r#"ConfigMap("c1")"#,
            r#"ConfigMap("c2")"#,
            r#"ConfigMap("c3")"#,
            r#"Secret("s1")"#,
            r#"Secret("s2")"#,
            r#"Secret("s3")"#,
            r#"Secret("s4")"#,
        ];
        assert_eq!(names, want);
        assert_eq!(references(r#""spec":{"template":{"spec":{}}}"#), BTreeSet::new());
        assert_eq!(references(r#""spec":{"configMap"#), BTreeSet::new());
    }
}
