//! Clients that submit all the time, and repeat what was not answered until it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use muster::client::Api;
use muster_e2e::local::{Federation, Script, Witness, job, jobs_path, until_within};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const CLIENTS: usize = 4;
/// Between two submissions of a client.
const PACE: Duration = Duration::from_millis(40);
/// How long the hub may be away: all of it killed twice, and the back-off of the supervisor.
const PATIENCE: Duration = Duration::from_secs(120);

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Kept>,
}

/// What was acknowledged.
#[derive(Default)]
pub struct Kept {
    /// Names of all jobs.
    pub names: Vec<String>,
    /// What those wrote that were not suspended.
    pub real: Vec<Witness>,
}

struct Client {
    api: Api,
    number: usize,
    folder: PathBuf,
    kept: Kept,
}

impl Load {
    pub fn start(federation: &Federation) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let folder = federation.dir.clone();
            let client = Client { api: federation.api(), number, folder, kept: Kept::default() };
            clients.spawn(client.run(Arc::clone(&stop)));
        }
        Load { stop, clients }
    }

    /// Lets every client get its last acknowledgement.
    pub async fn stop(self) -> Kept {
        self.stop.store(true, Ordering::Relaxed);
        let all = self.clients.join_all().await;
        all.into_iter().fold(Kept::default(), |mut sum, kept| {
            sum.names.extend(kept.names);
            sum.real.extend(kept.real);
            sum
        })
    }
}

impl Client {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Kept {
        let mut pace = tokio::time::interval(PACE);
        for serial in 0.. {
            pace.tick().await;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            match serial % 8 {
                0 => self.submit_real(serial).await,
                1..4 => self.submit_keyed(serial).await,
                _ => self.submit_named(serial).await,
            }
        }
        self.kept
    }

    /// A job that runs: its name keeps it from being there twice.
    async fn submit_real(&mut self, serial: u64) {
        let name = format!("real-{}-{serial}", self.number);
        let witness = Witness::new(Path::new(&self.folder), &name);
        let mut real = job(&name, &witness.script(Script::Beats(6)), 1);
        real["metadata"]["labels"] = json!({"load": "real"});
        self.until_acknowledged(&self.api, &real).await;
        self.kept.names.push(name);
        self.kept.real.push(witness);
    }

    async fn submit_named(&mut self, serial: u64) {
        let name = format!("named-{}-{serial}", self.number);
        self.until_acknowledged(&self.api, &suspended(&name)).await;
        self.kept.names.push(name);
    }

    /// The hub chooses the name: only the key keeps it from being there twice.
    async fn submit_keyed(&mut self, serial: u64) {
        let api = self.api.with_idempotency_key(&format!("{}-{serial}", self.number));
        let mut generated = suspended("");
        generated["metadata"] = json!({"generateName": "keyed-"});
        let stored = self.until_acknowledged(&api, &generated).await.expect("its name is new");
        self.kept.names.push(stored["metadata"]["name"].as_str().expect("a name").to_owned());
    }

    /// Repeats until it is stored; gives the object, or none if it was stored by a try whose answer was lost.
    async fn until_acknowledged(&self, api: &Api, job: &Value) -> Option<Value> {
        until_within(PATIENCE, "an acknowledgement", || async {
            let reply = api.request(Method::POST, &jobs_path(), Some(job)).await.ok()?;
            match reply.status {
                StatusCode::CREATED | StatusCode::OK => Some(Some(reply.json().expect("an object"))),
                StatusCode::CONFLICT => Some(None),
                status => {
                    assert!(status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS, "{status}");
                    None
                }
            }
        })
        .await
    }
}

fn suspended(name: &str) -> Value {
    let mut job = job(name, "true", 1);
    job["spec"]["suspend"] = json!(true);
    job
}
