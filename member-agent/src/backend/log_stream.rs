//! A stored log as a stream: read, filter, wait for more while the pod runs.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;

use super::log_filter::{LineCount, LogFilter};
use super::log_reader::LogReader;
use super::logs::{LogOptions, LogStream};

/// How often a followed log is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// About how much is handed on at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Tells whether nothing more will be written. Called on a thread that may block.
pub(crate) type HasEnded = Box<dyn Fn() -> bool + Send>;

/// How a log is followed.
pub(crate) struct Following {
    pub(crate) has_ended: HasEnded,
    /// How often it is looked at.
    pub(crate) look_again: Duration,
}

impl Following {
    /// Until something has ended.
    pub(crate) fn new(has_ended: HasEnded) -> Following {
        Following { has_ended, look_again: LOOK_AGAIN }
    }
}

/// Streams the log at `path`.
pub(crate) fn stream_log(path: PathBuf, options: LogOptions, following: Following) -> LogStream {
    let reading = Reading { path, options, following, open: None };
    stream::unfold(Some(reading), |reading| async move { next_chunk(reading?).await }).boxed()
}

struct Reading {
    path: PathBuf,
    options: LogOptions,
    following: Following,
    open: Option<(LogReader, LogFilter)>,
}

enum Step {
    Chunk(Vec<u8>),
    NothingYet,
    End,
}

/// A stream item with what is left to read; nothing is left after an error.
type Item = Option<(io::Result<Bytes>, Option<Reading>)>;

async fn next_chunk(mut reading: Reading) -> Item {
    loop {
        let stepped = tokio::task::spawn_blocking(move || {
            let step = reading.step();
            (reading, step)
        });
        let (back, step) = match stepped.await {
            Ok(stepped) => stepped,
            Err(error) => return Some((Err(io::Error::other(error)), None)),
        };
        reading = back;
        match step {
            Ok(Step::Chunk(bytes)) => return Some((Ok(Bytes::from(bytes)), Some(reading))),
            Ok(Step::NothingYet) => tokio::time::sleep(reading.following.look_again).await,
            Ok(Step::End) => return None,
            Err(error) => return Some((Err(error), None)),
        }
    }
}

impl Reading {
    fn step(&mut self) -> io::Result<Step> {
        // Asked before reading, so that nothing written before the end is missed.
        let over = !self.options.follow || (self.following.has_ended)();
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        let Some((reader, filter)) = &mut self.open else { return Ok(Step::End) };
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES && !filter.is_full() {
            let Some(entry) = reader.next_entry()? else { break };
            filter.push(&entry, &mut chunk);
        }
        Ok(match (chunk.is_empty(), over || filter.is_full()) {
            (false, _) => Step::Chunk(chunk),
            (true, true) => Step::End,
            (true, false) => Step::NothingYet,
        })
    }

    /// With `tail_lines` the log is read twice, so that memory does not grow with it.
    fn begin(&self) -> io::Result<(LogReader, LogFilter)> {
        let now = Timestamp::now();
        let mut lines_to_skip = 0;
        if let Some(tail_lines) = self.options.tail_lines {
            let mut reader = LogReader::open(&self.path)?;
            let filter = LogFilter::new(&self.options, now, 0);
            let mut lines = LineCount::default();
            while let Some(entry) = reader.next_entry()? {
                filter.count(&entry, &mut lines);
            }
            lines_to_skip = lines.total().saturating_sub(tail_lines);
        }
        Ok((LogReader::open(&self.path)?, LogFilter::new(&self.options, now, lines_to_skip)))
    }
}
