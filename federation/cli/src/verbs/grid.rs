//! Aligned columns without lines, as kubectl prints them.

/// Space between two columns.
const GAP: usize = 3;

/// Widths of columns. They only grow, so that the lines of a watch stay aligned.
#[derive(Clone, Debug, Default)]
pub struct Widths(Vec<usize>);

impl Widths {
    /// Makes room for a row.
    pub fn fit(&mut self, row: &[String]) {
        self.0.resize(self.0.len().max(row.len()), 0);
        for (width, cell) in self.0.iter_mut().zip(row) {
            *width = (*width).max(length(cell));
        }
    }

    /// A row as a line.
    pub fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            line.push_str(cell);
            let width = self.0.get(i).copied().unwrap_or_default();
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(length(cell)) + GAP));
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

/// Rows under a header.
pub fn grid(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|title| (*title).to_owned()).collect();
    let all = || std::iter::once(&header).chain(rows);
    let mut widths = Widths::default();
    all().for_each(|row| widths.fit(row));
    all().map(|row| widths.line(row)).collect()
}

/// `Name:  value` lines, values aligned. Further lines of a value stand under its first.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| length(name)).max().unwrap_or_default() + 1 + GAP;
    let mut out = String::new();
    for (name, value) in pairs {
        let label = format!("{name}:");
        let mut lines = value.lines();
        out.push_str(format!("{label:width$}{}", lines.next().unwrap_or_default()).trim_end());
        for line in lines {
            out.push_str(&format!("\n{:width$}{line}", ""));
        }
        out.push('\n');
    }
    out
}

/// Columns that a text takes; colour codes take none.
fn length(text: &str) -> usize {
    let mut columns = 0;
    let mut in_code = false;
    for c in text.chars() {
        match (in_code, c) {
            (false, '\x1b') => in_code = true,
            (true, 'm') => in_code = false,
            (true, _) => {}
            (false, _) => columns += 1,
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_text() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["long-name", "", "x"]), row(["b", "\x1b[32mgrün\x1b[0m", ""])];
        expect![[r#"
            NAME        STATUS   AGE
            long-name            x
            b           [32mgrün[0m
        "#]]
        .assert_eq(&grid(&["NAME", "STATUS", "AGE"], &rows));
    }

    #[test]
    fn values_stand_under_each_other() {
        expect![[r#"
            Name:     a
            Labels:   x=1
                      y=2
        "#]]
        .assert_eq(&pairs(&[("Name", "a".to_owned()), ("Labels", "x=1\ny=2".to_owned())]));
    }
}
