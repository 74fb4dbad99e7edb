//! Exact decimals: what a price is before it is rounded to micro-dollars. Never a float.

use muster_model::MicroUsd;

/// Digits that are taken in all, far more than any price has.
const DIGITS_MAX: usize = 24;
const NANOS: i128 = 1_000_000_000;

/// An amount in units of 10^-9 of a dollar, not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(i128);

/// Reads digits with at most one point. What comes behind the ninth decimal is rounded.
///
/// # Errors
/// Why it is none, for people: `NaN`, `inf`, exponents, signs and blanks have no place in a price.
pub fn parse(text: &str) -> Result<Decimal, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.starts_with('-') && text[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(format!("{text:?} is negative"));
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = whole.bytes().chain(decimals.bytes()).all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits || text.ends_with('.') {
        return Err(format!("{text:?} is not a decimal number such as 12.34"));
    }
    if text.len() > DIGITS_MAX {
        return Err(format!("{text:?} has too many digits"));
    }
    let taken: String = format!("{decimals:0<9}").chars().take(9).collect();
    let nanos: i128 = format!("{whole}{taken}").parse().map_err(|_| format!("{text:?} is too large"))?;
    let up = decimals.as_bytes().get(9).is_some_and(|digit| *digit >= b'5');
    Ok(Decimal(nanos + i128::from(up)))
}

impl Decimal {
    /// A share of it, to the nearest micro-dollar: a machine's price for one of its `parts` GPUs.
    ///
    /// # Errors
    /// When it is beyond what money can hold.
    pub fn share(self, parts: u32) -> Result<MicroUsd, String> {
        self.scaled(1_000_000, NANOS * i128::from(parts.max(1)))
    }

    /// A price per GB (10^9 bytes) as one per GiB.
    ///
    /// # Errors
    /// When it is beyond what money can hold.
    pub fn per_gib(self) -> Result<MicroUsd, String> {
        self.scaled(1_000_000 * (1 << 30), NANOS * NANOS)
    }

    /// In thousandths, cut: gigabits as megabits.
    pub fn thousandths(self) -> u64 {
        u64::try_from(self.0 / 1_000_000).unwrap_or(u64::MAX)
    }

    fn scaled(self, numerator: i128, denominator: i128) -> Result<MicroUsd, String> {
        let product = self.0.checked_mul(numerator).ok_or("is too large")?;
        let rounded = (product + denominator / 2) / denominator;
        i64::try_from(rounded).map(MicroUsd).map_err(|_| "is too large".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        let share = |text: &str, parts| parse(text).and_then(|amount| amount.share(parts));
        assert_eq!(share("27.44705", 8), Ok(MicroUsd(3_430_881)));
        assert_eq!(share("4.049590926", 1), Ok(MicroUsd(4_049_591)));
        assert_eq!(share(" 0 ", 1), Ok(MicroUsd(0)));
        assert_eq!(share("0.0000004", 1), Ok(MicroUsd(0)));
        assert_eq!(parse("0.09").and_then(Decimal::per_gib), Ok(MicroUsd(96_637)));
        assert_eq!(parse("4.9673").map(Decimal::thousandths), Ok(4_967));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for (text, why) in [
            ("", "is empty"),
            ("  ", "is empty"),
            ("-1", "\"-1\" is negative"),
            ("-.5", "\"-.5\" is negative"),
            ("NaN", "\"NaN\" is not a decimal number such as 12.34"),
            ("inf", "\"inf\" is not a decimal number such as 12.34"),
            ("-inf", "\"-inf\" is not a decimal number such as 12.34"),
            ("1e400", "\"1e400\" is not a decimal number such as 12.34"),
            ("+1", "\"+1\" is not a decimal number such as 12.34"),
            ("1,5", "\"1,5\" is not a decimal number such as 12.34"),
            ("0x1f", "\"0x1f\" is not a decimal number such as 12.34"),
            ("1.", "\"1.\" is not a decimal number such as 12.34"),
            ("$3", "\"$3\" is not a decimal number such as 12.34"),
            ("1111111111111111111111111", "\"1111111111111111111111111\" has too many digits"),
        ] {
            assert_eq!(parse(text), Err(why.to_owned()), "{text}");
        }
        assert!(parse("99999999999999").and_then(|amount| amount.share(1)).is_err());
    }
}
