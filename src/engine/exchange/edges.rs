//! Dependencies of imported beads: tied where the rules allow it, else kept loose with the reason said.
//!
//! The rules are those of `links`. Of a bead that is new in this batch, and for which nothing waits yet, no circle can
//! come and nothing is below it: that is nearly every bead of a file that is sent in order, and costs no question. All
//! others are asked about one by one, after what is pending was written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::fields::{PARENT, read_tie};
use crate::command::Error;
use crate::engine::Apply;
use crate::engine::check;
use crate::engine::links::{BLOCKS, PARENT_CHILD};
use crate::id::Millis;
use crate::issue::{Issue, text};
use crate::limits;
use crate::refusal::Refusal;
use crate::store::{Kept, Loose, Sql, Tie};
use crate::wire::dependencies::holds_up;

/// A dependency of a line.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) bead: String,
    pub(super) depends_on: String,
    pub(super) kind: String,
    pub(super) record: Issue,
}

impl Edge {
    /// Reads one.
    pub(super) fn read(bead: &str, record: &Issue) -> Result<Self, Refusal> {
        let depends_on = check::name("depends_on_id", text(record, "depends_on_id").unwrap_or(""))?;
        let kind = check::name("type", text(record, "type").unwrap_or(BLOCKS))?;
        let (chars, max) = (kind.chars().count(), limits::DEPENDENCY_KIND_CHARS_MAX);
        if chars > max {
            let problem = format!("of a dependency must be {max} characters or less (got {chars})");
            return Err(Refusal::invalid("type", problem));
        }
        Ok(Self { bead: bead.to_owned(), depends_on, kind, record: record.clone() })
    }

    fn loose(&self) -> Loose {
        let whole = self.record.clone();
        let (bead, depends_on) = (self.bead.clone(), self.depends_on.clone());
        Loose { bead, depends_on, kind: self.kind.clone(), whole }
    }
}

/// What is known while the dependencies of a batch are tied, and what is to be written of them.
#[derive(Default)]
pub(super) struct Knot {
    /// New in this batch.
    pub(super) fresh: BTreeSet<String>,
    /// Waited for by something, as far as that was tied in this batch.
    waited_for: BTreeSet<String>,
    /// How many ancestors each has, where that is known.
    above: BTreeMap<String, usize>,
    /// Of each that may be depended on and is here: how many depend on it, how many children it has.
    around: BTreeMap<String, (usize, usize)>,
    /// What each depends on, and with which type.
    pub(super) out: BTreeMap<String, BTreeMap<String, String>>,
    /// The parent of each that has one.
    pub(super) parent: BTreeMap<String, String>,
    ties: Vec<Tie>,
    parents: Vec<(String, Option<String>)>,
    loose: Vec<Loose>,
    /// What each keeps of its line.
    pub(super) kept: BTreeMap<String, Kept>,
    /// Whose gate is to be looked at anew.
    pub(super) touched: BTreeSet<String>,
}

impl Knot {
    /// A bead that was just made.
    pub(super) fn is_new(&mut self, bead: &str) {
        self.fresh.insert(bead.to_owned());
        self.above.insert(bead.to_owned(), 0);
    }
}

