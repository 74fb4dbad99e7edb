//! Files that are not what was written: refused by name, never guessed at, and what is left goes on.

use std::fs;
use std::path::{Path, PathBuf};

use muster_e2e::local::{
    Federation, Options, Script, Witness, condition, job, job_path, jobs_path, runs_of, until, until_equal,
};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{all_there, ended, submit, until_log_says};

/// What may happen to the log of a replica, and what is then said.
struct Damage {
    what: &'static str,
    damage: fn(&Folders),
    said: &'static [&'static str],
}

/// Folders of a stopped federation.
struct Folders {
    /// Whose log is damaged.
    raft: PathBuf,
    /// The same of another replica.
    other: PathBuf,
    /// As the first one was.
    intact: PathBuf,
}

const DAMAGES: &[Damage] = &[
    Damage { what: "flipped bits", damage: flip_entry, said: &["log.0", "damaged at offset", "log index"] },
    Damage {
        what: "a torn last batch",
        damage: tear_last_batch,
        said: &["log.0", "damaged at", "was durable"],
    },
    Damage { what: "the second half is gone", damage: cut_in_half, said: &["log.0", "damaged at"] },
    Damage { what: "an empty file", damage: |folders| cut(&folders.log(), 0), said: &["log.0", "offset 0"] },
    Damage {
        what: "no file",
        damage: |folders| fs::remove_file(folders.log()).expect("it was there"),
        said: &["log.*", "the file is missing"],
    },
    Damage {
        what: "another replica's folder",
        damage: |folders| copy(&folders.other, &folders.raft),
        said: &["log.0", "belongs to", "not to"],
    },
];

impl Folders {
    fn log(&self) -> PathBuf {
        self.raft.join("log.00000000000000000001")
    }

    fn heal(&self) {
        copy(&self.intact, &self.raft);
    }
}

/// Replaces a folder by the copy of another.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("ours");
    }
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

/// Flips a bit of a job's name wherever the log holds it.
fn flip_entry(folders: &Folders) {
    let mut content = fs::read(folders.log()).expect("a log");
    let name = b"damaged-entry";
    let places: Vec<usize> =
        (0..content.len() - name.len()).filter(|at| content[*at..].starts_with(name)).collect();
    assert!(!places.is_empty());
    for at in places {
        content[at] ^= 0x20;
    }
    fs::write(folders.log(), content).expect("a log");
}

/// The last bytes that were written did not arrive. A batch that nobody was told of may be torn; this one was acknowledged.
fn tear_last_batch(folders: &Folders) {
    let mut content = fs::read(folders.log()).expect("a log");
    let last = content.iter().rposition(|byte| *byte != 0).expect("something was written");
    content[last - 7..=last].fill(0);
    fs::write(folders.log(), content).expect("a log");
}

fn cut_in_half(folders: &Folders) {
    let bytes = fs::metadata(folders.log()).expect("a log").len();
    cut(&folders.log(), bytes / 2);
}

fn cut(file: &Path, bytes: u64) {
    fs::OpenOptions::new().write(true).open(file).and_then(|file| file.set_len(bytes)).expect("a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_refused_by_name_and_the_others_serve() {
    let root = tempfile::tempdir().expect("a folder");
    let state = root.path().join("state");
    fs::create_dir(&state).expect("a folder");
    let options = Options { dir: Some(state.clone()), ..Options::default() };
    let mut names = vec!["damaged-entry".to_owned()];
    {
        let mut federation = Federation::start(&options);
        names.extend((0..5).map(|i| format!("kept-{i}")));
        for name in &names {
            submit(&federation, name).await;
        }
        until_equal(&federation).await;
        federation.stop();
    }
    let controllers = state.join("controllers");
    let folders = Folders {
        raft: controllers.join("controller-1/raft"),
        other: controllers.join("controller-2/raft"),
        intact: root.path().join("intact"),
    };
    copy(&folders.raft, &folders.intact);

    let config = controllers.join("controller-1/config.json");
    for Damage { what, damage, said } in DAMAGES {
        damage(&folders);
        refuses(what, &config, said).await;
        folders.heal();
    }
    refuses("another federation's folder", &of_another_federation(&config), &["log.0", "belongs to"]).await;

    flip_entry(&folders);
    let federation = Federation::start(&options);
    all_there(&federation, &names).await;
    submit(&federation, "meanwhile").await;
    names.push("meanwhile".to_owned());
    until_log_says(&state.join("logs/controller-1.log"), &["log.0", "damaged at offset"]).await;
    // Its folder is restored: it catches up.
    folders.heal();
    until_equal(&federation).await;
    all_there(&federation, &names).await;
}

/// Nothing in it is damaged: only a leader that saw it acknowledge more can tell. It does, and nothing is missing in the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_a_folder_is_named_and_brought_up_to_date() {
    let root = tempfile::tempdir().expect("a folder");
    let state = root.path().join("state");
    fs::create_dir(&state).expect("a folder");
    let options = Options { dir: Some(state.clone()), ..Options::default() };
    let mut names: Vec<String> = (0..10).map(|i| format!("kept-{i}")).collect();
    let mut federation = Federation::start(&options);
    submit(&federation, &names[0]).await;
    until_equal(&federation).await;
    federation.stop();
    drop(federation);
    copy(&state.join("controllers"), &state.join("older"));

    let federation = Federation::start(&options);
    for name in &names[1..] {
        submit(&federation, name).await;
    }
    until_equal(&federation).await;
    let leader = federation.leader().await;
    let follower = federation.names("controller").into_iter().find(|name| *name != leader);
    let follower = follower.expect("three replicas");
    let raft = state.join("controllers").join(&follower).join("raft");
    fs::rename(&raft, raft.with_extension("lost")).expect("it is there");
    fs::rename(state.join("older").join(&follower).join("raft"), &raft).expect("it was copied");
    assert!(federation.signal(&follower, Signal::SIGKILL));
    let said = ["outside of the log, which ends at", "acknowledged entries may be lost"];
    until_log_says(&state.join(format!("logs/{follower}.log")), &said).await;
    submit(&federation, "after").await;
    names.push("after".to_owned());
    until_equal(&federation).await;
    all_there(&federation, &names).await;
}

