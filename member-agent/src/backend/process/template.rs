//! Reads a Kubernetes pod template into one command: everything refused here has a reason and a next step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::environment::environment;
use super::expand::expand;
use crate::backend::error::{BackendError, RefusalReason};
use crate::backend::pod::PodSpec;

/// The grace period of a template that names none (Kubernetes API, `PodSpec.terminationGracePeriodSeconds`).
const DEFAULT_GRACE_SECONDS: u64 = 30;

/// What a template comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodCommand {
    pub(crate) container: String,
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) working_dir: PathBuf,
    pub(crate) grace_ms: u64,
    pub(crate) warnings: Vec<String>,
}

/// Reads the template of `pod`, whose processes begin in `work` unless it says otherwise.
pub(crate) fn read(
    pod: &PodSpec,
    inherited: &BTreeMap<String, String>,
    work: &Path,
) -> Result<PodCommand, BackendError> {
    let template = Fields { value: &pod.template, path: "template".to_owned() };
    let spec = template.object("spec")?.ok_or_else(|| malformed("template.spec", "it is required"))?;
    let container = the_container(&spec)?;
    let mut warnings = warnings(&spec, &container)?;
    refuse_needed_volumes(&spec, &container)?;
    let env = environment(pod, &container, inherited)?;
    let argv = argv(&container, &env)?;
    let working_dir = working_dir(&container, work, &mut warnings)?;
    let grace_seconds = spec.number("terminationGracePeriodSeconds")?.unwrap_or(DEFAULT_GRACE_SECONDS);
    Ok(PodCommand {
        container: container.required_text("name")?.to_owned(),
        argv,
        env,
        working_dir,
        grace_ms: grace_seconds.saturating_mul(1_000),
        warnings,
    })
}

fn the_container<'a>(spec: &Fields<'a>) -> Result<Fields<'a>, BackendError> {
    if let Some(first) = spec.list("initContainers")?.first() {
        let message = "the process backend runs no init containers yet; put the steps into the command";
        return Err(refuse(RefusalReason::SeveralContainers, &first.path, message));
    }
    let mut containers = spec.list("containers")?;
    match containers.len() {
        1 => Ok(containers.remove(0)),
        0 => Err(malformed("template.spec.containers", "one container is required")),
        count => {
            let message = format!("{count} containers; the process backend runs exactly one for now");
            Err(refuse(RefusalReason::SeveralContainers, "template.spec.containers", &message))
        }
    }
}

fn argv(container: &Fields<'_>, env: &BTreeMap<String, String>) -> Result<Vec<String>, BackendError> {
    let command = container.texts("command")?;
    if command.is_empty() {
        let message =
            "images are not run by the process backend, so their entrypoint is unknown; give a command";
        return Err(refuse(RefusalReason::NoCommand, &format!("{}.command", container.path), message));
    }
    let arguments = container.texts("args")?;
    Ok(command.iter().chain(&arguments).map(|text| expand(text, env)).collect())
}

/// An absolute folder that exists is taken as it is; any other lies inside the pod's own.
fn working_dir(
    container: &Fields<'_>,
    work: &Path,
    warnings: &mut Vec<String>,
) -> Result<PathBuf, BackendError> {
    let Some(wanted) = container.text("workingDir")?.filter(|wanted| !wanted.is_empty()) else {
        return Ok(work.to_owned());
    };
    let path = Path::new(wanted);
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(malformed(&format!("{}.workingDir", container.path), "it may not contain .."));
    }
    if path.is_absolute() && path.is_dir() {
        return Ok(path.to_owned());
    }
    if path.is_absolute() {
        warnings.push(format!(
            "workingDir {wanted} does not exist here; an empty one in the pod's folder is used"
        ));
    }
    Ok(work.join(path.strip_prefix("/").unwrap_or(path)))
}

