//! Whether Terraform is there, and new enough.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::child::{self, ChildSpec};

/// The oldest version that modules are written for.
const OLDEST: (u64, u64) = (1, 5);
const NEXT_STEP: &str =
    "install Terraform 1.5 or newer on every replica's machine, or set MUSTER_TERRAFORM to its path";

/// The version of this program, or what to do about its absence.
pub async fn version_of(program: &Path, cancel: &CancellationToken) -> Result<String, String> {
    let spec = ChildSpec {
        program: program.to_owned(),
        args: vec!["version".into(), "-json".into()],
        folder: "/".into(),
        env: vec![("CHECKPOINT_DISABLE".to_owned(), "1".into())],
        limit: Duration::from_secs(30),
        stdout_max_bytes: 64 << 10,
    };
    let ended = child::run(spec, cancel).await.map_err(|error| format!("{error}: {NEXT_STEP}"))?;
    let shown: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap_or_default();
    let version = shown["terraform_version"].as_str().unwrap_or_default().to_owned();
    let mut numbers = version.split('.').map(|part| part.parse::<u64>().unwrap_or_default());
    let number = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    match number >= OLDEST {
        true => Ok(version),
        false => Err(format!("{} says version {version:?}: {NEXT_STEP}", program.display())),
    }
}
