//! The thread between the job's output pipes and its log.
//!
//! A thread of its own, because a disk may hang and the fence deadline may not wait for it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::log_line::{LogLine, Piece, Stream, stamp};
use super::log_writer::LogWriter;

/// The longest text of one entry; longer lines are split, as CRI runtimes do.
const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Entries are handed to the disk in batches of about this size.
const BATCH_BYTES: usize = 32 * 1024;
/// How long an unfinished line (a progress bar) is held back.
const HOLD_BACK_MS: u16 = 500;
/// The same of a terminal: a prompt has no end of line.
const TERMINAL_HOLD_BACK_MS: u16 = 10;
/// The thread needs no deep stack, and there is one per pod.
const STACK_BYTES: usize = 128 * 1024;

/// A running pump.
pub(crate) struct LogPump {
    done: Receiver<()>,
}

impl LogPump {
    /// Starts pumping until both pipes are closed by every process that holds them.
    pub(crate) fn start(stdout: File, stderr: Option<File>, log: LogWriter) -> io::Result<LogPump> {
        let (finished, done) = channel();
        let hold_back = if stderr.is_some() { HOLD_BACK_MS } else { TERMINAL_HOLD_BACK_MS };
        let mut pipes = [Pipe::new(Some(stdout), Stream::Stdout), Pipe::new(stderr, Stream::Stderr)];
        thread::Builder::new().name("log".to_owned()).stack_size(STACK_BYTES).spawn(move || {
            let mut batch = Batch { bytes: Vec::new(), log };
            while pump_once(&mut pipes, &mut batch, hold_back) {}
            batch.flush();
            let _nobody_waits = finished.send(());
        })?;
        Ok(LogPump { done })
    }

    /// Waits until everything written was stored; false when the disk did not take it in time.
    pub(crate) fn finish(&self, timeout: Duration) -> bool {
        !matches!(self.done.recv_timeout(timeout), Err(RecvTimeoutError::Timeout))
    }
}

struct Pipe {
    file: Option<File>,
    splitter: LineSplitter,
}

impl Pipe {
    fn new(file: Option<File>, stream: Stream) -> Pipe {
        Pipe { file, splitter: LineSplitter { stream, held: Vec::new() } }
    }

    fn read(&mut self, batch: &mut Batch) {
        let mut buffer = [0; MAX_TEXT_BYTES];
        let Some(file) = &mut self.file else { return };
        match file.read(&mut buffer) {
            Ok(0) => {
                self.file = None;
                self.splitter.give_up_held(batch);
            }
            Ok(len) => self.splitter.take(&buffer[..len], batch),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            // A terminal ends with an error when the last process that has it open is gone.
            Err(_) => {
                self.file = None;
                self.splitter.give_up_held(batch);
            }
        }
    }
}

/// Waits for output once; false when both pipes are closed.
fn pump_once(pipes: &mut [Pipe; 2], batch: &mut Batch, hold_back_ms: u16) -> bool {
    let holding = pipes.iter().any(|pipe| !pipe.splitter.held.is_empty());
    let timeout = if holding { PollTimeout::from(hold_back_ms) } else { PollTimeout::NONE };
    let ready = {
        let open = pipes.iter().enumerate().filter_map(|(index, pipe)| Some((index, pipe.file.as_ref()?)));
        let (indexes, mut descriptors): (Vec<usize>, Vec<PollFd<'_>>) =
            open.map(|(index, file)| (index, PollFd::new(file.as_fd(), PollFlags::POLLIN))).unzip();
        if descriptors.is_empty() {
            return false;
        }
        if poll(&mut descriptors, timeout).is_err() {
            return true;
        }
        let readable = indexes.into_iter().zip(&descriptors).filter(|(_, fd)| fd.any().unwrap_or(false));
        readable.map(|(index, _)| index).collect::<Vec<_>>()
    };
    for index in &ready {
        pipes[*index].read(batch);
    }
    if ready.is_empty() {
        pipes.iter_mut().for_each(|pipe| pipe.splitter.give_up_held(batch));
    }
    batch.flush();
    true
}

/// Cuts a stream into entries.
struct LineSplitter {
    stream: Stream,
    held: Vec<u8>,
}

impl LineSplitter {
    fn take(&mut self, mut bytes: &[u8], batch: &mut Batch) {
        let stamp = stamp(Timestamp::now());
        while let Some(end) = memchr_newline(bytes) {
            let (text, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.held.is_empty() {
                batch.push(&stamp, self.stream, Piece::Full, text);
            } else {
                self.hold(text, &stamp, batch);
                batch.push(&stamp, self.stream, Piece::Full, &self.held);
                self.held.clear();
            }
        }
        self.hold(bytes, &stamp, batch);
    }

    /// Keeps the beginning of a line, and writes it as a piece when it is too long to keep.
    fn hold(&mut self, text: &[u8], stamp: &str, batch: &mut Batch) {
        if self.held.len() + text.len() > MAX_TEXT_BYTES {
            batch.push(stamp, self.stream, Piece::Partial, &self.held);
            self.held.clear();
        }
        self.held.extend_from_slice(text);
    }

    /// The line will not be completed soon, or ever.
    fn give_up_held(&mut self, batch: &mut Batch) {
        if !self.held.is_empty() {
            batch.push(&stamp(Timestamp::now()), self.stream, Piece::Partial, &self.held);
            self.held = Vec::new();
        }
    }
}

fn memchr_newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

struct Batch {
    bytes: Vec<u8>,
    log: LogWriter,
}

impl Batch {
    fn push(&mut self, stamp: &str, stream: Stream, piece: Piece, text: &[u8]) {
        if self.bytes.len() + text.len() > BATCH_BYTES {
            self.flush();
        }
        LogLine { stamp, stream, piece, text }.append_to(&mut self.bytes);
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.log.write(&self.bytes);
            self.bytes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn entries(dir: &Path) -> Vec<(Piece, String)> {
        let bytes = std::fs::read(dir.join("log")).unwrap();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| LogLine::parse(line).unwrap())
            .map(|line| (line.piece, String::from_utf8_lossy(line.text).into_owned()))
            .collect()
    }

    fn split(chunks: &[&[u8]]) -> Vec<(Piece, String)> {
        let dir = tempfile::tempdir().unwrap();
        let log = LogWriter::new(&dir.path().join("log"), 1 << 20, Default::default());
        let mut batch = Batch { bytes: Vec::new(), log };
        let mut splitter = LineSplitter { stream: Stream::Stdout, held: Vec::new() };
        chunks.iter().for_each(|chunk| splitter.take(chunk, &mut batch));
        splitter.give_up_held(&mut batch);
        batch.flush();
        entries(dir.path())
    }

    fn full(text: &str) -> (Piece, String) {
        (Piece::Full, text.to_owned())
    }

    #[test]
    fn lines_are_put_together_over_reads() {
        assert_eq!(split(&[b"a\nb", b"c\n\nd\n"]), [full("a"), full("bc"), full(""), full("d")]);
    }

    #[test]
    fn an_end_without_newline_is_a_piece() {
        assert_eq!(split(&[b"a\nb"]), [full("a"), (Piece::Partial, "b".to_owned())]);
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_add_up() {
        let half = vec![b'x'; MAX_TEXT_BYTES - 1];
        let pieces = split(&[&half, &half, b"end\n"]);
        let sizes: Vec<usize> = pieces.iter().map(|(_, text)| text.len()).collect();
        assert_eq!(sizes, [half.len(), half.len(), 3]);
        assert_eq!(pieces.last(), Some(&full("end")));
    }
}
