//! kubectl works on the hub as on any Kubernetes API server: two versions of it, one federation.
//!
//! What matters of its output is asserted, not its spacing. Each version has a namespace of its own.

mod reading;
mod resuming;
pub mod run;
mod running;
mod writing;

use muster_e2e::local::{Federation, Options};
use muster_e2e::tools::{self, Tool};
use run::Kubectl;

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_of_kubectl_work() {
    let Some([new, old]) = tools::or_skip([Tool::Kubectl134, Tool::Kubectl132]) else { return };
    let federation = Federation::start(&Options::default());
    let new = Kubectl::new(new, &federation, "k134");
    let old = Kubectl::new(old, &federation, "k132");
    tokio::join!(everything(&new), everything(&old));
}

async fn everything(kubectl: &Kubectl) {
    kubectl.ok(&format!("create namespace {}", kubectl.namespace)).await;
    tokio::join!(running::all(kubectl), Box::pin(writing::all(kubectl)));
    reading::all(kubectl).await;
    writing::namespace_takes_its_jobs_along(kubectl).await;
}
