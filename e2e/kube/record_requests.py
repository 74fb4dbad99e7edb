"""Requests whose answers are recorded for status.rs and validate/."""

JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"},
       "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}
JOBS, MAPS = "/apis/batch/v1/namespaces/default/jobs", "/api/v1/namespaces/default/configmaps"


def job(**spec):
    return {**JOB, "spec": {**JOB["spec"], **spec}}


def config(name="y", **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


def case(name, method, path, body=None, **headers):
    out = {"name": name, "method": method, "path": path}
    if body is not None:
        out["body"] = body
    if headers:
        out["headers"] = {k.replace("_", "-"): v for k, v in headers.items()}
    return out


def post(name, path, body, **headers):
    return case(name, "POST", path + ("&" if "?" in path else "?") + "dryRun=All", body, **headers)


SETUP = [{"method": "POST", "path": MAPS, "body": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "taken"}, "data": {"a": "1"}}},
         {"method": "POST", "path": JOBS, "body": {**JOB, "metadata": {"name": "taken"}}}]
LONG = "a" * 64
CASES = [
    case("not-found-job", "GET", f"{JOBS}/nope"),
    case("not-found-configmap", "GET", f"{MAPS}/nope"),
    case("not-found-path", "GET", "/apis/batch/v1/namespaces/default/nothings"),
    case("not-found-group", "GET", "/apis/nothing.example/v1"),
    case("delete-not-found", "DELETE", f"{MAPS}/nope"),
    case("patch-not-found", "PATCH", f"{MAPS}/nope", {}, Content_Type="application/merge-patch+json"),
    case("unauthorized", "GET", MAPS, None, Authorization="Bearer wrong"),
    case("forbidden-list", "GET", JOBS, None, Authorization="Bearer nobody"),
    case("forbidden-get", "GET", f"{JOBS}/taken", None, Authorization="Bearer nobody"),
    case("forbidden-status", "GET", f"{JOBS}/taken/status", None, Authorization="Bearer nobody"),
    case("forbidden-cluster", "GET", "/api/v1/nodes", None, Authorization="Bearer nobody"),
    case("forbidden-all-namespaces", "GET", "/apis/batch/v1/jobs", None, Authorization="Bearer nobody"),
    case("forbidden-path", "GET", "/metrics", None, Authorization="Bearer nobody"),
    post("already-exists", MAPS, config("taken")),
    case("update-conflict", "PUT", f"{MAPS}/taken?dryRun=All", {**config("taken"), "metadata": {"name": "taken", "resourceVersion": "1"}}),
    case("update-uid-conflict", "PUT", f"{MAPS}/taken?dryRun=All", {**config("taken"), "metadata": {"name": "taken", "uid": "other"}}),
    case("delete-uid-precondition", "DELETE", f"{MAPS}/taken?dryRun=All", {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}}),
    case("update-name-mismatch", "PUT", f"{MAPS}/taken?dryRun=All", config("other")),
    case("update-namespace-mismatch", "PUT", f"{MAPS}/taken?dryRun=All", config("taken", namespace="kube-system")),
    post("create-namespace-mismatch", MAPS, config("y", namespace="kube-system")),
    case("update-no-name", "PUT", f"{MAPS}/taken?dryRun=All", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}),
    case("method-not-allowed", "PUT", MAPS, config()),
    case("patch-unknown-type", "PATCH", f"{MAPS}/taken", "{}", Content_Type="application/octet-stream"),
    post("unsupported-media-type", MAPS, "x", Content_Type="application/toml"),
    case("not-acceptable", "GET", f"{MAPS}/taken", None, Accept="application/toml"),
    case("not-acceptable-table-proto", "GET", f"{MAPS}/taken", None, Accept="application/json;as=Table;v=v9;g=meta.k8s.io"),
    post("body-not-json", MAPS, "{", Content_Type="application/json"),
    post("body-empty", MAPS, "", Content_Type="application/json"),
    post("body-list", MAPS, "[]", Content_Type="application/json"),
    post("wrong-kind", MAPS, {**JOB}),
    post("no-kind", MAPS, {"metadata": {"name": "y"}}),
    post("wrong-type-scalar", JOBS, job(parallelism="two")),
    post("wrong-type-nested", JOBS, job(template={"spec": {"containers": {"name": "c"}}})),
    post("wrong-type-list-item", JOBS, job(template={"spec": {"containers": [{"name": 1}]}})),
    post("wrong-type-bool", JOBS, job(suspend="yes")),
    post("wrong-type-map-value", MAPS, {**config(), "data": {"a": 1}}),
    post("wrong-type-string-for-object", MAPS, {**config(), "metadata": "y"}),
    post("integer-overflow", JOBS, job(parallelism=4294967296)),
    post("integer-fraction", JOBS, job(parallelism=1.5)),
    post("quantity-invalid", JOBS, job(template={"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "lots"}}}]}})),
    post("time-invalid", MAPS, config("y", deletionTimestamp="yesterday")),
    post("strict-unknown", f"{JOBS}?fieldValidation=Strict", job(foo=1)),
    post("strict-unknown-nested", f"{JOBS}?fieldValidation=Strict", job(template={"spec": {"restartPolicy": "Never", "bar": 1, "containers": [{"name": "c", "image": "i", "gpus": 1}]}})),
    post("strict-unknown-top", f"{MAPS}?fieldValidation=Strict", {**config(), "dta": {}}),
    post("strict-duplicate", f"{MAPS}?fieldValidation=Strict", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"y","name":"z"},"data":{"a":"1","a":"2"}}', Content_Type="application/json"),
    post("strict-duplicate-in-list", f"{JOBS}?fieldValidation=Strict", '{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"y"},"spec":{"x":1,"suspend":true,"suspend":true,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"},{"name":"d","image":"i","image":"j"}]}}}}', Content_Type="application/json"),
    post("strict-yaml", f"{MAPS}?fieldValidation=Strict", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: why}\ndta: {}\n", Content_Type="application/yaml"),
    post("strict-case", f"{JOBS}?fieldValidation=Strict", job(Parallelism=1)),
    post("strict-and-wrong-type", f"{JOBS}?fieldValidation=Strict", job(foo=1, parallelism="two")),
    post("warn-unknown", f"{JOBS}?fieldValidation=Warn", job(foo=1)),
    post("warn-two", f"{JOBS}?fieldValidation=Warn", job(foo=1, bar=2)),
    post("warn-duplicate", f"{MAPS}?fieldValidation=Warn", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"y"},"data":{"a":"1","a":"2"}}', Content_Type="application/json"),
    post("field-validation-unknown", f"{MAPS}?fieldValidation=Maybe", config()),
    post("field-manager-long", f"{MAPS}?fieldManager={'m' * 129}", config()),
    case("dry-run-unknown", "POST", f"{MAPS}?dryRun=Some", config()),
    case("patch-strict-unknown-smp", "PATCH", f"{JOBS}/taken?dryRun=All&fieldValidation=Strict", {"spec": {"foo": 1}}, Content_Type="application/strategic-merge-patch+json"),
    case("patch-strict-unknown-merge", "PATCH", f"{JOBS}/taken?dryRun=All&fieldValidation=Strict", {"spec": {"foo": 1}}, Content_Type="application/merge-patch+json"),
    case("patch-warn-unknown-merge", "PATCH", f"{JOBS}/taken?dryRun=All&fieldValidation=Warn", {"spec": {"foo": 1}}, Content_Type="application/merge-patch+json"),
    case("patch-force-on-merge", "PATCH", f"{MAPS}/taken?dryRun=All&force=true", {}, Content_Type="application/merge-patch+json"),
    case("patch-name-change", "PATCH", f"{MAPS}/taken?dryRun=All", {"metadata": {"name": "other"}}, Content_Type="application/merge-patch+json"),
    case("patch-json-too-many", "PATCH", f"{MAPS}/taken?dryRun=All", "[" + ",".join(['{"op":"test","path":"/data/a","value":"1"}'] * 10001) + "]", Content_Type="application/json-patch+json"),
    post("invalid-job-no-template", JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {}}),
    post("invalid-job-restart-policy", JOBS, job(template={"spec": {"containers": [{"name": "c", "image": "i"}]}})),
    post("invalid-job-restart-policy-word", JOBS, job(template={"spec": {"restartPolicy": "Sometimes", "containers": [{"name": "c", "image": "i"}]}})),
    post("invalid-job-negative", JOBS, job(parallelism=-1, backoffLimit=-2, completions=-3)),
    post("invalid-job-completion-mode", JOBS, job(completionMode="Sorted")),
    post("invalid-job-indexed-no-completions", JOBS, job(completionMode="Indexed")),
    post("invalid-job-containers", JOBS, job(template={"spec": {"restartPolicy": "Never", "containers": [{"name": "A_b", "image": ""}, {"name": "c", "image": "i"}, {"name": "c", "image": "i"}]}})),
    post("invalid-job-name-long", JOBS, {**JOB, "metadata": {"name": LONG}}),
    post("invalid-name", MAPS, config("Bad_Name")),
    post("invalid-name-long", MAPS, config("a" * 254)),
    post("invalid-name-missing", MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}),
    post("invalid-generate-name", MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "Bad_"}}),
    post("invalid-namespace-name", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a.b"}}),
    post("invalid-label-key", MAPS, config("y", labels={"a b": "1"})),
    post("invalid-label-key-prefix", MAPS, config("y", labels={"A_/x": "1"})),
    post("invalid-label-key-two-slashes", MAPS, config("y", labels={"a/b/c": "1"})),
    post("invalid-label-key-empty-name", MAPS, config("y", labels={"a.b/": "1"})),
    post("invalid-label-key-long", MAPS, config("y", labels={LONG: "1"})),
    post("invalid-label-value", MAPS, config("y", labels={"a": "-x-"})),
    post("invalid-label-value-long", MAPS, config("y", labels={"a": LONG})),
    post("invalid-annotation-key", MAPS, config("y", annotations={"a b": "1"})),
    post("invalid-annotation-size", MAPS, config("y", annotations={"a": "x" * 262145})),
    post("invalid-finalizer", MAPS, config("y", finalizers=["a b"])),
    post("invalid-finalizer-plain", MAPS, config("y", finalizers=["plain"])),
    post("invalid-owner", MAPS, config("y", ownerReferences=[{"apiVersion": "", "kind": "", "name": "", "uid": ""}])),
    post("invalid-owner-two-controllers", MAPS, config("y", ownerReferences=[
        {"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1", "controller": True}, {"apiVersion": "v1", "kind": "A", "name": "b", "uid": "2", "controller": True}])),
    post("invalid-configmap-key", MAPS, {**config(), "data": {"a b": "1"}}),
    post("invalid-configmap-key-twice", MAPS, {**config(), "data": {"a": "1"}, "binaryData": {"a": "AA=="}}),
    case("invalid-immutable-template", "PATCH", f"{JOBS}/taken?dryRun=All", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "other"}]}}}},
         Content_Type="application/strategic-merge-patch+json"),
    case("invalid-immutable-completion-mode", "PATCH", f"{JOBS}/taken?dryRun=All", {"spec": {"completions": 7}}, Content_Type="application/merge-patch+json"),
    case("invalid-delete-propagation", "DELETE", f"{MAPS}/taken?dryRun=All&propagationPolicy=Upwards"),
    case("delete-grace-negative", "DELETE", f"{MAPS}/taken?dryRun=All&gracePeriodSeconds=-5"),
    case("delete-grace-text", "DELETE", f"{MAPS}/taken?dryRun=All&gracePeriodSeconds=soon"),
    case("delete-success-body", "DELETE", f"{MAPS}/taken?dryRun=All"),
    case("label-selector-bad", "GET", f"{MAPS}?labelSelector=a%20b"),
    case("label-selector-bad-in", "GET", f"{MAPS}?labelSelector=a%20in%20b"),
    case("label-selector-open", "GET", f"{MAPS}?labelSelector=a%20in%20(b"),
    case("label-selector-operator", "GET", f"{MAPS}?labelSelector=a%3D%3D%3Db"),
    case("label-selector-bad-key", "GET", f"{MAPS}?labelSelector=a_%2Fb%3Dc"),
    case("label-selector-bad-value", "GET", f"{MAPS}?labelSelector=a%3D-x-"),
    case("label-selector-exclaim", "GET", f"{MAPS}?labelSelector=!"),
    case("label-selector-trailing-comma", "GET", f"{MAPS}?labelSelector=a%3Db%2C"),
    case("label-selector-gt", "GET", f"{MAPS}?labelSelector=a%3Ex"),
    case("field-selector-unknown", "GET", f"{MAPS}?fieldSelector=data.a%3D1"),
    case("field-selector-unknown-job", "GET", f"{JOBS}?fieldSelector=spec.suspend%3Dtrue"),
    case("field-selector-bad", "GET", f"{MAPS}?fieldSelector=metadata.name"),
    case("field-selector-escape", "GET", f"{MAPS}?fieldSelector=metadata.name%3Da%5Cb"),
    case("list-limit-text", "GET", f"{MAPS}?limit=ten"),
    case("list-limit-negative", "GET", f"{MAPS}?limit=-1"),
    case("list-continue-bad", "GET", f"{MAPS}?continue=abc"),
    case("list-continue-with-rv", "GET", f"{MAPS}?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MiwiZW5kIjoiYSJ9&resourceVersion=5"),
    case("list-rv-bad", "GET", f"{MAPS}?resourceVersion=x"),
    case("list-rv-future", "GET", f"{MAPS}?resourceVersion=99999999&resourceVersionMatch=Exact"),
    case("list-rv-match-alone", "GET", f"{MAPS}?resourceVersionMatch=Exact"),
    case("list-rv-match-word", "GET", f"{MAPS}?resourceVersion=1&resourceVersionMatch=Roughly"),
    case("list-rv-match-zero-exact", "GET", f"{MAPS}?resourceVersion=0&resourceVersionMatch=Exact"),
    case("list-timeout-text", "GET", f"{MAPS}?timeoutSeconds=x"),
    case("watch-word", "GET", f"{MAPS}?watch=maybe&timeoutSeconds=1"),
    case("watch-rv-bad", "GET", f"{MAPS}?watch=true&resourceVersion=x&timeoutSeconds=1"),
    case("watch-rv-match", "GET", f"{MAPS}?watch=true&resourceVersionMatch=Exact&timeoutSeconds=1"),
    case("watch-initial-events-no-match", "GET", f"{MAPS}?watch=true&sendInitialEvents=true&timeoutSeconds=1"),
    case("list-initial-events", "GET", f"{MAPS}?sendInitialEvents=true"),
    case("watch-continue", "GET", f"{MAPS}?watch=true&continue=abc&timeoutSeconds=1"),
    case("table-include-object", "GET", f"{MAPS}?includeObject=Some", None, Accept="application/json;as=Table;v=v1;g=meta.k8s.io"),
]
