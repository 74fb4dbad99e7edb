//! What happened, line by line: hashed always, kept or printed only when asked.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// Where lines go besides the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Nowhere.
    Nothing,
    /// To stdout.
    Lines,
}

/// The lines of one run.
pub struct Trace {
    hasher: SipHasher13,
    show: Show,
    line: String,
}

impl Trace {
    /// No lines yet.
    pub fn new(show: Show) -> Trace {
        Trace { hasher: SipHasher13::new(), show, line: String::new() }
    }

    /// One event, aligned in columns: time, who, what, and the rest. The hash is over what is told, not over how it is
    /// laid out.
    pub fn line(&mut self, now_ms: u64, who: &str, what: &str, rest: fmt::Arguments<'_>) {
        use fmt::Write;
        self.line.clear();
        // Writing to a String cannot fail.
        let _ = self.line.write_fmt(rest);
        self.hasher.write_u64(now_ms);
        for part in [who, what, &self.line] {
            self.hasher.write(part.as_bytes());
            self.hasher.write_u8(b'\n');
        }
        if self.show == Show::Lines {
            println!("{:>6}.{:03} {who:<9} {what:<11} {}", now_ms / 1_000, now_ms % 1_000, self.line);
        }
    }

    /// The hash over all lines so far.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}
