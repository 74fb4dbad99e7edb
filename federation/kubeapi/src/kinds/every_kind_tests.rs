//! What holds for every kind: shown as its schema says, kept whole, selected by no more than is needed.

use std::collections::BTreeMap;

use expect_test::expect;
use muster_model::{Deletion, Document, Key, Object, Revision, Status as State};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::samples::{self, NOW, UID, decoded, every_kind, lines, object, reading, row, shown};
use super::*;
use crate::document;
use crate::schema::Schemas;
use crate::select::{FieldSelector, LabelSelector};
use crate::validate::structure;

#[test]
fn what_is_shown_of_every_kind_fits_its_schema() {
    let schemas = Schemas::embedded();
    for (kind, object) in every_kind() {
        let value = render::value(kind, &object);
        let wrong = structure(schemas, kind.resource.schema, &value);
        assert_eq!(wrong, [], "{}", kind.resource.kind);
        let unknown: Vec<_> = document::unknown_fields(&value, schemas, kind.resource.schema)
            .into_iter()
            .filter(|finding| !finding.contains("unknown\"") && !finding.contains("future\""))
            .collect();
        assert_eq!(unknown, Vec::<String>::new(), "{}", kind.resource.kind);
        assert_eq!(value["kind"], kind.resource.kind);
        assert_eq!(value["apiVersion"], json!(kind.resource.api_version()));
        row(kind, &object, NOW);
    }
}

#[test]
fn the_registry_and_the_model_name_the_same_kinds() {
    use muster_model::kinds;
    for name in [
        kinds::NAMESPACE,
        kinds::SECRET,
        kinds::EVENT,
        kinds::JOB,
        kinds::CLUSTER,
        kinds::PLACEMENT,
        kinds::DATASET,
        kinds::PRICE_BOOK,
        kinds::BURST_POOL,
        kinds::RUN,
        kinds::FAULT,
        kinds::GAME_DAY,
        kinds::TRANSFER,
    ] {
        let kind =
            StoredKind::of(&muster_model::Kind::new(name)).unwrap_or_else(|| panic!("{name} is not served"));
        assert_eq!(kind.model_kind().as_str(), name);
    }
    assert_eq!(ALL.len(), STORED.len() + 1, "all but pods are stored");
    assert!(ALL.iter().all(|resource| Schemas::embedded().get(resource.schema).is_some()));
}

