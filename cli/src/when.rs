//! Times as people type and read them. The rig takes and gives RFC 3339 only.

use crate::failure::Failure;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};

/// `+2d`, `-1h`, `tomorrow`, `2026-12-01`, `2026-12-01T10:00` in the time zone of `now`, or RFC 3339. Emptied by "".
pub fn read(flag: &str, text: &str, now: &Zoned) -> Result<Option<String>, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let when = relative(text, now)
        .or_else(|| named(text, now))
        .or_else(|| absolute(text, now.time_zone()));
    when.map(|when| Some(format!("{when:.3}"))).ok_or_else(|| {
        Failure::fatal(format!(
            "invalid {flag} format {text:?}. Examples: +6h, +2d, tomorrow, 2025-01-15"
        ))
    })
}

/// bd's units: hours, days, weeks, months, years.
fn relative(text: &str, now: &Zoned) -> Option<Timestamp> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (last, _) = rest.char_indices().next_back()?;
    let (digits, unit) = rest.split_at(last);
    // No span that anyone means is longer, and the calendar ends somewhere.
    let count =
        sign * digits.parse::<u32>().ok().filter(|count| *count < 100_000).map(i64::from)?;
    let span: Span = match unit {
        "h" => count.hours(),
        "d" => count.days(),
        "w" => Span::new().try_weeks(count).ok()?,
        "m" => Span::new().try_months(count).ok()?,
        "y" => Span::new().try_years(count).ok()?,
        _ => return None,
    };
    Some(now.checked_add(span).ok()?.timestamp())
}

fn named(text: &str, now: &Zoned) -> Option<Timestamp> {
    let today = now.start_of_day().ok()?;
    match text {
        "now" => Some(now.timestamp()),
        "today" => Some(today.timestamp()),
        "tomorrow" => Some(today.checked_add(1.day()).ok()?.timestamp()),
        _ => None,
    }
}

fn absolute(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let instant = text.parse::<Timestamp>().ok();
    instant
        .or_else(|| Some(text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp()))
}

/// To the minute, where the reader is; as it came, if it is no time.
pub fn show(time: &str) -> String {
    format(time, "%Y-%m-%d %H:%M")
}

/// To the second.
pub fn show_exactly(time: &str) -> String {
    format(time, "%Y-%m-%d %H:%M:%S")
}

fn format(time: &str, pattern: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(when) => when.to_zoned(TimeZone::system()).strftime(pattern).to_string(),
        Err(_) => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_at_noon(text: &str) -> String {
        let now: Zoned = "2026-11-20T12:00:00+01:00[+01:00]".parse().unwrap();
        match read("--due", text, &now) {
            Ok(when) => when.unwrap_or_else(|| "emptied".into()),
            Err(failure) => failure.message,
        }
    }

    #[test]
    fn times_are_read_as_people_type_them() {
        let typed = [
            "",
            "+6h",
            "2d",
            "-1d",
            "+1w",
            "+1m",
            "+1y",
            "today",
            "tomorrow",
            "2026-12-01",
            "2026-12-01T10:30",
            "2026-12-01T10:30:00Z",
            "2026-12-01T10:30:00.25+02:00",
            "soon",
            "+99999999999h",
            "+99999y",
            "ä",
        ];
        let read = typed.map(|text| format!("{text:>28} | {}", read_at_noon(text))).join(
            "
",
        );
        expect_test::expect![[r#"
                                         | emptied
                                     +6h | 2026-11-20T17:00:00.000Z
                                      2d | 2026-11-22T11:00:00.000Z
                                     -1d | 2026-11-19T11:00:00.000Z
                                     +1w | 2026-11-27T11:00:00.000Z
                                     +1m | 2026-12-20T11:00:00.000Z
                                     +1y | 2027-11-20T11:00:00.000Z
                                   today | 2026-11-19T23:00:00.000Z
                                tomorrow | 2026-11-20T23:00:00.000Z
                              2026-12-01 | 2026-11-30T23:00:00.000Z
                        2026-12-01T10:30 | 2026-12-01T09:30:00.000Z
                    2026-12-01T10:30:00Z | 2026-12-01T10:30:00.000Z
            2026-12-01T10:30:00.25+02:00 | 2026-12-01T08:30:00.250Z
                                    soon | invalid --due format "soon". Examples: +6h, +2d, tomorrow, 2025-01-15
                           +99999999999h | invalid --due format "+99999999999h". Examples: +6h, +2d, tomorrow, 2025-01-15
                                 +99999y | invalid --due format "+99999y". Examples: +6h, +2d, tomorrow, 2025-01-15
                                       ä | invalid --due format "ä". Examples: +6h, +2d, tomorrow, 2025-01-15"#]].assert_eq(&read);
    }
}
