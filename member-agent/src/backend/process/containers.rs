//! Which container of a pod a request means.

use crate::backend::error::BackendError;
use crate::backend::pod::PodId;
use crate::shim::spec::{ContainerRole, ContainerSpec, ShimSpec};

/// The container that is meant: the named one, or the first main one.
pub(super) fn named_container<'a>(
    pod: &PodId,
    spec: &'a ShimSpec,
    wanted: Option<&str>,
) -> Result<&'a ContainerSpec, BackendError> {
    let is_it = |container: &&ContainerSpec| match wanted {
        Some(name) => container.name == name,
        None => container.role == ContainerRole::Main,
    };
    let names =
        || spec.containers.iter().map(|container| container.name.as_str()).collect::<Vec<_>>().join(", ");
    spec.containers.iter().find(is_it).ok_or_else(|| BackendError::NoSuchContainer {
        pod: pod.clone(),
        container: wanted.unwrap_or_default().to_owned(),
        known: names(),
    })
}
