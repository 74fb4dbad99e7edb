//! What people use today, as real processes: kube-apiserver with one etcd, and etcd as a group of three.

mod api_server;
mod binaries;
mod etcd;

pub use api_server::ApiServer;
pub use binaries::Binaries;
pub use etcd::{Etcd, EtcdGroup};
