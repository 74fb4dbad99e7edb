//! Schedules: five fields as cron has them (crontab(5)), in an IANA zone.
//!
//! A time in the hour that a zone skips does not happen; one in the hour that it repeats happens once, the first time.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use muster_model::TimeMs;

/// How far ahead a time is looked for: a leap day on a given weekday may be 28 years away.
const YEARS_AHEAD: i16 = 40;
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Times of the day, on days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether both days are restricted: then one of them is enough.
    either_day: bool,
    zone: TimeZone,
}

impl Schedule {
    /// A schedule from five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    ///
    /// # Errors
    /// Why a field cannot be read, or that it means no time at all.
    pub fn parse(cron: &str, zone: &str) -> Result<Schedule, String> {
        let zone = TimeZone::get(zone)
            .map_err(|_| format!("{zone:?} is no IANA time zone such as Europe/Berlin or UTC"))?;
        let fields: Vec<&str> = expanded(cron).split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err("must have five fields: minute hour day-of-month month day-of-week".to_owned());
        };
        let weekdays = field(weekday, "day-of-week", (0, 7), &WEEKDAYS)?;
        let is_open = |text: &str| text.starts_with('*') || text == "?";
        let schedule = Schedule {
            minutes: field(minute, "minute", (0, 59), &[])?,
            hours: field(hour, "hour", (0, 23), &[])?,
            days: field(day, "day-of-month", (1, 31), &[])?,
            months: field(month, "month", (1, 12), &MONTHS)?,
            // 7 is Sunday too.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !is_open(day) && !is_open(weekday),
            zone,
        };
        match schedule.next_after(TimeMs(0)) {
            Some(_) => Ok(schedule),
            None => Err("means no time at all, such as the 30th of February".to_owned()),
        }
    }

    /// The first time after this one.
    pub fn next_after(&self, after: TimeMs) -> Option<TimeMs> {
        let now = Timestamp::from_millisecond(i64::try_from(after.0).ok()?).ok()?;
        let start = now.to_zoned(self.zone.clone()).datetime();
        let mut date = start.date();
        let last = date.year().saturating_add(YEARS_AHEAD);
        while date.year() <= last {
            if has(self.months, i64::from(date.month())) && self.is_on(date) {
                let found = self.times(date).find(|time| *time > now);
                if let Some(found) = found {
                    return u64::try_from(found.as_millisecond()).ok().map(TimeMs);
                }
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    fn is_on(&self, date: jiff::civil::Date) -> bool {
        let day = has(self.days, i64::from(date.day()));
        let weekday = has(self.weekdays, i64::from(date.weekday().to_sunday_zero_offset()));
        if self.either_day { day || weekday } else { day && weekday }
    }

    /// The times of a day, in order, as they are on clocks there.
    fn times(&self, date: jiff::civil::Date) -> impl Iterator<Item = Timestamp> + '_ {
        let hours = (0..24_i8).filter(|hour| has(self.hours, i64::from(*hour)));
        let minutes = move |hour| {
            let all = (0..60_i8).filter(|minute| has(self.minutes, i64::from(*minute)));
            all.map(move |minute| date.at(hour, minute, 0, 0))
        };
        hours.flat_map(minutes).filter_map(|civil| self.on_the_clock(civil))
    }

    fn on_the_clock(&self, civil: DateTime) -> Option<Timestamp> {
        let found = self.zone.to_ambiguous_timestamp(civil);
        match found.offset() {
            AmbiguousOffset::Gap { .. } => None,
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => found.earlier().ok(),
        }
    }
}

fn expanded(cron: &str) -> &str {
    match cron.trim() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        other => other,
    }
}

fn has(set: u64, n: i64) -> bool {
    u32::try_from(n).is_ok_and(|n| n < 64 && set >> n & 1 == 1)
}

