//! What one term of an expression means: `priority<=1`, `updated>7d`, `label=none`.

use super::Op;
use crate::failure::Failure;
use crate::issue::priority_number;
use crate::when;
use beadrig::bead::Status;
use beadrig::wire::rig::BeadView;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

/// What a term is asked of.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The bead.
    pub bead: &'a BeadView,
    /// Its notes as one text, where the expression names them.
    pub notes: &'a str,
}

/// A term, understood.
#[derive(Debug)]
pub struct Term {
    op: Op,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Status(String),
    Priority(u8),
    Kind(String),
    /// Empty for none.
    Assignee(String),
    /// Empty for none.
    Label(String),
    Id(String),
    IdPrefix(String),
    Parent(String),
    Title(String),
    /// Empty for none.
    Description(String),
    Notes(String),
    Time(Time, Timestamp),
    Metadata(String, String),
    MetadataKey(String),
    /// What no bead of a rig has: an owner, a specification, a pin.
    Foreign(bool),
}

#[derive(Clone, Copy, Debug)]
enum Time {
    Created,
    Updated,
    Started,
    Closed,
    Due,
}

impl Term {
    /// Reads a term; bd's words for what it cannot be.
    pub fn new(field: &str, op: Op, text: &str, now: &Zoned) -> Result<Self, Failure> {
        let lower = text.to_lowercase();
        let or_none =
            || if lower == "none" || lower == "null" { String::new() } else { lower.clone() };
        let value = match field {
            "status" => {
                if !Status::ALL.iter().any(|status| status.as_str() == lower) {
                    // What bd has and a rig has not, no bead is in.
                    if !["pinned", "hooked"].contains(&lower.as_str()) {
                        return Err(wrong(format!("invalid status: {text}")));
                    }
                }
                Value::Status(lower)
            }
            "priority" => priority(text)?,
            "type" => Value::Kind(lower),
            "assignee" if or_none().is_empty() => Value::Assignee(String::new()),
            "assignee" => Value::Assignee(text.to_owned()),
            "label" => Value::Label(or_none()),
            "title" => Value::Title(lower),
            "description" => Value::Description(or_none()),
            "notes" => Value::Notes(lower),
            "created" => Value::Time(Time::Created, time(field, text, now)?),
            "updated" => Value::Time(Time::Updated, time(field, text, now)?),
            "started" => Value::Time(Time::Started, time(field, text, now)?),
            "closed" => Value::Time(Time::Closed, time(field, text, now)?),
            "due" => Value::Time(Time::Due, time(field, text, now)?),
            "id" => match text.strip_suffix('*') {
                Some(prefix) => Value::IdPrefix(prefix.to_owned()),
                None => Value::Id(text.to_owned()),
            },
            "parent" => Value::Parent(text.to_owned()),
            "owner" | "spec" | "mol_type" => Value::Foreign(or_none().is_empty()),
            "pinned" | "ephemeral" | "template" | "no_history" => match lower.as_str() {
                "true" | "yes" | "1" => Value::Foreign(false),
                "false" | "no" | "0" => Value::Foreign(true),
                _ => return Err(wrong(format!("invalid boolean value for {field}: {text}"))),
            },
            "has_metadata_key" => Value::MetadataKey(text.to_owned()),
            _ => match field.strip_prefix("metadata.").filter(|key| !key.is_empty()) {
                Some(key) => Value::Metadata(key.to_owned(), text.to_owned()),
                None => return Err(wrong(format!("unknown field: {field}"))),
            },
        };
        let ordered = matches!(value, Value::Priority(_) | Value::Time(..));
        if !ordered && !matches!(op, Op::Equal | Op::NotEqual) {
            return Err(wrong(format!("{field} only supports = and != operators")));
        }
        Ok(Self { op, value })
    }

    /// Whether it is true of a bead.
    pub fn takes(&self, target: &Target<'_>) -> bool {
        let bead = target.bead;
        let is = match &self.value {
            Value::Status(status) => bead.status == *status,
            Value::Priority(priority) => {
                return compare(self.op, priority_number(&bead.priority).cmp(priority));
            }
            Value::Time(which, time) => return self.takes_time(*which, *time, bead),
            Value::Kind(kind) => bead.kind.to_lowercase() == *kind,
            Value::Assignee(name) => same(bead.assignee.as_deref().unwrap_or_default(), name),
            Value::Label(label) if label.is_empty() => bead.labels.is_empty(),
            Value::Label(label) => bead.labels.iter().any(|it| same(it, label)),
            Value::Id(id) => bead.id == *id,
            Value::IdPrefix(prefix) => bead.id.starts_with(prefix.as_str()),
            Value::Parent(parent) => bead.parent.as_deref().unwrap_or_default() == parent,
            Value::Title(part) => bead.title.to_lowercase().contains(part.as_str()),
            Value::Description(part) => {
                let body = bead.body.as_deref().unwrap_or_default();
                if part.is_empty() {
                    body.is_empty()
                } else {
                    body.to_lowercase().contains(part.as_str())
                }
            }
            Value::Notes(part) => target.notes.to_lowercase().contains(part.as_str()),
            Value::Metadata(key, value) => metadata_is(bead, key, value),
            Value::MetadataKey(key) => bead.metadata.contains_key(key),
            Value::Foreign(is) => *is,
        };
        is == (self.op == Op::Equal)
    }

