//! Times as ages.

use muster_model::TimeMs;

/// How long ago an RFC 3339 time was, as kubectl writes it: `42s`, `5m`, `3h`, `12d`. What is no time stays as it is.
pub fn since(text: &str, now: TimeMs) -> String {
    let Ok(time) = text.parse::<jiff::Timestamp>() else { return text.to_owned() };
    let then = TimeMs(u64::try_from(time.as_millisecond()).unwrap_or_default());
    let seconds = now.since(then).0 / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = TimeMs(10 * 86_400_000);
        for (text, want) in [
            ("1970-01-11T00:00:00Z", "0s"),
            ("1970-01-10T23:58:01Z", "119s"),
            ("1970-01-10T23:00:00Z", "60m"),
            ("1970-01-10T00:00:00Z", "24h"),
            ("1970-01-01T00:00:00Z", "10d"),
            ("soon", "soon"),
        ] {
            assert_eq!(since(text, now), want, "{text}");
        }
    }
}
