//! Plans and reports of game days as text.

use std::fmt::Write;

use serde_json::Value;

use super::grid::grid;

/// A dry run.
pub fn plan_text(answer: &Value) -> String {
    let name = word(answer, "gameDay");
    let mut out = String::new();
    let rows: Vec<Vec<String>> = items(answer, "steps")
        .iter()
        .map(|step| {
            let after = format!("+{}s", step["afterSeconds"]);
            let lasts = format!("{}s", step["forSeconds"]);
            vec![after, word(step, "kind"), word(step, "target"), lasts, word(step, "effect")]
        })
        .collect();
    if !rows.is_empty() {
        out.push_str(&grid(&["AT", "FAULT", "TARGET", "FOR", "EFFECT"], &rows));
        let _ = writeln!(out, "\nplan {}", word(answer, "planHash"));
    }
    let next: Vec<&str> = items(answer, "next").iter().filter_map(Value::as_str).collect();
    if !next.is_empty() {
        let _ = writeln!(out, "by schedule at {}", next.join(", "));
    }
    match answer["refused"].as_str() {
        Some(reason) => {
            let _ = writeln!(out, "may not run: {reason}");
        }
        None => {
            let hash = word(answer, "planHash");
            let _ = writeln!(out, "nothing was done; `muster gameday run {name} --plan-hash {hash}` does it");
        }
    }
    out
}

/// A report.
pub fn report_text(name: &str, report: &Value) -> String {
    let mut out = format!(
        "gameday/{name} run {}: {}: {}\nfrom {} to {} ({}), plan {} approved by {}, seed {}\n\n",
        report["number"],
        word(report, "verdict"),
        word(report, "reason"),
        word(report, "startedAt"),
        word(report, "endedAt"),
        word(report, "duration"),
        word(report, "planHash"),
        word(report, "approvedBy"),
        word(report, "seed"),
    );
    let steps: Vec<Vec<String>> = items(report, "steps").iter().map(step_row).collect();
    out.push_str(&grid(&["FAULT", "TARGET", "ACTIVE", "REVERTED", "LATE"], &steps));
    let probes: Vec<Vec<String>> = items(report, "probes").iter().map(probe_row).collect();
    out.push('\n');
    out.push_str(&grid(&["PROBE", "SAMPLES", "FAILURES"], &probes));
    out.push('\n');
    for entry in items(report, "timeline") {
        let _ = writeln!(out, "{}  {}", word(entry, "at"), word(entry, "what"));
    }
    out
}

fn step_row(step: &Value) -> Vec<String> {
    let late = step["revertLatencyMs"].as_u64().map_or("-".to_owned(), |ms| format!("{ms}ms"));
    vec![word(step, "kind"), word(step, "target"), word(step, "activeAt"), word(step, "revertedAt"), late]
}

fn probe_row(probe: &Value) -> Vec<String> {
    vec![word(probe, "probe"), probe["samples"].to_string(), probe["failures"].to_string()]
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn word(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_says_what_it_would_do_and_how_to_do_it() {
        let step = json!({"kind": "kill", "target": "a", "afterSeconds": 0, "forSeconds": 5, "effect": "a has no agent"});
        let plan =
            json!({"gameDay": "d", "planHash": "00ff", "mayRun": true, "steps": [step], "next": ["t"]});
        expect![[r#"
            AT    FAULT   TARGET   FOR   EFFECT
            +0s   kill    a        5s    a has no agent

            plan 00ff
            by schedule at t
            nothing was done; `muster gameday run d --plan-hash 00ff` does it
        "#]]
        .assert_eq(&plan_text(&plan));
        let refused = json!({"gameDay": "d", "mayRun": false, "refused": "spec.faults[0].targets: 1 wanted", "next": []});
        assert_eq!(plan_text(&refused), "may not run: spec.faults[0].targets: 1 wanted\n");
    }

    #[test]
    fn a_report_is_read_from_top_to_bottom() {
        let report = json!({"number": 2, "verdict": "Passed", "reason": "all held", "startedAt": "t0", "endedAt": "t9",
            "duration": "9s", "planHash": "00ff", "approvedBy": "remi", "seed": "7",
            "steps": [{"kind": "kill", "target": "a", "activeAt": "t1", "revertedAt": "t2", "revertLatencyMs": 12}],
            "probes": [{"probe": "noLostJob", "samples": 9, "failures": 0}],
            "timeline": [{"at": "t0", "what": "begun by remi"}]});
        expect![[r#"
            gameday/d run 2: Passed: all held
            from t0 to t9 (9s), plan 00ff approved by remi, seed 7

            FAULT   TARGET   ACTIVE   REVERTED   LATE
            kill    a        t1       t2         12ms

            PROBE       SAMPLES   FAILURES
            noLostJob   9         0

            t0  begun by remi
        "#]]
        .assert_eq(&report_text("d", &report));
    }
}
