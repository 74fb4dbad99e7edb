//! Prices from files into a `PriceBook`: what clouds and their users publish as CSV, and figures of one's own.
//!
//! ```text
//!  file --shape--> rows --read--> quotes | refused, by line and field
//!                                   |
//!  PriceBook --------------------> merge --> PriceBook', changes, refused, figures that are held
//! ```
//!
//! A figure that is stale, negative, no number, or far from the last good one is refused and never taken: the last good one
//! stays, and says that a newer one was refused (S22). Nothing here reads a file, a clock or a hub: all of that is given.

mod decimal;
mod document;
mod instances;
mod lines;
mod merge;
mod own;
mod quote;
mod shape;

#[cfg(test)]
mod tests;

pub use merge::{Change, Import, import};

use muster_model::{DurationMs, TimeMs};

/// A file to import.
#[derive(Clone, Copy, Debug)]
pub struct PriceFile<'a> {
    /// How errors name it.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// Whose shapes the files have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Amazon Web Services.
    Aws,
    /// Google Cloud.
    Gcp,
    /// Microsoft Azure.
    Azure,
    /// Figures of one's own: the fields of a `PriceBook` as columns, or as JSON.
    Own,
}

impl Provider {
    /// As `location.provider` names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Aws => "aws",
            Provider::Gcp => "gcp",
            Provider::Azure => "azure",
            Provider::Own => "own",
        }
    }
}

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Whose shapes the files have.
    pub provider: Provider,
    /// Where the figures are from, unless a row says so.
    pub source: Option<String>,
    /// When they were true, unless a row or the file's name says so.
    pub as_of: Option<TimeMs>,
    /// The region of rows that name none.
    pub region: Option<String>,
    /// Only these regions; empty: all.
    pub only: Vec<String>,
    /// Figures older than this are refused, and said to be stale later on.
    pub max_age: DurationMs,
    /// A figure more than so many times the last good one, or less than that part of it, is refused; in thousandths.
    pub max_jump_milli: u64,
    /// Now.
    pub now: TimeMs,
}

/// A line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// The line, from 1; 0: the whole file.
    pub line: usize,
    /// The column or field.
    pub field: String,
    /// Why.
    pub reason: String,
    /// The time of a figure that is refused for its age.
    pub as_of: Option<TimeMs>,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}: {}", self.file, self.field, self.reason),
            line => write!(f, "{}:{line}: {}: {}", self.file, self.field, self.reason),
        }
    }
}
