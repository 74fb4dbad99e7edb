//! How client verbs reach the hub: kubeconfig, TLS, HTTP.

mod http;
mod kubeconfig;

pub use http::{Api, Reply};
pub use kubeconfig::{Kubeconfig, Target};
