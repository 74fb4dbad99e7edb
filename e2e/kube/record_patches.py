"""The patch cases. Added list items carry every field the server would default, so that the answer shows the patch alone."""

CONTAINER = {"imagePullPolicy": "IfNotPresent", "resources": {}, "terminationMessagePath": "/dev/termination-log",
             "terminationMessagePolicy": "File"}


def container(name, **more):
    return {"name": name, "image": f"{name}:1", **CONTAINER, **more}


def env(**pairs):
    return [{"name": k, "value": v} for k, v in pairs.items()]


POD = {
    "restartPolicy": "Never", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30, "securityContext": {},
    "nodeSelector": {"gpu": "a100", "zone": "a"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "imagePullSecrets": [{"name": "one"}, {"name": "two"}],
    "volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "conf", "configMap": {"name": "conf", "defaultMode": 420}}],
    "initContainers": [container("init")],
    "containers": [
        container("main", args=["a", "b"], env=env(A="1", B="2", C="3"),
                  ports=[{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81, "protocol": "UDP"}],
                  volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}, {"name": "conf", "mountPath": "/conf"}],
                  resources={"limits": {"cpu": "1", "nvidia.com/gpu": "8"}, "requests": {"cpu": "1", "nvidia.com/gpu": "8"}}),
        container("side"), container("log")],
}
JOB_SPEC = {"template": {"metadata": {"labels": {"app": "train", "team": "x"}, "annotations": {"n": "1"}}, "spec": POD},
            "backoffLimit": 2, "completions": 4, "parallelism": 2, "completionMode": "Indexed", "suspend": True,
            "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
                                           {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}}

TARGETS = {
    # a Job's template is immutable, a CronJob's is not: the same types, patched by the same code
    "jobspec": {"path": "/apis/batch/v1/namespaces/default/cronjobs", "inside": ["spec", "jobTemplate", "spec"],
                "schema": "io.k8s.api.batch.v1.JobSpec",
                "object": {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
                           "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": JOB_SPEC}}}},
    "job": {"path": "/apis/batch/v1/namespaces/default/jobs", "schema": "io.k8s.api.batch.v1.Job",
            "object": {"apiVersion": "batch/v1", "kind": "Job",
                       "metadata": {"name": "j", "labels": {"a": "1", "b": "2"}, "annotations": {"x": "y"}, "finalizers": ["muster.sh/a", "muster.sh/b"],
                                    "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o1", "uid": "u1"},
                                                        {"apiVersion": "v1", "kind": "ConfigMap", "name": "o2", "uid": "u2"}]},
                       "spec": JOB_SPEC}},
    "configmap": {"path": "/api/v1/namespaces/default/configmaps", "schema": "io.k8s.api.core.v1.ConfigMap",
                  "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "labels": {"a": "1"}},
                             "data": {"a": "1", "b": "2", "c": "3"}, "binaryData": {"z": "AAEC"}}},
    "namespace": {"path": "/api/v1/namespaces", "schema": "io.k8s.api.core.v1.Namespace",
                  "object": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tenant", "labels": {"a": "1"}}}},
    "node": {"path": "/api/v1/nodes", "schema": "io.k8s.api.core.v1.Node",
             "object": {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
                        "spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"],
                                 "taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoExecute"}]}}},
}

# recorded in protobuf and JSON only
PROTOBUF = {
    "event": {"path": "/api/v1/namespaces/default/events", "schema": "io.k8s.api.core.v1.Event",
              "object": {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}, "type": "Normal", "reason": "Placed", "count": 3,
                         "message": "m", "firstTimestamp": "2026-01-02T03:04:05Z", "eventTime": "2026-01-02T03:04:05.123456Z", "reportingComponent": "hub",
                         "reportingInstance": "hub-1", "action": "Place", "involvedObject": {"kind": "Job", "namespace": "default", "name": "j", "uid": "u"}}},
    "pod": {"path": "/api/v1/namespaces/default/pods", "schema": "io.k8s.api.core.v1.Pod",
            "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "", "b": "c"}}, "spec": {**POD, "containers": [
                container("main", args=["", "b"], securityContext={"runAsUser": 0, "privileged": False}, livenessProbe={"httpGet": {"port": "http"}, "periodSeconds": 7},
                          readinessProbe={"tcpSocket": {"port": 80}}, envFrom=[{"configMapRef": {"name": "c", "optional": True}}],
                          env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}],
                          resources={"limits": {"cpu": "1500m", "memory": "2Gi"}})],
                "automountServiceAccountToken": False, "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 5, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}}]}}}}},
}


def pod(**spec):
    return {"template": {"spec": spec}}


def main(**fields):
    return pod(containers=[{"name": "main", **fields}])


def smp(name, target, patch):
    return {"name": name, "type": "strategic", "target": target, "patch": patch}


