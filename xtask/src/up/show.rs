//! What happens, as it happens: the worker logs one JSON object a line, people read words.
//!
//! ```text
//! {"level":"info","rig":"main","what":"bead claimed","bead":"gt-1a"}
//! 12:30:01  main  bead claimed  bead=gt-1a
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::run;
use crate::stack::Line;

const DAY_S: i64 = 24 * 60 * 60;

/// Prints lines.
pub(super) struct Shown {
    /// Local time is so far ahead of UTC.
    ahead_s: i64,
}

impl Shown {
    /// Asks the system once how far local time is ahead.
    pub(super) fn new() -> Self {
        let zone = run::answer("date", &["+%z"]).unwrap_or_default();
        Self { ahead_s: ahead_s(&zone).unwrap_or(0) }
    }

    /// Prints one.
    pub(super) fn line(&self, line: &Line) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let local = i64::try_from(now.as_secs()).unwrap_or(0) + self.ahead_s;
        println!("{}  {}", time_of_day(local), words(line));
    }
}

/// A line without its time.
fn words(line: &Line) -> String {
    match serde_json::from_str::<Map<String, Value>>(&line.text) {
        Ok(mut fields) => {
            let rig = take(&mut fields, &["rig", "rigId", "rig_id"]);
            let what = take(&mut fields, &["what", "event", "message", "msg"]);
            let level = take(&mut fields, &["level"]).filter(|level| level != "info");
            for time in ["time", "at", "ts", "timestamp"] {
                fields.remove(time);
            }
            let mut parts = vec![rig.unwrap_or_else(|| line.source.name().to_owned())];
            parts.extend(level.map(|level| level.to_uppercase()));
            parts.extend(what);
            parts.extend(fields.iter().map(|(name, value)| format!("{name}={}", plain(value))));
            parts.join("  ")
        }
        Err(_) => format!("{}  {}", line.source.name(), line.text),
    }
}

fn take(fields: &mut Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| fields.remove(*name)).map(|value| plain(&value))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `+0530` is 19800.
fn ahead_s(zone: &str) -> Option<i64> {
    let (sign, digits) = zone.split_at_checked(1)?;
    let number: i64 = digits.parse().ok()?;
    let seconds = (number / 100 * 60 + number % 100) * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

fn time_of_day(seconds: i64) -> String {
    let second = seconds.rem_euclid(DAY_S);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Source;

    fn shown(source: Source, text: &str) -> String {
        words(&Line { source, text: text.to_owned() })
    }

    #[test]
    fn an_object_becomes_words() {
        let text =
            r#"{"time":1,"level":"info","rig":"main","what":"bead claimed","bead":"gt-1","n":2}"#;
        assert_eq!(shown(Source::Worker, text), "main  bead claimed  bead=gt-1  n=2");
        let text = r#"{"level":"error","what":"sql"}"#;
        assert_eq!(shown(Source::Worker, text), "worker  ERROR  sql");
    }

    #[test]
    fn anything_else_stays_as_it_is() {
        assert_eq!(shown(Source::Container, "panicked at x"), "container  panicked at x");
    }

    #[test]
    fn time_is_local() {
        assert_eq!(ahead_s("+0530"), Some(19_800));
        assert_eq!(ahead_s("-0100"), Some(-3600));
        assert_eq!(time_of_day(-1), "23:59:59");
    }
}
