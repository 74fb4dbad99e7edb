//! The probe `submitWorks`: a job is submitted as anybody would, held by `suspend`, and deleted again.

use std::sync::Arc;
use std::time::Duration;

use muster_kubeapi::kinds::{StoredKind, admit};
use muster_model::{
    Answer, Command, Delete, Key, Kind, Precondition, Principal, Propagation, PutMode, Rejection, kinds,
};
use serde_json::json;

use crate::agents::random_uid;
use crate::hub::Hub;

/// How long a submission may take while it counts as working.
const PATIENCE: Duration = Duration::from_secs(5);
/// Name of the job.
const NAME: &str = "muster-gameday-probe";

/// Submits a job, sees it acknowledged and stored, and deletes it.
pub async fn submit(hub: Hub) -> Result<(), Arc<str>> {
    match tokio::time::timeout(PATIENCE, try_submit(&hub)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => Err(reason.into()),
        Err(_) => Err("a job was not acknowledged within 5 s".into()),
    }
}

async fn try_submit(hub: &Hub) -> Result<(), String> {
    let key = Key::job("default", NAME);
    let answer = hub.propose(create(&key)?).await.map_err(|error| error.to_string())?;
    match answer {
        Answer::Rejected(Rejection::AlreadyExists(_)) | Answer::Stored(_) => {}
        Answer::Rejected(rejection) => return Err(format!("a job was refused: {rejection}")),
        other => return Err(format!("a job was answered with {other:?}")),
    }
    if hub.stale().get(&key).is_none() {
        return Err("an acknowledged job is not there".to_owned());
    }
    let delete = Delete {
        key,
        precondition: Precondition::default(),
        propagation: Propagation::Background,
        grace_s: Some(0),
        principal: Principal::new("system:hub"),
    };
    match hub.propose(Command::Delete(delete)).await.map_err(|error| error.to_string())? {
        Answer::Rejected(rejection) => Err(format!("a job cannot be deleted: {rejection}")),
        _ => Ok(()),
    }
}

fn create(key: &Key) -> Result<Command, String> {
    let kind = StoredKind::of(&Kind::new(kinds::JOB)).ok_or("jobs are not served")?;
    let uid = random_uid();
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [
        {"name": "main", "image": "none", "command": ["true"]}]}});
    let job = json!({
        "metadata": {"name": NAME, "namespace": &*key.namespace, "uid": uid.to_string()},
        "spec": {"suspend": true, "template": template},
    });
    let admitted = admit(kind, job, None).map_err(|errors| format!("{errors:?}"))?;
    let put = admitted.put(key.clone(), PutMode::Create { uid }, Principal::new("system:hub"), None);
    Ok(Command::Put(Box::new(put)))
}
