//! What waits for what: dependencies, parents, and the refusal of circles among them.
//!
//! A bead waits for what blocks it and for what blocks its ancestors, until that is closed. Whether it waits is a
//! column that the store keeps (`blocked`); here it is only decided what may be linked. A `parent-child`
//! dependency is the same as the bead's parent and is kept there alone.

use std::collections::{BTreeMap, VecDeque};

use super::{Apply, actor, beads, check};
use crate::bead::Bead;
use crate::command::{Error, Reply};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Dependency, Sql};
use crate::token::Caller;
use crate::wire::dependencies::{AddDependency, holds_up};

/// The type that a dependency has without one.
pub(super) const BLOCKS: &str = "blocks";

/// The type that is the bead's parent.
pub(super) const PARENT_CHILD: &str = "parent-child";

impl<S: Sql> Apply<'_, S> {
    pub(super) fn add_dependency(
        &mut self,
        by: &Caller,
        id: &str,
        fields: AddDependency,
    ) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let before = self.bead(id)?;
        beads::owns(by, speaker.as_ref(), &before)?;
        if kind_of(&fields)? == PARENT_CHILD {
            return self.add_parent(by, &before, &fields.depends_on);
        }
        self.link(by, &before, &fields, false)?;
        Ok(Reply::Done)
    }

    /// Has a bead depend on another. Nothing can wait for a new bead yet, so that it makes no circle.
    pub(super) fn link(
        &mut self,
        by: &Caller,
        bead: &Bead,
        fields: &AddDependency,
        new: bool,
    ) -> Result<(), Error> {
        let kind = kind_of(fields)?;
        let other = self.bead(&fields.depends_on)?.id;
        let id = bead.id.as_str();
        if other == id {
            return Err(depends_on_itself(id).into());
        }
        let there = match self.store().dependency(id, &other)? {
            Some(it) => Some(it.kind),
            None => (bead.parent.as_ref() == Some(&other)).then(|| PARENT_CHILD.to_owned()),
        };
        match there {
            Some(there) if there == kind => return Ok(()),
            Some(there) => return Err(linked_already(id, &other, &there).into()),
            None => {}
        }
        self.room_for_link(id, &other)?;
        if holds_up(&kind) && !new {
            self.no_circle(id, &other)?;
        }
        self.store().add_dependency(&Dependency {
            bead: id.to_owned(),
            depends_on: other.clone(),
            kind: kind.clone(),
            created_at: self.now,
            created_by: actor(by).to_owned(),
        })?;
        self.linked(by, id, "dependency_added", (None, Some(&other)), &kind)
    }

    fn room_for_link(&self, id: &str, other: &str) -> Result<(), Error> {
        let (depends_on, depend) = self.store().dependency_counts(id, other)?;
        let full = |who: &str, what: &str, max: usize| {
            let message = format!("Bead {who} has {max} {what}, which is as many as it may have");
            Err(Refusal::new(Code::LimitReached, message).into())
        };
        if depends_on >= limits::DEPENDENCIES_PER_BEAD_MAX {
            return full(id, "dependencies", limits::DEPENDENCIES_PER_BEAD_MAX);
        }
        if depend >= limits::DEPENDENTS_PER_BEAD_MAX {
            return full(other, "dependents", limits::DEPENDENTS_PER_BEAD_MAX);
        }
        Ok(())
    }

    fn add_parent(&mut self, by: &Caller, before: &Bead, parent: &str) -> Result<Reply, Error> {
        let parent = self.bead(parent)?.id;
        match &before.parent {
            Some(it) if *it == parent => return Ok(Reply::Done),
            Some(it) => {
                let message = format!("Bead {} has the parent {it}; remove that first", before.id);
                return Err(Refusal::new(Code::Conflict, message).into());
            }
            None => {}
        }
        self.may_be_parent(&before.id, &parent, false)?;
        self.set_parent(before, Some(parent.clone()))?;
        self.linked(by, &before.id, "dependency_added", (None, Some(&parent)), PARENT_CHILD)?;
        Ok(Reply::Done)
    }

    fn set_parent(&mut self, before: &Bead, parent: Option<String>) -> Result<(), Error> {
        let bead = Bead { parent, updated_at: self.now, ..before.clone() };
        if self.store().save_bead(before, &bead)? {
            self.wake();
        }
        Ok(())
    }

    pub(super) fn remove_dependency(
        &mut self,
        by: &Caller,
        id: &str,
        other: &str,
    ) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let before = self.bead(id)?;
        beads::owns(by, speaker.as_ref(), &before)?;
        // What is not here may be named by a dependency that could not be tied.
        let (other, missing) = match self.bead(other) {
            Ok(bead) => (bead.id, None),
            Err(Error::Refused(refusal)) if refusal.code == Code::NotFound => {
                (other.to_owned(), Some(refusal))
            }
            Err(error) => return Err(error),
        };
        let kind = if before.parent.as_ref() == Some(&other) {
            self.set_parent(&before, None)?;
            PARENT_CHILD.to_owned()
        } else if let Some(found) = self.store().dependency(&before.id, &other)? {
            if self.store().remove_dependency(&before.id, &other)? {
                self.wake();
            }
            found.kind
        } else if let Some(kind) = self.remove_loose(&before.id, &other)? {
            kind
        } else {
            let message = format!("Bead {} does not depend on {other}", before.id);
            return Err(missing.unwrap_or_else(|| Refusal::new(Code::NotFound, message)).into());
        };
        self.linked(by, &before.id, "dependency_removed", (Some(&other), None), &kind)?;
        Ok(Reply::Done)
    }

    /// Takes away what could not be tied and gates nothing: the other bead may not be here. The types that it had.
    fn remove_loose(&self, id: &str, other: &str) -> Result<Option<String>, Error> {
        let mut loose = self.store().loose_of(&[id])?;
        loose.retain(|it| it.depends_on == other);
        let kinds: Vec<String> = loose.iter().map(|it| it.kind.clone()).collect();
        let gone: Vec<_> = loose.into_iter().map(|it| (it.bead, it.depends_on, it.kind)).collect();
        self.store().forget_loose(&gone)?;
        Ok((!kinds.is_empty()).then(|| kinds.join(", ")))
    }

    pub(super) fn linked(
        &mut self,
        by: &Caller,
        bead: &str,
        event: &str,
        change: (Option<&str>, Option<&str>),
        kind: &str,
    ) -> Result<(), Error> {
        let other = change.0.or(change.1).unwrap_or_default();
        let detail = format!("{kind} {other}");
        let data = serde_json::json!({"type": kind}).to_string();
        Ok(self.event_of(bead, actor(by), event, change, (Some(detail), Some(data)))?)
    }

    /// Refuses a parent that cannot be one. Nothing is below a new bead or waits for it.
    pub(super) fn may_be_parent(&self, id: &str, parent: &str, new: bool) -> Result<(), Error> {
        if id == parent {
            let message = format!("Bead {id} cannot be its own parent");
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        if !new {
            if let Some(it) = self.store().dependency(id, parent)? {
                return Err(linked_already(id, parent, &it.kind).into());
            }
            self.no_circle(id, parent)?;
        }
        let (above, _) = self.store().generations(parent)?;
        let below = if new { 0 } else { self.store().generations(id)?.1 };
        if above + 1 + below > limits::PARENT_DEPTH_MAX {
            let max = limits::PARENT_DEPTH_MAX;
            let message = format!(
                "More than {max} generations would come of a bead under {parent}; put it higher up"
            );
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        if self.store().child_count(parent)? >= limits::CHILDREN_PER_BEAD_MAX {
            let max = limits::CHILDREN_PER_BEAD_MAX;
            let message =
                format!("Bead {parent} has {max} children, which is as many as it may have");
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        Ok(())
    }

    /// Refuses a step from one bead to another from which steps lead back: both would wait for ever.
    pub(super) fn no_circle(&self, from: &str, to: &str) -> Result<(), Error> {
        let steps = self.store().waits_for(to)?;
        let Some(path) = shortest(&steps, to, from) else {
            if steps.len() >= limits::DEPENDENCY_WALK_MAX {
                let message = format!(
                    "Bead {to} waits for more than {} others, directly or not, which is too many to look through",
                    limits::DEPENDENCY_WALK_MAX
                );
                return Err(Refusal::new(Code::LimitReached, message).into());
            }
            return Ok(());
        };
        let message = format!(
            "Bead {from} would wait for itself: {from} -> {}; remove one of these steps first",
            path.join(" -> ")
        );
        let message = check::cut(&message, limits::REASON_BYTES_MAX);
        Err(Refusal::new(Code::Conflict, message).into())
    }
}

/// The shortest way along these steps, with both ends.
fn shortest<'a>(steps: &'a [(String, String)], from: &'a str, to: &'a str) -> Option<Vec<&'a str>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (a, b) in steps {
        next.entry(a).or_default().push(b);
    }
    let (mut came_from, mut queue) = (BTreeMap::from([(from, from)]), VecDeque::from([from]));
    while let Some(at) = queue.pop_front() {
        if at == to {
            let mut path = vec![to];
            while path.last() != Some(&from) {
                path.push(came_from[path[path.len() - 1]]);
            }
            path.reverse();
            return Some(path);
        }
        for step in next.get(at).into_iter().flatten() {
            came_from.entry(step).or_insert_with(|| {
                queue.push_back(step);
                at
            });
        }
    }
    None
}

/// The type of a dependency; without one, it blocks.
pub(super) fn kind_of(fields: &AddDependency) -> Result<String, Refusal> {
    let kind = check::name("type", fields.kind.as_deref().unwrap_or(BLOCKS))?;
    let (chars, max) = (kind.chars().count(), limits::DEPENDENCY_KIND_CHARS_MAX);
    if chars > max {
        let problem = format!("must be {max} characters or less (got {chars})");
        return Err(Refusal::invalid("type", problem));
    }
    Ok(kind)
}

fn depends_on_itself(id: &str) -> Refusal {
    Refusal::new(Code::Conflict, format!("Bead {id} cannot depend on itself"))
}

fn linked_already(id: &str, other: &str, kind: &str) -> Refusal {
    let message =
        format!("Bead {id} depends on {other} already, with type {kind}; remove that first");
    Refusal::new(Code::Conflict, message)
}
