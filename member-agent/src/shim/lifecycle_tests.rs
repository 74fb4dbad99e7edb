//! Pods played on paper: one line per thing that happens, and what is started then.

use std::collections::BTreeMap;
use std::path::PathBuf;

use expect_test::{Expect, expect};

use super::*;
use crate::shim::spec::{InputSpec, ResourceLimits};

fn spec(text: &str) -> ContainerSpec {
    let role = match text.as_bytes()[0] {
        b'i' => ContainerRole::Init,
        b's' => ContainerRole::Sidecar,
        _ => ContainerRole::Main,
    };
    ContainerSpec {
        name: text.to_owned(),
        argv: vec!["true".to_owned()],
        env: BTreeMap::new(),
        working_dir: PathBuf::from("/"),
        limits: ResourceLimits { core_bytes: 0, open_files: 10 },
        log: PathBuf::from("log"),
        log_cap_bytes: 1 << 20,
        role,
        mounts: Vec::new(),
        input: InputSpec::Nothing,
        tty: false,
    }
}

/// Plays `i1 s1 m1` under a policy. Each event is `MS NAME CODE`; `MS` alone lets time pass.
fn check(pod: &str, restart: RestartPolicy, events: &[&str], want: &Expect) {
    let specs: Vec<ContainerSpec> = pod.split(' ').map(spec).collect();
    let mut life = Lifecycle::new(&specs, restart);
    let mut out = String::new();
    for event in ["0"].iter().chain(events) {
        let mut words = event.split(' ');
        let now: u64 = words.next().unwrap().parse().unwrap();
        if let (Some(name), Some(code)) = (words.next(), words.next()) {
            let index = specs.iter().position(|spec| spec.name == name).unwrap();
            let end = ContainerEnd::of_process(0, now, Some(code.parse().unwrap()), None);
            life.ended(index, end, now, true);
        }
        let mut started = Vec::new();
        while let Some(index) = life.due(now) {
            life.started(index, 100 + i32::try_from(index).unwrap(), now, now);
            started.push(specs[index].name.as_str());
        }
        let over = if life.is_over() {
            format!(", over with {:?}", life.deciding_end().and_then(|end| end.code))
        } else {
            String::new()
        };
        out.push_str(&format!("{event}: starts {started:?}{over}\n"));
    }
    want.assert_eq(&out);
}

#[test]
fn init_containers_run_one_after_the_other() {
    check(
        "i1 i2 m1 m2",
        RestartPolicy::Never,
        &["5 i1 0", "9 i2 0", "10 m1 0", "11 m2 0"],
        &expect![[r#"
        0: starts ["i1"]
        5 i1 0: starts ["i2"]
        9 i2 0: starts ["m1", "m2"]
        10 m1 0: starts []
        11 m2 0: starts [], over with Some(0)
    "#]],
    );
}

#[test]
fn a_failed_init_container_fails_the_pod() {
    check(
        "i1 i2 m1",
        RestartPolicy::Never,
        &["5 i1 3"],
        &expect![[r#"
        0: starts ["i1"]
        5 i1 3: starts [], over with Some(3)
    "#]],
    );
}

#[test]
fn the_first_main_container_that_failed_decides() {
    check(
        "m1 m2",
        RestartPolicy::Never,
        &["5 m2 4", "6 m1 0"],
        &expect![[r#"
        0: starts ["m1", "m2"]
        5 m2 4: starts []
        6 m1 0: starts [], over with Some(4)
    "#]],
    );
}

#[test]
fn a_sidecar_starts_in_its_turn_and_again_until_the_pod_is_over() {
    check(
        "i1 s1 i2 m1",
        RestartPolicy::Never,
        &["5 i1 0", "6 s1 0", "7 i2 0", "8 s1 1", "20000", "20001 m1 0"],
        &expect![[r#"
        0: starts ["i1"]
        5 i1 0: starts ["s1", "i2"]
        6 s1 0: starts ["s1"]
        7 i2 0: starts ["m1"]
        8 s1 1: starts []
        20000: starts ["s1"]
        20001 m1 0: starts [], over with Some(0)
    "#]],
    );
}

#[test]
fn on_failure_a_container_is_started_again_with_a_back_off() {
    check(
        "i1 m1 m2",
        RestartPolicy::OnFailure,
        &[
            "1 i1 1",
            "2 i1 0",
            "5 m1 7",
            "6 m1 7",
            "10005",
            "10006",
            "10007 m1 7",
            "10008 m2 0",
            "30007",
            "30008 m1 0",
        ],
        &expect![[r#"
            0: starts ["i1"]
            1 i1 1: starts ["i1"]
            2 i1 0: starts ["m1", "m2"]
            5 m1 7: starts ["m1"]
            6 m1 7: starts []
            10005: starts []
            10006: starts ["m1"]
            10007 m1 7: starts []
            10008 m2 0: starts []
            30007: starts ["m1"]
            30008 m1 0: starts [], over with Some(0)
        "#]],
    );
}

#[test]
fn the_back_off_has_an_end_and_long_runs_begin_anew() {
    assert_eq!([0, 1, 2, 5, 6, 40].map(delay_ms), [0, 10_000, 20_000, 160_000, 300_000, 300_000]);
    let mut life = Lifecycle::new(&[spec("m1")], RestartPolicy::OnFailure);
    let mut now = 0;
    for _ in 0..5 {
        life.started(0, 1, now, now);
        now += BACKOFF_RESET_MS;
        life.ended(0, ContainerEnd::of_process(0, now, Some(1), None), now, true);
        assert_eq!(life.due(now), Some(0), "it ran for long");
    }
    assert_eq!(life.statuses()[0].restarts, 5);
}

#[test]
fn a_stopped_container_is_not_started_again() {
    let mut life = Lifecycle::new(&[spec("s1"), spec("m1")], RestartPolicy::OnFailure);
    for index in [0, 1] {
        life.started(index, 1, 0, 0);
        life.ended(index, ContainerEnd::of_process(0, 5, None, Some(15)), 5, false);
    }
    assert_eq!((life.due(u64::MAX), life.next_start(), life.is_over()), (None, None, true));
    assert_eq!(life.deciding_end().and_then(|end| end.code), Some(143));
}
