//! How often whoever follows looks: at once while there is more, soon while something happens, seldom while it is
//! quiet. Each look is a request that somebody pays for.

use std::time::Duration;

const SOON: Duration = Duration::from_millis(500);
const SELDOM: Duration = Duration::from_secs(4);

/// The wait before the next look.
#[derive(Debug)]
pub(in crate::verbs) struct Pace(Duration);

impl Pace {
    pub(in crate::verbs) fn new() -> Self {
        Self(SOON)
    }

    /// Waits as long as what came last suggests.
    pub(in crate::verbs) fn wait(&mut self, came: usize) {
        self.0 = if came > 0 { SOON } else { self.0 };
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(SELDOM);
    }
}
