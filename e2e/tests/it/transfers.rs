//! Datasets that members carry, with real files in real folders: one transfer for two jobs, cut by SIGKILL and resumed,
//! damaged on both sides and found, refused where the data may not be, and given up where it cannot be.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::{Method, StatusCode};
use muster_e2e::local::{
    Federation, Options, condition, job, job_path, jobs_path, muster_exe, runs_of, until,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const DATASETS: &str = "/apis/muster.sh/v1alpha1/namespaces/default/datasets";
const TRANSFERS: &str = "/apis/muster.sh/v1alpha1/namespaces/default/transfers";
const SOURCE: &str = "aws-use1-spot";
const TARGET: &str = "onprem-berlin";
/// Placement goes here first, when it has the choice.
const OTHER: &str = "onprem-paris";
const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn datasets_are_carried_to_where_jobs_need_them() {
    let mut federation = Federation::start(&Options::default());
    let corpus = Files::new(&federation, "corpus", 12);
    corpus.declare(&federation, &["aws/us-east-1", "onprem/berlin"]).await;
    limit(&federation, "3Mi").await;
    a_plan_says_what_is_missing_and_where_it_comes_from(&federation).await;
    where_the_data_may_not_be_nothing_is_moved(&federation).await;
    a_transfer_survives_kills_and_damage(&federation, &corpus).await;
    two_jobs_shared_it_and_one_of_them_paid(&federation, &corpus).await;
    what_cannot_be_brought_to_one_place_is_brought_to_another(&federation).await;
    federation.stop();
}

/// A dataset's files in the folder of [`SOURCE`].
struct Files {
    name: &'static str,
    folder: PathBuf,
    bytes: Vec<u8>,
}

fn datasets_of(federation: &Federation, member: &str) -> PathBuf {
    let dir = federation.process(member)["dataDir"].as_str().expect("a folder").to_owned();
    PathBuf::from(dir).join("datasets")
}

impl Files {
    /// So many MiB in two files, no two chunks alike.
    fn new(federation: &Federation, name: &'static str, mib: usize) -> Files {
        let folder = datasets_of(federation, SOURCE).join("default").join(name).join("v1");
        fs::create_dir_all(folder.join("train")).expect("a folder");
        let bytes: Vec<u8> = (0..mib * MIB).map(|at| (at / MIB * 31 + at % 251) as u8).collect();
        let (first, second) = bytes.split_at(mib / 2 * MIB);
        fs::write(folder.join("train/0"), first).expect("the first file");
        fs::write(folder.join("train/1"), second).expect("the second file");
        Files { name, folder, bytes }
    }

    fn digest(&self) -> Value {
        let output = Command::new(muster_exe())
            .args(["dataset", "digest", "-o", "json"])
            .arg(&self.folder)
            .output()
            .expect("the digest");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Creates the object and waits until the hub knows who has it.
    async fn declare(&self, federation: &Federation, allowed: &[&str]) {
        let Value::Object(found) = self.digest() else { panic!("no object") };
        assert_eq!(found["size"], self.bytes.len().to_string());
        let dataset = json!({
            "apiVersion": "muster.sh/v1alpha1", "kind": "Dataset", "metadata": {"name": self.name},
            "spec": {"version": "v1", "size": found["size"], "digest": found["digest"], "allowedRegions": allowed},
        });
        federation.create(DATASETS, &dataset).await;
        self.copy(federation, SOURCE, "Complete").await;
    }

    async fn copy(&self, federation: &Federation, member: &str, state: &str) -> Value {
        until(&format!("{member} has a copy of {}: {state}", self.name), || async {
            let dataset = federation.get(&format!("{DATASETS}/{}", self.name)).await?;
            let copies = dataset["status"]["copies"].as_array()?.clone();
            copies.into_iter().find(|copy| copy["cluster"] == member && copy["state"] == state)
        })
        .await
    }

    /// Changes one byte of the last chunk; gives what it was.
    fn damage(path: &Path, offset: usize) -> u8 {
        let file = OpenOptions::new().read(true).write(true).open(path).expect("the file");
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset as u64).expect("a byte");
        file.write_all_at(&[byte[0] ^ 0xff], offset as u64).expect("written");
        byte[0]
    }
}

async fn limit(federation: &Federation, limit: &str) {
    let path = format!("/apis/muster.sh/v1alpha1/clusters/{TARGET}");
    let patch = json!({"spec": {"transferLimit": limit}}).to_string();
    let body = Some(("application/merge-patch+json", patch.into()));
    let reply = federation.api().request_as(Method::PATCH, &path, "application/json", body).await;
    assert_eq!(reply.expect("an answer").status, StatusCode::OK);
}

/// A job that reads a dataset in one of these regions.
fn reader(name: &str, dataset: &str, regions: &[&str]) -> Value {
    let script =
        format!("cat $MUSTER_DATASET_{}/train/0 $MUSTER_DATASET_{0}/train/1 | cksum", dataset.to_uppercase());
    let mut job = job(name, &script, 0);
    let region = json!({"key": "topology.kubernetes.io/region", "operator": "In", "values": regions});
    let options = json!({"datasets": [dataset], "clusterSelector": {"matchExpressions": [region]}});
    job["metadata"]["annotations"] = json!({"muster.sh/placement-spec": options.to_string()});
    job
}

/// What `muster VERB` prints, whatever it thinks of it.
fn muster(federation: &Federation, args: &[&str]) -> String {
    let kubeconfig = federation.dir.join("kubeconfig");
    let output = Command::new(muster_exe()).args(args).arg("--kubeconfig").arg(kubeconfig).output();
    let output = output.expect("muster runs");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn plan(federation: &Federation, job: &Value) -> String {
    let file = federation.dir.join("plan.json");
    fs::write(&file, job.to_string()).expect("a file");
    muster(federation, &["plan", "-f", &file.display().to_string()])
}

async fn transfer(federation: &Federation, name: &str) -> Option<Value> {
    federation.get(&format!("{TRANSFERS}/{name}")).await
}

async fn completed(federation: &Federation, name: &str) {
    until(&format!("{name} is complete"), || async {
        let job = federation.get(&job_path(name)).await?;
        (condition(&job, "Complete")?.0 == "True").then_some(())
    })
    .await;
}

async fn a_plan_says_what_is_missing_and_where_it_comes_from(federation: &Federation) {
    let table = plan(federation, &reader("imagined", "corpus", &["berlin"]));
    for part in ["corpus v1: 12 MiB x $0.09/GiB", SOURCE, "3 MiB/s, the cluster's transferLimit, takes 4s"] {
        assert!(table.contains(part), "{part} is not in:\n{table}");
    }
}

async fn where_the_data_may_not_be_nothing_is_moved(federation: &Federation) {
    federation.create(&jobs_path(), &reader("abroad", "corpus", &["paris"])).await;
    until("the hub says why it waits", || async {
        let why = muster(federation, &["why", "abroad"]);
        why.contains("dataset corpus may not be read in onprem/paris").then_some(())
    })
    .await;
    assert_eq!(transfer(federation, "corpus:onprem-paris").await, None);
    assert!(!datasets_of(federation, "onprem-paris").join(".incoming").exists(), "not a byte");
}

async fn a_transfer_survives_kills_and_damage(federation: &Federation, corpus: &Files) {
    federation.create(&jobs_path(), &reader("one", "corpus", &["berlin"])).await;
    federation.create(&jobs_path(), &reader("two", "corpus", &["berlin"])).await;
    let name = format!("corpus:{TARGET}");
    let field = |transfer: &Value, field: &str| transfer["status"][field].as_u64().unwrap_or_default();
    until("a part is there", || async {
        (field(&transfer(federation, &name).await?, "fetchedBytes") >= 3 * MIB as u64).then_some(())
    })
    .await;
    let why = muster(federation, &["why", "one"]);
    assert!(why.contains("starts on onprem-berlin when dataset corpus v1 is there: "), "{why}");
    // The last chunk of the source, which is still to come.
    let was = Files::damage(&corpus.folder.join("train/1"), 6 * MIB - 1);
    let pid = federation.pid(TARGET);
    assert!(federation.signal(TARGET, Signal::SIGKILL));
    // A chunk that is here already.
    let incoming = datasets_of(federation, TARGET).join(".incoming/default/corpus/v1/files/train/0");
    Files::damage(&incoming, 17);
    until("the agent is back", || async { (![0, pid].contains(&federation.pid(TARGET))).then_some(()) })
        .await;
    until("the damage at the source is noticed", || async {
        (field(&transfer(federation, &name).await?, "refetchedChunks") >= 1).then_some(())
    })
    .await;
    let source = OpenOptions::new().write(true).open(corpus.folder.join("train/1")).expect("the file");
    source.write_all_at(&[was], 6 * MIB as u64 - 1).expect("as it was");
    let done = until("it is complete", || async {
        transfer(federation, &name).await.filter(|transfer| transfer["status"]["phase"] == "Complete")
    })
    .await;
    let (fetched, refetched) = (field(&done, "fetchedBytes"), field(&done, "refetchedChunks"));
    assert!(refetched >= 2, "one of the source, one of the disk: {done}");
    assert!(fetched <= (12 + refetched + 1) * MIB as u64, "{done}");
    the_second_life_went_on_where_the_first_was(federation);
    let copied = datasets_of(federation, TARGET).join("default/corpus/v1/train");
    let bytes =
        [fs::read(copied.join("0")), fs::read(copied.join("1"))].map(|file| file.expect("a file")).concat();
    assert!(bytes == corpus.bytes, "every byte is right");
}

/// By the agent's own words: how much was there when it began.
fn the_second_life_went_on_where_the_first_was(federation: &Federation) {
    let log =
        federation.process(TARGET)["log"].as_str().map(fs::read_to_string).expect("a log").expect("read");
    let begun: Vec<u64> = log
        .lines()
        .filter(|line| line.contains("transfer begins"))
        .filter_map(|line| line.split("held_chunks=").nth(1))
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .collect();
    assert_eq!((begun.len(), begun[0]), (2, 0), "{log}");
    assert!(begun[1] >= 2, "{begun:?} chunks were held when each life began");
}

async fn two_jobs_shared_it_and_one_of_them_paid(federation: &Federation, corpus: &Files) {
    for name in ["one", "two"] {
        completed(federation, name).await;
        let job = federation.get(&job_path(name)).await.expect("the job");
        assert_eq!(
            job["status"]["failed"],
            Value::Null,
            "a pod that waited and never began did not fail: {job}"
        );
    }
    let list = federation.get(TRANSFERS).await.expect("a list");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    let runs = federation.get("/apis/muster.sh/v1alpha1/namespaces/default/runs").await.expect("runs");
    let lines = runs["items"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|run| run["status"]["cost"].as_array().cloned().unwrap_or_default());
    let egress: Vec<Value> = lines.filter(|line| line["line"] == "egress").collect();
    assert_eq!(egress.len(), 1, "12 MiB at $0.09 a GiB, once: {egress:?}");
    assert_eq!(egress[0]["amount"], "0.001055");
    the_jobs_read_the_right_bytes(federation, corpus).await;
    corpus.copy(federation, TARGET, "Complete").await;
    let table = plan(federation, &reader("imagined", "corpus", &["berlin"]));
    assert!(table.contains("corpus v1 is on onprem-berlin already"), "{table}");
}

async fn the_jobs_read_the_right_bytes(federation: &Federation, corpus: &Files) {
    let script = "cat \"$0\"/train/0 \"$0\"/train/1 | cksum";
    let expected =
        Command::new("sh").args(["-c", script]).arg(&corpus.folder).output().expect("cksum").stdout;
    for name in ["one", "two"] {
        let log = log_of(federation, name).await;
        assert_eq!(log, String::from_utf8_lossy(&expected), "{name}");
    }
}

/// The log of the pod that ran: the agent's first life left one that never began.
async fn log_of(federation: &Federation, name: &str) -> String {
    until(&format!("the log of {name}"), || async {
        let path = "/api/v1/namespaces/default/pods";
        let pods = federation.get(&format!("{path}?labelSelector=job-name%3D{name}")).await?;
        let ran = |pod: &&Value| pod["status"]["phase"] == "Succeeded";
        let pod = pods["items"].as_array()?.iter().find(ran)?["metadata"]["name"].as_str()?.to_owned();
        let reply = federation.api().request(Method::GET, &format!("{path}/{pod}/log"), None).await.ok()?;
        (reply.status == StatusCode::OK).then(|| String::from_utf8_lossy(&reply.body).into_owned())
    })
    .await
}

async fn what_cannot_be_brought_to_one_place_is_brought_to_another(federation: &Federation) {
    let blocked = Files::new(federation, "blocked", 2);
    let in_the_way = datasets_of(federation, OTHER).join("default/blocked/v1");
    fs::create_dir_all(&in_the_way).expect("a folder");
    fs::write(in_the_way.join("other"), "of other content").expect("a file");
    blocked.declare(federation, &[]).await;
    federation.create(&jobs_path(), &reader("moves", "blocked", &["berlin", "paris"])).await;
    completed(federation, "moves").await;
    let failed = transfer(federation, &format!("blocked:{OTHER}")).await.expect("the transfer that failed");
    let reason = failed["status"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("remove what lies there"), "{reason}");
    let places: Vec<String> = runs_of(federation, "moves").await.into_iter().map(|run| run.cluster).collect();
    assert_eq!(places, [OTHER, TARGET]);
}
