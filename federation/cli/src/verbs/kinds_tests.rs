use serde_json::json;

use super::*;

/// A small hub's kinds.
pub fn sample() -> Kinds {
    let resource = |plural: &str, kind: &str, scope: &str, short: &[&str], categories: &[&str]| {
        json!({"resource": plural, "singularResource": kind.to_lowercase(), "scope": scope, "shortNames": short,
               "categories": categories, "responseKind": {"kind": kind}, "verbs": ["get", "list"]})
    };
    let core = json!({"items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [
        resource("configmaps", "ConfigMap", "Namespaced", &["cm"], &[]),
        resource("pods", "Pod", "Namespaced", &["po"], &["all"]),
    ]}]}]});
    let named = json!({"items": [
        {"metadata": {"name": "batch"}, "versions": [{"version": "v1", "resources": [
            resource("jobs", "Job", "Namespaced", &[], &["all"])]}]},
        {"metadata": {"name": "muster.sh"}, "versions": [{"version": "v1alpha1", "resources": [
            resource("clusters", "Cluster", "Cluster", &[], &[]),
            resource("pricebooks", "PriceBook", "Cluster", &[], &[])]}]},
    ]});
    Kinds(read(&core).chain(read(&named)).collect())
}

#[test]
fn words_for_a_kind() {
    let kinds = sample();
    for word in ["job", "jobs", "Job", "jobs.batch", "jobs.v1.batch", "job.batch"] {
        assert_eq!(kinds.named(word).unwrap().kind, "Job", "{word}");
    }
    assert_eq!(kinds.named("cm").unwrap().collection(Some("a")), "/api/v1/namespaces/a/configmaps");
    assert_eq!(kinds.named("pods.v1").unwrap().kind, "Pod");
    assert!(kinds.named("jobs.muster.sh").is_err());
    let named =
        |words| kinds.all_named(words).unwrap().iter().map(|kind| kind.plural.clone()).collect::<Vec<_>>();
    assert_eq!(named("all,cm,job"), ["pods", "jobs", "configmaps"]);
}

#[test]
fn paths() {
    let kinds = sample();
    let job = kinds.named("jobs").unwrap();
    assert_eq!(job.object("a", "b"), "/apis/batch/v1/namespaces/a/jobs/b");
    assert_eq!(job.collection(None), "/apis/batch/v1/jobs");
    assert_eq!(job.qualified(), "job.batch");
    assert_eq!(kinds.named("clusters").unwrap().object("a", "b"), "/apis/muster.sh/v1alpha1/clusters/b");
}

#[test]
fn an_unknown_kind_names_those_near_to_it() {
    let kinds = sample();
    let say = |word: &str| kinds.named(word).unwrap_err().to_string();
    assert_eq!(say("jbo"), "\"jbo\" is no kind that the hub serves; did you mean jobs?");
    assert_eq!(say("clutser"), "\"clutser\" is no kind that the hub serves; did you mean clusters?");
    assert_eq!(
        say("deployments"),
        "\"deployments\" is no kind that the hub serves; there are: configmaps, pods, jobs, clusters, pricebooks"
    );
    assert!(say("foo").contains("there are:"));
    let object = json!({"apiVersion": "batch/v1beta1", "kind": "Job"});
    let want = "apiVersion: \"batch/v1beta1\" is not served for kind Job; write `apiVersion: batch/v1`";
    assert_eq!(kinds.of(&object).unwrap_err().to_string(), want);
}
