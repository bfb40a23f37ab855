//! What to do when a part ends by itself: again with a longer and longer pause, but not for ever.
//!
//! Pure: time comes in.

use std::time::{Duration, Instant};

/// So many crashes within [`WINDOW`] are enough.
const CRASHES_MAX: usize = 5;
const WINDOW: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The crashes of one part.
#[derive(Debug, Default)]
pub(super) struct Crashes {
    at: Vec<Instant>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Start again after this pause.
    Again(Duration),
    /// It does not help.
    GiveUp,
}

impl Crashes {
    /// It has ended now.
    pub(super) fn crashed(&mut self, now: Instant) -> Next {
        self.at.retain(|at| now.duration_since(*at) < WINDOW);
        self.at.push(now);
        if self.at.len() >= CRASHES_MAX {
            return Next::GiveUp;
        }
        let doublings = u32::try_from(self.at.len() - 1).unwrap_or(u32::MAX);
        Next::Again(FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_crash_within_a_minute_is_the_last() {
        let begin = Instant::now();
        let mut crashes = Crashes::default();
        let next: Vec<_> =
            (0..5).map(|i| crashes.crashed(begin + Duration::from_secs(10 * i))).collect();
        let again = |ms| Next::Again(Duration::from_millis(ms));
        assert_eq!(next, [again(500), again(1000), again(2000), again(4000), Next::GiveUp]);
    }

    #[test]
    fn a_crash_a_minute_later_is_a_first_one() {
        let begin = Instant::now();
        let mut crashes = Crashes::default();
        crashes.crashed(begin);
        let next = crashes.crashed(begin + Duration::from_mins(1));
        assert_eq!(next, Next::Again(FIRST_PAUSE));
    }
}
