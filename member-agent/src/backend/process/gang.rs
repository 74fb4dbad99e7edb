//! What the pods of a gang know of each other: rank, world size, addresses.
//!
//! All pods of a gang run on this machine, so that their addresses are 127.0.0.1 with ports that were reserved for them
//! (see [`super::gang_ports`]). Names of pods, a headless service or `subdomain` are not resolved.

use std::collections::BTreeMap;

use crate::backend::pod::PodSpec;

/// The address of every rank.
const HOST: &str = "127.0.0.1";

/// What a job can rely on and can not override. Empty for pods that are in no gang.
pub(crate) fn own_variables(pod: &PodSpec) -> BTreeMap<String, String> {
    let Some((rank, gang)) = pod.identity.index.zip(pod.gang.as_ref()) else { return BTreeMap::new() };
    let mut own = BTreeMap::from([
        ("MUSTER_RANK".to_owned(), rank.to_string()),
        ("MUSTER_WORLD_SIZE".to_owned(), gang.size.to_string()),
        // A pod sees only its own GPUs, the first of which is number 0: to its processes it is a machine of its own.
        ("MUSTER_LOCAL_RANK".to_owned(), "0".to_owned()),
        ("MUSTER_LOCAL_WORLD_SIZE".to_owned(), "1".to_owned()),
    ]);
    if let Some(port) = gang.ports.first() {
        own.insert("MUSTER_MASTER_ADDR".to_owned(), HOST.to_owned());
        own.insert("MUSTER_MASTER_PORT".to_owned(), port.to_string());
    }
    if gang.ports.len() == gang.size as usize {
        let peers: Vec<String> = gang.ports.iter().map(|port| format!("{HOST}:{port}")).collect();
        own.insert("MUSTER_PEERS".to_owned(), peers.join(","));
    }
    own
}

/// The same under the names that PyTorch reads, for what the template leaves unset.
pub(crate) fn torch_variables(pod: &PodSpec) -> BTreeMap<String, String> {
    let own = own_variables(pod);
    let torch = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"];
    let known = torch.iter().filter_map(|name| {
        own.get(&format!("MUSTER_{name}")).map(|value| ((*name).to_owned(), value.clone()))
    });
    known.collect()
}
