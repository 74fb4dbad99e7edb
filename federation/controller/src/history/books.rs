//! The ledger added up: by day, namespace and member, so that a question over a year reads no record but those of the day
//! at its edge. By label, job or run the records themselves are read.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use muster_model::{CostKind, CostLine, TimeMs};
use muster_proto::history::{Booked, decode_booking};

use super::frame;
use super::stream::Page;

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Rows of an answer by job or run; a question with more must be narrowed.
pub const ROWS_MAX: usize = 20_000;

/// What costs are added up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The tenant.
    Namespace,
    /// The member.
    Cluster,
    /// The job, `NAMESPACE/NAME`.
    Job,
    /// The attempt, `NAMESPACE/NAME@EPOCH`.
    Run,
    /// The value of a label of the job; empty if it has none.
    Label(String),
    /// All labels of the job, `KEY=VALUE`: a job with two labels counts under both.
    Labels,
}

/// Sums of some bookings. Wide enough that nothing is ever cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Attempts.
    pub runs: u64,
    /// Micro-dollars by [`CostKind`].
    pub lines: [i128; 5],
    /// GPU-milliseconds that were paid for.
    pub gpu_ms: u128,
    /// GPU-milliseconds of work that was lost.
    pub lost_gpu_ms: u128,
}

impl Sums {
    /// Takes lines of a bill in.
    pub fn add_lines(&mut self, lines: &[CostLine]) {
        for line in lines {
            self.lines[line.kind as usize] += i128::from(line.amount.0);
        }
    }

    /// All lines together, in micro-dollars.
    pub fn total(&self) -> i128 {
        self.lines.iter().sum()
    }

    /// One line.
    pub fn line(&self, kind: CostKind) -> i128 {
        self.lines[kind as usize]
    }

    /// Takes others in.
    pub fn plus(&mut self, other: &Sums) {
        self.runs += other.runs;
        self.lines.iter_mut().zip(other.lines).for_each(|(line, more)| *line += more);
        self.gpu_ms += other.gpu_ms;
        self.lost_gpu_ms += other.lost_gpu_ms;
    }

    fn minus(&mut self, other: &Sums) {
        self.runs = self.runs.saturating_sub(other.runs);
        self.lines.iter_mut().zip(other.lines).for_each(|(line, less)| *line -= less);
        self.gpu_ms = self.gpu_ms.saturating_sub(other.gpu_ms);
        self.lost_gpu_ms = self.lost_gpu_ms.saturating_sub(other.lost_gpu_ms);
    }
}

/// What is asked of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostQuery {
    /// Added up by this.
    pub by: By,
    /// Attempts that were booked from here on.
    pub since: TimeMs,
    /// Bookings up to this one: the ledger as a state has it, however far the books are.
    pub up_to: u64,
}

/// One row of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostRow {
    /// Of whom.
    pub name: Arc<str>,
    /// How much.
    pub sums: Sums,
}

/// Day since 1970, namespace, member.
type Cell = (u64, Arc<str>, Arc<str>);

/// Sums by day, namespace and member.
#[derive(Clone, Debug, Default)]
pub struct Books {
    cells: BTreeMap<Cell, Sums>,
}

impl Books {
    /// Takes a booking in.
    pub fn add(&mut self, booked: &Booked) {
        self.cells.entry(cell_of(booked)).or_default().plus(&sums_of(booked));
    }

    /// Takes a booking out that retention drops.
    pub fn forget(&mut self, booked: &Booked) {
        let cell = cell_of(booked);
        let Some(sums) = self.cells.get_mut(&cell) else { return };
        sums.minus(&sums_of(booked));
        if sums.runs == 0 {
            self.cells.remove(&cell);
        }
    }

    /// Sums of whole days, this one and those behind it.
    pub fn since_day(&self, day: u64, by: &By) -> BTreeMap<Arc<str>, Sums> {
        let mut rows: BTreeMap<Arc<str>, Sums> = BTreeMap::new();
        for ((_, namespace, cluster), sums) in self.cells.range((day, "".into(), "".into())..) {
            let name = if *by == By::Cluster { cluster } else { namespace };
            match rows.get_mut(name) {
                Some(row) => row.plus(sums),
                None => drop(rows.insert(Arc::clone(name), *sums)),
            }
        }
        rows
    }
}