#[test]
fn metadata_is_shown_whole() {
    let kind = &config_map::KIND;
    let owner = UID.to_string();
    let text = format!(
        "metadata: {{name: c, namespace: a, generateName: c-, finalizers: [x/y], ownerReferences: [{{apiVersion: batch/v1, kind: Job, name: c, uid: {owner}, controller: true}}], resourceVersion: '1', managedFields: [], selfLink: x}}\nstatus: {{x: 1}}\n"
    );
    let mut object = object(kind, &text);
    object.meta.deletion = Some(Deletion { at: NOW, grace_s: 30 });
    expect![[r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"7","creationTimestamp":"2026-11-20T10:44:05Z","deletionTimestamp":"2026-11-20T10:44:05Z","deletionGracePeriodSeconds":30,"finalizers":["x/y"],"ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"c","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","controller":true}],"generateName":"c-"}}"#]].assert_eq(&shown(kind, &object));
    let gone = render::removed(kind, &object, Revision(99));
    assert_eq!(gone, shown(kind, &object).replace("\"resourceVersion\":\"7\"", "\"resourceVersion\":\"99\""));
    let mut metadata = String::new();
    render::metadata_into(&mut metadata, kind, &object);
    assert!(shown(kind, &object).contains(&metadata));
    expect![[r#"metadata.ownerReferences[0].uid: Invalid value: "me": must be a UUID"#]]
        .assert_eq(&reading(kind, &text.replace(&owner, "me")));
}

#[test]
fn selectors_look_at_no_more_than_they_need() {
    let selects = |kind: &StoredKind, object: &Object, labels: &str, fields: &str| {
        let labels = LabelSelector::parse(labels).unwrap();
        let fields = FieldSelector::parse(&kind.resource, fields).unwrap();
        super::selects(kind, object, &labels, &fields)
    };
    let job = object(&job::KIND, samples::JOB);
    assert_eq!(labels(&job), BTreeMap::from([("kueue.x-k8s.io/queue-name".to_owned(), "night".to_owned())]));
    let broken = Object { document: Document { metadata: "{".into(), body: "{".into() }, ..job.clone() };
    assert!(selects(&job::KIND, &broken, "", "metadata.name=train,metadata.namespace!=x"));
    for (labels, want) in [("kueue.x-k8s.io/queue-name=night", true), ("app", false), ("!app", true)] {
        assert_eq!(selects(&job::KIND, &job, labels, ""), want, "{labels}");
    }
    for (fields, want) in [
        ("involvedObject.kind=Job,involvedObject.name=train,involvedObject.namespace=team-a", true),
        (&*format!("involvedObject.uid={UID},involvedObject.apiVersion=batch/v1"), true),
        ("reason=Queued", false),
        ("source=muster,type=Normal,reportingComponent=muster", true),
        ("involvedObject.fieldPath=", true),
    ] {
        assert_eq!(selects(&event::KIND, &samples::event(), "", fields), want, "{fields}");
    }
    for (fields, want) in [("spec.job=train,status.phase=Failed", true), ("spec.cluster=x", false)] {
        assert_eq!(selects(&run::KIND, &samples::run(), "", fields), want, "{fields}");
    }
}

#[test]
fn a_dry_run_shows_what_would_be_stored() {
    let stored = samples::running_job();
    let mut changed = render::value(&job::KIND, &stored);
    changed["spec"]["parallelism"] = json!(1);
    let admitted = admit(&job::KIND, changed, Some(&render::value(&job::KIND, &stored))).unwrap();
    let shown = render::value(&job::KIND, &preview(&admitted, stored.key.clone(), Some(&stored), (UID, NOW)));
    assert_eq!(shown["spec"]["parallelism"], 1);
    assert_eq!(shown["status"], render::value(&job::KIND, &stored)["status"]);
}

/// JSON of a few levels with texts that look like names, uids and marks.
fn json_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-z\u{1}\u{2}\"\\\\é]{0,6}", Just("train".to_owned()), Just(UID.to_string())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn unknown_fields_come_back(extra in json_value(), inner in json_value(), note in "[ -~\u{1}\u{2}]{0,40}", name in "train|a|u|l|4000|0") {
        let mut object = decoded(&job::KIND, samples::JOB);
        object["future"] = extra.clone();
        object["spec"]["template"]["spec"]["unknown"] = inner.clone();
        object["metadata"]["name"] = json!(name);
        object["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": note});
        let admitted = admit(&job::KIND, object, None).unwrap();
        let key = Key::job("team-a", &name);
        let stored = preview(&admitted, key, None, (UID, NOW));
        let shown = render::value(&job::KIND, &stored);
        prop_assert_eq!(&shown["future"], &extra);
        prop_assert_eq!(&shown["spec"]["template"]["spec"]["unknown"], &inner);
        prop_assert_eq!(&shown["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"], &json!(note));
        prop_assert_eq!(&shown["metadata"]["unknown"], &json!([1, {"a": null}]));
        // What is shown is taken back as it is: nothing changes by reading and writing.
        let again = admit(&job::KIND, shown.clone(), Some(&shown)).unwrap();
        prop_assert_eq!(again.document, admitted.document);
        prop_assert_eq!(again.spec, admitted.spec);
    }
}

#[test]
fn every_kind_survives_reading_and_writing() {
    for (kind, object) in every_kind().into_iter().filter(|(_, object)| !is_made_by_apply(object)) {
        let shown = render::value(kind, &object);
        let again =
            admit(kind, shown.clone(), Some(&shown)).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
        assert_eq!(again.document, object.document, "{}", kind.resource.kind);
    }
}

fn is_made_by_apply(object: &Object) -> bool {
    matches!(object.status, State::Event(_) | State::Run(_) | State::Fault(_) | State::Transfer(_))
}
