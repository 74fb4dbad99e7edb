//! One thing that is wrong, where, and what to do.

use std::fmt;

/// Ordered by file, then line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    path: String,
    line: usize,
    text: String,
}

impl Problem {
    /// A problem of a whole file.
    pub fn file(path: &str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, text: text.into() }
    }

    /// A problem at a line, counted from 1.
    pub fn line(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.text),
            line => write!(f, "{}:{line}: {}", self.path, self.text),
        }
    }
}
