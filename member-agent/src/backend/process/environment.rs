//! The environment of a container: nothing of the agent's but a short list, then what the template says, then
//! what Muster says.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::downward;
use super::expand::expand;
use super::fields::{Fields, malformed, refuse};
use super::gang;
use super::references;
use crate::backend::documents::{DocumentKind, Documents};
use crate::backend::error::{BackendError, RefusalReason};
use crate::backend::pod::{PodData, PodSpec};
use crate::shim::spec::{CONTAINER_VARIABLE, POD_VARIABLE};

/// Variables that commands need to work on this machine at all. Anything else of the agent's, its tokens for
/// one, is none of a job's business.
pub(crate) const INHERITED: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_HOME"];

/// The whole environment, expanded. What values may refer to is what came before them in the template, and what
/// Muster says.
pub(crate) fn environment(
    pod: &PodSpec,
    container: &Fields<'_>,
    documents: &Documents,
    inherited: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, BackendError> {
    let mut own = own_variables(pod);
    own.insert(CONTAINER_VARIABLE.to_owned(), container.required_text("name")?.to_owned());
    let mut all = inherited.clone();
    all.insert("HOSTNAME".to_owned(), pod.identity.name.clone());
    all.extend(gang::torch_variables(pod));
    for source in container.list("envFrom")? {
        all.extend(whole_source(&source, documents)?);
    }
    for entry in container.list("env")? {
        let name = entry.required_text("name")?.to_owned();
        if let Some(value) = value(pod, &entry, documents, &all, &own)? {
            all.insert(name, value);
        }
    }
    if container.is_true("tty") {
        all.entry("TERM".to_owned()).or_insert_with(|| "xterm".to_owned());
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
    let files = |data: &PodData| (data.variable(), data.files.to_string_lossy().into_owned());
    own.extend(pod.data.iter().map(files));
    own
}

/// `None`: an optional source that is not there leaves the variable unset, as the kubelet does.
fn value(
    pod: &PodSpec,
    entry: &Fields<'_>,
    documents: &Documents,
    known: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
) -> Result<Option<String>, BackendError> {
    let Some(source) = entry.object("valueFrom")? else {
        let mut known = known.clone();
        known.extend(own.clone());
        return Ok(Some(expand(entry.text("value")?.unwrap_or_default(), &known)));
    };
    if let Some(field) = source.object("fieldRef")? {
        return downward::value(pod, &field).map(Some);
    }
    for (name, kind) in [("configMapKeyRef", DocumentKind::ConfigMap), ("secretKeyRef", DocumentKind::Secret)]
    {
        if let Some(reference) = source.object(name)? {
            let found = references::key(documents, kind, &reference)?;
            return found.map(|value| text(reference.path(), value)).transpose();
        }
    }
    let message =
        "the process backend serves value, fieldRef, configMapKeyRef and secretKeyRef; give the value itself";
    Err(refuse(RefusalReason::UnsupportedEnv, source.path(), message))
}

/// All entries of an `envFrom` source, with its prefix.
fn whole_source(
    source: &Fields<'_>,
    documents: &Documents,
) -> Result<BTreeMap<String, String>, BackendError> {
    let prefix = source.text("prefix")?.unwrap_or_default();
    let mut all = BTreeMap::new();
    for (name, kind) in [("configMapRef", DocumentKind::ConfigMap), ("secretRef", DocumentKind::Secret)] {
        let Some(reference) = source.object(name)? else { continue };
        let data = references::document(documents, kind, &reference, reference.required_text("name")?)?;
        for (key, value) in data.into_iter().flatten() {
            all.insert(format!("{prefix}{key}"), text(reference.path(), value)?);
        }
    }
    Ok(all)
}

/// A value as a variable can hold it.
fn text(path: &str, value: &Bytes) -> Result<String, BackendError> {
    let text = String::from_utf8(value.to_vec()).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| {
        malformed(path, "its value is not text, and no variable can hold it; mount it as a file")
    })
}

/// The listed variables of the agent's own environment.
pub(crate) fn inherited() -> BTreeMap<String, String> {
    let found = INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    found.collect()
}
