//! Amounts of money in tables.

/// An exact decimal text in USD as `$12.35`. What is more than nothing and less than a cent is `<$0.01`, never `$0.00`:
/// a price that looks like none misleads. What is no amount stays as it is.
pub fn dollars(amount: &str) -> String {
    let (sign, digits) = amount.strip_prefix('-').map_or(("", amount), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Ok(whole) = whole.parse::<u128>() else { return amount.to_owned() };
    if !are_digits(fraction) {
        return amount.to_owned();
    }
    let digit = |i: usize| u128::from(fraction.as_bytes().get(i).map_or(0, |byte| byte - b'0'));
    let cents = whole.saturating_mul(100) + digit(0) * 10 + digit(1) + u128::from(digit(2) >= 5);
    let is_nothing = whole == 0 && fraction.bytes().all(|byte| byte == b'0');
    if cents == 0 && !is_nothing {
        return format!("<{sign}$0.01");
    }
    format!("{sign}${}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_to_cents() {
        for (amount, want) in [
            ("0", "$0.00"),
            ("0.000000", "$0.00"),
            ("0.000001", "<$0.01"),
            ("0.005", "$0.01"),
            ("8.650504", "$8.65"),
            ("9.995", "$10.00"),
            ("1234.5", "$1234.50"),
            ("-2.345", "-$2.35"),
            ("unknown", "unknown"),
            ("", ""),
        ] {
            assert_eq!(dollars(amount), want, "{amount}");
        }
    }
}
