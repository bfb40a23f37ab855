//! Times and names.

use std::fmt;

use jiff::Timestamp;
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
        text.parse::<Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }
}

/// RFC 3339 in UTC with milliseconds, as on the wire.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::MAX);
        write!(f, "{at:.3}")
    }
}

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
