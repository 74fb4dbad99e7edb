//! Durations, times, money and quantities in a document: read, or refused by the field's name.

use muster_model::{DurationMs, MicroUsd, TimeMs};
use serde_json::Value;

use super::at::At;
use super::quantity::{self, QuantityError};
use crate::field::FieldError;

const DURATION_RULE: &str = "must be a duration such as 90s, 10m or 1h30m";
const TIME_RULE: &str = "must be an RFC 3339 time such as 2026-01-31T09:30:00Z";
const MONEY_NUMBER: &str = "must be a decimal string such as \"12.34\": a JSON number is a binary fraction, which cannot hold most \
                            amounts of money exactly; put it in quotes";

/// A duration: whole numbers with units `d`, `h`, `m`, `s`, `ms`, one after the other.
///
/// # Errors
/// When it is anything else, or beyond 64 bits of milliseconds.
pub fn parse_duration(text: &str) -> Result<DurationMs, &'static str> {
    let (mut rest, mut total_ms) = (text, 0_u64);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, behind) = behind.split_at(letters);
        let unit_ms = unit_ms(unit).ok_or(DURATION_RULE)?;
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_ms));
        total_ms = part.and_then(|part| total_ms.checked_add(part)).ok_or(DURATION_RULE)?;
        rest = behind;
    }
    if text.is_empty() { Err(DURATION_RULE) } else { Ok(DurationMs(total_ms)) }
}

fn unit_ms(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    }
}

/// An RFC 3339 time, not before 1970.
///
/// # Errors
/// When it is anything else.
pub fn parse_time(text: &str) -> Result<TimeMs, &'static str> {
    let time = text.parse::<jiff::Timestamp>().map_err(|_| TIME_RULE)?;
    u64::try_from(time.as_millisecond()).map(TimeMs).map_err(|_| TIME_RULE)
}

/// A time to the millisecond, RFC 3339.
pub fn exact_time(at: TimeMs) -> String {
    let stamp = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(|| at.to_string(), |stamp| format!("{stamp:.3}"))
}

/// A duration as it is printed for people: `1h30m`, `0s`.
pub(super) fn duration_text(duration: DurationMs) -> String {
    let seconds = duration.0 / 1000;
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A duration field; `None` if absent or refused.
pub(super) fn duration(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<DurationMs> {
    let read = |text: &str| parse_duration(text).map_err(str::to_owned);
    text(at, errors, DURATION_RULE, read)
}

/// A duration field that must not be zero.
pub(super) fn positive_duration(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<DurationMs> {
    let duration = duration(at, errors)?;
    if duration.0 == 0 {
        errors.push(at.invalid("must be greater than 0"));
        return None;
    }
    Some(duration)
}

/// A time field; `None` if absent or refused.
pub(super) fn time(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<TimeMs> {
    text(at, errors, TIME_RULE, |text| parse_time(text).map_err(str::to_owned))
}

/// A field that is a day or a time; a day means its first moment in UTC.
pub(super) fn day_or_time(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<TimeMs> {
    const RULE: &str = "must be a day such as 2026-01-31 or an RFC 3339 time such as 2026-01-31T09:30:00Z";
    text(at, errors, RULE, |text| {
        let midnight = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        parse_time(&midnight).map_err(|_| RULE.to_owned())
    })
}

/// An amount of money that is not negative; `None` if absent or refused.
pub(super) fn money(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<MicroUsd> {
    text(at, errors, MONEY_NUMBER, |text| {
        let amount = text.parse::<MicroUsd>().map_err(|error| error.to_string())?;
        if amount < MicroUsd(0) { Err("must be greater than or equal to 0".to_owned()) } else { Ok(amount) }
    })
}

/// A quantity field in whole units; `None` if absent or refused.
pub(super) fn units(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<u64> {
    quantity_by(at, errors, quantity::units)
}

/// A quantity field in thousandths; `None` if absent or refused.
pub(super) fn milli(at: &At<'_>, errors: &mut Vec<FieldError>) -> Option<u64> {
    quantity_by(at, errors, quantity::milli)
}

fn quantity_by(
    at: &At<'_>,
    errors: &mut Vec<FieldError>,
    parse: fn(&str) -> Result<u64, QuantityError>,
) -> Option<u64> {
    if !at.is_set() {
        return None;
    }
    let parsed = quantity::text_of(at.value).ok_or(QuantityError::Syntax).and_then(|text| parse(&text));
    parsed.map_err(|error| errors.push(at.invalid(error.to_string()))).ok()
}

/// A text field read by `read`; anything but text breaks `rule`.
fn text<T>(
    at: &At<'_>,
    errors: &mut Vec<FieldError>,
    rule: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let result = match at.value {
        Value::Null => return None,
        Value::String(text) => read(text),
        _ => Err(rule.to_owned()),
    };
    result.map_err(|why| errors.push(at.invalid(why))).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("2d", 172_800_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(DurationMs(ms)), "{text}");
        }
        for text in
            ["", "10", "m", "1.5h", "-1s", "1 h", "1y", "99999999999999999999s", "18446744073709551615h"]
        {
            assert_eq!(parse_duration(text), Err(DURATION_RULE), "{text}");
        }
        for (ms, text) in [(0, "0s"), (90_000, "1m30s"), (3_600_000, "1h"), (5_400_000, "1h30m")] {
            assert_eq!(duration_text(DurationMs(ms)), text);
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("2026-11-20T10:44:05Z"), Ok(TimeMs(1_795_171_445_000)));
        assert_eq!(parse_time("2026-11-20T11:44:05.5+01:00"), Ok(TimeMs(1_795_171_445_500)));
        for text in ["", "2026-11-20", "1969-12-31T23:59:59Z", "yesterday"] {
            assert_eq!(parse_time(text), Err(TIME_RULE), "{text}");
        }
    }

    #[test]
    fn refusals_name_field_and_reason() {
        let value = json!({"a": 1.5, "b": "-1", "c": "1e3", "d": "soon", "e": 3, "f": "2 Gi", "g": "0s"});
        let at = At::root(&value, "spec");
        let mut errors = Vec::new();
        for name in ["a", "b", "c"] {
            assert_eq!(money(&at.field(name), &mut errors), None);
        }
        assert_eq!(day_or_time(&at.field("d"), &mut errors), None);
        assert_eq!(duration(&at.field("e"), &mut errors), None);
        assert_eq!(units(&at.field("f"), &mut errors), None);
        assert_eq!(positive_duration(&at.field("g"), &mut errors), None);
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        expect_test::expect![[r#"
            spec.a: Invalid value: 1.5: must be a decimal string such as "12.34": a JSON number is a binary fraction, which cannot hold most amounts of money exactly; put it in quotes
            spec.b: Invalid value: "-1": must be greater than or equal to 0
            spec.c: Invalid value: "1e3": must be a decimal amount in USD such as "12.34"
            spec.d: Invalid value: "soon": must be a day such as 2026-01-31 or an RFC 3339 time such as 2026-01-31T09:30:00Z
            spec.e: Invalid value: 3: must be a duration such as 90s, 10m or 1h30m
            spec.f: Invalid value: "2 Gi": must be a quantity such as 500m, 2, 0.5, 64Gi or 1e3
            spec.g: Invalid value: "0s": must be greater than 0"#]]
        .assert_eq(&texts.join("\n"));
    }
}
