use expect_test::{Expect, expect};

use super::*;

/// One line per object, or the error.
fn check(text: &str, want: &Expect) {
    let got = match documents(text) {
        Ok(objects) => objects.iter().map(|object| format!("{object}\n")).collect(),
        Err(error) => format!("error: {error}\n"),
    };
    want.assert_eq(&got);
}

#[test]
fn several_documents_anchors_and_empty_ones() {
    check(
        "# first\n---\napiVersion: v1\nkind: A\nx: &shared {n: 1, s: \"1\"}\ny: *shared\n---\n---\napiVersion: v1\nkind: B\nbase: &b {k: v}\nz: {<<: *b, w: true}\n",
        &expect![[r#"
            {"apiVersion":"v1","kind":"A","x":{"n":1,"s":"1"},"y":{"n":1,"s":"1"}}
            {"apiVersion":"v1","base":{"k":"v"},"kind":"B","z":{"k":"v","w":true}}
        "#]],
    );
}

#[test]
fn json_with_tabs_escapes_and_several_values() {
    check(
        "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"A\", \"n\": 1.5, \"t\": \"\\ud83d\\ude00\"}\n{\"apiVersion\":\"v1\",\"kind\":\"B\"}",
        &expect![[r#"
            {"apiVersion":"v1","kind":"A","n":1.5,"t":"😀"}
            {"apiVersion":"v1","kind":"B"}
        "#]],
    );
    check(
        "{apiVersion: v1, kind: InBraces}",
        &expect![[r#"
            {"apiVersion":"v1","kind":"InBraces"}
        "#]],
    );
}

#[test]
fn lists_are_taken_apart() {
    check(
        r#"{"apiVersion":"v1","kind":"List","items":[
            {"apiVersion":"batch/v1","kind":"JobList","items":[{"metadata":{"name":"a"}}]},
            {"apiVersion":"v1","kind":"ConfigMap"}]}"#,
        &expect![[r#"
            {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a"}}
            {"apiVersion":"v1","kind":"ConfigMap"}
        "#]],
    );
}

#[test]
fn errors_name_document_and_field() {
    check(
        "apiVersion: v1\nkind: A\n---\nkind: B\n",
        &expect![[r#"
        error: document 2: apiVersion: missing; write it as in `apiVersion: batch/v1`
    "#]],
    );
    check(
        "apiVersion: v1\nkind: [A]\n",
        &expect![[r#"
        error: document 1: kind: must be a text, as in `kind: Job`
    "#]],
    );
    check(
        "- a\n- b\n",
        &expect![[r#"
        error: document 1: not an object; write `apiVersion:`, `kind:`, `metadata:` ...
    "#]],
    );
    check(
        "kind: List\napiVersion: v1\nitems: [{apiVersion: v1, kind: A}, {apiVersion: v1}]\n",
        &expect![[r#"
        error: document 1, item 2: kind: missing; write it as in `kind: Job`
    "#]],
    );
    check(
        "apiVersion: v1\nkind: A\n---\napiVersion: v1\nkind: A\nx: {\n",
        &expect![[r#"
        error: document 2: unclosed bracket '{' at line 6, column 4
    "#]],
    );
    check(
        "apiVersion: v1\nkind: A\nkind: B\n",
        &expect![[r#"
        error: document 1: duplicate mapping key: kind; remove one at line 3, column 1
    "#]],
    );
    check(
        r#"{"apiVersion":"v1","kind":"A","spec":{"x":1,"x":2}}"#,
        &expect![[r#"
        error: document 1: field "x" is there twice; remove one at line 1 column 50
    "#]],
    );
}

#[test]
fn a_wrong_file_has_exit_code_65() {
    let error = documents("kind: A\n").unwrap_err();
    assert_eq!(crate::exit::report(&error), std::process::ExitCode::from(65));
}

#[test]
fn collections() {
    let check = |text: &str, want: &str| {
        let object = documents(text).unwrap().remove(0);
        assert_eq!(collection_path(&object, "default").unwrap(), want);
    };
    check("{apiVersion: batch/v1, kind: Job}", "/apis/batch/v1/namespaces/default/jobs");
    check("{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a}}", "/api/v1/namespaces/a/configmaps");
    check("{apiVersion: v1, kind: Namespace}", "/api/v1/namespaces");
    check("{apiVersion: muster.sh/v1alpha1, kind: PriceBook}", "/apis/muster.sh/v1alpha1/pricebooks");
    check(
        "{apiVersion: scheduling.k8s.io/v1, kind: Policy}",
        "/apis/scheduling.k8s.io/v1/namespaces/default/policies",
    );
}
