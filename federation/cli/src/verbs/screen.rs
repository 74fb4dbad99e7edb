//! Standard output: text, and colours where a person sees them.

use std::io::{ErrorKind, IsTerminal, Write};

/// Prints text. A reader that went away (`| head`) ends the process quietly: nobody is left to tell.
pub fn print(text: &str) -> std::io::Result<()> {
    print_bytes(text.as_bytes())
}

/// A line to whoever still reads, from what goes on without them.
pub fn say(line: &str) {
    // Nobody reads, or the disk is full: neither is a reason to end.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints bytes as they are, at once.
pub fn print_bytes(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => written,
    }
}

/// Text of others without what a terminal would obey: control characters as `^[`, lines and tabs left.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\0'..='\u{1f}' => out.extend(['^', char::from(c as u8 + b'@')]),
            '\u{7f}'..='\u{9f}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

/// What a piece of text means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// The answer, a headline.
    Strong,
    /// Good.
    Good,
    /// Wants attention.
    Warn,
    /// Bad.
    Bad,
}

/// Whether and how text is coloured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output: colours only on a terminal, and not where `NO_COLOR` is set (no-color.org).
    pub fn stdout() -> Paint {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Paint { on: std::io::stdout().is_terminal() && set("NO_COLOR").is_none() && !dumb }
    }

    /// Whether there are colours.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// The text in its tone.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Strong => 1,
            Tone::Good => 32,
            Tone::Warn => 33,
            Tone::Bad => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A phase, status or role in its tone.
    pub fn word(self, word: &str) -> String {
        match word {
            "Complete" | "Running" | "Succeeded" | "Ready" | "leader" | "now" => self.tone(Tone::Good, word),
            "Failed" | "NotReady" | "Lost" | "Stopped" | "never" => self.tone(Tone::Bad, word),
            "Queued" | "Reserved" | "Starting" | "Stopping" | "Terminating" | "Suspended" | "Pending"
            | "wait" => self.tone(Tone::Warn, word),
            _ => word.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_command_no_terminal() {
        assert_eq!(harmless("a\u{1b}[31mb\rc\u{9b}d\te\nü"), "a^[[31mb^Mc\u{fffd}d\te\nü");
    }

    #[test]
    fn without_colours_words_stay_as_they_are() {
        assert_eq!(Paint::default().word("Failed"), "Failed");
        assert_eq!(Paint { on: true }.word("Failed"), "\u{1b}[31mFailed\u{1b}[0m");
        assert_eq!(Paint { on: true }.word("other"), "other");
    }
}
