//! A report as people read it.

use super::report::{Line, Report, Spread, Target};

const HEAD: [&str; 7] = ["case", "metric", "muster", "min..max", "peer", "limit", "ratio"];

/// The whole text, without colours.
pub fn render(report: &Report) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(report.summary.0.iter().map(row));
    let machine = &report.machine;
    let gib = machine.memory >> 30;
    let mut text = format!("\n{} at {}, {} cores, {gib} GiB\n", report.bench, report.commit, machine.cores);
    text.push_str(&aligned(&rows));
    report.targets.iter().for_each(|target| text.push_str(&verdict(target)));
    text
}

fn row(line: &Line) -> [String; 7] {
    let middle = |spread: Option<Spread>| spread.map_or_else(String::new, |spread| number(spread.median));
    let range = |spread: Spread| format!("{}..{}", number(spread.min), number(spread.max));
    [
        line.case.clone(),
        format!("{}, {}", line.metric, line.unit),
        middle(line.muster),
        line.muster.map_or_else(String::new, range),
        middle(line.peer),
        middle(line.limit),
        line.ratio.map_or_else(String::new, number),
    ]
}

fn verdict(target: &Target) -> String {
    let met = if target.met { "met   " } else { "MISSED" };
    format!("{met} {}: want {}, got {}\n", target.name, target.want, number(target.got))
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Names to the left, figures to the right.
fn aligned(rows: &[[String; 7]]) -> String {
    let widths: [usize; 7] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or_default());
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<String>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::report::{Bound, Report, Role, Sample, Summary, Target};
    use super::*;

    #[test]
    fn a_table_has_aligned_columns_and_verdicts() {
        let runs = vec![
            Sample::new(Role::Muster, "c32", "rate", "1/s", 4321.0),
            Sample::new(Role::Peer, "c32", "rate", "1/s", 1234.0),
            Sample::new(Role::Muster, "c32", "p50", "ms", 1.5),
        ];
        let targets = vec![Target::new("c32 rate, ours / theirs", Bound::AtLeast(3.0), 3.5)];
        let text = render(&Report::new("create", runs.clone(), Summary::of(&runs), targets));
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "case  metric     muster    min..max  peer  limit  ratio",
                "c32   rate, 1/s    4321  4321..4321  1234          3.50",
                "c32   p50, ms      1.50  1.50..1.50",
                "met    c32 rate, ours / theirs: want >= 3, got 3.50",
            ]
        );
    }
}
