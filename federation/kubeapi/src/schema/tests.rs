use std::collections::BTreeSet;

use super::*;

#[test]
fn every_reference_leads_somewhere() {
    let schemas = Schemas::embedded();
    let mut missing = BTreeSet::new();
    for (name, definition) in &schemas.definitions {
        let Shape::Object(fields) = &definition.shape else { continue };
        for (field, schema) in fields {
            if let Type::Reference(target) = schema.ty.element()
                && schemas.get(target).is_none()
            {
                missing.insert(format!("{name}.{field} -> {target}"));
            }
        }
        missing.extend(
            definition.required.iter().filter(|f| !fields.contains_key(*f)).map(|f| format!("{name}: {f}")),
        );
    }
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn the_published_patch_facts_are_there() {
    let schemas = Schemas::embedded();
    let (_, _, fields) =
        schemas.fields_of(&Type::Reference("io.k8s.api.core.v1.PodSpec".to_owned())).unwrap();
    assert_eq!(fields["containers"].merge_key, "name");
    assert_eq!(fields["volumes"].merge_strategy(), "merge");
    assert_eq!(fields["volumes"].strategy, "merge,retainKeys");
    assert_eq!(fields["tolerations"].list_type, "atomic");
}

#[test]
fn our_kinds_have_what_every_kind_has() {
    let schemas = Schemas::embedded();
    let list = schemas.get("sh.muster.v1alpha1.ClusterList").unwrap();
    assert_eq!(list.gvk[0].kind, "ClusterList");
    let Shape::Object(fields) = &schemas.get("sh.muster.v1alpha1.Cluster").unwrap().shape else { panic!() };
    assert!(fields.contains_key("metadata") && fields.contains_key("apiVersion"));
}
