//! CSV by RFC 4180: a header, then rows of as many cells. Quoted cells may hold commas, quotes and line ends.

use std::collections::BTreeMap;

/// Lines of a file that are read; a price list has a few thousand.
const LINES_MAX: usize = 200_000;

/// One row: its line in the file, and its cells by column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// From 1.
    pub number: usize,
    cells: Vec<String>,
    columns: &'a BTreeMap<String, usize>,
}

impl Line<'_> {
    /// A cell without blanks around it; empty if there is no such column.
    pub fn cell(&self, column: &str) -> &str {
        self.columns.get(column).and_then(|at| self.cells.get(*at)).map_or("", |cell| cell.trim())
    }

    /// Whether it has as many cells as there are columns.
    pub fn is_whole(&self) -> bool {
        self.cells.len() == self.columns.len()
    }
}

/// A file cut into rows.
#[derive(Clone, Debug)]
pub struct Lines {
    columns: BTreeMap<String, usize>,
    rows: Vec<Row>,
}

impl Lines {
    /// Reads a file.
    ///
    /// # Errors
    /// Line and reason.
    pub fn read(text: &str) -> Result<Lines, (usize, String)> {
        let mut rows = cut(text.strip_prefix('\u{feff}').unwrap_or(text))?.into_iter();
        let (_, header) = rows.next().ok_or((1, "the file is empty".to_owned()))?;
        let mut columns = BTreeMap::new();
        for (at, name) in header.into_iter().enumerate() {
            let name = name.trim().to_owned();
            if columns.insert(name.clone(), at).is_some() {
                return Err((1, format!("the column {name:?} is there twice")));
            }
        }
        Ok(Lines { columns, rows: rows.collect() })
    }

    /// Whether it has all of these columns.
    pub fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.columns.contains_key(*name))
    }

    /// The names of its columns.
    pub fn header(&self) -> String {
        let mut names: Vec<_> = self.columns.iter().map(|(name, at)| (at, name.as_str())).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(",")
    }

    /// The rows behind the header.
    pub fn rows(&self) -> impl Iterator<Item = Line<'_>> {
        self.rows.iter().map(|(number, cells)| Line {
            number: *number,
            cells: cells.clone(),
            columns: &self.columns,
        })
    }
}

/// The line that a row begins on, and its cells.
type Row = (usize, Vec<String>);

/// Rows with the line they begin on; empty lines are left out.
fn cut(text: &str) -> Result<Vec<Row>, (usize, String)> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begins, mut quoted) = (1, 1, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            ('"', true) => quoted = false,
            ('"', false) if cell.is_empty() => quoted = true,
            (',', false) => row.push(std::mem::take(&mut cell)),
            ('\r', false) if chars.peek() == Some(&'\n') => {}
            ('\n', false) => {
                row.push(std::mem::take(&mut cell));
                push(&mut rows, begins, std::mem::take(&mut row));
                line += 1;
                begins = line;
            }
            (c, _) => {
                line += usize::from(c == '\n');
                cell.push(c);
            }
        }
        if rows.len() > LINES_MAX {
            return Err((line, format!("the file has more than {LINES_MAX} lines")));
        }
    }
    if quoted {
        return Err((begins, "a quote is opened and not closed".to_owned()));
    }
    row.push(cell);
    push(&mut rows, begins, row);
    Ok(rows)
}

fn push(rows: &mut Vec<Row>, line: usize, row: Vec<String>) {
    if row.len() > 1 || row.first().is_some_and(|cell| !cell.trim().is_empty()) {
        rows.push((line, row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_column() {
        let lines = Lines::read("\u{feff}a,b\r\n1,\"x, \"\"y\"\"\n z\"\n\n 3 ,4\n5\n").unwrap();
        let rows: Vec<_> = lines
            .rows()
            .map(|row| (row.number, row.cell("a").to_owned(), row.cell("b").to_owned(), row.is_whole()))
            .collect();
        let row = |number, a: &str, b: &str, whole| (number, a.to_owned(), b.to_owned(), whole);
        assert_eq!(rows, [row(2, "1", "x, \"y\"\n z", true), row(5, "3", "4", true), row(6, "5", "", false)]);
        assert_eq!(lines.header(), "a,b");
        assert_eq!(Lines::read("a,a\n").unwrap_err(), (1, "the column \"a\" is there twice".to_owned()));
        assert_eq!(Lines::read("a\n\"x").unwrap_err().0, 2);
    }
}
