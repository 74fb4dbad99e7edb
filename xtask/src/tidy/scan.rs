//! A scanner that knows just enough Rust: it blanks comments and the insides of strings.
//!
//! What is left has the same length and the same lines, so that every other check may search for words and braces
//! without being fooled by prose. It needs no parser, and no crate.

/// `source` with comments, string contents and character literals replaced by spaces. Newlines stay.
pub fn mask(source: &str) -> String {
    let mut masker = Masker { bytes: source.as_bytes(), out: source.as_bytes().to_vec(), at: 0 };
    while masker.at < masker.bytes.len() {
        masker.step();
    }
    String::from_utf8(masker.out).expect("whole characters are replaced by ASCII spaces")
}

struct Masker<'a> {
    bytes: &'a [u8],
    out: Vec<u8>,
    at: usize,
}

impl Masker<'_> {
    fn step(&mut self) {
        match self.bytes[self.at] {
            b'/' if self.peek(1) == Some(b'/') => self.line_comment(),
            b'/' if self.peek(1) == Some(b'*') => self.block_comment(),
            b'"' => self.string(),
            b'r' if self.starts_token() => self.raw_string(),
            b'\'' => self.quote(),
            _ => self.at += 1,
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    /// Whether a raw string may begin here: not inside an identifier, the prefixes `b` and `c` apart.
    fn starts_token(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|at| self.bytes[at]);
        match before(1) {
            Some(b'b' | b'c') => !before(2).is_some_and(is_word),
            Some(byte) => !is_word(byte),
            None => true,
        }
    }

    fn blank_until(&mut self, end: usize) {
        let end = end.min(self.bytes.len());
        for at in self.at..end {
            if self.out[at] != b'\n' {
                self.out[at] = b' ';
            }
        }
        self.at = end;
    }

    fn line_comment(&mut self) {
        let length = self.bytes[self.at..].iter().position(|byte| *byte == b'\n');
        self.blank_until(length.map_or(self.bytes.len(), |length| self.at + length));
    }

    fn block_comment(&mut self) {
        let (mut depth, mut at) = (1, self.at + 2);
        while depth > 0 && at < self.bytes.len() {
            match (self.bytes[at], self.bytes.get(at + 1)) {
                (b'/', Some(b'*')) => (depth, at) = (depth + 1, at + 2),
                (b'*', Some(b'/')) => (depth, at) = (depth - 1, at + 2),
                _ => at += 1,
            }
        }
        self.blank_until(at);
    }

    fn string(&mut self) {
        self.at += 1;
        let mut end = self.at;
        while end < self.bytes.len() && self.bytes[end] != b'"' {
            end += if self.bytes[end] == b'\\' { 2 } else { 1 };
        }
        self.blank_until(end);
        self.at += 1;
    }

    fn raw_string(&mut self) {
        let hashes = self.bytes[self.at + 1..].iter().take_while(|byte| **byte == b'#').count();
        if self.peek(1 + hashes) != Some(b'"') {
            self.at += 1;
            return;
        }
        self.at += 2 + hashes;
        let close = format!("\"{}", "#".repeat(hashes));
        let length = self.bytes[self.at..].windows(close.len()).position(|found| found == close.as_bytes());
        self.blank_until(length.map_or(self.bytes.len(), |length| self.at + length));
        self.at += close.len();
    }

    /// A character literal, or a lifetime, which is left alone.
    fn quote(&mut self) {
        let rest = &self.bytes[self.at + 1..];
        let length = match rest.first() {
            Some(b'\\') => rest.iter().skip(2).position(|byte| *byte == b'\'').map(|position| position + 2),
            Some(first) => Some(character_length(*first)).filter(|length| rest.get(*length) == Some(&b'\'')),
            None => None,
        };
        self.at += 1;
        if let Some(length) = length {
            self.blank_until(self.at + length);
            self.at += 1;
        }
    }
}

/// Bytes of the UTF-8 character that begins with `first`.
fn character_length(first: u8) -> usize {
    match first {
        0x00..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    }
}

/// Whether a byte belongs to an identifier.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Offsets at which `word` stands alone, not as a part of a longer identifier.
pub fn words<'a>(masked: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = masked.as_bytes();
    masked.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).map(|at| bytes[at]);
        let after = bytes.get(at + word.len()).copied();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The identifier that begins at `at`, possibly empty.
pub fn identifier(masked: &str, at: usize) -> &str {
    let rest = &masked[at..];
    let length = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
    &rest[..length]
}

/// The line of an offset, counted from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The offset just after the bracket that closes the one at `open`; the end of the text when none does.
pub fn closing(masked: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in masked.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    masked.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blank_and_nothing_else() {
        for (source, masked) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("f(\"x{y\")", "f(\"   \")"),
            ("f(\"a\\\"b\") g", "f(\"    \") g"),
            ("r\"a\" b", "r\" \" b"),
            ("r#\"a\"b\"# c", "r#\"   \"# c"),
            ("br#\"{\"# c", "br#\" \"# c"),
            ("r#type {", "r#type {"),
            ("for\"a\"", "for\" \""),
            ("'{' x", "' ' x"),
            ("'\\'' x", "'  ' x"),
            ("'\\u{7d}' x", "'      ' x"),
            ("'é' x", "'  ' x"),
            ("&'a str", "&'a str"),
            ("<'a, 'b>", "<'a, 'b>"),
            ("'a: loop {}", "'a: loop {}"),
            ("\"// no\" x", "\"     \" x"),
            ("// it's\nx", "       \nx"),
        ] {
            assert_eq!(mask(source), masked, "{source}");
        }
    }

    #[test]
    fn words_stand_alone() {
        let found: Vec<usize> = words("fn f fnord self.fn_ (fn)", "fn").collect();
        assert_eq!(found, [0, 21]);
    }

    #[test]
    fn brackets_close_where_they_should() {
        for (text, open, end) in [("a{b{c}d}e", 1, 8), ("([{}])x", 0, 6), ("{", 0, 1)] {
            assert_eq!(closing(text, open), end, "{text}");
        }
    }
}
