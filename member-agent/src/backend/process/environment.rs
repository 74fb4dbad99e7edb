//! The environment of a pod's command: nothing of the agent's but a short list, then what the template says, then
//! what Muster says.

use std::collections::BTreeMap;

use super::expand::expand;
use super::gang;
use super::template::{Fields, refuse};
use crate::backend::error::{BackendError, RefusalReason};
use crate::backend::pod::PodSpec;

/// Variables that commands need to work on this machine at all. Anything else of the agent's, its tokens for
/// one, is none of a job's business.
pub(crate) const INHERITED: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_HOME"];

/// Marks every process of a pod, so that leftovers can be found where there is no PID namespace.
pub(crate) const POD_VARIABLE: &str = "MUSTER_POD";

/// The annotation and label that carry the completion index.
const INDEX_KEY: &str = "batch.kubernetes.io/job-completion-index";

/// The whole environment, expanded.
pub(crate) fn environment(
    pod: &PodSpec,
    container: &Fields<'_>,
    inherited: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, BackendError> {
    refuse_whole_sources(container)?;
    let own = own_variables(pod);
    let mut all = inherited.clone();
    all.insert("HOSTNAME".to_owned(), pod.identity.name.clone());
    all.extend(gang::torch_variables(pod));
    for entry in container.list("env")? {
        let name = entry.required_text("name")?.to_owned();
        if let Some(value) = value(pod, &entry, &all, &own)? {
            all.insert(name, value);
        }
    }
    all.extend(own);
    Ok(all)
}

/// What a job can rely on and can not override.
fn own_variables(pod: &PodSpec) -> BTreeMap<String, String> {
    let identity = &pod.identity;
    let mut own = BTreeMap::from([
        (POD_VARIABLE.to_owned(), pod.id.to_string()),
        ("MUSTER_EPOCH".to_owned(), identity.epoch.clone()),
        ("MUSTER_JOB".to_owned(), format!("{}/{}", identity.namespace, identity.job)),
        // Empty hides every GPU: one that was not assigned must not be used.
        ("CUDA_VISIBLE_DEVICES".to_owned(), identity.gpus.join(",")),
    ]);
    if let Some(index) = identity.index {
        own.insert("JOB_COMPLETION_INDEX".to_owned(), index.to_string());
    }
    own.extend(gang::own_variables(pod));
    own
}

/// `None`: an optional source that is not there leaves the variable unset, as the kubelet does.
fn value(
    pod: &PodSpec,
    entry: &Fields<'_>,
    known: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
) -> Result<Option<String>, BackendError> {
    let Some(source) = entry.object("valueFrom")? else {
        let mut known = known.clone();
        known.extend(own.clone());
        return Ok(Some(expand(entry.text("value")?.unwrap_or_default(), &known)));
    };
    if let Some(field) = source.object("fieldRef")? {
        return downward(pod, &field).map(Some);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = source.object(kind)? {
            return if reference.is_true("optional") { Ok(None) } else { Err(not_served(&reference)) };
        }
    }
    let message = "the process backend serves value and fieldRef; give the value itself";
    Err(refuse(RefusalReason::UnsupportedEnv, source.path(), message))
}

fn refuse_whole_sources(container: &Fields<'_>) -> Result<(), BackendError> {
    for source in container.list("envFrom")? {
        for kind in ["configMapRef", "secretRef"] {
            if let Some(reference) = source.object(kind)?
                && !reference.is_true("optional")
            {
                return Err(not_served(&reference));
            }
        }
    }
    Ok(())
}

fn not_served(reference: &Fields<'_>) -> BackendError {
    let message = "ConfigMaps and Secrets do not reach the process backend yet; give the value itself, or make \
                   the reference optional";
    refuse(RefusalReason::UnsupportedEnv, reference.path(), message)
}

fn downward(pod: &PodSpec, field: &Fields<'_>) -> Result<String, BackendError> {
    let path = field.required_text("fieldPath")?;
    let identity = &pod.identity;
    if let Some((map, key)) = keyed(path) {
        let given = pod.template.get("metadata").and_then(|metadata| metadata.get(map)?.get(key)?.as_str());
        let index = identity.index.filter(|_| key == INDEX_KEY).map(|index| index.to_string());
        return Ok(index.or(given.map(str::to_owned)).unwrap_or_default());
    }
    match path {
        "metadata.name" => Ok(identity.name.clone()),
        "metadata.namespace" => Ok(identity.namespace.clone()),
        "metadata.uid" => Ok(pod.id.to_string()),
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

/// The listed variables of the agent's own environment.
pub(crate) fn inherited() -> BTreeMap<String, String> {
    let found = INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    found.collect()
}
