//! `muster.sh/v1alpha1 Dataset`: data that jobs read, and where copies of it are.

use std::sync::Arc;

use muster_model::{
    ContentDigest, DataCopy, DatasetSpec, Location, MemberName, Object, PartialReplica, Spec,
};
use serde_json::{Value, json};

use super::at::At;
use super::column::{AGE, NAME, NONE, or_none, text, wide};
use super::json::Fields;
use super::kind::{Live, Reading, StoredKind};
use super::quantity::bytes_text;
use super::render::show_field;
use super::rows::Rows;
use super::scalar;
use crate::field::FieldError;
use crate::resource::{ALL_VERBS, Column, NameRule, Origin, Resource};

const COLUMNS: &[Column] = &[
    NAME,
    text("Version", "Version of the content."),
    text("Size", "Bytes of one copy."),
    text("Replicas", "Regions, or members, that hold a copy."),
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
    show,
    cells,
};

fn read(object: &Value) -> Result<Reading, Vec<FieldError>> {
    let at = At::root(object, "").field("spec");
    let mut errors = Vec::new();
    let size_bytes = scalar::units(&at.field("size"), &mut errors).unwrap_or_default();
    let (mut replicas, mut partial) = (Vec::new(), Vec::new());
    for item in at.field("replicas").items() {
        let place = region(&item, &mut errors);
        let held = scalar::units(&item.field("held"), &mut errors);
        match held.filter(|held| *held < size_bytes) {
            Some(held_bytes) => partial.push(PartialReplica { place, held_bytes }),
            None => replicas.push(place),
        }
    }
    let spec = DatasetSpec {
        version: at.field("version").text().into(),
        size_bytes,
        replicas,
        allowed_regions: at
            .field("allowedRegions")
            .items()
            .filter_map(|item| allowed_region(&item, &mut errors))
            .collect(),
        partial,
        digest: digest(&at, &mut errors),
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    // A copy where it may not be read is a mistake in one of the two lists.
    for item in at.field("replicas").items() {
        let replica = region(&item, &mut errors);
        if !spec.allows(&replica) {
            errors.push(FieldError::invalid_text(
                item.path,
                &replica.to_string(),
                "must be one of allowedRegions",
            ));
        }
    }
    if errors.is_empty() { Ok(Reading::of(Spec::Dataset(Arc::new(spec)))) } else { Err(errors) }
}

/// What the files of a carried dataset are. Its version names folders of members.
fn digest(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<ContentDigest> {
    let (digest, version) = (at.field("digest"), at.field("version"));
    let text = digest.some_text()?;
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name = version.text();
    if name.is_empty() || name.len() > 63 || name.starts_with('.') || !name.chars().all(is_safe) {
        let rule = "of a dataset with a digest must be 1 to 63 letters, digits, '.', '_' and '-', and not begin with '.'";
        errors.push(version.invalid(rule));
    }
    text.parse()
        .map_err(|error: muster_model::ParseDigestError| errors.push(digest.invalid(error.to_string())))
        .ok()
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

/// Of a dataset that no member holds anything of, nothing is shown.
fn show(object: &Object, _: &Live<'_>, out: &mut String) {
    let Some(dataset) = object.dataset().filter(|dataset| !dataset.copies.is_empty()) else { return };
    let mut status = Fields::open(show_field(out, "status"));
    status.list("copies", &dataset.copies, show_copy);
    status.close();
}

fn show_copy(out: &mut String, (member, copy): (&MemberName, &DataCopy)) {
    let mut fields = Fields::open(out);
    fields.text("cluster", member.as_str());
    fields.text("state", if copy.is_whole() { "Complete" } else { "Partial" });
    fields.literal("bytes", &copy.size_bytes.saturating_sub(copy.missing_bytes));
    fields.literal("of", &copy.size_bytes);
    fields.close();
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Some(dataset) = object.dataset() else { return vec![Value::Null; COLUMNS.len()] };
    let spec = &dataset.spec;
    let whole = dataset.copies.iter().filter(|(_, copy)| copy.is_whole());
    let regions = spec.replicas.iter().map(ToString::to_string);
    let replicas: Vec<_> = regions.chain(whole.map(|(member, _)| member.to_string())).collect();
    vec![
        json!(&*object.key.name),
        or_none(&spec.version),
        json!(bytes_text(spec.size_bytes)),
        or_none(&replicas.join(",")),
        rows.age(object),
        json!(if spec.allowed_regions.is_empty() { NONE.to_owned() } else { spec.allowed_regions.join(",") }),
    ]
}