    /// A day is equal to all of its moments, in UTC. What has no such time is neither before nor after.
    fn takes_time(&self, which: Time, time: Timestamp, bead: &BeadView) -> bool {
        let text = match which {
            Time::Created => Some(&bead.created_at),
            Time::Updated => Some(&bead.updated_at),
            Time::Started => bead.started_at.as_ref(),
            Time::Closed => bead.closed_at.as_ref(),
            Time::Due => bead.due_at.as_ref(),
        };
        let Some(at) = text.and_then(|text| text.parse::<Timestamp>().ok()) else { return false };
        let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
        match self.op {
            Op::Equal => day(at) == day(time),
            Op::NotEqual => day(at) != day(time),
            op => compare(op, at.cmp(&time)),
        }
    }

    /// See [`Test::of_status`](super::Test::of_status).
    pub(super) fn of_status(&self, status: &str) -> Option<bool> {
        match &self.value {
            Value::Status(wanted) => Some((wanted == status) == (self.op == Op::Equal)),
            _ => None,
        }
    }

    pub(super) fn assignee(&self) -> Option<&str> {
        match &self.value {
            Value::Assignee(name) if self.op == Op::Equal && !name.is_empty() => Some(name),
            _ => None,
        }
    }
}

/// Whether a key of the metadata has this value; anything but a text is compared as JSON.
pub fn metadata_is(bead: &BeadView, key: &str, value: &str) -> bool {
    let Some(found) = bead.metadata.get(key) else { return false };
    let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
    text == value
}

fn wrong(what: impl std::fmt::Display) -> Failure {
    Failure::fatal(format!("evaluating query: {what}"))
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn compare(op: Op, order: std::cmp::Ordering) -> bool {
    match op {
        Op::Equal => order.is_eq(),
        Op::NotEqual => order.is_ne(),
        Op::Less => order.is_lt(),
        Op::LessOrEqual => order.is_le(),
        Op::Greater => order.is_gt(),
        Op::GreaterOrEqual => order.is_ge(),
    }
}

fn priority(text: &str) -> Result<Value, Failure> {
    let digits = text.strip_prefix(['p', 'P']).unwrap_or(text);
    let number: i64 =
        digits.parse().map_err(|_| wrong(format!("invalid priority value: {text}")))?;
    match u8::try_from(number) {
        Ok(number @ 0..=4) => Ok(Value::Priority(number)),
        _ => Err(wrong("priority must be between 0 and 4")),
    }
}

/// `7d` is seven days ago; a date is its beginning in UTC, where all times of a rig are.
fn time(field: &str, text: &str, now: &Zoned) -> Result<Timestamp, Failure> {
    let bad = || wrong(format!("invalid {field} time: {text}"));
    if text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['h', 'd', 'w', 'm', 'y'])
        && text[..text.len() - 1].bytes().all(|byte| byte.is_ascii_digit())
    {
        return read(&format!("-{text}"), now).ok_or_else(bad);
    }
    let utc = now.with_time_zone(TimeZone::UTC);
    read(text, &utc).or_else(|| spoken(text, &utc)).ok_or_else(bad)
}

fn read(text: &str, now: &Zoned) -> Option<Timestamp> {
    when::read("time", text, now).ok()??.parse().ok()
}

/// A few of the ways in which people name days.
fn spoken(text: &str, now: &Zoned) -> Option<Timestamp> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let number = |text: &str| text.parse::<i32>().ok().filter(|n| (0..100_000).contains(n));
    let span = |n: i32, unit: &str| match unit.trim_end_matches('s') {
        "hour" => Some(n.hours()),
        "day" => Some(n.days()),
        "week" => Some(n.weeks()),
        "month" => Some(n.months()),
        "year" => Some(n.years()),
        _ => None,
    };
    let today = now.start_of_day().ok()?;
    let when = match words.as_slice() {
        ["yesterday"] => today.checked_sub(1.day()),
        ["in", n, unit] => now.checked_add(span(number(n)?, unit)?),
        [n, unit, "ago"] => now.checked_sub(span(number(n)?, unit)?),
        ["next", "week"] => today.checked_add(1.week()),
        ["last", "week"] => today.checked_sub(1.week()),
        ["last", name] => today.nth_weekday(-1, weekday(name)?),
        ["next", name] | [name] => today.nth_weekday(1, weekday(name)?),
        _ => return None,
    };
    Some(when.ok()?.timestamp())
}

fn weekday(name: &str) -> Option<jiff::civil::Weekday> {
    use jiff::civil::Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let days = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];
    let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    names.iter().position(|it| *it == name).map(|day| days[day])
}