impl<S: Sql> Apply<'_, S> {
    /// Learns which of the beads are here that are depended on.
    pub(super) fn look_around(&self, knot: &mut Knot, others: &[&str]) -> Result<(), Error> {
        if others.is_empty() {
            return Ok(());
        }
        for it in self.store().around(others)? {
            knot.around.insert(it.bead, (it.dependents, it.children));
        }
        Ok(())
    }

    /// Ties a dependency; why not, if it stays loose.
    pub(super) fn tie(&self, knot: &mut Knot, edge: &Edge) -> Result<Option<String>, Error> {
        let problem = match self.untieable(knot, edge) {
            Ok(()) => None,
            Err(Error::Refused(refusal)) => Some(refusal.message),
            Err(fault) => return Err(fault),
        };
        if problem.is_some() {
            knot.loose.push(edge.loose());
            return Ok(problem);
        }
        let (bead, other) = (edge.bead.clone(), edge.depends_on.clone());
        if edge.kind == PARENT_CHILD || holds_up(&edge.kind) {
            knot.waited_for.insert(other.clone());
            knot.touched.insert(bead.clone());
        }
        let around = knot.around.entry(other.clone()).or_default();
        if edge.kind == PARENT_CHILD {
            around.1 += 1;
            knot.parent.insert(bead.clone(), other.clone());
            knot.kept
                .entry(bead.clone())
                .or_default()
                .insert(PARENT.to_owned(), json!([other, edge.record]));
            knot.parents.push((bead, Some(other)));
        } else {
            around.0 += 1;
            knot.out.entry(bead).or_default().insert(other, edge.kind.clone());
            knot.ties.push(self.tied(edge));
        }
        Ok(None)
    }

    fn tied(&self, edge: &Edge) -> Tie {
        let now: Millis = self.now;
        read_tie(&edge.bead, &edge.depends_on, &edge.kind, &edge.record, now)
    }

    /// Says of a dependency that is tied what its line says.
    pub(super) fn tell_anew(&self, knot: &mut Knot, edge: &Edge) {
        if edge.kind == PARENT_CHILD {
            let said = json!([edge.depends_on, edge.record]);
            knot.kept.entry(edge.bead.clone()).or_default().insert(PARENT.to_owned(), said);
        } else {
            knot.ties.push(self.tied(edge));
        }
    }

    /// The reason why a dependency cannot be tied, as a refusal.
    fn untieable(&self, knot: &mut Knot, edge: &Edge) -> Result<(), Error> {
        let (id, other) = (edge.bead.as_str(), edge.depends_on.as_str());
        let no =
            |message: String| Err(Refusal::new(crate::refusal::Code::Conflict, message).into());
        if id == other {
            return no("it would depend on itself".to_owned());
        }
        let Some(&(dependents, children)) = knot.around.get(other) else {
            return no(format!("{other} is not here"));
        };
        let there = knot.out.get(id).and_then(|out| out.get(other)).map(String::as_str);
        let there = there
            .or((knot.parent.get(id).map(String::as_str) == Some(other)).then_some(PARENT_CHILD));
        if let Some(kind) = there {
            return no(format!("it depends on {other} already, with type {kind}"));
        }
        let holds = edge.kind == PARENT_CHILD || holds_up(&edge.kind);
        let simple = knot.fresh.contains(id) && !knot.waited_for.contains(id);
        if edge.kind == PARENT_CHILD {
            if let Some(parent) = knot.parent.get(id) {
                return no(format!("it has the parent {parent} already"));
            }
            if !simple {
                self.write_knot(knot)?;
                self.may_be_parent(id, other, false)?;
                knot.above.clear();
                return Ok(());
            }
            if children >= limits::CHILDREN_PER_BEAD_MAX {
                return no(format!("{other} has as many children as it may have"));
            }
            let above = self.above(knot, other)? + 1;
            if above > limits::PARENT_DEPTH_MAX {
                let max = limits::PARENT_DEPTH_MAX;
                return no(format!("more than {max} generations would come of it"));
            }
            knot.above.insert(id.to_owned(), above);
            return Ok(());
        }
        if knot.out.get(id).map_or(0, BTreeMap::len) >= limits::DEPENDENCIES_PER_BEAD_MAX {
            return no("it has as many dependencies as it may have".to_owned());
        }
        if dependents >= limits::DEPENDENTS_PER_BEAD_MAX {
            return no(format!("{other} has as many dependents as it may have"));
        }
        if holds && !simple {
            self.write_knot(knot)?;
            self.no_circle(id, other)?;
        }
        Ok(())
    }

    fn above(&self, knot: &mut Knot, id: &str) -> Result<usize, Error> {
        if let Some(above) = knot.above.get(id) {
            return Ok(*above);
        }
        self.write_knot(knot)?;
        let (above, _) = self.store().generations(id)?;
        knot.above.insert(id.to_owned(), above);
        Ok(above)
    }

    /// Writes what is pending; `kept` and the gates come at the end.
    pub(super) fn write_knot(&self, knot: &mut Knot) -> Result<(), Error> {
        let store = self.store();
        store.add_ties(&std::mem::take(&mut knot.ties))?;
        store.set_parents(&std::mem::take(&mut knot.parents))?;
        store.add_loose(&std::mem::take(&mut knot.loose))?;
        Ok(())
    }
}
