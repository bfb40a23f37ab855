//! Beads from and to files of other programs: an issue in `bd`'s shape, and nothing lost on the way.
//!
//! ```text
//! line --normal--> issue --merge--> target --read--> bead, notes, comments, dependencies
//!                    what is there -^         \----> kept: [what the rig would say, what the line says]
//! bead, … --say--> issue --kept--> issue, as the line said it where the rig would still say the same
//! ```
//!
//! Whether a line changes anything is decided by comparing what the rig says now with what it would say: so the same
//! line twice changes nothing the second time. The rules that hold for people hold here: no circle, no more than the
//! bounds, a status moves by the bead's table. A dependency that breaks one is kept aside (`loose`) and gates nothing.

mod edges;
mod fields;
mod import;

use std::collections::BTreeMap;

use super::Engine;
use crate::bead::Bead;
use crate::command::Error;
use crate::limits;
use crate::refusal::Refusal;
use crate::store::{Comment, Kept, Loose, PlacedNote, Sql, Tie};
use crate::wire::exchange::ExportPage;

/// A bead with all that belongs to it.
#[derive(Clone, Debug)]
struct Whole {
    bead: Bead,
    notes: Vec<PlacedNote>,
    ties: Vec<Tie>,
    loose: Vec<Loose>,
    comments: Vec<Comment>,
    kept: Kept,
}

impl<S: Sql> Engine<S> {
    /// These beads, as far as they are here: one question, and five more if there are any.
    fn wholes(&self, ids: &[&str]) -> Result<BTreeMap<String, Whole>, Error> {
        let mut found = BTreeMap::new();
        for bead in self.store.beads_named(ids)? {
            let whole = Whole {
                notes: Vec::new(),
                ties: Vec::new(),
                loose: Vec::new(),
                comments: Vec::new(),
                kept: Kept::new(),
                bead,
            };
            found.insert(whole.bead.id.clone(), whole);
        }
        if found.is_empty() {
            return Ok(found);
        }
        let here: Vec<String> = found.keys().cloned().collect();
        let ids: Vec<&str> = here.iter().map(String::as_str).collect();
        for it in self.store.notes_of(&ids)? {
            found.entry(it.bead.clone()).and_modify(|whole| whole.notes.push(it));
        }
        for it in self.store.ties_of(&ids)? {
            found.entry(it.dependency.bead.clone()).and_modify(|whole| whole.ties.push(it));
        }
        for it in self.store.loose_of(&ids)? {
            found.entry(it.bead.clone()).and_modify(|whole| whole.loose.push(it));
        }
        for it in self.store.comments(&ids)? {
            found.entry(it.bead.clone()).and_modify(|whole| whole.comments.push(it));
        }
        for (bead, kept) in self.store.kept_of(&ids)? {
            found.entry(bead).and_modify(|whole| whole.kept = kept);
        }
        Ok(found)
    }

    /// A part of all beads, by a query string's pairs (`after`, `limit`). In the order of the names, so that whoever
    /// reads page by page misses none that was there all the time, whatever changes meanwhile.
    pub fn export(&self, query: &[(String, String)]) -> Result<ExportPage, Error> {
        let (mut after, mut limit) = (String::new(), limits::EXPORT_PAGE_ROWS);
        for (key, value) in query {
            match key.as_str() {
                "after" => after.clone_from(value),
                "limit" => {
                    let problem = "must be a non-negative integer";
                    let wanted: u32 =
                        value.parse().map_err(|_| Refusal::invalid("limit", problem))?;
                    limit = wanted.clamp(1, limits::EXPORT_PAGE_ROWS);
                }
                _ => {}
            }
        }
        let ids = self.store.export_ids(&after, limit)?;
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        let issues = self.wholes(&names)?.values().map(fields::say).collect();
        // A page may be short for its bytes: only an empty one is the last.
        Ok(ExportPage { issues, next: ids.into_iter().next_back() })
    }
}