fn warnings(spec: &Fields<'_>, container: &Fields<'_>) -> Result<Vec<String>, BackendError> {
    let mut warnings = Vec::new();
    if let Some(image) = container.text("image")? {
        warnings
            .push(format!("image {image} is ignored: the process backend runs the command on this machine"));
    }
    let ignored_of = |fields: &Fields<'_>, names: &[&str]| {
        let set = names.iter().filter(|name| fields.value.get(**name).is_some_and(|value| !is_empty(value)));
        set.map(|name| format!("{}.{name}", fields.path)).collect::<Vec<_>>()
    };
    let mut ignored = ignored_of(spec, &["securityContext", "hostAliases", "runtimeClassName"]);
    ignored.extend(ignored_of(
        container,
        &["volumeMounts", "securityContext", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"],
    ));
    if container.object("resources")?.is_some_and(|resources| resources.value.get("limits").is_some()) {
        ignored.push(format!("{}.resources.limits (cpu, memory)", container.path));
    }
    if !ignored.is_empty() {
        warnings.push(format!("not honoured by the process backend: {}", ignored.join(", ")));
    }
    Ok(warnings)
}

/// A mounted volume with content that the job expects is refused; an empty one is only warned about.
fn refuse_needed_volumes(spec: &Fields<'_>, container: &Fields<'_>) -> Result<(), BackendError> {
    let volumes = spec.list("volumes")?;
    for mount in container.list("volumeMounts")? {
        let name = mount.required_text("name")?;
        let volume = volumes.iter().find(|volume| volume.text("name").ok().flatten() == Some(name));
        let Some(volume) = volume else {
            return Err(malformed(&mount.path, &format!("there is no volume {name}")));
        };
        let mount_path = mount.required_text("mountPath")?;
        let is_there = volume.object("hostPath")?.is_some_and(|host| host.is_text("path", mount_path));
        if volume.object("emptyDir")?.is_none() && !is_there {
            let message = "the process backend mounts nothing; only emptyDir and a hostPath mounted at its own \
                           path can be done without";
            return Err(refuse(RefusalReason::UnsupportedVolume, &volume.path, message));
        }
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A refusal for `field`.
pub(crate) fn refuse(reason: RefusalReason, field: &str, message: &str) -> BackendError {
    BackendError::Refused { reason, field: field.to_owned(), message: message.to_owned() }
}

fn malformed(field: &str, message: &str) -> BackendError {
    refuse(RefusalReason::Malformed, field, message)
}

/// A JSON object of the template, which knows where it is, for messages.
pub(crate) struct Fields<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Fields<'a> {
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, BackendError> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let path = format!("{}.{name}", self.path);
        if value.is_object() {
            Ok(Some(Fields { value, path }))
        } else {
            Err(malformed(&path, "not an object"))
        }
    }

    pub(crate) fn list(&self, name: &str) -> Result<Vec<Fields<'a>>, BackendError> {
        let path = format!("{}.{name}", self.path);
        let items = self.array(name)?.iter().enumerate();
        let fields = items.map(|(index, value)| Fields { value, path: format!("{path}[{index}]") });
        Ok(fields.collect())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, BackendError> {
        let Some(value) = self.given(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| malformed(&format!("{}.{name}", self.path), "not a string"))
    }

    pub(crate) fn required_text(&self, name: &str) -> Result<&'a str, BackendError> {
        self.text(name)?.ok_or_else(|| malformed(&format!("{}.{name}", self.path), "it is required"))
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.given(name).and_then(Value::as_bool) == Some(true)
    }

    fn is_text(&self, name: &str, text: &str) -> bool {
        self.given(name).and_then(Value::as_str) == Some(text)
    }

    fn texts(&self, name: &str) -> Result<Vec<&'a str>, BackendError> {
        let texts: Option<Vec<&str>> = self.array(name)?.iter().map(Value::as_str).collect();
        texts.ok_or_else(|| malformed(&format!("{}.{name}", self.path), "not a list of strings"))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, BackendError> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let message = "not a whole number of 0 or more";
        value.as_u64().map(Some).ok_or_else(|| malformed(&format!("{}.{name}", self.path), message))
    }

    fn array(&self, name: &str) -> Result<&'a [Value], BackendError> {
        let Some(value) = self.given(name) else { return Ok(&[]) };
        let array =
            value.as_array().ok_or_else(|| malformed(&format!("{}.{name}", self.path), "not a list"))?;
        Ok(array)
    }

    /// Null means absent, as in the Kubernetes API.
    fn given(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