/// What must be read to answer a question, taken at one moment.
#[derive(Clone, Debug)]
pub struct Question {
    /// The question.
    pub query: CostQuery,
    /// Sums of whole days, where they serve.
    pub days: BTreeMap<Arc<str>, Sums>,
    /// The ledger's segments, oldest first.
    pub pages: Vec<Page>,
}

impl Question {
    /// A question to these books.
    pub fn new(query: CostQuery, books: &Books, pages: Vec<Page>) -> Question {
        let days = match query.by {
            By::Namespace | By::Cluster => books.since_day(first_whole_day(query.since), &query.by),
            By::Job | By::Run | By::Label(_) | By::Labels => BTreeMap::new(),
        };
        Question { query, days, pages }
    }

    /// The rows in order of name; `None`: there are too many.
    ///
    /// # Errors
    /// The disk's.
    pub fn answer(self) -> io::Result<Option<Vec<CostRow>>> {
        let CostQuery { by, since, up_to } = &self.query;
        let is_summed = matches!(by, By::Namespace | By::Cluster);
        let edge = first_whole_day(*since).saturating_mul(DAY_MS);
        let mut rows = self.days;
        let ends = self.pages.iter().skip(1).map(|next| (next.segment.first_time_ms, next.name.0));
        for (page, (end_ms, next_key)) in self.pages.iter().zip(ends.chain([(u64::MAX, u64::MAX)])) {
            // What the sums hold is not read, unless it was booked behind the state that asks.
            let holds_edge = end_ms >= since.0 && (!is_summed || page.segment.first_time_ms < edge);
            let holds_newer = is_summed && next_key > *up_to;
            if !holds_edge && !holds_newer {
                continue;
            }
            for record in frame::records(&page.read()?) {
                let is_in_sums = is_summed && record.time_ms >= edge;
                let is_newer = record.key > *up_to;
                if record.time_ms < since.0 || is_in_sums != is_newer {
                    continue;
                }
                let Ok(booked) = decode_booking(record.payload) else { continue };
                let sums = sums_of(&booked);
                for name in names_of(&booked, by) {
                    let row = rows.entry(name).or_default();
                    if is_newer { row.minus(&sums) } else { row.plus(&sums) }
                }
                if rows.len() > ROWS_MAX {
                    return Ok(None);
                }
            }
        }
        let rows = rows.into_iter().filter(|(_, sums)| sums.runs > 0);
        Ok(Some(rows.map(|(name, sums)| CostRow { name, sums }).collect()))
    }
}

/// The first day that begins at or after this.
fn first_whole_day(since: TimeMs) -> u64 {
    since.0.div_ceil(DAY_MS)
}

fn cell_of(booked: &Booked) -> Cell {
    let run = &booked.booking.run;
    (booked.booking.time.0 / DAY_MS, Arc::clone(&run.job.namespace), run.cluster.as_str().into())
}

fn sums_of(booked: &Booked) -> Sums {
    let run = &booked.booking.run;
    let mut sums = Sums { runs: 1, ..Sums::default() };
    sums.add_lines(&run.cost);
    sums.gpu_ms = booked.booking.gpu_ms.into();
    sums.lost_gpu_ms = run.lost_gpu_ms.into();
    sums
}

/// The rows a booking belongs to.
fn names_of(booked: &Booked, by: &By) -> Vec<Arc<str>> {
    let run = &booked.booking.run;
    let name = match by {
        By::Namespace => Arc::clone(&run.job.namespace),
        By::Cluster => run.cluster.as_str().into(),
        By::Job => format!("{}/{}", run.job.namespace, run.job.name).into(),
        By::Run => format!("{}/{}@{}", run.job.namespace, run.job.name, run.epoch.0).into(),
        By::Label(key) => booked.labels.get(key.as_str()).map_or_else(|| "".into(), Arc::clone),
        By::Labels => {
            let pair = |(key, value): (&Arc<str>, &Arc<str>)| format!("{key}={value}").into();
            return booked.labels.iter().map(pair).collect();
        }
    };
    vec![name]
}
