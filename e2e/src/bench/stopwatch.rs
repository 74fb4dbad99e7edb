//! Moments on the wall clock, which other processes of this machine read too.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u128);

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        Moment(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos())
    }

    /// As `date +%s%N` prints it.
    pub fn parse(text: &str) -> Option<Moment> {
        text.trim().parse().ok().map(Moment)
    }

    /// Milliseconds since an earlier moment; negative if it was not earlier.
    pub fn ms_since(self, earlier: Moment) -> f64 {
        if self >= earlier { (self.0 - earlier.0) as f64 / 1e6 } else { -((earlier.0 - self.0) as f64 / 1e6) }
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn moments_are_milliseconds_apart() {
        let (a, b) = (Moment::parse("1700000000000000000\n"), Moment::parse("1700000000012500000"));
        let (a, b) = (a.expect("a number"), b.expect("a number"));
        assert_eq!((b.ms_since(a), a.ms_since(b)), (12.5, -12.5));
        assert_eq!(Moment::parse("soon"), None);
        assert!(Moment::now() > b);
    }
}
