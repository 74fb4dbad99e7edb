//! Time as integers of milliseconds. Nobody here asks a clock: `now` is always an argument.

use std::fmt;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeMs(pub u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationMs(pub u64);

impl DurationMs {
    /// This many seconds.
    pub const fn from_secs(seconds: u64) -> DurationMs {
        DurationMs(seconds * 1000)
    }

    /// One hour, the unit of prices.
    pub const HOUR: DurationMs = DurationMs(3_600_000);
}

impl TimeMs {
    /// The time after this one by `duration`; saturates.
    pub fn plus(self, duration: DurationMs) -> TimeMs {
        TimeMs(self.0.saturating_add(duration.0))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: TimeMs) -> DurationMs {
        DurationMs(self.0.saturating_sub(earlier.0))
    }

    /// Year, month, day of the proleptic Gregorian calendar, by Howard Hinnant's `civil_from_days`.
    fn civil(self) -> (u64, u64, u64) {
        let days = self.0 / 86_400_000 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        (year_of_era + era * 400 + u64::from(month <= 2), month, day)
    }
}

impl fmt::Display for TimeMs {
    /// RFC 3339 in UTC with whole seconds, as Kubernetes' `metav1.Time` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        let second = self.0 / 1000 % 86_400;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_kubernetes_does() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_171_445_000, "2026-11-20T10:44:05Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(TimeMs(ms).to_string(), text);
        }
    }
}
