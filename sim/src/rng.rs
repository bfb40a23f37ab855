//! Chance from one seed. The order of the calls is a part of the run: whoever asks for more changes what follows.

use beadrig::id::Dice;

/// What decides everything.
pub(crate) struct Rng(Dice);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        // Neighbours among the seeds have nothing in common.
        let first = dice.roll();
        Self(Dice::new(first))
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0.roll()
    }

    /// From `low` to `high`, both included.
    pub(crate) fn range(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high - low + 1).unwrap_or(1).max(1);
        low + i64::try_from(self.roll() % width).unwrap_or(0)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % (n.max(1) as u64)).unwrap_or(0)
    }

    /// So many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.roll() % 1_000 < u64::from(per_mille)
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let n = self.below(from.len());
        from.get(n)
    }
}
