//! Lists of what is ready, of what waits, of children and dependencies, and the audit. Reads only.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Engine;
use super::links::PARENT_CHILD;
use super::view::{bead_filter, count};
use crate::command::Error;
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{BeadEvent, Linked, Sql};
use crate::wire::dependencies::{BlockedBead, Dependencies, DependencyView, EventView};
use crate::wire::rig::BeadView;

/// A query string's pairs.
type Query = [(String, String)];

impl<S: Sql> Engine<S> {
    /// What could be begun now, by a query string's pairs.
    pub fn ready(&self, query: &Query, now: Millis) -> Result<Vec<BeadView>, Error> {
        let beads = self.store.ready(&bead_filter(query)?, now)?;
        self.views(beads, now)
    }

    /// What waits for other beads, each with those, by a query string's pairs.
    pub fn blocked(&self, query: &Query, now: Millis) -> Result<Vec<BlockedBead>, Error> {
        let beads = self.store.blocked(&bead_filter(query)?)?;
        let ids: Vec<&str> = beads.iter().map(|it| it.id.as_str()).collect();
        let mut blockers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for it in self.store.blockers(&ids)? {
            blockers.entry(it.bead).or_default().push(it.blocker);
        }
        let views = self.views(beads, now)?;
        Ok(views
            .into_iter()
            .map(|bead| BlockedBead {
                blocked_by: blockers.remove(&bead.id).unwrap_or_default(),
                bead,
            })
            .collect())
    }

    /// A bead's children, oldest first; of the query, `limit` and `offset`.
    pub fn children(&self, id: &str, query: &Query, now: Millis) -> Result<Vec<BeadView>, Error> {
        let parent = self.find_bead(id)?.id;
        let beads = self.store.children(&parent, &bead_filter(query)?)?;
        self.views(beads, now)
    }

    /// What a bead depends on, and what depends on it; its parent and its children are among them.
    pub fn dependencies(&self, id: &str) -> Result<Dependencies, Error> {
        let bead = self.find_bead(id)?;
        let view = |it: Linked, other: String| DependencyView {
            id: other,
            title: it.title,
            status: it.status.as_str().to_owned(),
            kind: it.dependency.kind,
            created_at: it.dependency.created_at.to_string(),
            created_by: it.dependency.created_by,
        };
        let mut found = Dependencies { dependencies: Vec::new(), dependents: Vec::new() };
        if let Some(parent) = bead.parent.as_deref().map(|id| self.store.bead(id)).transpose()? {
            found.dependencies.extend(parent.map(|it| family(&it, &bead)));
        }
        for it in self.store.dependencies(&bead.id)? {
            let other = it.dependency.depends_on.clone();
            found.dependencies.push(view(it, other));
        }
        for it in self.store.dependents(&bead.id)? {
            let other = it.dependency.bead.clone();
            found.dependents.push(view(it, other));
        }
        let all = [("limit".to_owned(), limits::CHILDREN_PER_BEAD_MAX.to_string())];
        let children = self.store.children(&bead.id, &bead_filter(&all)?)?;
        found.dependents.extend(children.iter().map(|child| family(child, child)));
        Ok(found)
    }

    /// One dependency, as its bead sees it.
    pub fn dependency(&self, id: &str, other: &str) -> Result<DependencyView, Error> {
        let other = self.find_bead(other)?.id;
        let all = self.dependencies(id)?.dependencies;
        all.into_iter().find(|it| it.id == other).ok_or_else(|| {
            let message = format!("Bead {id} does not depend on {other}");
            Refusal::new(Code::NotFound, message).into()
        })
    }

    /// The audit, oldest first, by a query string's pairs: `since`, `after`, `bead_id`, `limit`.
    pub fn events(&self, query: &Query) -> Result<Vec<EventView>, Error> {
        let (mut after, mut bead, mut limit) = (0, None, limits::PAGE_ROWS);
        for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            match key.as_str() {
                "after" => {
                    let seq = value.parse().ok().filter(|seq| (0..1 << 53).contains(seq));
                    let seq = seq
                        .ok_or_else(|| Refusal::invalid("after", "must be the seq of an event"))?;
                    after = after.max(seq);
                }
                "limit" => limit = count(value)?.min(limits::PAGE_ROWS_MAX),
                "bead_id" => bead = Some(value.as_str()),
                "since" => {
                    let since = super::check::time("since", Some(value.clone()))?;
                    let since = since.map(|at| self.store.last_event_until(at)).transpose()?;
                    after = after.max(since.unwrap_or(0));
                }
                _ => {}
            }
        }
        // None is the default, as in Gastown.
        let limit = if limit == 0 { limits::PAGE_ROWS } else { limit };
        // A bead that is deleted has one line left.
        let bead = match bead.map(|id| self.find_bead(id)).transpose() {
            Ok(found) => found.map(|it| it.id),
            Err(Error::Refused(_)) => bead.map(ToOwned::to_owned),
            Err(fault) => return Err(fault),
        };
        let events = self.store.events(bead.as_deref(), after, limit)?;
        Ok(events.into_iter().map(event_view).collect())
    }
}

/// A parent or a child as a dependency; it is as old as the child.
fn family(shown: &crate::bead::Bead, child: &crate::bead::Bead) -> DependencyView {
    DependencyView {
        id: shown.id.clone(),
        title: shown.title.clone(),
        status: shown.status.as_str().to_owned(),
        kind: PARENT_CHILD.to_owned(),
        created_at: child.created_at.to_string(),
        created_by: child.created_by.clone(),
    }
}

/// A line of the audit in Gastown's shape.
fn event_view((event, by_agent): (BeadEvent, bool)) -> EventView {
    let metadata = match event.data.as_deref().map(serde_json::from_str) {
        Some(Ok(Value::Object(map))) => map,
        Some(_) => Map::from_iter([("message".to_owned(), json!(event.data))]),
        None => Map::new(),
    };
    EventView {
        seq: event.seq,
        id: event.seq.to_string(),
        bead_id: event.bead,
        agent_id: by_agent.then(|| event.actor.clone()),
        actor: event.actor,
        event_type: event.event,
        old_value: event.old,
        new_value: event.new,
        metadata,
        created_at: event.at.to_string(),
    }
}
