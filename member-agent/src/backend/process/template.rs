//! Reads a Kubernetes pod template into what the shim is to run: everything refused here has a reason and a next step.
//!
//! ```text
//!  template + documents --------------> PodPlan: containers, volumes, and what no disk may hold
//!  template + documents less Secrets -> the same; where the two differ, a Secret is inside
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::environment::environment;
use super::expand::expand;
use super::fields::{Fields, malformed, refuse};
use super::volumes::{self, Volumes};
use crate::backend::documents::Documents;
use crate::backend::error::{BackendError, RefusalReason};
use crate::backend::pod::PodSpec;
use crate::shim::confidential::{Confidential, ConfidentialContainer};
use crate::shim::spec::{ContainerRole, DiskLimits, InputSpec, MountSpec, RestartPolicy, VolumeSpec};

/// The grace period of a template that names none (Kubernetes API, `PodSpec.terminationGracePeriodSeconds`).
const DEFAULT_GRACE_SECONDS: u64 = 30;
/// The most containers of a pod, init containers included.
const MAX_CONTAINERS: usize = 32;

/// What a template comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodPlan {
    /// Init containers first.
    pub(crate) containers: Vec<ContainerPlan>,
    pub(crate) volumes: Vec<VolumeSpec>,
    pub(crate) restart: RestartPolicy,
    pub(crate) grace_ms: u64,
    pub(crate) confidential: Confidential,
    pub(crate) limits: DiskLimits,
    pub(crate) warnings: Vec<String>,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerPlan {
    pub(crate) name: String,
    pub(crate) role: ContainerRole,
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) working_dir: PathBuf,
    pub(crate) mounts: Vec<MountSpec>,
    pub(crate) input: InputSpec,
    pub(crate) tty: bool,
}

/// What this machine has for pods.
pub(crate) struct Machine<'a> {
    /// Variables of the agent that every container gets.
    pub(crate) inherited: &'a BTreeMap<String, String>,
    /// Where processes begin unless the template says otherwise.
    pub(crate) work: &'a Path,
    /// Whether containers can have mounts.
    pub(crate) can_mount: bool,
}

/// Reads the template of `pod`.
pub(crate) fn read(pod: &PodSpec, machine: &Machine<'_>) -> Result<PodPlan, BackendError> {
    let template = Fields::template(&pod.template);
    let spec = template.object("spec")?.ok_or_else(|| malformed("template.spec", "it is required"))?;
    let fields = containers(&spec)?;
    let mut plan = whole(pod, &spec, &fields, machine, &pod.documents)?;
    let blank = whole(pod, &spec, &fields, machine, &pod.documents.without_secrets())?;
    for (container, blank) in plan.containers.iter_mut().zip(blank.containers) {
        let secret = set_apart(container, blank);
        if secret != ConfidentialContainer::default() {
            plan.confidential.containers.insert(container.name.clone(), secret);
        }
    }
    Ok(plan)
}

