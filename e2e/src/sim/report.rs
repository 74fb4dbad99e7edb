//! What a run did, as tables for people: a simulator that finds nothing is suspect until it says what it did not reach.

use std::fmt::{self, Display, Formatter};

use super::counts::Counts;
use super::coverage::{GRIDS, Grid};
use super::fault::FaultKind;

/// The report of many seeds.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a>(pub &'a Counts);

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.totals(f)?;
        self.faults(f)?;
        self.pairs(f)?;
        GRIDS.iter().try_for_each(|grid| self.grid(grid, f))
    }
}

impl Report<'_> {
    fn totals(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let total = self.0;
        writeln!(f, "virtual time      {} s", total.virtual_ms / 1_000)?;
        writeln!(f, "operations        {} begun, {} answered", total.operations, total.answered)?;
        writeln!(f, "jobs acknowledged {}", total.jobs)?;
        writeln!(f, "attempts granted  {}, {} of them fenced", total.grants, total.fenced)?;
        writeln!(f, "entries committed {} in {} terms", total.entries, total.terms)?;
        writeln!(f, "messages hurt     {}", total.messages_hurt)
    }

    fn times(&self, kind: FaultKind) -> u64 {
        self.0.faults.get(&kind).copied().unwrap_or_default()
    }

    fn faults(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<9} {:<26} {:>7}  beside", "theme", "fault", "times")?;
        for kind in FaultKind::ALL {
            let theme = format!("{:?}", kind.theme()).to_lowercase();
            let beside = FaultKind::ALL.iter().filter(|other| self.overlapped(*kind, **other)).count();
            writeln!(f, "{theme:<9} {:<26} {:>7}  {beside:>6}", kind.name(), self.times(*kind))?;
        }
        let struck: Vec<FaultKind> =
            FaultKind::ALL.iter().copied().filter(|kind| self.times(*kind) > 0).collect();
        writeln!(f, "{} of {} kinds struck", struck.len(), FaultKind::ALL.len())?;
        never(
            f,
            "never struck",
            FaultKind::ALL.iter().filter(|kind| !struck.contains(kind)).map(|kind| kind.name()),
        )
    }

    fn overlapped(&self, one: FaultKind, other: FaultKind) -> bool {
        self.0.pairs.contains_key(&(one.min(other), one.max(other)))
    }

    fn pairs(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kinds = FaultKind::ALL;
        let all = kinds
            .iter()
            .enumerate()
            .flat_map(|(at, one)| kinds[at..].iter().map(move |other| (*one, *other)));
        let missing: Vec<String> = all
            .clone()
            .filter(|(one, other)| !self.overlapped(*one, *other))
            .map(|(one, other)| format!("{} + {}", one.name(), other.name()))
            .collect();
        let count = all.count();
        writeln!(f, "\npairs of faults that overlapped: {} of {count}", count - missing.len())?;
        never(f, "never together", missing.iter().map(String::as_str))
    }

    fn grid(&self, grid: &Grid, f: &mut Formatter<'_>) -> fmt::Result {
        let cells = (grid.cells)(&self.0.coverage);
        writeln!(f, "\n{}: {} branches", grid.title, cells.len())?;
        for row in grid.rows {
            let taken = cells.iter().filter(|((of, _), _)| of == row);
            let taken: Vec<String> = taken.map(|((_, what), times)| format!("{what} {times}")).collect();
            let text = if taken.is_empty() { "never".to_owned() } else { taken.join(", ") };
            writeln!(f, "  {row:<20} {text}")?;
        }
        never(f, "  never followed", grid.columns_never(&self.0.coverage).into_iter())
    }
}

fn never<'a>(f: &mut Formatter<'_>, what: &str, names: impl Iterator<Item = &'a str>) -> fmt::Result {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { Ok(()) } else { writeln!(f, "{what}: {}", names.join(", ")) }
}