/// One field as a set: a list of `*`, `N`, `N-M`, each with `/STEP`; names where there are some.
fn field(text: &str, what: &str, (low, high): (u32, u32), names: &[&str]) -> Result<u64, String> {
    let mut set = 0_u64;
    for part in text.split(',') {
        let wrong = || format!("{what}: {part:?} is not a number, range or step from {low} to {high}");
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(wrong)?),
            None => (part, 1),
        };
        let number = |text: &str| {
            let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
            // Months count from 1, weekdays from 0.
            let named = named.and_then(|at| u32::try_from(at).ok()).map(|at| at + low);
            named.or_else(|| text.parse().ok()).filter(|n| (low..=high).contains(n))
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((from, to)) => (number(from).ok_or_else(wrong)?, number(to).ok_or_else(wrong)?),
            None => {
                let one = number(range).ok_or_else(wrong)?;
                (one, if part.contains('/') { high } else { one })
            }
        };
        if from > to {
            return Err(wrong());
        }
        (from..=to).step_by(step as usize).for_each(|n| set |= 1 << n);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The times after a time, in the zone.
    fn check(cron: &str, zone: &str, after: &str, want: &Expect) {
        let schedule = match Schedule::parse(cron, zone) {
            Ok(schedule) => schedule,
            Err(error) => return want.assert_eq(&error),
        };
        let after: Timestamp = after.parse().unwrap();
        let mut at = TimeMs(u64::try_from(after.as_millisecond()).unwrap());
        let mut texts = Vec::new();
        for _ in 0..4 {
            at = schedule.next_after(at).unwrap();
            let stamp = Timestamp::from_millisecond(i64::try_from(at.0).unwrap()).unwrap();
            texts.push(stamp.to_zoned(schedule.zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string());
        }
        want.assert_eq(&texts.join("\n"));
    }

    #[test]
    fn times_of_days() {
        check(
            "30 9 * * MON-FRI",
            "UTC",
            "2026-11-20T09:30:00Z",
            &expect![[r#"
                Mon 2026-11-23 09:30 UTC
                Tue 2026-11-24 09:30 UTC
                Wed 2026-11-25 09:30 UTC
                Thu 2026-11-26 09:30 UTC"#]],
        );
        check(
            "*/25 3,5 1 * *",
            "UTC",
            "2026-11-20T00:00:00Z",
            &expect![[r#"
                Tue 2026-12-01 03:00 UTC
                Tue 2026-12-01 03:25 UTC
                Tue 2026-12-01 03:50 UTC
                Tue 2026-12-01 05:00 UTC"#]],
        );
        // Either day is enough when both are restricted; 7 is Sunday.
        check(
            "0 0 13 * 7",
            "UTC",
            "2026-11-01T00:00:00Z",
            &expect![[r#"
                Sun 2026-11-08 00:00 UTC
                Fri 2026-11-13 00:00 UTC
                Sun 2026-11-15 00:00 UTC
                Sun 2026-11-22 00:00 UTC"#]],
        );
        check(
            "0 12 29 feb *",
            "UTC",
            "2026-01-01T00:00:00Z",
            &expect![[r#"
                Tue 2028-02-29 12:00 UTC
                Sun 2032-02-29 12:00 UTC
                Fri 2036-02-29 12:00 UTC
                Wed 2040-02-29 12:00 UTC"#]],
        );
    }

    #[test]
    fn the_skipped_hour_does_not_happen() {
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-27T12:00:00Z",
            &expect![[r#"
                Sat 2026-03-28 02:30 CET
                Mon 2026-03-30 02:30 CEST
                Tue 2026-03-31 02:30 CEST
                Wed 2026-04-01 02:30 CEST"#]],
        );
    }

    #[test]
    fn the_doubled_hour_happens_once() {
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &expect![[r#"
                Sun 2026-10-25 02:30 CEST
                Mon 2026-10-26 02:30 CET
                Tue 2026-10-27 02:30 CET
                Wed 2026-10-28 02:30 CET"#]],
        );
        check(
            "0 * * * *",
            "America/New_York",
            "2026-11-01T04:30:00Z",
            &expect![[r#"
                Sun 2026-11-01 01:00 EDT
                Sun 2026-11-01 02:00 EST
                Sun 2026-11-01 03:00 EST
                Sun 2026-11-01 04:00 EST"#]],
        );
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        check(
            "* * * *",
            "UTC",
            "",
            &expect!["must have five fields: minute hour day-of-month month day-of-week"],
        );
        check(
            "60 * * * *",
            "UTC",
            "",
            &expect![[r#"minute: "60" is not a number, range or step from 0 to 59"#]],
        );
        check(
            "5-1 * * * *",
            "UTC",
            "",
            &expect![[r#"minute: "5-1" is not a number, range or step from 0 to 59"#]],
        );
        check(
            "*/0 * * * *",
            "UTC",
            "",
            &expect![[r#"minute: "*/0" is not a number, range or step from 0 to 59"#]],
        );
        check("0 0 30 2 *", "UTC", "", &expect!["means no time at all, such as the 30th of February"]);
        check(
            "0 0 * * *",
            "Mars/Base",
            "",
            &expect![[r#""Mars/Base" is no IANA time zone such as Europe/Berlin or UTC"#]],
        );
    }
}