/// Takes out of a container what differs from the one without Secrets.
fn set_apart(container: &mut ContainerPlan, blank: ContainerPlan) -> ConfidentialContainer {
    let differs = |name: &String, value: &String| blank.env.get(name) != Some(value);
    let env: BTreeMap<String, String> = container
        .env
        .iter()
        .filter(|(name, value)| differs(name, value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    container.env.retain(|name, _| !env.contains_key(name));
    let argv = (container.argv != blank.argv).then(|| std::mem::replace(&mut container.argv, blank.argv));
    ConfidentialContainer { env, argv }
}

fn whole(
    pod: &PodSpec,
    spec: &Fields<'_>,
    fields: &[(ContainerRole, Fields<'_>)],
    machine: &Machine<'_>,
    documents: &Documents,
) -> Result<PodPlan, BackendError> {
    let mut warnings = spec_warnings(spec);
    let mut containers = Vec::new();
    for (role, container) in fields {
        warnings.extend(container_warnings(container)?);
        containers.push(container_plan(pod, spec, (*role, container), machine, documents, &mut warnings)?);
    }
    let used: BTreeSet<String> =
        containers.iter().flat_map(|container| &container.mounts).map(|mount| mount.volume.clone()).collect();
    let Volumes { specs, files, limits } = volumes::volumes(pod, spec, documents, &used)?;
    let grace_seconds = spec.number("terminationGracePeriodSeconds")?.unwrap_or(DEFAULT_GRACE_SECONDS);
    Ok(PodPlan {
        limits: DiskLimits { volumes: limits, pod_bytes: pod_limit(fields)? },
        confidential: Confidential { containers: BTreeMap::new(), files },
        volumes: specs,
        restart: restart_policy(spec)?,
        grace_ms: grace_seconds.saturating_mul(1_000),
        containers,
        warnings,
    })
}

/// All containers with what they are, init containers first.
fn containers<'a>(spec: &Fields<'a>) -> Result<Vec<(ContainerRole, Fields<'a>)>, BackendError> {
    let mut all = Vec::new();
    for init in spec.list("initContainers")? {
        let is_sidecar = init.text("restartPolicy")? == Some("Always");
        all.push((if is_sidecar { ContainerRole::Sidecar } else { ContainerRole::Init }, init));
    }
    let mains = spec.list("containers")?;
    if mains.is_empty() {
        return Err(malformed("template.spec.containers", "one container is required"));
    }
    all.extend(mains.into_iter().map(|main| (ContainerRole::Main, main)));
    if all.len() > MAX_CONTAINERS {
        let message = format!("{} containers; at most {MAX_CONTAINERS}, init containers included", all.len());
        return Err(malformed("template.spec.containers", &message));
    }
    let mut names = BTreeSet::new();
    for (_, container) in &all {
        let name = container.required_text("name")?;
        let is_label =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_label || name.len() > 63 || name.starts_with('-') || !names.insert(name) {
            return Err(malformed(
                &format!("{}.name", container.path()),
                "a DNS label that no other container has is wanted",
            ));
        }
    }
    Ok(all)
}

fn container_plan(
    pod: &PodSpec,
    spec: &Fields<'_>,
    (role, container): (ContainerRole, &Fields<'_>),
    machine: &Machine<'_>,
    documents: &Documents,
    warnings: &mut Vec<String>,
) -> Result<ContainerPlan, BackendError> {
    let env = environment(pod, container, documents, machine.inherited)?;
    let mounts = volumes::mounts(spec, container, &env)?;
    if !machine.can_mount && !mounts.is_empty() {
        let message = "this machine permits no mount namespaces, so volumes can not be had here; let the agent run as \
                       root or permit user namespaces, or use paths below the working folder without a volume";
        let field = format!("{}.volumeMounts[0].mountPath", container.path());
        return Err(refuse(RefusalReason::UnsupportedVolume, &field, message));
    }
    Ok(ContainerPlan {
        name: container.required_text("name")?.to_owned(),
        role,
        argv: argv(container, &env)?,
        working_dir: working_dir(container, machine.work, &mounts, warnings)?,
        env,
        mounts,
        input: input(container),
        tty: container.is_true("tty"),
    })
}

fn input(container: &Fields<'_>) -> InputSpec {
    match (container.is_true("stdin"), container.is_true("stdinOnce")) {
        (false, _) => InputSpec::Nothing,
        (true, false) => InputSpec::Open,
        (true, true) => InputSpec::Once,
    }
}

fn restart_policy(spec: &Fields<'_>) -> Result<RestartPolicy, BackendError> {
    Ok(match spec.text("restartPolicy")? {
        Some("OnFailure") => RestartPolicy::OnFailure,
        _ => RestartPolicy::Never,
    })
}

/// The sum of the containers' limits, if every one that runs to the end has one.
fn pod_limit(fields: &[(ContainerRole, Fields<'_>)]) -> Result<Option<u64>, BackendError> {
    let mut sum = Some(0u64);
    for (role, container) in fields {
        let limits =
            container.object("resources")?.map(|resources| resources.object("limits")).transpose()?;
        let limit = limits.flatten().map(|limits| limits.bytes("ephemeral-storage")).transpose()?.flatten();
        if *role != ContainerRole::Init {
            sum = sum.zip(limit).map(|(sum, limit)| sum.saturating_add(limit));
        }
    }
    Ok(sum)
}

fn argv(container: &Fields<'_>, env: &BTreeMap<String, String>) -> Result<Vec<String>, BackendError> {
    let command = container.texts("command")?;
    if command.is_empty() {
        let message =
            "images are not run by the process backend, so their entrypoint is unknown; give a command";
        return Err(refuse(RefusalReason::NoCommand, &format!("{}.command", container.path()), message));
    }
    let arguments = container.texts("args")?;
    Ok(command.iter().chain(&arguments).map(|text| expand(text, env)).collect())
}

/// An absolute folder that exists, or lies in a volume, is taken as it is; any other lies inside the pod's own.
fn working_dir(
    container: &Fields<'_>,
    work: &Path,
    mounts: &[MountSpec],
    warnings: &mut Vec<String>,
) -> Result<PathBuf, BackendError> {
    let Some(wanted) = container.text("workingDir")?.filter(|wanted| !wanted.is_empty()) else {
        return Ok(work.to_owned());
    };
    let path = Path::new(wanted);
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(malformed(&format!("{}.workingDir", container.path()), "it may not contain .."));
    }
    let is_mounted = mounts.iter().any(|mount| path.starts_with(&mount.target));
    if path.is_absolute() && (is_mounted || path.is_dir()) {
        return Ok(path.to_owned());
    }
    if path.is_absolute() {
        warnings.push(format!(
            "workingDir {wanted} does not exist here; an empty one in the pod's folder is used"
        ));
    }
    Ok(work.join(path.strip_prefix("/").unwrap_or(path)))
}

fn spec_warnings(spec: &Fields<'_>) -> Vec<String> {
    not_honoured(spec, &["securityContext", "hostAliases", "runtimeClassName"]).into_iter().collect()
}

fn container_warnings(container: &Fields<'_>) -> Result<Vec<String>, BackendError> {
    let mut warnings = Vec::new();
    if let Some(image) = container.text("image")? {
        warnings
            .push(format!("image {image} is ignored: the process backend runs the command on this machine"));
    }
    let ignored = ["securityContext", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"];
    warnings.extend(not_honoured(container, &ignored));
    let limits = container.object("resources")?.map(|resources| resources.object("limits")).transpose()?;
    if limits.flatten().is_some_and(|limits| limits.is_filled("cpu") || limits.is_filled("memory")) {
        let path = container.path();
        warnings.push(format!("not honoured by the process backend: {path}.resources.limits (cpu, memory)"));
    }
    Ok(warnings)
}

fn not_honoured(fields: &Fields<'_>, names: &[&str]) -> Option<String> {
    let set = names.iter().filter(|name| fields.is_filled(name));
    let paths: Vec<String> = set.map(|name| format!("{}.{name}", fields.path())).collect();
    (!paths.is_empty()).then(|| format!("not honoured by the process backend: {}", paths.join(", ")))
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
