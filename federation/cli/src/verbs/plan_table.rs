//! The price table of `muster plan`: clusters in the hub's order, the chosen one marked, each amount with what it rests on.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};
use serde_json::Value;

use super::money::dollars;
use super::screen::{Paint, Tone, harmless};

/// Columns with amounts.
const AMOUNTS: [usize; 2] = [2, 4];

/// What is printed on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page {
    /// Columns; `None` never wraps.
    pub width: Option<u16>,
    /// Colours.
    pub paint: Paint,
}

impl Page {
    /// Standard output: as wide as the terminal, or endless for another program.
    pub fn stdout() -> Page {
        Page { width: Table::new().width(), paint: Paint::stdout() }
    }
}

/// A headline and a table for each job.
pub fn render(jobs: &[Value], page: Page) -> String {
    jobs.iter().map(|job| one(job, page)).collect::<Vec<_>>().join("\n")
}

fn one(job: &Value, page: Page) -> String {
    let clusters = job["clusters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut out = format!("{}\n", headline(job, clusters, page.paint));
    if !clusters.is_empty() {
        out.push_str(&table(clusters, job["chosen"].as_str(), page));
    }
    out
}

fn headline(job: &Value, clusters: &[Value], paint: Paint) -> String {
    let name = paint.tone(Tone::Strong, &text(&job["job"]));
    let verdict = text(&job["verdict"]);
    if let (Some(chosen), "now") = (job["chosen"].as_str(), verdict.as_str()) {
        let total = clusters
            .iter()
            .find(|cluster| cluster["name"] == chosen)
            .and_then(|cluster| cluster["total"].as_str());
        let price = total.map(|total| format!(" for {}", dollars(total))).unwrap_or_default();
        return format!("{name}: {}, on {chosen}{price}", paint.word("now"));
    }
    let summary = job["summary"].as_str().map(harmless).unwrap_or_else(|| match verdict.as_str() {
        "wait" => "no cluster can take it now".to_owned(),
        _ => "no cluster can take it as it is".to_owned(),
    });
    format!("{name}: {}: {summary}", paint.word(&verdict))
}

fn table(clusters: &[Value], chosen: Option<&str>, page: Page) -> String {
    let mut table = Table::new();
    // Width and colours come from the page alone, so that the text depends on nothing else.
    table.load_style(comfy_table::presets::NOTHING).force_no_tty();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = page.width {
        table.set_width(width);
    }
    if page.paint.is_on() {
        table.enforce_styling();
    }
    table.set_header(["", "CLUSTER", "TOTAL", "LINE", "AMOUNT", "BASIS"]);
    for cluster in clusters {
        let is_chosen = chosen.is_some_and(|chosen| cluster["name"] == chosen);
        rows(cluster, is_chosen).into_iter().for_each(|row| {
            table.add_row(row);
        });
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for place in AMOUNTS {
        if let Some(column) = table.column_mut(place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// One row per line of the price, and two for a refusal; the first one names the cluster.
fn rows(cluster: &Value, is_chosen: bool) -> Vec<Vec<Cell>> {
    let lines = cluster["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut details: Vec<[Cell; 3]> = lines
        .iter()
        .map(|line| {
            [
                Cell::new(kind(&text(&line["kind"]))),
                Cell::new(dollars(&text(&line["amount"]))),
                Cell::new(text(&line["basis"])),
            ]
        })
        .collect();
    let rejected = &cluster["rejected"];
    for (word, field, color) in [("no", "reason", Color::Red), ("fix", "fix", Color::Yellow)] {
        if rejected[field].is_string() {
            details.push([Cell::new(word).fg(color), Cell::new(""), Cell::new(text(&rejected[field]))]);
        }
    }
    if details.is_empty() {
        details.push([Cell::new(""), Cell::new(""), Cell::new("")]);
    }
    let mark = if is_chosen { Cell::new(">").fg(Color::Green) } else { Cell::new("") };
    let name = Cell::new(text(&cluster["name"]));
    let name = if is_chosen { name.add_attribute(Attribute::Bold) } else { name };
    let total = Cell::new(cluster["total"].as_str().map_or("-".to_owned(), dollars));
    let mut first = Some([mark, name, total]);
    let mut leading = || first.take().unwrap_or_else(|| [(); 3].map(|()| Cell::new("")));
    details.into_iter().map(|detail| leading().into_iter().chain(detail).collect()).collect()
}

/// The kind of a line in words.
fn kind(kind: &str) -> &str {
    match kind {
        "transferWait" => "transfer wait",
        "queueWait" => "queue wait",
        other => other,
    }
}

fn text(value: &Value) -> String {
    harmless(value.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!([
            {"job": "default/train", "verdict": "now", "chosen": "aws-use1-spot", "revision": "41", "clusters": [
                {"name": "aws-use1-spot", "feasible": true, "total": "8.656512", "lines": [
                    {"kind": "compute", "amount": "8.650504", "basis": "8 x NVIDIA-A100-SXM4-80GB x 1h at $1.081313 spot"},
                    {"kind": "waste", "amount": "0.000303", "basis": "0.00007 interruptions/h, half of 1h lost each"},
                    {"kind": "egress", "amount": "0", "basis": "all data is in aws/us-east-1"}]},
                {"name": "gcp-usc1-spot", "feasible": true, "total": "34.676368", "lines": [
                    {"kind": "compute", "amount": "22.076368", "basis": "8 x NVIDIA-A100-SXM4-80GB x 1h at $2.759546 spot"},
                    {"kind": "egress", "amount": "12.6", "basis": "140Gi from aws/us-east-1 at $0.09/GiB"},
                    {"kind": "transferWait", "amount": "0", "basis": "5m at $0/h"}]},
                {"name": "onprem-paris", "feasible": false, "rejected": {
                    "reason": "has no NVIDIA-A100-SXM4-80GB", "fix": "allow NVIDIA-L4 in gpus.anyOf"}}]},
            {"job": "default/huge", "verdict": "never", "summary": "no cluster can ever take it as it is; aws-use1-spot: 64 GPUs on one node", "clusters": [
                {"name": "aws-use1-spot", "feasible": false, "total": "69.20", "lines": [
                    {"kind": "compute", "amount": "69.20", "basis": "64 x NVIDIA-A100-SXM4-80GB x 1h"}],
                    "rejected": {"reason": "64 GPUs on one node: nodes have 8", "fix": "split it into pods of 8 GPUs"}}]},
        ])
    }

    fn check(page: Page, want: &Expect) {
        want.assert_eq(&render(sample().as_array().unwrap(), page));
    }

    #[test]
    fn for_a_program() {
        check(
            Page::default(),
            &expect![[r#"
            default/train: now, on aws-use1-spot for $8.66
               CLUSTER         TOTAL  LINE           AMOUNT  BASIS
            >  aws-use1-spot   $8.66  compute         $8.65  8 x NVIDIA-A100-SXM4-80GB x 1h at $1.081313 spot
                                      waste          <$0.01  0.00007 interruptions/h, half of 1h lost each
                                      egress          $0.00  all data is in aws/us-east-1
               gcp-usc1-spot  $34.68  compute        $22.08  8 x NVIDIA-A100-SXM4-80GB x 1h at $2.759546 spot
                                      egress         $12.60  140Gi from aws/us-east-1 at $0.09/GiB
                                      transfer wait   $0.00  5m at $0/h
               onprem-paris        -  no                     has no NVIDIA-A100-SXM4-80GB
                                      fix                    allow NVIDIA-L4 in gpus.anyOf

            default/huge: never: no cluster can ever take it as it is; aws-use1-spot: 64 GPUs on one node
               CLUSTER         TOTAL  LINE     AMOUNT  BASIS
               aws-use1-spot  $69.20  compute  $69.20  64 x NVIDIA-A100-SXM4-80GB x 1h
                                      no               64 GPUs on one node: nodes have 8
                                      fix              split it into pods of 8 GPUs
        "#]],
        );
    }

    #[test]
    fn on_a_narrow_terminal() {
        check(
            Page { width: Some(80), ..Page::default() },
            &expect![[r#"
            default/train: now, on aws-use1-spot for $8.66
               CLUSTER         TOTAL  LINE           AMOUNT  BASIS
            >  aws-use1-spot   $8.66  compute         $8.65  8 x NVIDIA-A100-SXM4-80GB x
                                                             1h at $1.081313 spot
                                      waste          <$0.01  0.00007 interruptions/h, half
                                                             of 1h lost each
                                      egress          $0.00  all data is in aws/us-east-1
               gcp-usc1-spot  $34.68  compute        $22.08  8 x NVIDIA-A100-SXM4-80GB x
                                                             1h at $2.759546 spot
                                      egress         $12.60  140Gi from aws/us-east-1 at
                                                             $0.09/GiB
                                      transfer wait   $0.00  5m at $0/h
               onprem-paris        -  no                     has no NVIDIA-A100-SXM4-80GB
                                      fix                    allow NVIDIA-L4 in gpus.anyOf

            default/huge: never: no cluster can ever take it as it is; aws-use1-spot: 64 GPUs on one node
               CLUSTER         TOTAL  LINE     AMOUNT  BASIS
               aws-use1-spot  $69.20  compute  $69.20  64 x NVIDIA-A100-SXM4-80GB x 1h
                                      no               64 GPUs on one node: nodes have 8
                                      fix              split it into pods of 8 GPUs
        "#]],
        );
    }

    #[test]
    fn a_job_that_no_cluster_was_asked_about() {
        let job = json!({"job": "a/b", "verdict": "never", "summary": "placement \"x\" is not there", "clusters": []});
        assert_eq!(render(&[job], Page::default()), "a/b: never: placement \"x\" is not there\n");
    }
}
