//! Reading and showing of game days.

use expect_test::expect;

use super::KIND;
use crate::kinds::samples::{GAME_DAY, NOW, object, reading, row, shown};

#[test]
fn a_game_day_is_read_with_its_defaults() {
    let text = "metadata: {name: d}\nspec: {faults: [{kind: kill, for: 5s, targets: {replicas: {}}}]}\n";
    let shown = shown(&KIND, &object(&KIND, text));
    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
    expect![[r#"{"dryRun":true,"faults":[{"after":"0s","count":1,"for":"5s","kind":"kill","targets":{"replicas":{}}}],"limits":{"duration":"1h","members":1,"replicas":1},"probes":["noLostJob","noDoubleRun","submitWorks"]}"#]]
        .assert_eq(&value["spec"].to_string());
    expect![[r#"{"phase":"Idle","runs":0}"#]].assert_eq(&value["status"].to_string());
}

#[test]
fn what_is_wrong_with_a_game_day_is_said_by_field() {
    expect![[r#"
        spec.schedule.cron: Invalid value: "61 * * * *": minute: "61" is not a number, range or step from 0 to 59
        spec.faults[0].for: Invalid value: "2h": must be from 1s to 1h
        spec.faults[0].count: Invalid value: 0: must be from 1 to 32
        spec.faults[0].targets: Invalid value: {}: must have exactly one of members and replicas
        spec.probes[0]: Unsupported value: "luck": supported values: "noLostJob", "noDoubleRun", "submitWorks"
        spec.limits.duration: Invalid value: "soon": must be a duration such as 90s, 10m or 1h30m"#]]
    .assert_eq(&reading(
        &KIND,
        "metadata: {name: d}\nspec: {schedule: {cron: '61 * * * *'}, probes: [luck], limits: {duration: soon}, faults: [{kind: kill, for: 2h, count: 0, targets: {}}]}\n",
    ));
    expect![[r#"
        spec.schedule.timeZone: Invalid value: "Mars/Base": "Mars/Base" is no IANA time zone such as Europe/Berlin or UTC
        spec.faults: Required value: a game day without faults tests nothing"#]]
    .assert_eq(&reading(
        &KIND,
        "metadata: {name: d}\nspec: {schedule: {cron: '@daily', timeZone: Mars/Base}, faults: []}\n",
    ));
}

#[test]
fn a_row_tells_schedule_and_verdict() {
    expect![[r#"
        Name: "sites"
        Schedule: "0 10 * * MON"
        Dry Run: "yes"
        Phase: "Idle"
        Verdict: "<none>"
        Age: "0s"
        Runs: "0"
        Zone: "Europe/Berlin""#]]
    .assert_eq(&row(&KIND, &object(&KIND, GAME_DAY), NOW));
}
