//! Counts what cargo's tests say.

use std::fmt;
use std::ops::AddAssign;

/// How many passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Whether there were tests in it, or only a step.
    pub(super) tests: bool,
}

impl Tally {
    /// A step without tests.
    pub(super) const PASSED: Self = Self { passed: 1, failed: 0, tests: false };

    /// The sum of all `test result:` lines; a step without any counts as one, and so does one that failed
    /// although all its tests passed.
    pub(super) fn of(output: &str, success: bool) -> Self {
        let mut tally = Self::default();
        for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
            tally.tests = true;
            tally.passed += number_before(line, " passed;");
            tally.failed += number_before(line, " failed;");
        }
        if success && !tally.tests {
            tally.passed = 1;
        }
        if !success && tally.failed == 0 {
            tally.failed = 1;
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.tests |= other.tests;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn number_before(line: &str, word: &str) -> u64 {
    let number = line.split(word).next().and_then(|before| before.rsplit(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let output = "running 3 tests\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(Tally::of(output, false), Tally { passed: 15, failed: 2, tests: true });
    }

    #[test]
    fn a_step_without_tests_is_one() {
        assert_eq!(Tally::of("fine", true).to_string(), "1 passed, 0 failed");
        assert_eq!(Tally::of("error", false).to_string(), "0 passed, 1 failed");
    }

    #[test]
    fn a_test_program_that_dies_is_a_failure() {
        let output = "test result: ok. 2 passed; 0 failed; 0 ignored\nerror: test failed";
        assert_eq!(Tally::of(output, false).to_string(), "2 passed, 1 failed");
    }
}