async fn refuses(what: &str, config: &Path, said: &[&str]) {
    let (status, error) = ended(&["controller", "--config", &config.display().to_string()]).await;
    println!("{what}: {status}: {}", error.lines().last().unwrap_or_default());
    assert!(!status.success(), "{what}: {error}");
    let is_said = |line: &str| said.iter().all(|word| line.contains(word));
    assert!(error.lines().any(is_said), "{what}: no line says {said:?}: {error}");
    assert_eq!(status.code(), Some(73), "{what}: the state folder is unusable");
}

/// The configuration of the same replica in a federation with another id.
fn of_another_federation(config: &Path) -> PathBuf {
    let mut parsed: Value = serde_json::from_slice(&fs::read(config).expect("a file")).expect("JSON");
    parsed["clusterId"] = Value::String("0123456789abcdef0123456789abcdef".to_owned());
    let other = config.with_file_name("other.json");
    fs::write(&other, parsed.to_string()).expect("a file");
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_refused_and_what_runs_goes_on() {
    let federation = Federation::start(&Options::default());
    let witness = Witness::new(&federation.dir, "running");
    federation.create(&jobs_path(), &job("running", &witness.script(Script::Beats(100)), 1)).await;
    until("it runs", || async { witness.is_alive().then_some(()) }).await;
    let runs = until("its run", || async {
        let runs = runs_of(&federation, "running").await;
        runs.iter().any(|run| run.phase == "Running").then_some(runs)
    })
    .await;
    let member = runs[0].cluster.as_str();
    let journal = federation.dir.join("members").join(member).join("journal");

    flip_first_record(&journal);
    assert!(federation.signal(member, Signal::SIGKILL));
    let path = journal.display().to_string();
    let log = federation.dir.join("logs").join(format!("{member}.log"));
    until_log_says(&log, &[&path, "damaged at byte 0"]).await;
    assert!(witness.is_alive(), "its shim holds it");
    flip_first_record(&journal);
    until("it completes", || async {
        let job = federation.get(&job_path("running")).await?;
        (condition(&job, "Complete")?.0 == "True").then_some(())
    })
    .await;
    assert_eq!(witness.lives().len(), 1, "it ran once: {:?}", witness.lives());
}

/// Flips one bit of what the first record holds; a second time puts it back.
fn flip_first_record(journal: &Path) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().read(true).write(true).open(journal).expect("a journal");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 14).expect("the first record");
    byte[0] ^= 0x10;
    file.write_all_at(&byte, 14).expect("a disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_its_folder_gets_everything_from_the_others() {
    let federation = Federation::start(&Options::default());
    let names: Vec<String> = (0..5).map(|i| format!("kept-{i}")).collect();
    for name in &names {
        submit(&federation, name).await;
    }
    until_equal(&federation).await;
    let leader = federation.leader().await;
    let follower = federation.names("controller").into_iter().find(|name| *name != leader);
    let follower = follower.expect("three replicas");
    let raft = federation.dir.join("controllers").join(&follower).join("raft");
    fs::rename(&raft, raft.with_extension("lost")).expect("it is there");
    assert!(federation.signal(&follower, Signal::SIGKILL));
    submit(&federation, "meanwhile").await;
    until("a folder", || async { raft.join("log.mark").exists().then_some(()) }).await;
    until_equal(&federation).await;
    all_there(&federation, &names).await;
}