STRATEGIC = [
    # maps
    smp("map-set-and-delete", "job", {"metadata": {"labels": {"a": None, "c": "3"}}}),
    smp("map-delete-whole", "configmap", {"metadata": {"labels": None}}),
    smp("map-patch-replace", "job", {"metadata": {"annotations": {"$patch": "replace", "n": "1"}}}),
    smp("map-patch-delete", "job", {"metadata": {"annotations": {"$patch": "delete"}}}),
    smp("map-patch-unknown", "job", {"metadata": {"annotations": {"$patch": "append"}}}),
    smp("map-null-of-absent", "job", {"metadata": {"labels": {"none": None}}}),
    smp("map-new-with-nulls", "namespace", {"metadata": {"annotations": {"a": "1", "b": None}}}),
    smp("map-new-with-directive", "namespace", {"metadata": {"annotations": {"$patch": "replace", "a": "1"}}}),
    smp("configmap-data", "configmap", {"data": {"a": "x", "b": None, "d": "4"}}),
    smp("configmap-data-replace", "configmap", {"data": {"$patch": "replace", "only": "1"}}),
    smp("configmap-binary", "configmap", {"binaryData": {"y": "AA=="}}),
    smp("configmap-retain-keys", "configmap", {"data": {"$retainKeys": ["a", "d"], "d": "4"}}),
    smp("configmap-retain-keys-missing", "configmap", {"data": {"$retainKeys": ["a"], "d": "4"}}),
    smp("configmap-retain-keys-not-a-list", "configmap", {"data": {"$retainKeys": "a", "d": "4"}}),
    smp("empty-patch", "configmap", {}),
    # scalars
    smp("scalar-set", "job", {"spec": {"suspend": False, "parallelism": 3}}),
    smp("scalar-null", "jobspec", {"podFailurePolicy": None}),
    # primitive lists with merge
    smp("finalizers-merge", "job", {"metadata": {"finalizers": ["muster.sh/c"]}}),
    smp("finalizers-merge-known", "job", {"metadata": {"finalizers": ["muster.sh/b", "muster.sh/c"]}}),
    smp("finalizers-delete-from-list", "job", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["muster.sh/a"]}}),
    smp("finalizers-delete-and-order", "job", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["muster.sh/a"],
        "$setElementOrder/finalizers": ["muster.sh/c", "muster.sh/b"], "finalizers": ["muster.sh/c"]}}),
    smp("finalizers-order-only", "job", {"metadata": {"$setElementOrder/finalizers": ["muster.sh/b", "muster.sh/a"]}}),
    smp("delete-from-absent-list", "configmap", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}}),
    # lists of objects with merge keys
    smp("owner-merge-by-uid", "job", {"metadata": {"ownerReferences": [{"uid": "u2", "controller": True}]}}),
    smp("owner-add", "job", {"metadata": {"ownerReferences": [{"uid": "u3", "apiVersion": "v1", "kind": "ConfigMap", "name": "o3"}]}}),
    smp("owner-delete", "job", {"metadata": {"ownerReferences": [{"uid": "u1", "$patch": "delete"}]}}),
    smp("env-merge", "jobspec", main(env=env(B="x", D="4"))),
    smp("env-delete", "jobspec", main(env=[{"name": "B", "$patch": "delete"}])),
    smp("env-replace-list", "jobspec", main(env=[{"$patch": "replace"}, {"name": "Z", "value": "1"}])),
    smp("env-set-element-order", "jobspec", main(**{"$setElementOrder/env": [{"name": "D"}, {"name": "C"}, {"name": "A"}], "env": env(D="4", C="x")})),
    smp("env-order-with-delete", "jobspec", main(**{"$setElementOrder/env": [{"name": "C"}, {"name": "A"}], "env": [{"name": "B", "$patch": "delete"}]})),
    smp("env-order-mismatch", "jobspec", main(**{"$setElementOrder/env": [{"name": "A"}], "env": env(D="4")})),
    smp("env-order-wrong-order", "jobspec", main(**{"$setElementOrder/env": [{"name": "A"}, {"name": "B"}], "env": env(B="4", A="4")})),
    smp("env-no-merge-key", "jobspec", main(env=[{"value": "1"}])),
    smp("env-delete-no-merge-key", "jobspec", main(env=[{"value": "1", "$patch": "delete"}])),
    smp("env-directive-merge", "jobspec", main(env=[{"name": "A", "$patch": "merge"}])),
    smp("env-directive-unknown", "jobspec", main(env=[{"name": "A", "$patch": "upsert"}])),
    smp("env-value-null", "jobspec", main(env=[{"name": "A", "value": None}])),
    smp("env-clear", "jobspec", main(env=None)),
    smp("env-mixed-types", "jobspec", main(env=["A"])),
    smp("args-atomic", "jobspec", main(args=["c"])),
    smp("args-set-order-on-atomic", "jobspec", main(**{"$setElementOrder/args": ["b", "a"]})),
    smp("tolerations-atomic", "jobspec", pod(tolerations=[{"key": "other", "operator": "Exists"}])),
    smp("pod-conditions-nested", "jobspec", {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}}),
    smp("container-image", "jobspec", main(image="main:2")),
    smp("container-add", "jobspec", pod(containers=[container("extra")])),
    smp("container-add-between", "jobspec", pod(**{"$setElementOrder/containers": [{"name": "main"}, {"name": "extra"}, {"name": "side"}],
        "containers": [container("extra")]})),
    smp("container-delete", "jobspec", pod(containers=[{"name": "side", "$patch": "delete"}])),
    smp("containers-replace", "jobspec", pod(containers=[{"$patch": "replace"}, container("main")])),
    smp("containers-reorder", "jobspec", pod(**{"$setElementOrder/containers": [{"name": "log"}, {"name": "side"}, {"name": "main"}]})),
    smp("container-order-of-two", "jobspec", pod(containers=[{"name": "log", "image": "log:2"}, {"name": "main", "image": "main:2"}])),
    smp("init-container-merge", "jobspec", pod(initContainers=[{"name": "init", "image": "init:2"}])),
    smp("ports-merge-key", "jobspec", main(ports=[{"containerPort": 81, "protocol": "TCP"}, {"containerPort": 82, "protocol": "TCP"}])),
    smp("mounts-merge-key", "jobspec", main(volumeMounts=[{"mountPath": "/scratch", "name": "conf"}])),
    smp("pull-secrets", "jobspec", pod(imagePullSecrets=[{"name": "two", "$patch": "delete"}, {"name": "three"}])),
    smp("resources-limits", "jobspec", main(resources={"limits": {"nvidia.com/gpu": "4"}, "requests": {"nvidia.com/gpu": "4"}})),
    smp("volume-retain-keys", "jobspec", pod(volumes=[{"name": "scratch", "$retainKeys": ["name", "configMap"], "configMap": {"name": "conf", "defaultMode": 420}}])),
    smp("volume-source-switch-by-null", "jobspec", pod(volumes=[{"name": "scratch", "emptyDir": None, "configMap": {"name": "conf", "defaultMode": 420}}])),
    smp("node-selector-merge", "jobspec", pod(nodeSelector={"zone": "b", "gpu": None})),
    smp("affinity-new", "jobspec", pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}}})),
    smp("template-labels", "jobspec", {"template": {"metadata": {"labels": {"team": None, "tier": "1"}}}}),
    smp("list-for-map", "configmap", {"data": ["a"]}),
    smp("map-for-list", "job", {"metadata": {"finalizers": {"a": "b"}}}),
    smp("taints-atomic", "node", {"spec": {"taints": [{"key": "c", "effect": "NoSchedule"}]}}),
    smp("pod-cidrs-merge", "node", {"metadata": {"labels": {"x": "y"}}}),
    smp("not-an-object", "configmap", "[1]"),
    smp("not-json", "configmap", "{"),
]


