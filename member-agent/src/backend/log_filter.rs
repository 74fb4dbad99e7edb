//! From stored entries to what a reader asked for. Pure: entries in, bytes out.

use jiff::Timestamp;

use super::logs::LogOptions;
use crate::shim::log_line::{LogLine, Piece, Stream, stamp};

/// The state of one reading.
pub(crate) struct LogFilter {
    since: Option<String>,
    output: Option<Stream>,
    timestamps: bool,
    bytes_left: Option<u64>,
    lines_to_skip: u64,
    /// Streams whose last entry did not end its line: their next entry continues it.
    unfinished: Vec<Stream>,
}

/// Lines met so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineCount {
    full: u64,
    ends_unfinished: bool,
}

impl LineCount {
    /// An unfinished last line counts.
    pub(crate) fn total(self) -> u64 {
        self.full + u64::from(self.ends_unfinished)
    }
}

impl LogFilter {
    /// A filter for `options` at `now`, which skips that many lines first.
    pub(crate) fn new(options: &LogOptions, now: Timestamp, lines_to_skip: u64) -> LogFilter {
        LogFilter {
            since: options.since(now).map(stamp),
            output: options.output,
            timestamps: options.timestamps,
            bytes_left: options.limit_bytes,
            lines_to_skip,
            unfinished: Vec::new(),
        }
    }

    /// Whether nothing more will come out.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes_left == Some(0)
    }

    /// Appends what is wanted of an entry (without its newline) to `out`.
    pub(crate) fn push(&mut self, entry: &[u8], out: &mut Vec<u8>) {
        let Some(line) = LogLine::parse(entry).filter(|line| self.is_wanted(line)) else { return };
        let continues = self.unfinished.contains(&line.stream);
        self.unfinished.retain(|stream| *stream != line.stream);
        if line.piece == Piece::Partial {
            self.unfinished.push(line.stream);
        }
        if self.lines_to_skip > 0 {
            self.lines_to_skip -= u64::from(line.piece == Piece::Full);
            return;
        }
        if self.timestamps && !continues {
            self.emit(line.stamp.as_bytes(), out);
            self.emit(b" ", out);
        }
        self.emit(line.text, out);
        if line.piece == Piece::Full {
            self.emit(b"\n", out);
        }
    }

    /// Counts an entry that this filter lets through.
    pub(crate) fn count(&self, entry: &[u8], lines: &mut LineCount) {
        if let Some(line) = LogLine::parse(entry).filter(|line| self.is_wanted(line)) {
            lines.full += u64::from(line.piece == Piece::Full);
            lines.ends_unfinished = line.piece == Piece::Partial;
        }
    }

    /// Stamps have one length and zone, so they compare as text.
    fn is_wanted(&self, line: &LogLine<'_>) -> bool {
        self.output.is_none_or(|output| output == line.stream)
            && self.since.as_deref().is_none_or(|since| line.stamp >= since)
    }

    fn emit(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(left) = &mut self.bytes_left else { return out.extend_from_slice(bytes) };
        let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
        out.extend_from_slice(&bytes[..taken]);
        *left -= taken as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: [&str; 5] = [
        "2026-01-01T00:00:00.000000000Z stdout F one",
        "2026-01-01T00:00:01.000000000Z stdout P tw",
        "2026-01-01T00:00:01.500000000Z stderr F err",
        "2026-01-01T00:00:02.000000000Z stdout F o",
        "2026-01-01T00:00:03.000000000Z stdout F three",
    ];

    fn read(options: &LogOptions) -> String {
        let now = "2026-01-01T00:00:10Z".parse().unwrap();
        let entries = || LOG.iter().map(|line| line.as_bytes());
        let mut lines = LineCount::default();
        entries().for_each(|entry| LogFilter::new(options, now, 0).count(entry, &mut lines));
        let skip = options.tail_lines.map_or(0, |tail| lines.total().saturating_sub(tail));
        let mut filter = LogFilter::new(options, now, skip);
        let mut out = Vec::new();
        entries().for_each(|entry| filter.push(entry, &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn options_select_lines_and_bytes() {
        let at = |text: &str| Some(text.parse().unwrap());
        let all = LogOptions::default();
        let table = [
            (all.clone(), "one\ntwerr\no\nthree\n"),
            (LogOptions { tail_lines: Some(1), ..all.clone() }, "three\n"),
            (LogOptions { tail_lines: Some(0), ..all.clone() }, ""),
            (LogOptions { tail_lines: Some(99), ..all.clone() }, "one\ntwerr\no\nthree\n"),
            (LogOptions { since_time: at("2026-01-01T00:00:02Z"), ..all.clone() }, "o\nthree\n"),
            (LogOptions { since_seconds: Some(7), ..all.clone() }, "three\n"),
            (LogOptions { since_seconds: Some(u64::MAX), ..all.clone() }, "one\ntwerr\no\nthree\n"),
            (LogOptions { output: Some(Stream::Stderr), ..all.clone() }, "err\n"),
            (LogOptions { output: Some(Stream::Stdout), tail_lines: Some(1), ..all.clone() }, "three\n"),
            (LogOptions { limit_bytes: Some(5), ..all.clone() }, "one\nt"),
            (LogOptions { limit_bytes: Some(0), ..all.clone() }, ""),
            (
                LogOptions { timestamps: true, tail_lines: Some(1), ..all },
                "2026-01-01T00:00:03.000000000Z three\n",
            ),
        ];
        for (options, want) in table {
            assert_eq!(read(&options), want, "{options:?}");
        }
    }

    #[test]
    fn the_pieces_of_a_line_carry_one_timestamp() {
        let mut filter =
            LogFilter::new(&LogOptions { timestamps: true, ..LogOptions::default() }, Timestamp::MAX, 0);
        let mut out = Vec::new();
        [1, 3].iter().for_each(|index| filter.push(LOG[*index].as_bytes(), &mut out));
        assert_eq!(String::from_utf8_lossy(&out), "2026-01-01T00:00:01.000000000Z two\n");
    }

    #[test]
    fn what_is_no_entry_is_left_out() {
        let mut out = Vec::new();
        LogFilter::new(&LogOptions::default(), Timestamp::MAX, 0).push(b"torn", &mut out);
        assert!(out.is_empty());
    }
}
