//! The command line against a federation.

use std::process::{Command, Output};

use muster_e2e::local::{Federation, muster_exe};
use serde_json::Value;

/// Runs `muster ARGS`.
pub fn muster(federation: &Federation, args: &[&str]) -> Output {
    let mut command = Command::new(muster_exe());
    command.args(args).env("KUBECONFIG", federation.dir.join("kubeconfig"));
    command.output().expect("it runs")
}

/// Runs `muster ARGS -o json`, which must succeed.
pub fn json(federation: &Federation, args: &[&str]) -> Value {
    let output = muster(federation, &[args, &["-o", "json"]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Why `muster ARGS` was refused; it must be, with exit code 1.
pub fn refusal(federation: &Federation, args: &[&str]) -> String {
    let output = muster(federation, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All faults, as the hub tells them; none if it does not answer.
pub async fn faults(federation: &Federation) -> Vec<Value> {
    let list = federation.get("/muster/v1/faults").await.unwrap_or_default();
    list["faults"].as_array().cloned().unwrap_or_default()
}

/// One of them.
pub async fn fault(federation: &Federation, id: &str) -> Option<Value> {
    faults(federation).await.into_iter().find(|fault| fault["id"] == id)
}

/// Milliseconds since 1970 of a time the hub printed.
pub fn ms(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_default();
    let time = muster_kubeapi::kinds::parse_time(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    i64::try_from(time.0).expect("a time of our days")
}

/// Records that members and replicas have of faults.
pub fn records(federation: &Federation) -> Vec<std::path::PathBuf> {
    let up = federation.up_json();
    let processes = up["processes"].as_array().cloned().unwrap_or_default();
    let folders =
        processes.iter().filter_map(|process| process["dataDir"].as_str().map(std::path::PathBuf::from));
    let entries = folders.filter_map(|folder| std::fs::read_dir(folder.join("faults")).ok());
    entries.flatten().flatten().map(|entry| entry.path()).collect()
}
