//! Money as an integer of micro-dollars; a price is money per hour. Text is a decimal string, never a float.

use std::fmt;
use std::ops::{Add, AddAssign, Neg};
use std::str::FromStr;

use crate::DurationMs;

/// Millionths of a US dollar. Signed, so that corrections can be booked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroUsd(pub i64);

impl MicroUsd {
    /// This many times as much; saturates.
    pub fn times(self, count: u64) -> MicroUsd {
        self.scaled(i128::from(count), 1)
    }

    /// What this price per hour comes to over `duration`, rounded to the nearest micro-dollar.
    pub fn for_duration(self, duration: DurationMs) -> MicroUsd {
        self.scaled(i128::from(duration.0), i128::from(DurationMs::HOUR.0))
    }

    /// What this price per GiB comes to for `bytes`, rounded to the nearest micro-dollar.
    pub fn for_bytes(self, bytes: u64) -> MicroUsd {
        self.scaled(i128::from(bytes), 1 << 30)
    }

    /// `self * numerator / denominator`, rounded half up, saturating. `denominator` is positive.
    pub fn scaled(self, numerator: i128, denominator: i128) -> MicroUsd {
        let product = i128::from(self.0).saturating_mul(numerator);
        let rounded = product.saturating_add(denominator / 2).div_euclid(denominator);
        MicroUsd(rounded.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

impl Add for MicroUsd {
    type Output = MicroUsd;

    fn add(self, other: MicroUsd) -> MicroUsd {
        MicroUsd(self.0.saturating_add(other.0))
    }
}

impl AddAssign for MicroUsd {
    fn add_assign(&mut self, other: MicroUsd) {
        *self = *self + other;
    }
}

impl Neg for MicroUsd {
    type Output = MicroUsd;

    fn neg(self) -> MicroUsd {
        MicroUsd(-self.0)
    }
}

impl std::iter::Sum for MicroUsd {
    fn sum<I: Iterator<Item = MicroUsd>>(amounts: I) -> MicroUsd {
        amounts.fold(MicroUsd(0), Add::add)
    }
}

impl fmt::Display for MicroUsd {
    /// At least two decimals, at most six, no trailing zero past the second: `12.34`, `0.00`, `0.000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        let mut decimals = format!("{:06}", amount % 1_000_000);
        while decimals.len() > 2 && decimals.ends_with('0') {
            decimals.pop();
        }
        write!(f, "{sign}{}.{decimals}", amount / 1_000_000)
    }
}

/// Why a text is not money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMoneyError {
    /// Something else than digits with at most one point and a leading minus.
    #[error("must be a decimal amount in USD such as \"12.34\"")]
    NotDecimal,
    /// More decimals than a micro-dollar has.
    #[error("must have at most 6 decimals")]
    TooPrecise,
    /// Beyond 9 trillion dollars.
    #[error("is too large")]
    TooLarge,
}

impl FromStr for MicroUsd {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<MicroUsd, ParseMoneyError> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = whole.bytes().chain(decimals.bytes()).all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits || digits.ends_with('.') {
            return Err(ParseMoneyError::NotDecimal);
        }
        if decimals.len() > 6 {
            return Err(ParseMoneyError::TooPrecise);
        }
        let amount =
            format!("{whole}{decimals:0<6}").parse::<i64>().map_err(|_| ParseMoneyError::TooLarge)?;
        Ok(MicroUsd(if negative { -amount } else { amount }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_amount_agree() {
        for (text, micro, printed) in [
            ("12.34", 12_340_000, "12.34"),
            ("0", 0, "0.00"),
            ("3.06", 3_060_000, "3.06"),
            ("-0.5", -500_000, "-0.50"),
            ("0.000001", 1, "0.000001"),
            ("1.9173", 1_917_300, "1.9173"),
        ] {
            assert_eq!(text.parse(), Ok(MicroUsd(micro)), "{text}");
            assert_eq!(MicroUsd(micro).to_string(), printed);
        }
    }

    #[test]
    fn what_is_not_money_is_refused() {
        use ParseMoneyError::*;
        for (text, error) in [
            ("", NotDecimal),
            ("NaN", NotDecimal),
            ("1e3", NotDecimal),
            ("1.", NotDecimal),
            (".5", NotDecimal),
            ("--1", NotDecimal),
            ("1.0000001", TooPrecise),
            ("99999999999999", TooLarge),
        ] {
            assert_eq!(text.parse::<MicroUsd>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_price_over_time_and_bytes_rounds_to_the_nearest() {
        let price = MicroUsd(3_060_000);
        assert_eq!(price.for_duration(DurationMs::from_secs(1800)), MicroUsd(1_530_000));
        assert_eq!(price.for_duration(DurationMs(1)), MicroUsd(1));
        assert_eq!(MicroUsd(90_000).for_bytes(10 << 30), MicroUsd(900_000));
        assert_eq!(MicroUsd(i64::MAX).times(3), MicroUsd(i64::MAX));
    }
}