def patch(kind, name, target, body):
    return {"name": name, "type": kind, "target": target, "patch": body}


JSON = [
    patch("json", "add-replace-remove", "configmap", [{"op": "add", "path": "/data/d", "value": "4"}, {"op": "replace", "path": "/data/a", "value": "x"},
                                                      {"op": "remove", "path": "/data/b"}]),
    patch("json", "move-copy", "configmap", [{"op": "move", "from": "/data/a", "path": "/data/aa"}, {"op": "copy", "from": "/data/b", "path": "/data/bb"}]),
    patch("json", "test-passes", "configmap", [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "add", "path": "/data/t", "value": "1"}]),
    patch("json", "test-fails", "configmap", [{"op": "test", "path": "/data/a", "value": "2"}]),
    patch("json", "remove-missing", "configmap", [{"op": "remove", "path": "/data/none"}]),
    patch("json", "replace-missing", "configmap", [{"op": "replace", "path": "/data/none", "value": "1"}]),
    patch("json", "add-without-parent", "configmap", [{"op": "add", "path": "/metadata/annotations/x", "value": "1"}]),
    patch("json", "escaped-path", "job", [{"op": "add", "path": "/metadata/labels/muster.sh~1x", "value": "1"}]),
    patch("json", "append-to-list", "job", [{"op": "add", "path": "/metadata/finalizers/-", "value": "muster.sh/c"}]),
    patch("json", "index-out-of-range", "job", [{"op": "add", "path": "/metadata/finalizers/9", "value": "muster.sh/c"}]),
    patch("json", "unknown-op", "configmap", [{"op": "upsert", "path": "/data/a", "value": "2"}]),
    patch("json", "not-a-list", "configmap", {"op": "add"}),
    patch("json", "wrong-type-after", "configmap", [{"op": "add", "path": "/data", "value": ["a"]}]),
]
MERGE = [
    patch("merge", "set-and-delete", "configmap", {"data": {"a": None, "d": "4"}}),
    patch("merge", "lists-replace", "job", {"metadata": {"finalizers": ["muster.sh/z"]}}),
    patch("merge", "containers-replace", "jobspec", pod(containers=[container("only")], volumes=None) | {"podFailurePolicy": None}),
    patch("merge", "new-map-with-nulls", "namespace", {"metadata": {"annotations": {"a": "1", "b": None}}}),
    patch("merge", "not-an-object", "configmap", "[1]"),
    patch("merge", "not-json", "configmap", "{"),
    patch("merge", "wrong-type", "configmap", {"data": {"a": 1}}),
]
CASES = STRATEGIC + JSON + MERGE
