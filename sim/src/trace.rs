//! What happened, as lines: hashed always, kept when somebody wants to read them; and how often each thing did.

use std::collections::BTreeMap;
use std::fmt::{Arguments, Write as _};

/// Lines that are shown of a seed that fails.
const SHOWN: usize = 120;

/// The record of one seed.
pub(crate) struct Trace {
    hash: u64,
    line: String,
    kept: Option<Vec<String>>,
    /// Lines so far.
    pub(crate) steps: u64,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Self {
        let kept = keep.then(Vec::new);
        Self { hash: 0xcbf2_9ce4_8422_2325, line: String::new(), kept, steps: 0 }
    }

    /// Writes a line.
    pub(crate) fn say(&mut self, t: i64, what: Arguments<'_>) {
        self.steps += 1;
        self.line.clear();
        let (s, ms) = (t / 1_000, t % 1_000);
        // Writing to a String does not fail.
        let _ = write!(self.line, "{s:>6}.{ms:03}  {what}");
        for byte in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(kept) = &mut self.kept {
            kept.push(self.line.clone());
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The end of it.
    pub(crate) fn tail(&self, whole: bool) -> &[String] {
        let kept = self.kept.as_deref().unwrap_or_default();
        if whole { kept } else { &kept[kept.len().saturating_sub(SHOWN)..] }
    }
}

/// How often each thing happened.
#[derive(Default)]
pub(crate) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// Starts with things that are to happen.
    pub(crate) fn expecting(names: &[&'static str]) -> Self {
        Self(names.iter().map(|name| (*name, 0)).collect())
    }

    pub(crate) fn hit(&mut self, name: &'static str) {
        *self.0.entry(name).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (name, n) in &other.0 {
            *self.0.entry(name).or_default() += n;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, n)| (*name, *n))
    }
}
