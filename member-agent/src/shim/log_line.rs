//! One line of a pod's log, in the format that CRI runtimes write and the kubelet reads:
//! `2026-01-02T03:04:05.000000006Z stdout F text`, where P marks a piece of a longer line and F its end.

use jiff::Timestamp;

/// Which output a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Whether the text ends its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The rest follows in a later entry of the same stream.
    Partial,
    /// The line ends here.
    Full,
}

/// A parsed entry; the text excludes the newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// RFC 3339 with nine digits of a second, UTC: sorts as text.
    pub stamp: &'a str,
    /// Where it was written to.
    pub stream: Stream,
    /// Whether the line ends here.
    pub piece: Piece,
    /// What the job wrote.
    pub text: &'a [u8],
}

impl<'a> LogLine<'a> {
    /// Appends the entry with its newline.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.stamp.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.stream.name().as_bytes());
        out.extend_from_slice(if self.piece == Piece::Full { b" F " } else { b" P " });
        out.extend_from_slice(self.text);
        out.push(b'\n');
    }

    /// Reads one entry, without its newline; `None` when it is not one.
    pub fn parse(line: &'a [u8]) -> Option<LogLine<'a>> {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let stamp = std::str::from_utf8(fields.next()?).ok()?;
        let stream = match fields.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        let piece = match fields.next()? {
            b"F" => Piece::Full,
            b"P" => Piece::Partial,
            _ => return None,
        };
        Some(LogLine { stamp, stream, piece, text: fields.next()? })
    }
}

/// A time as entries carry it.
pub fn stamp(time: Timestamp) -> String {
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_writing_and_reading() {
        let table: [(&[u8], Piece, &str); 3] = [
            (b"hello world", Piece::Full, "1970-01-01T00:00:00.000000000Z stderr F hello world\n"),
            (b"", Piece::Full, "1970-01-01T00:00:00.000000000Z stderr F \n"),
            (b"50%\r", Piece::Partial, "1970-01-01T00:00:00.000000000Z stderr P 50%\r\n"),
        ];
        let stamp = stamp(Timestamp::UNIX_EPOCH);
        for (text, piece, want) in table {
            let line = LogLine { stamp: &stamp, stream: Stream::Stderr, piece, text };
            let mut written = Vec::new();
            line.append_to(&mut written);
            assert_eq!(String::from_utf8_lossy(&written), want);
            assert_eq!(LogLine::parse(&written[..written.len() - 1]), Some(line));
        }
    }

    #[test]
    fn what_is_no_entry_is_not_read_as_one() {
        for line in ["", "text", "t stdout F", "t stdin F x", "t stdout Q x"] {
            assert_eq!(LogLine::parse(line.as_bytes()), None, "{line:?}");
        }
    }
}
