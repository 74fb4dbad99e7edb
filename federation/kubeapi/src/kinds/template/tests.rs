use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{default, needs};
use crate::kinds::at::At;

fn check_needs(spec: &Value, want: &Expect) {
    let template = json!({"spec": spec});
    let mut errors = Vec::new();
    let needs = needs(&At::root(&template, "template"), &mut errors);
    let mut text = needs.request.to_string();
    text.extend(needs.node_selector.0.iter().map(|requirement| format!("; {requirement}")));
    text.extend(needs.gpu_model.map(|model| format!("; model {model}")));
    text.extend(needs.warnings.iter().map(|warning| format!("\n{warning}")));
    text.extend(errors.iter().map(|error| format!("\n{error}")));
    want.assert_eq(&text);
}

fn container(requests: &Value, limits: &Value) -> Value {
    json!({"name": "c", "command": ["x"], "resources": {"requests": requests, "limits": limits}})
}

#[test]
fn requests_add_up_and_init_containers_count_at_most() {
    let small = container(&json!({"cpu": "500m", "memory": "1Gi"}), &json!({}));
    let limited = container(&json!({}), &json!({"cpu": 2, "memory": "1Gi", "nvidia.com/gpu": "8"}));
    check_needs(&json!({"containers": [small, limited]}), &expect!["8 GPU, 2.5 CPU, 2 GiB"]);
    let big = container(&json!({"cpu": "8"}), &json!({}));
    check_needs(&json!({"initContainers": [big], "containers": [limited]}), &expect!["8 GPU, 8 CPU, 1 GiB"]);
    let mut sidecar = container(&json!({"cpu": "1"}), &json!({}));
    sidecar["restartPolicy"] = json!("Always");
    check_needs(
        &json!({"initContainers": [sidecar, big], "containers": [limited]}),
        &expect!["8 GPU, 9 CPU, 1 GiB"],
    );
    check_needs(
        &json!({"initContainers": [big, sidecar], "containers": [limited]}),
        &expect!["8 GPU, 8 CPU, 1 GiB"],
    );
    check_needs(
        &json!({"containers": [limited], "resources": {"requests": {"cpu": "16"}}, "overhead": {"cpu": "250m"}}),
        &expect!["8 GPU, 16.25 CPU, 1 GiB"],
    );
}

#[test]
fn the_place_is_read_from_selector_and_affinity() {
    let affinity = |terms: Value| json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
    let term = json!({"matchExpressions": [
        {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["H100"]},
        {"key": "zone", "operator": "NotIn", "values": ["a", "b"]},
        {"key": "fast", "operator": "Exists"},
        {"key": "n", "operator": "Gt", "values": ["1"]},
    ]});
    check_needs(
        &json!({"nodeSelector": {"tier": "x"}, "affinity": affinity(json!([term]))}),
        &expect![[r#"
        nothing; tier=x; zone notin (a,b); fast; model H100
        template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[3]: the operator is not weighed by placement"#]],
    );
    check_needs(
        &json!({"affinity": affinity(json!([term, term]))}),
        &expect![[r#"
        nothing
        template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms has several terms, which placement does not weigh: use a Placement's clusterSelector and gpus"#]],
    );
    let wrong = json!({"matchExpressions": [{"key": "a", "operator": "Like"}]});
    check_needs(
        &json!({"affinity": affinity(json!([wrong]))}),
        &expect![[r#"
        nothing
        template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: Unsupported value: "Like": supported values: "DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn""#]],
    );
}

#[test]
fn people_are_told_what_is_not_counted() {
    let mut pod = container(
        &json!({}),
        &json!({"nvidia.com/mig-1g.5gb": 1, "amd.com/gpu": 2, "ephemeral-storage": "1Gi"}),
    );
    pod["image"] = json!("i");
    check_needs(
        &json!({"containers": [pod, {"name": "d"}]}),
        &expect![[r#"
        2 GPU
        resource nvidia.com/mig-1g.5gb is not counted by placement: only nvidia.com/gpu, amd.com/gpu, habana.ai/gaudi, cpu and memory are
        amd.com/gpu and habana.ai/gaudi are placed on GPUs of any vendor unless models are named in a Placement's gpus
        template.spec.containers[0].image is ignored by members with the process backend
        template.spec.containers[1].command is not given: members with the process backend refuse a container without a command"#]],
    );
}

#[test]
fn templates_are_completed_as_the_real_server_does() {
    let mut template = json!({"spec": {
        "containers": [
            {"name": "a", "image": "host:5000/a:1", "ports": [{"containerPort": 80}],
             "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
             "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 3}},
            {"name": "b", "image": "host:5000/b", "imagePullPolicy": "Never"},
        ],
        "volumes": [{"name": "e"}, {"name": "c", "configMap": {"name": "c"}}, {"name": "h", "hostPath": {"path": "/"}}],
    }});
    default(template.as_object_mut().unwrap());
    expect![[r#"
        {
          "spec": {
            "containers": [
              {
                "env": [
                  {
                    "name": "N",
                    "valueFrom": {
                      "fieldRef": {
                        "apiVersion": "v1",
                        "fieldPath": "metadata.name"
                      }
                    }
                  }
                ],
                "image": "host:5000/a:1",
                "imagePullPolicy": "IfNotPresent",
                "livenessProbe": {
                  "failureThreshold": 3,
                  "httpGet": {
                    "path": "/",
                    "port": 80,
                    "scheme": "HTTP"
                  },
                  "periodSeconds": 3,
                  "successThreshold": 1,
                  "timeoutSeconds": 1
                },
                "name": "a",
                "ports": [
                  {
                    "containerPort": 80,
                    "protocol": "TCP"
                  }
                ],
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File"
              },
              {
                "image": "host:5000/b",
                "imagePullPolicy": "Never",
                "name": "b",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File"
              }
            ],
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
            "volumes": [
              {
                "emptyDir": {},
                "name": "e"
              },
              {
                "configMap": {
                  "defaultMode": 420,
                  "name": "c"
                },
                "name": "c"
              },
              {
                "hostPath": {
                  "path": "/",
                  "type": ""
                },
                "name": "h"
              }
            ]
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&template).unwrap());
}
