//! `muster.sh/v1alpha1 Dataset`: data that jobs read, and where copies of it are.

use std::sync::Arc;

use muster_model::{DatasetSpec, Location, Object, Spec, Status};
use serde_json::{Value, json};

use super::at::At;
use super::column::{AGE, NAME, NONE, or_none, text, wide};
use super::kind::{Reading, StoredKind};
use super::quantity::bytes_text;
use super::rows::Rows;
use super::scalar;
use crate::field::FieldError;
use crate::resource::{ALL_VERBS, Column, NameRule, Origin, Resource};

const COLUMNS: &[Column] = &[
    NAME,
    text("Version", "Version of the content."),
    text("Size", "Bytes of one copy."),
    text("Replicas", "Regions that hold a copy."),
    AGE,
    wide("Allowed Regions", "The only places where it may be read."),
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "muster.sh",
        version: "v1alpha1",
        kind: "Dataset",
        plural: "datasets",
        singular: "dataset",
        short_names: &["ds"],
        categories: &["muster"],
        namespaced: true,
        verbs: ALL_VERBS,
        subresources: &[],
        columns: COLUMNS,
        schema: "sh.muster.v1alpha1.Dataset",
        origin: Origin::Custom,
        name_rule: NameRule::Subdomain,
        field_labels: &[],
        default: |_| {},
        validate: |_, _| Vec::new(),
    },
    read,
    show: |_, _, _| {},
    cells,
};

fn read(object: &Value) -> Result<Reading, Vec<FieldError>> {
    let at = At::root(object, "").field("spec");
    let mut errors = Vec::new();
    let spec = DatasetSpec {
        version: at.field("version").text().into(),
        size_bytes: scalar::units(&at.field("size"), &mut errors).unwrap_or_default(),
        replicas: at.field("replicas").items().map(|item| region(&item, &mut errors)).collect(),
        allowed_regions: at
            .field("allowedRegions")
            .items()
            .filter_map(|item| allowed_region(&item, &mut errors))
            .collect(),
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    // A copy where it may not be read is a mistake in one of the two lists.
    for (replica, item) in spec.replicas.iter().zip(at.field("replicas").items()) {
        if !spec.allows(replica) {
            errors.push(FieldError::invalid_text(
                item.path,
                &replica.to_string(),
                "must be one of allowedRegions",
            ));
        }
    }
    if errors.is_empty() { Ok(Reading::of(Spec::Dataset(Arc::new(spec)))) } else { Err(errors) }
}

/// A region as `{provider, region}`, both given.
pub(super) fn region(at: &At<'_>, errors: &mut Vec<FieldError>) -> Location {
    for name in ["provider", "region"] {
        let field = at.field(name);
        if field.text().is_empty() {
            errors.push(field.required(""));
        }
    }
    Location::region(at.field("provider").text(), at.field("region").text())
}

/// An allowed region as `REGION`, `PROVIDER/REGION`, or `{provider, region}`, where `provider` may be left out.
fn allowed_region(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<Arc<str>> {
    let (provider, name) = (at.field("provider"), at.field("region"));
    match (at.some_text(), provider.some_text(), name.some_text()) {
        (Some(text), ..) => Some(text.into()),
        (None, Some(provider), Some(region)) => Some(format!("{provider}/{region}").into()),
        (None, None, Some(region)) => Some(region.into()),
        _ => {
            errors.push(
                at.invalid("must be a region such as \"eu-west-1\" or {provider: aws, region: eu-west-1}"),
            );
            None
        }
    }
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Status::Dataset(spec) = &object.status else { return vec![Value::Null; COLUMNS.len()] };
    let replicas: Vec<_> = spec.replicas.iter().map(ToString::to_string).collect();
    vec![
        json!(&*object.key.name),
        or_none(&spec.version),
        json!(bytes_text(spec.size_bytes)),
        or_none(&replicas.join(",")),
        rows.age(object),
        json!(if spec.allowed_regions.is_empty() { NONE.to_owned() } else { spec.allowed_regions.join(",") }),
    ]
}
