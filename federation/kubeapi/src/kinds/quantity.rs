//! Kubernetes quantities in integers: `500m`, `1152Gi`, `1e3`, `0.5`, `12E`.
//!
//! What is finer than the unit is rounded up, as `Quantity.ScaledValue` does. No float is involved: `0.1` is one tenth.

use std::borrow::Cow;

use serde_json::Value;

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number with a known suffix.
    #[error("must be a quantity such as 500m, 2, 0.5, 64Gi or 1e3")]
    Syntax,
    /// Below zero.
    #[error("must be greater than or equal to 0")]
    Negative,
    /// More than 64 bits of the unit.
    #[error("is too large")]
    TooLarge,
}

/// A quantity in whole units (bytes).
///
/// # Errors
/// When it is no quantity, negative, or beyond 64 bits.
pub fn units(text: &str) -> Result<u64, QuantityError> {
    Parts::parse(text)?.times(1)
}

/// A quantity in thousandths (of a CPU core, of a GPU).
///
/// # Errors
/// When it is no quantity, negative, or beyond 64 bits of thousandths.
pub fn milli(text: &str) -> Result<u64, QuantityError> {
    Parts::parse(text)?.times(1000)
}

/// The text of a quantity in JSON, where a bare number is allowed too.
pub fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// Bytes as the largest binary unit that divides them: `1152Gi`, `1500`.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [(&str, u32); 6] = [("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let fits = UNITS.iter().find(|(_, bits)| bytes > 0 && bytes.trailing_zeros() >= *bits);
    fits.map_or_else(|| bytes.to_string(), |(unit, bits)| format!("{}{unit}", bytes >> bits))
}

/// `mantissa x multiplier x 10^exponent`.
struct Parts {
    mantissa: u128,
    multiplier: u128,
    exponent: i64,
}

impl Parts {
    fn parse(text: &str) -> Result<Parts, QuantityError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let digits =
            unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, suffix) = unsigned.split_at(digits);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + decimals.len() == 0 || decimals.contains('.') {
            return Err(QuantityError::Syntax);
        }
        let (multiplier, power) = scale(suffix)?;
        let decimals = decimals.trim_end_matches('0');
        let joined = format!("{whole}{decimals}");
        let significant = joined.trim_start_matches('0');
        let mantissa = match significant {
            "" => 0,
            digits => digits.parse().map_err(|_| QuantityError::TooLarge)?,
        };
        if negative && mantissa > 0 {
            return Err(QuantityError::Negative);
        }
        Ok(Parts { mantissa, multiplier, exponent: power - decimals.len() as i64 })
    }

    fn times(&self, unit: u128) -> Result<u64, QuantityError> {
        if self.mantissa == 0 {
            return Ok(0);
        }
        let too_large = || QuantityError::TooLarge;
        let amount = self.mantissa.checked_mul(self.multiplier).and_then(|n| n.checked_mul(unit));
        let amount = amount.ok_or_else(too_large)?;
        let power = u32::try_from(self.exponent.unsigned_abs()).ok().and_then(|e| 10_u128.checked_pow(e));
        let scaled = match (self.exponent >= 0, power) {
            (true, Some(power)) => amount.checked_mul(power).ok_or_else(too_large)?,
            (true, None) => return Err(QuantityError::TooLarge),
            (false, Some(power)) => amount.div_ceil(power),
            // Less than one of anything.
            (false, None) => 1,
        };
        u64::try_from(scaled).map_err(|_| QuantityError::TooLarge)
    }
}

/// A suffix as a binary multiplier and a power of ten.
fn scale(suffix: &str) -> Result<(u128, i64), QuantityError> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(at) = BINARY.iter().position(|unit| *unit == suffix) {
        return Ok((1 << (10 * (at + 1)), 0));
    }
    let power = match suffix {
        "" => 0,
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ => exponent(suffix)?,
    };
    Ok((1, power))
}

fn exponent(suffix: &str) -> Result<i64, QuantityError> {
    let text = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Syntax)?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(QuantityError::Syntax);
    }
    // What has more digits is out of every range, and its sign says on which side.
    let size = digits.parse::<i32>().unwrap_or(i32::MAX);
    Ok(i64::from(if text.starts_with('-') { -size } else { size }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_as_kubernetes_reads_them() {
        use QuantityError::{Negative, Syntax, TooLarge};
        for (text, thousandths, whole) in [
            ("500m", Ok(500), Ok(1)),
            ("0.5", Ok(500), Ok(1)),
            (".5", Ok(500), Ok(1)),
            ("5.", Ok(5_000), Ok(5)),
            ("+2", Ok(2_000), Ok(2)),
            ("1e3", Ok(1_000_000), Ok(1_000)),
            ("1E-3", Ok(1), Ok(1)),
            ("12E", Err(TooLarge), Ok(12_000_000_000_000_000_000)),
            ("1152Gi", Ok(1_236_950_581_248_000), Ok(1_236_950_581_248)),
            ("1.5Gi", Ok(1_610_612_736_000), Ok(1_610_612_736)),
            ("100n", Ok(1), Ok(1)),
            ("0", Ok(0), Ok(0)),
            ("-0", Ok(0), Ok(0)),
            ("0.0001", Ok(1), Ok(1)),
            ("1e-999999999999", Ok(1), Ok(1)),
            ("1e999999999999", Err(TooLarge), Err(TooLarge)),
            ("16Ei", Err(TooLarge), Err(TooLarge)),
            ("99999999999999999999999999999999999999999", Err(TooLarge), Err(TooLarge)),
            ("-1", Err(Negative), Err(Negative)),
            ("", Err(Syntax), Err(Syntax)),
            (".", Err(Syntax), Err(Syntax)),
            ("1.2.3", Err(Syntax), Err(Syntax)),
            ("lots", Err(Syntax), Err(Syntax)),
            ("1Gb", Err(Syntax), Err(Syntax)),
            ("1e", Err(Syntax), Err(Syntax)),
            ("1ki", Err(Syntax), Err(Syntax)),
            ("é", Err(Syntax), Err(Syntax)),
        ] {
            assert_eq!(milli(text), thousandths, "{text} in thousandths");
            assert_eq!(units(text), whole, "{text}");
        }
    }

    proptest! {
        #[test]
        fn milli_and_decimals_agree(thousandths in 0_u64..u64::MAX / 1000) {
            prop_assert_eq!(milli(&format!("{thousandths}m")), Ok(thousandths));
            let decimal = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
            prop_assert_eq!(milli(&decimal), Ok(thousandths));
            prop_assert_eq!(milli(&format!("{thousandths}e-3")), Ok(thousandths));
        }

        #[test]
        fn bytes_come_back(bytes: u64, shift in 0_u32..64) {
            let bytes = bytes >> shift << (shift / 2);
            prop_assert_eq!(units(&bytes_text(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in "[-+]?[0-9.]{0,45}[a-zA-Z]{0,2}[-+]?[0-9]{0,20}") {
            let (whole, thousandths) = (units(&text), milli(&text));
            prop_assert_eq!(whole.is_err() && whole != Err(QuantityError::TooLarge), thousandths.is_err() && thousandths != Err(QuantityError::TooLarge));
            if let (Ok(whole), Ok(thousandths)) = (whole, thousandths) {
                prop_assert!(thousandths.div_ceil(1000) == whole);
            }
        }
    }
}
