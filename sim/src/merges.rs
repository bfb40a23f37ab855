//! A model of merges: what a container does with those that it is asked for, the remote that they land on, and what
//! must hold of them.
//!
//! ```text
//! asked, known: the same    asked, new: at work -> lost, or reported as conflict, gate_failed, …
//!                                               -> landing? -> stale: dropped     ok: lands a little later, reported
//! ```
//!
//! It must never look into the rig.

use std::collections::{BTreeMap, BTreeSet};

use beadrig::command::StartAnswer;
use beadrig::wire::merge::{MergeEntry, MergeRequest};

use crate::agents::FOR_EVER;
use crate::faults::Kind;
use crate::op::{Call, Op, Who};
use crate::rules::Findings;
use crate::world::{Event, World};

/// One merge is started so often at most: once, three times after it was lost, and three after it failed.
const STARTS_MAX: usize = 7;

/// What is known of merges.
#[derive(Clone, Default)]
pub(crate) struct Merges {
    /// By entry: of which bead, and the starts that were asked for.
    known: BTreeMap<String, (String, BTreeSet<i64>)>,
    /// How often each start was asked for.
    asks: BTreeMap<(String, i64), u32>,
    /// The starts that the rig heard to be at work while they were wanted.
    seen: BTreeSet<(String, i64)>,
    /// Entries that a person took back.
    withdrawn: BTreeSet<String>,
    /// The beads whose work is on the target branch.
    pub(crate) landed: BTreeSet<String>,
    /// The entries of which a start came so far that it asked whether it may land: there is something to merge.
    pub(crate) made: BTreeSet<String>,
}

impl Merges {
    /// A container is asked for these.
    pub(crate) fn asked(&mut self, entries: &[MergeEntry], found: &mut Findings) {
        for it in entries {
            let fresh = || (it.bead_id.clone(), BTreeSet::new());
            let (_, starts) = self.known.entry(it.entry_id.clone()).or_insert_with(fresh);
            starts.insert(it.attempt);
            *self.asks.entry((it.entry_id.clone(), it.attempt)).or_default() += 1;
            let n = starts.len();
            found.check("a merge is started a few times at most", n <= STARTS_MAX, || {
                format!("{} of {} is started for the {n}th time", it.entry_id, it.bead_id)
            });
        }
    }

    /// There was no room for these: the same numbers are given again. One that was asked for before, and not
    /// answered, or that a container said it is at, has begun all the same.
    pub(crate) fn not_begun(&mut self, entries: &[MergeEntry]) {
        for it in entries {
            let key = (it.entry_id.clone(), it.attempt);
            if self.asks.get(&key).is_some_and(|asks| *asks > 1) || self.seen.contains(&key) {
                continue;
            }
            self.asks.remove(&key);
            if let Some((_, starts)) = self.known.get_mut(&it.entry_id) {
                starts.remove(&it.attempt);
            }
        }
    }

    /// A person took this bead out of review, if it was there.
    pub(crate) fn withdrawn(&mut self, bead: &str) {
        let its = self.known.iter().filter(|(_, it)| it.0 == bead);
        self.withdrawn.extend(its.map(|(entry, _)| entry.clone()));
    }

    fn newest(&self, entry: &str) -> Option<i64> {
        self.known.get(entry).and_then(|it| it.1.last().copied())
    }

    /// The rig says what may land.
    pub(crate) fn may_land(&self, (entry, attempt): &(String, i64), found: &mut Findings) {
        let newest = self.newest(entry);
        found.check("only the newest start of a merge lands", newest == Some(*attempt), || {
            format!("start {attempt} of {entry} may land, and {newest:?} is the newest")
        });
        found.check("what was withdrawn does not land", !self.withdrawn.contains(entry), || {
            format!("{entry} may land, and was taken back")
        });
    }

    /// The rig took a report of a merge.
    pub(crate) fn reported(&self, entry: &str, attempt: i64, found: &mut Findings) {
        let newest = self.newest(entry);
        let rule = "what an older start of a merge says is refused";
        found.check(rule, newest.is_none_or(|it| it <= attempt), || {
            format!("start {attempt} of {entry} was heard, and {newest:?} is the newest")
        });
    }
}

