//! The downward API: what a pod can learn about itself, as a variable or a file.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::fields::{Fields, refuse};
use crate::backend::error::{BackendError, RefusalReason};
use crate::backend::pod::PodSpec;

/// The annotation and label that carry the completion index.
const INDEX_KEY: &str = "batch.kubernetes.io/job-completion-index";

/// The value of a `fieldRef`.
pub(crate) fn value(pod: &PodSpec, field: &Fields<'_>) -> Result<String, BackendError> {
    let path = field.required_text("fieldPath")?;
    let identity = &pod.identity;
    if let Some((map, key)) = keyed(path) {
        return Ok(entries(pod, map).remove(key).unwrap_or_default());
    }
    match path {
        "metadata.name" => Ok(identity.name.clone()),
        "metadata.namespace" => Ok(identity.namespace.clone()),
        "metadata.uid" => Ok(pod.id.to_string()),
        "metadata.labels" | "metadata.annotations" => Ok(lines(&entries(pod, &path["metadata.".len()..]))),
        "spec.nodeName" => Ok(pod.node.clone()),
        "status.podIP" | "status.hostIP" => Ok("127.0.0.1".to_owned()),
        _ => {
            let message = format!("{path} is not served by the process backend");
            Err(refuse(RefusalReason::UnsupportedEnv, field.path(), &message))
        }
    }
}

/// `metadata.annotations['KEY']` as map and key.
fn keyed(path: &str) -> Option<(&str, &str)> {
    let (map, key) = path.strip_prefix("metadata.")?.split_once("['")?;
    let is_map = map == "annotations" || map == "labels";
    Some((map, key.strip_suffix("']")?)).filter(|_| is_map)
}

/// The template's labels or annotations, with what the pod itself adds.
fn entries(pod: &PodSpec, map: &str) -> BTreeMap<String, String> {
    let template = Fields::template(&pod.template);
    let metadata = template.object("metadata").ok().flatten();
    let mut entries = metadata.map(|metadata| metadata.text_map(map)).unwrap_or_default();
    if let Some(index) = pod.identity.index {
        entries.insert(INDEX_KEY.to_owned(), index.to_string());
    }
    entries
}

/// One `key="value"` a line, as the kubelet writes maps into files.
fn lines(entries: &BTreeMap<String, String>) -> String {
    entries.iter().fold(String::new(), |mut text, (key, value)| {
        let line = if text.is_empty() { "" } else { "\n" };
        write!(text, "{line}{key}={value:?}").expect("a String takes every write");
        text
    })
}
