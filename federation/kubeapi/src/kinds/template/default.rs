//! What a Kubernetes API server of 1.34 sets in a pod template.

use serde_json::{Map, Value, json};

use crate::kinds::at::{object_in, objects_in, set_default};

/// The file mode of projected files, 0644.
const FILE_MODE: i32 = 420;

/// Completes a pod template. `restartPolicy` has no default in jobs.
pub(in crate::kinds) fn default(template: &mut Map<String, Value>) {
    let Some(spec) = object_in(template, "spec") else { return };
    set_default(spec, "dnsPolicy", "ClusterFirst");
    set_default(spec, "terminationGracePeriodSeconds", 30);
    set_default(spec, "schedulerName", "default-scheduler");
    set_default(spec, "securityContext", Map::new());
    for list in ["initContainers", "containers"] {
        objects_in(spec, list).for_each(container);
    }
    objects_in(spec, "volumes").for_each(volume);
}

fn container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let pull = if is_latest(image) { "Always" } else { "IfNotPresent" };
    set_default(container, "imagePullPolicy", pull);
    set_default(container, "terminationMessagePath", "/dev/termination-log");
    set_default(container, "terminationMessagePolicy", "File");
    set_default(container, "resources", Map::new());
    objects_in(container, "ports").for_each(|port| set_default(port, "protocol", "TCP"));
    objects_in(container, "env").for_each(env);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(Value::Object(probe)) = container.get_mut(probe) {
            set_probe(probe);
        }
    }
    if let Some(Value::Object(lifecycle)) = container.get_mut("lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(Value::Object(hook)) = lifecycle.get_mut(hook) {
                http_get(hook);
            }
        }
    }
}

/// Whether the image has the tag `latest`, or neither tag nor digest.
fn is_latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    !image.is_empty() && !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn env(env: &mut Map<String, Value>) {
    if let Some(Value::Object(from)) = env.get_mut("valueFrom") {
        field_ref(from);
    }
}

fn field_ref(holder: &mut Map<String, Value>) {
    if let Some(Value::Object(field)) = holder.get_mut("fieldRef") {
        set_default(field, "apiVersion", "v1");
    }
}

fn set_probe(probe: &mut Map<String, Value>) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        set_default(probe, field, value);
    }
    http_get(probe);
    if let Some(Value::Object(grpc)) = probe.get_mut("grpc") {
        set_default(grpc, "service", "");
    }
}

fn http_get(handler: &mut Map<String, Value>) {
    if let Some(Value::Object(get)) = handler.get_mut("httpGet") {
        set_default(get, "path", "/");
        set_default(get, "scheme", "HTTP");
    }
}

fn volume(volume: &mut Map<String, Value>) {
    if volume.keys().all(|key| key == "name") {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(Value::Object(source)) = volume.get_mut(source) {
            set_default(source, "defaultMode", FILE_MODE);
            objects_in(source, "items").for_each(field_ref);
            objects_in(source, "sources").for_each(projection);
        }
    }
    if let Some(Value::Object(path)) = volume.get_mut("hostPath") {
        set_default(path, "type", "");
    }
}

fn projection(source: &mut Map<String, Value>) {
    if let Some(Value::Object(token)) = source.get_mut("serviceAccountToken") {
        set_default(token, "expirationSeconds", 3600);
    }
    if let Some(Value::Object(downward)) = source.get_mut("downwardAPI") {
        objects_in(downward, "items").for_each(field_ref);
    }
}