impl World {
    /// A container is asked to merge: answered at once, done later.
    pub(crate) fn merge(&mut self, c: usize, merge: MergeRequest) -> StartAnswer {
        let known = &self.containers[c].merges;
        let is_new = |it: &MergeEntry| !known.contains_key(&(it.entry_id.clone(), it.attempt));
        let fresh: Vec<_> = merge.entries.into_iter().filter(is_new).collect();
        // What is at work needs no room.
        let full = self.containers[c].full || self.rng.chance(self.faults.no_room);
        if full && !fresh.is_empty() {
            return StartAnswer::NoRoom("no room for a merge".to_owned());
        }
        let boot = self.containers[c].boot;
        for it in fresh {
            let key = (it.entry_id, it.attempt);
            self.containers[c].merges.insert(key.clone(), it.bead_id);
            self.soon(1_000, 90_000, Event::Merge(c, boot, key));
        }
        StartAnswer::Accepted
    }

    /// A merge is made, and its gates have run.
    pub(crate) fn merge_made(&mut self, c: usize, boot: u64, key: (String, i64)) {
        let it = &self.containers[c];
        if it.boot != boot || !it.up {
            return;
        }
        let Some(bead) = it.merges.get(&key).cloned() else { return };
        let lost = if self.kind == Kind::MergesLost { 850 } else { 60 };
        if !self.healing && self.rng.chance(lost) {
            self.faults_hit.hit("merge is lost");
            self.containers[c].merges.remove(&key);
            return;
        }
        let (came, fault) = match self.rng.below(if self.healing { 1 } else { 12 }) {
            _ if self.oracle.merges.landed.contains(&bead) => {
                ("nothing_to_merge", "nothing is to be merged")
            }
            8 => ("conflict", "merge conflicts"),
            9 => ("gate_failed", "gate fails"),
            10 => ("push_rejected", "push is rejected"),
            // A branch that had something to merge has it until it has landed.
            11 if !self.oracle.merges.made.contains(&key.0) => {
                ("nothing_to_merge", "nothing is to be merged")
            }
            _ => {
                self.oracle.merges.made.insert(key.0.clone());
                return self.send(Who::Container(c, boot), Op::Landing { merge: key }, FOR_EVER);
            }
        };
        self.faults_hit.hit(fault);
        if !self.healing && self.rng.chance(300) {
            // It is taken for lost, and heard of when it was started again.
            self.containers[c].merges.remove(&key);
            let (entry, attempt) = key;
            let op = Op::Merged { entry, attempt, bead, came };
            let call = Call { who: Who::Container(c, boot), op, key: None, tries: FOR_EVER };
            return self.soon(300_000, 420_000, Event::Arrives(Box::new(call)));
        }
        self.report(c, key, bead, came);
    }

    /// The rig said whether a merge may land.
    pub(crate) fn may_land(&mut self, c: usize, key: (String, i64), ok: bool) {
        let Some(bead) = self.containers[c].merges.get(&key).cloned() else { return };
        if ok {
            self.oracle.merges.landed.insert(bead.clone());
            self.say(format_args!("cont {c}   merge {} of {bead} lands", key.0));
            self.report(c, key, bead, "merged");
        } else {
            self.containers[c].merges.remove(&key);
        }
    }

    pub(crate) fn report(
        &mut self,
        c: usize,
        key: (String, i64),
        bead: String,
        came: &'static str,
    ) {
        let boot = self.containers[c].boot;
        self.containers[c].merges.remove(&key);
        let (entry, attempt) = key;
        self.send(Who::Container(c, boot), Op::Merged { entry, attempt, bead, came }, FOR_EVER);
    }

    /// What the rig's answer to a container about merges promises.
    pub(crate) fn merges_answered(&mut self, call: &Call, status: u16, body: &serde_json::Value) {
        if status != 200 {
            return;
        }
        match &call.op {
            Op::Beats { merges, .. } => {
                let seen = &mut self.oracle.merges.seen;
                seen.extend(merges.iter().cloned());
            }
            Op::Landing { merge } if body["data"]["verdicts"][0]["verdict"] == "ok" => {
                self.oracle.merges.may_land(merge, &mut self.found);
            }
            Op::Merged { entry, attempt, .. } => {
                self.oracle.merges.reported(entry, *attempt, &mut self.found);
            }
            _ => {}
        }
    }
}
