//! Which container of a Pod a request means.

use muster_kubeapi::status::Status;

use crate::agents::MirroredPod;

/// The container that is asked for.
///
/// # Errors
/// 400 in the words of the real server if there is none of that name, or none is named and there are several.
pub fn named<'a>(pod: &'a MirroredPod, wanted: &str) -> Result<&'a str, Status> {
    let name = &pod.pod.name;
    let of_kind = |init| {
        let all = pod.pod.containers.iter().filter(move |container| container.init == init);
        all.map(|container| container.name.as_str()).collect::<Vec<_>>()
    };
    let (inits, mut mains) = (of_kind(true), of_kind(false));
    if mains.is_empty() {
        mains.push(&pod.pod.container);
    }
    if wanted.is_empty() && mains.len() == 1 {
        return Ok(mains[0]);
    }
    if wanted.is_empty() {
        let or_init = if inits.is_empty() {
            String::new()
        } else {
            format!(" or one of the init containers: [{}]", inits.join(" "))
        };
        return Err(Status::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]{or_init}",
            mains.join(" ")
        )));
    }
    let found = mains.iter().chain(&inits).find(|known| **known == wanted);
    found
        .copied()
        .ok_or_else(|| Status::bad_request(format!("container {wanted} is not valid for pod {name}")))
}
