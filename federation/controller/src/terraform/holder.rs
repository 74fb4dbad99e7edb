//! Who holds the lock of a state. A run of the hub is known by its credential's user name, which says of which intent and of
//! which leader it is: so a lock that a dead run left behind is told from one that somebody holds.

use std::fmt;
use std::str::FromStr;

/// What user names of runs begin with. No user can be given such a name.
pub const PREFIX: &str = "system:burst:";

/// One run of the hub: `system:burst:POOL:MEMBER:TERM.RUN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The pool.
    pub pool: String,
    /// The member that is made or removed; also the name of its state.
    pub member: String,
    /// The leader's term.
    pub term: u64,
    /// The leader's number of the run.
    pub run: u64,
}

impl Holder {
    /// Whether this run is the one that goes on where `other` ended. A leader starts one run of an intent at a time, and
    /// only one leads in a term.
    pub fn follows(&self, other: &Holder) -> bool {
        (&self.pool, &self.member) == (&other.pool, &other.member)
            && (self.term, self.run) > (other.term, other.run)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}:{}.{}", self.pool, self.member, self.term, self.run)
    }
}

impl FromStr for Holder {
    type Err = ();

    fn from_str(text: &str) -> Result<Holder, ()> {
        let mut parts = text.strip_prefix(PREFIX).ok_or(())?.split(':');
        let mut next = || parts.next().ok_or(());
        let (pool, member, number) = (next()?.to_owned(), next()?.to_owned(), next()?);
        let (term, run) = number.split_once('.').ok_or(())?;
        let (term, run) = (term.parse().map_err(drop)?, run.parse().map_err(drop)?);
        if parts.next().is_some() { Err(()) } else { Ok(Holder { pool, member, term, run }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_run_of_the_same_intent_follows() {
        let holder = |text: &str| text.parse::<Holder>().unwrap();
        let first = holder("system:burst:spot:spot-01:3.7");
        assert_eq!(first.to_string(), "system:burst:spot:spot-01:3.7");
        for (other, follows) in [
            ("system:burst:spot:spot-01:3.8", true),
            ("system:burst:spot:spot-01:4.1", true),
            ("system:burst:spot:spot-01:3.7", false),
            ("system:burst:spot:spot-01:2.9", false),
            ("system:burst:spot:spot-02:4.1", false),
            ("system:burst:big:spot-01:4.1", false),
        ] {
            assert_eq!(holder(other).follows(&first), follows, "{other}");
        }
        for text in
            ["petra", "system:burst:", "system:burst:a:b:1", "system:burst:a:b:1.2:c", "system:burst:a:b:1.x"]
        {
            assert!(text.parse::<Holder>().is_err(), "{text}");
        }
    }
}
