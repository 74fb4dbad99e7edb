//! Plans for trees that are there and trees that are not. Nothing is mounted.

use expect_test::{Expect, expect};

use super::*;

/// What a container with these mounts (`VOLUME[/SUB] TARGET`) does, with the temporary folder of the test left out.
fn check(mounts: &[&str], want: &Expect) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let machine = dir.join("machine");
    fs::create_dir_all(machine.join("etc/ssl")).unwrap();
    fs::write(machine.join("etc/hosts"), "").unwrap();
    std::os::unix::fs::symlink(machine.join("etc"), machine.join("conf")).unwrap();
    let pod = dir.join("pod");
    fs::create_dir_all(pod.join("volumes/files")).unwrap();
    fs::write(pod.join("volumes/files/one"), "").unwrap();
    let specs: Vec<MountSpec> = mounts
        .iter()
        .map(|mount| {
            let (source, target) = mount.split_once(' ').unwrap();
            let (volume, sub_path) = source.split_once('/').unwrap_or((source, ""));
            let target = machine.join(target);
            MountSpec {
                volume: volume.to_owned(),
                sub_path: sub_path.into(),
                target,
                read_only: volume == "files",
            }
        })
        .collect();
    let mut planner = Planner { root: pod.join(ROOT_FOLDER), steps: Vec::new(), mounted: Vec::new() };
    let planned = planner.plan(&pod, &specs, Path::new("/"));
    let mut said: Vec<String> = planner.steps.iter().map(Step::describe).collect();
    // Entries of a folder come in any order.
    if let Some(memory) = said.iter().position(|step| step.starts_with("mount memory")) {
        said[memory + 1..memory + 5].sort();
    }
    said.extend(planned.err().map(|error| format!("refused: {error}")));
    let text = said.join("\n").replace(pod.to_str().unwrap(), "POD");
    let text = text
        .replace(&format!("POD/root{}", machine.display()), "NEW")
        .replace(machine.to_str().unwrap(), "OLD");
    want.assert_eq(&text);
}

#[test]
fn what_is_there_is_mounted_upon() {
    check(
        &["scratch conf/ssl", "files/one etc/hosts"],
        &expect![[r#"
            mount / at POD/root
            mount POD/volumes/scratch/ at NEW/etc/ssl
            mount POD/volumes/files/one at NEW/etc/hosts
            make NEW/etc/hosts read-only
            make POD/root the root
            enter the working folder /"#]],
    );
}

#[test]
fn what_is_missing_is_made_in_memory_only() {
    check(
        &["scratch etc/new/deep", "files/one etc/app.ini"],
        &expect![[r#"
            mount / at POD/root
            mount memory at NEW/etc
            make NEW/etc/hosts
            make NEW/etc/ssl
            mount OLD/etc/hosts at NEW/etc/hosts
            mount OLD/etc/ssl at NEW/etc/ssl
            make NEW/etc/app.ini
            mount POD/volumes/files/one at NEW/etc/app.ini
            make NEW/etc/new
            make NEW/etc/new/deep
            mount POD/volumes/scratch/ at NEW/etc/new/deep
            make NEW/etc/app.ini read-only
            make POD/root the root
            enter the working folder /"#]],
    );
}

#[test]
fn a_mount_inside_another_is_made_in_its_volume() {
    check(
        &["inner etc/ssl/a/b", "outer etc/ssl"],
        &expect![[r#"
            mount / at POD/root
            mount POD/volumes/outer/ at NEW/etc/ssl
            make NEW/etc/ssl/a
            make NEW/etc/ssl/a/b
            mount POD/volumes/inner/ at NEW/etc/ssl/a/b
            make POD/root the root
            enter the working folder /"#]],
    );
}

#[test]
fn a_folder_is_not_mounted_on_a_file() {
    check(
        &["scratch etc/hosts"],
        &expect![[r#"
            mount / at POD/root
            refused: OLD/etc/hosts is no folder on this machine"#]],
    );
}
