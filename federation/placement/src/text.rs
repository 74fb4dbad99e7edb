//! How durations, bytes and counts read in reports.

use std::fmt;

use muster_model::{DurationMs, TimeMs};

/// A duration as people write it: `1h`, `1h30m`, `11m27s`, `90s` as `1m30s`, `250ms`.
pub struct Human(pub DurationMs);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.0;
        if ms < 1000 {
            return write!(f, "{ms}ms");
        }
        let seconds = ms / 1000;
        let parts = [
            (seconds / 86_400, 'd'),
            (seconds / 3600 % 24, 'h'),
            (seconds / 60 % 60, 'm'),
            (seconds % 60, 's'),
        ];
        // Two parts are enough to judge a wait by.
        for (amount, unit) in parts.into_iter().skip_while(|(amount, _)| *amount == 0).take(2) {
            if amount > 0 {
                write!(f, "{amount}{unit}")?;
            }
        }
        Ok(())
    }
}

/// Bytes in the largest binary unit that is not below one, with up to two decimals.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(shift, _)| self.0 >> shift > 0) {
            Some((shift, unit)) => write!(f, "{} {unit}", hundredths(self.0, 1 << shift)),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// Megabits per second: `10 Gbit/s`, `1.25 Gbit/s`, `800 Mbit/s`.
pub struct Speed(pub u64);

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1000 {
            write!(f, "{} Gbit/s", hundredths(self.0, 1000))
        } else {
            write!(f, "{} Mbit/s", self.0)
        }
    }
}

/// A number of thousandths: `8`, `0.5`.
pub struct Milli(pub u64);

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The day of a time: `2026-11-20`.
pub struct Day(pub TimeMs);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().split('T').next().unwrap_or_default())
    }
}

/// `1 pod`, `2 pods`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `amount / unit` cut to two decimals, without trailing zeros.
fn hundredths(amount: u64, unit: u64) -> String {
    let fraction = u128::from(amount % unit) * 100 / u128::from(unit);
    let text = format!("{}.{fraction:02}", amount / unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_two_parts() {
        for (ms, text) in [
            (0, "0ms"),
            (250, "250ms"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (5_400_000, "1h30m"),
            (687_194, "11m27s"),
            (93_784_000, "1d2h"),
            (86_460_000, "1d"),
        ] {
            assert_eq!(Human(DurationMs(ms)).to_string(), text);
        }
    }

    #[test]
    fn bytes_speeds_and_thousandths_read_well() {
        assert_eq!(Bytes(800 << 30).to_string(), "800 GiB");
        assert_eq!(Bytes((3 << 40) / 2).to_string(), "1.5 TiB");
        assert_eq!(Bytes(12).to_string(), "12 B");
        assert_eq!(Speed(12_500).to_string(), "12.5 Gbit/s");
        assert_eq!(Speed(800).to_string(), "800 Mbit/s");
        assert_eq!(Milli(8000).to_string(), "8");
        assert_eq!(Milli(500).to_string(), "0.5");
    }
}
