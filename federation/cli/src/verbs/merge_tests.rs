use serde_json::json;

use super::*;

fn check(original: &Value, wanted: &Value, current: &Value, want: &Value) {
    assert_eq!(&three_way(Some(original), wanted, current), want);
}

#[test]
fn sets_removes_and_leaves_alone() {
    let original = json!({"data": {"kept": "1", "changed": "1", "removed": "1", "removedByOthers": "1"}});
    let wanted = json!({"data": {"kept": "1", "changed": "2", "new": "1"}});
    let current =
        json!({"data": {"kept": "1", "changed": "1", "removed": "1", "ofOthers": "1"}, "status": {"x": 1}});
    check(&original, &wanted, &current, &json!({"data": {"changed": "2", "new": "1", "removed": null}}));
}

#[test]
fn what_others_changed_is_set_back() {
    let file = json!({"spec": {"parallelism": 2}});
    check(&file, &file, &json!({"spec": {"parallelism": 5}}), &json!({"spec": {"parallelism": 2}}));
}

#[test]
fn without_a_last_application_nothing_is_removed() {
    let patch = three_way(None, &json!({"data": {"a": "2"}}), &json!({"data": {"a": "1", "b": "1"}}));
    assert_eq!(patch, json!({"data": {"a": "2"}}));
}

#[test]
fn defaults_in_list_items_are_no_change() {
    let file = json!({"spec": {"containers": [{"name": "main", "command": ["a"]}]}});
    let current = json!({"spec": {"containers": [{"name": "main", "command": ["a"], "terminationMessagePolicy": "File"}]}});
    check(&file, &file, &current, &json!({}));
    let changed = json!({"spec": {"containers": [{"name": "main", "command": ["b"]}]}});
    check(&file, &changed, &current, &changed);
    let more = json!({"spec": {"containers": [{"name": "main", "command": ["a"]}, {"name": "side"}]}});
    check(&file, &more, &current, &more);
}

#[test]
fn a_field_removed_from_a_list_item_replaces_the_list() {
    let original = json!({"items": [{"name": "a", "value": "1"}]});
    let wanted = json!({"items": [{"name": "a"}]});
    check(&original, &wanted, &original, &wanted);
}

#[test]
fn null_asks_only_for_the_end_of_what_was_applied() {
    let wanted = json!({"metadata": {"creationTimestamp": null, "labels": null}});
    let current = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"a": "b"}}});
    let original = json!({"metadata": {"creationTimestamp": null, "labels": {"a": "b"}}});
    check(&original, &wanted, &current, &json!({"metadata": {"labels": null}}));
}

#[test]
fn applying_twice_changes_nothing() {
    let file = json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}});
    let applied = placed(&file, Some("default"));
    let text = last_applied_text(&applied);
    let stored = annotated(&applied, &text);
    assert_eq!(stored["metadata"]["namespace"], "default");
    assert_eq!(three_way(last_applied(&stored).as_ref(), &stored, &stored), json!({}));
    assert_eq!(last_applied_text_of(&stored), Some(text.as_str()));
    let again = annotated(&placed(&file, Some("default")), &text);
    assert_eq!(three_way(last_applied(&stored).as_ref(), &again, &stored), json!({}));
}

#[test]
fn the_annotation_is_what_kubectl_writes() {
    let file = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"x": "a<b && c>d"}});
    let want = "{\"apiVersion\":\"v1\",\"data\":{\"x\":\"a\\u003cb \\u0026\\u0026 c\\u003ed\"},\"kind\":\"ConfigMap\",\
                \"metadata\":{\"annotations\":{},\"name\":\"a\",\"namespace\":\"default\"}}\n";
    let applied = placed(&file, Some("default"));
    assert_eq!(last_applied_text(&applied), want);
    assert_eq!(last_applied_text(&annotated(&applied, want)), want);
}
