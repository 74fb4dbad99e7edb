//! Whether an SPDX licence expression can be met with allowed licences alone.
//!
//! ```text
//! either := both ( ("OR" | "/") both )*      both := single ( "AND" single )*      single := "(" either ")" | id [ "WITH" id ]
//! ```

/// Whether `expression` is met by `allowed`. Malformed expressions are not.
pub fn is_met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut parser = Parser { tokens: spaced.split_whitespace().collect(), at: 0, allowed };
    let met = parser.either();
    met && parser.at == parser.tokens.len()
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    fn either(&mut self) -> bool {
        let mut met = self.both();
        while self.accept("OR") {
            // Both sides are read even when the first is enough.
            met |= self.both();
        }
        met
    }

    fn both(&mut self) -> bool {
        let mut met = self.single();
        while self.accept("AND") {
            met &= self.single();
        }
        met
    }

    fn single(&mut self) -> bool {
        if self.accept("(") {
            let met = self.either();
            return self.accept(")") && met;
        }
        let Some(id) = self.next() else { return false };
        if !self.accept("WITH") {
            return (self.allowed)(id);
        }
        let exception = self.next().unwrap_or_default();
        (self.allowed)(&format!("{id} WITH {exception}"))
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.tokens.get(self.at).copied();
        self.at += usize::from(token.is_some());
        token
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed = |id: &str| ["MIT", "Apache-2.0", "ISC"].contains(&id);
        for (expression, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0 OR MIT", true),
            ("MIT/Apache-2.0", true),
            ("Apache-2.0 / GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("ISC AND (GPL-3.0 OR MIT)", true),
            ("(MIT OR GPL-3.0) AND GPL-3.0", false),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("Apache-2.0 WITH LLVM-exception", false),
            ("Apache-2.0 WITH LLVM-exception OR MIT", true),
            ("", false),
            ("MIT MIT", false),
            ("(MIT", false),
        ] {
            assert_eq!(is_met(expression, &allowed), met, "{expression}");
        }
    }
}
