//! Times and names.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch. Always handed in; the core reads no clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// This time plus a number of milliseconds.
    #[must_use]
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// How long after `earlier` this is, in milliseconds; never negative, for clocks jump.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }

    /// Reads RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp_millis()))
    }
}

/// RFC 3339 in UTC with milliseconds, as on the wire.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = DateTime::from_timestamp_millis(self.0.clamp(FIRST_MS, LAST_MS));
        f.write_str(&at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// The first and the last moment that RFC 3339 can write: the years 0000 and 9999.
const FIRST_MS: i64 = -62_167_219_200_000;
const LAST_MS: i64 = 253_402_300_799_999;

/// What chance there is in a command: a seed handed in with it, so that a run can be repeated.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits: `SplitMix64`, which any seed suits. Names are made of them, never secrets.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// Lower-case base 36.
    pub fn base36(&mut self, chars: usize) -> String {
        (0..chars)
            .map(|_| {
                let digit = u32::try_from(self.roll() % 36).expect("less than 36");
                char::from_digit(digit, 36).expect("less than 36")
            })
            .collect()
    }

    /// A name that sorts by age: the time, and what tells it from others of that time.
    pub fn dated(&mut self, prefix: &str, now: Millis) -> String {
        format!("{prefix}-{}{}", time36(now), self.base36(4))
    }

    /// A UUID (version 4), as Gastown's clients expect for towns and rigs.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.roll(), self.roll());
        let variant = (low >> 48) & 0x3fff | 0x8000;
        format!(
            "{:08x}-{:04x}-4{:03x}-{variant:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0x0fff,
            low & 0xffff_ffff_ffff
        )
    }

    /// A job id: 12 hex digits, as the agent service has them.
    pub fn job_id(&mut self) -> String {
        format!("{:012x}", self.roll() >> 16)
    }
}

/// A time in 8 digits of base 36, which suffice until 2059 and sort as the times do.
pub fn time36(at: Millis) -> String {
    let mut rest = u64::try_from(at.0).unwrap_or(0);
    let mut digits = ['0'; 8];
    for digit in digits.iter_mut().rev() {
        let value = u32::try_from(rest % 36).expect("less than 36");
        *digit = char::from_digit(value, 36).expect("less than 36");
        rest /= 36;
    }
    digits.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::Millis;

    #[test]
    fn times_are_read_as_rfc_3339_has_them_and_written_in_utc() {
        for (text, written) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
            ("2026-01-31t12:00:00.1239z", "2026-01-31T12:00:00.123Z"),
            ("2026-01-31T12:00:00+05:30", "2026-01-31T06:30:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Millis::parse(text).unwrap().to_string(), written);
        }
        for text in ["", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z", "soon"] {
            assert_eq!(Millis::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_written_is_the_nearest_that_can() {
        assert_eq!(Millis(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Millis(i64::MIN).to_string(), "0000-01-01T00:00:00.000Z");
    }
}
