//! The server's Table: its columns, its cells.

use serde_json::Value;

use super::screen::harmless;

/// Asks for a Table, and takes objects from a server that has none.
pub const ACCEPT: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Which columns are shown beside the server's.
#[derive(Clone, Debug, Default)]
pub struct Show {
    /// Columns of lower priority.
    pub wide: bool,
    /// The namespace, first.
    pub namespace: bool,
    /// Before each name, such as `job.batch/`; empty for nothing.
    pub prefix: String,
}

/// A Table, read.
#[derive(Clone, Debug, Default)]
pub struct ServerTable {
    columns: Vec<Column>,
    show: Show,
}

#[derive(Clone, Debug)]
struct Column {
    title: String,
    place: usize,
    is_name: bool,
}

impl ServerTable {
    /// The columns that a Table brings.
    pub fn new(table: &Value, show: Show) -> ServerTable {
        let definitions = table["columnDefinitions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let shown = definitions
            .iter()
            .enumerate()
            .filter(|(_, column)| show.wide || column["priority"].as_u64().unwrap_or(0) == 0);
        let columns = shown.map(|(place, column)| Column {
            title: column["name"].as_str().unwrap_or_default().to_uppercase(),
            place,
            is_name: column["format"] == "name",
        });
        ServerTable { columns: columns.collect(), show }
    }

    /// The titles.
    pub fn header(&self) -> Vec<String> {
        let namespace = self.show.namespace.then(|| "NAMESPACE".to_owned());
        namespace.into_iter().chain(self.columns.iter().map(|column| column.title.clone())).collect()
    }

    /// The rows of a Table with these columns.
    pub fn rows(&self, table: &Value) -> Vec<Vec<String>> {
        let rows = table["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.iter().map(|row| self.row(row)).collect()
    }

    /// Where a column stands among those shown.
    pub fn position(&self, title: &str) -> Option<usize> {
        self.header().iter().position(|shown| shown == title)
    }

    fn row(&self, row: &Value) -> Vec<String> {
        let namespace = &row["object"]["metadata"]["namespace"];
        let namespace = self.show.namespace.then(|| namespace.as_str().unwrap_or_default().to_owned());
        let cells = self.columns.iter().map(|column| {
            let cell = text(&row["cells"][column.place]);
            if column.is_name { format!("{}{cell}", self.show.prefix) } else { cell }
        });
        namespace.into_iter().chain(cells).collect()
    }
}

/// A cell as one line.
fn text(cell: &Value) -> String {
    match cell {
        Value::Null => "<none>".to_owned(),
        Value::String(text) => harmless(text.lines().next().unwrap_or_default()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;
    use crate::verbs::grid::Widths;

    fn check(show: Show, want: &Expect) {
        let table = json!({
            "columnDefinitions": [
                {"name": "Name", "format": "name", "priority": 0}, {"name": "Completions", "priority": 0},
                {"name": "Images", "priority": 1}],
            "rows": [{"cells": ["train", 1, "a:1"], "object": {"metadata": {"namespace": "team-a"}}},
                     {"cells": ["x", null, "two\nlines"], "object": {"metadata": {"namespace": "b"}}}]});
        let server = ServerTable::new(&table, show);
        let lines: Vec<_> = std::iter::once(server.header()).chain(server.rows(&table)).collect();
        let mut widths = Widths::default();
        lines.iter().for_each(|line| widths.fit(line));
        want.assert_eq(&lines.iter().map(|line| widths.line(line)).collect::<String>());
    }

    #[test]
    fn the_servers_columns() {
        check(
            Show::default(),
            &expect![[r#"
            NAME    COMPLETIONS
            train   1
            x       <none>
        "#]],
        );
    }

    #[test]
    fn wide_with_namespace_and_kind() {
        check(
            Show { wide: true, namespace: true, prefix: "job.batch/".to_owned() },
            &expect![[r#"
            NAMESPACE   NAME              COMPLETIONS   IMAGES
            team-a      job.batch/train   1             a:1
            b           job.batch/x       <none>        two
        "#]],
        );
    }
}
