//! The table `bead`.

use super::{Sql, SqlError, Store, Value, to_json};
use crate::bead::{Bead, Status};
use crate::id::Millis;

/// A row as JSON, in the order of the fields of [`Bead`].
pub(super) const ROW: &str = "json_array(bead.id, kind, bead.status, title, body, design, acceptance_criteria, priority, \
     assignee, assignee_agent_id, hooked_by, parent, json(labels), json(metadata), external_ref, due_at, \
     defer_until, not_before, json(runs), json(losses), json(checkpoint), failure_code, failure_message, \
     created_at, created_by, updated_at, started_at, closed_at, close_reason, \
     json(iif(blocked, 'true', 'false')), json_array(convoy, molecule, conflicts, \
     bead.branch, bead.pr_url, cost_micros, json(excused)))";

/// What an agent may take; word for word the condition of the index `bead_queue`.
pub(super) const QUEUE: &str =
    "status = 'open' AND assignee = 'agent' AND acceptance_criteria IS NOT NULL AND blocked = 0";

/// Which beads a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeadFilter {
    /// Any of these; empty: all.
    pub status: Vec<Status>,
    /// Of this type.
    pub kind: Option<String>,
    /// For this assignee.
    pub assignee: Option<String>,
    /// Held by this agent, or held last.
    pub assignee_agent_id: Option<String>,
    /// With this label.
    pub label: Option<String>,
    /// In this convoy.
    pub convoy: Option<String>,
    /// Of this priority.
    pub priority: Option<u8>,
    /// Rows at most.
    pub limit: u32,
    /// Rows to leave out first.
    pub offset: u32,
}

impl<S: Sql> Store<S> {
    /// The bead of this name.
    pub fn bead(&self, id: &str) -> Result<Option<Bead>, SqlError> {
        self.one(&format!("SELECT {ROW} FROM bead WHERE id = ?"), &[id.into()])
    }

    /// Beads, newest first.
    ///
    /// What is finished grows without end and what is not does not, so the two are read apart, each in the
    /// order of the index, and no list of unfinished beads ever passes over a finished one.
    pub fn beads(&self, filter: &BeadFilter) -> Result<Vec<Bead>, SqlError> {
        let mut args = Vec::new();
        let mut ranges = Vec::new();
        for finished in [false, true] {
            let wanted = filter.status.is_empty()
                || filter.status.iter().any(|status| status.is_finished() == finished);
            if wanted {
                ranges.push(range(filter, finished, &mut args));
            }
        }
        let limits: [Value; 2] = [filter.limit.into(), filter.offset.into()];
        args.extend(limits);
        self.all(
            &format!(
                "SELECT {ROW}
                 FROM (SELECT row FROM ({}) ORDER BY at DESC, row DESC LIMIT ? OFFSET ?) AS page
                 JOIN bead ON bead.rowid = page.row
                 ORDER BY created_at DESC, bead.rowid DESC",
                ranges.join(" UNION ALL ")
            ),
            &args,
        )
    }

    /// What was left for the next run on these beads.
    pub fn checkpoints(
        &self,
        beads: &[&str],
    ) -> Result<Vec<(String, serde_json::Value)>, SqlError> {
        if beads.is_empty() {
            return Ok(Vec::new());
        }
        self.all(
            "SELECT json_array(id, json(checkpoint))
             FROM bead
             WHERE id IN (SELECT value FROM json_each(?)) AND checkpoint IS NOT NULL",
            &[to_json(&beads)],
        )
    }

    /// How many beads there are in each status; of those that are finished no more than the newest so many.
    pub fn bead_counts(&self, finished: u32) -> Result<Vec<(Status, u64)>, SqlError> {
        self.all(
            "SELECT json_array(status, count(*))
             FROM (SELECT status FROM bead WHERE finished = 0
                   UNION ALL
                   SELECT status
                   FROM (SELECT status FROM bead WHERE finished = 1 ORDER BY created_at DESC LIMIT ?))
             GROUP BY status",
            &[finished.into()],
        )
    }

    /// How many beads there are; names get longer as it grows.
    pub fn bead_count(&self) -> Result<i64, SqlError> {
        Ok(self.number("SELECT max(rowid) FROM bead", &[])?.unwrap_or(0))
    }

    /// What could be begun now, whoever shall do it: the most urgent first, of those the newest. What is not
    /// finished is all looked at, which is bounded by what there is to do, not by what was done.
    pub fn ready(&self, filter: &BeadFilter, now: Millis) -> Result<Vec<Bead>, SqlError> {
        let mut args = vec![now.into()];
        let wanted = equals(filter, &mut args);
        self.urgent(
            &format!("status = 'open' AND blocked = 0 AND coalesce(defer_until, 0) <= ?{wanted}"),
            filter,
            args,
        )
    }

    /// What waits for other beads and is not finished, in the same order.
    pub fn blocked(&self, filter: &BeadFilter) -> Result<Vec<Bead>, SqlError> {
        let mut args = Vec::new();
        let wanted = equals(filter, &mut args);
        self.urgent(&format!("blocked = 1{wanted}"), filter, args)
    }

    fn urgent(
        &self,
        wanted: &str,
        filter: &BeadFilter,
        mut args: Vec<Value>,
    ) -> Result<Vec<Bead>, SqlError> {
        let limits: [Value; 2] = [filter.limit.into(), filter.offset.into()];
        args.extend(limits);
        self.all(
            &format!(
                "SELECT {ROW}
                 FROM (SELECT rowid AS row
                       FROM bead
                       WHERE finished = 0 AND {wanted}
                       ORDER BY priority, created_at DESC, rowid
                       LIMIT ? OFFSET ?) AS page
                 JOIN bead ON bead.rowid = page.row
                 ORDER BY priority, created_at DESC, bead.rowid"
            ),
            &args,
        )
    }

    /// A bead's children, oldest first.
    pub fn children(&self, parent: &str, filter: &BeadFilter) -> Result<Vec<Bead>, SqlError> {
        self.all(
            &format!(
                "SELECT {ROW}
                 FROM bead
                 WHERE parent = ?
                 ORDER BY created_at, bead.rowid
                 LIMIT ? OFFSET ?"
            ),
            &[parent.into(), filter.limit.into(), filter.offset.into()],
        )
    }

    /// Files a new bead; false if its name is taken.
    pub fn add_bead(&self, bead: &Bead) -> Result<bool, SqlError> {
        let columns = columns(bead);
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        let args: Vec<Value> = columns.into_iter().map(|(_, value)| value).collect();
        let names = names.join(", ");
        let added = self.run(
            &format!(
                "INSERT INTO bead ({names}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING RETURNING 1"
            ),
            &args,
        )?;
        if bead.parent.is_some() && !added.is_empty() {
            self.gate_anew(&[&bead.id])?;
        }
        Ok(!added.is_empty())
    }

    /// Keeps a bead from being claimed before a time, whatever else its row holds.
    pub fn put_off(&self, id: &str, until: Millis) -> Result<(), SqlError> {
        self.run("UPDATE bead SET not_before = ? WHERE id = ?", &[until.into(), id.into()])?;
        Ok(())
    }

    /// Writes what differs between two states of a bead, and nothing else: an index is only rewritten for a
    /// column that is named in the statement. Whoever waits for this bead is looked at anew; answers whether some
    /// bead waits for nothing any more.
    pub fn save_bead(&self, before: &Bead, after: &Bead) -> Result<bool, SqlError> {
        let (mut sets, mut args) = (Vec::new(), Vec::new());
        for ((name, old), (_, new)) in columns(before).into_iter().zip(columns(after)) {
            if old != new {
                sets.push(format!("{name} = ?"));
                args.push(new);
            }
        }
        if sets.is_empty() {
            return Ok(false);
        }
        args.push((&before.id).into());
        self.run(&format!("UPDATE bead SET {} WHERE id = ?", sets.join(", ")), &args)?;
        let mut changed = Vec::new();
        if (before.status == Status::Closed) != (after.status == Status::Closed) {
            changed = self.blocked_by(&before.id)?;
        }
        if before.parent != after.parent {
            changed.push(before.id.clone());
        }
        self.gate_anew(&changed.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// Half of a list: the row numbers of what is finished, or of what is not.
fn range(filter: &BeadFilter, finished: bool, args: &mut Vec<Value>) -> String {
    let mut sql = format!(
        "SELECT * FROM (SELECT rowid AS row, created_at AS at FROM bead WHERE finished = {}",
        i32::from(finished)
    );
    let wanted: Vec<_> =
        filter.status.iter().filter(|status| status.is_finished() == finished).collect();
    if !wanted.is_empty() {
        let marks = vec!["?"; wanted.len()].join(", ");
        sql.push_str(&format!(" AND status IN ({marks})"));
        args.extend(wanted.iter().map(|status| Value::from(status.as_str())));
    }
    sql.push_str(&equals(filter, args));
    sql.push_str(" ORDER BY created_at DESC, rowid DESC LIMIT ?)");
    args.push(filter.limit.saturating_add(filter.offset).into());
    sql
}

/// What a list asks of a column.
fn equals(filter: &BeadFilter, args: &mut Vec<Value>) -> String {
    let mut sql = String::new();
    let equals = [
        ("kind", filter.kind.as_ref().map(Value::from)),
        ("assignee", filter.assignee.as_ref().map(Value::from)),
        ("assignee_agent_id", filter.assignee_agent_id.as_ref().map(Value::from)),
        ("convoy", filter.convoy.as_ref().map(Value::from)),
        ("priority", filter.priority.map(|priority| Value::from(i32::from(priority)))),
    ];
    for (column, value) in equals {
        if let Some(value) = value {
            sql.push_str(&format!(" AND {column} = ?"));
            args.push(value);
        }
    }
    if let Some(label) = &filter.label {
        sql.push_str(" AND EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?)");
        args.push(label.into());
    }
    sql
}

pub(super) fn columns(bead: &Bead) -> Vec<(&'static str, Value)> {
    vec![
        ("id", (&bead.id).into()),
        ("kind", (&bead.kind).into()),
        ("status", bead.status.as_str().into()),
        ("title", (&bead.title).into()),
        ("body", bead.body.as_ref().into()),
        ("design", bead.design.as_ref().into()),
        ("acceptance_criteria", bead.acceptance_criteria.as_ref().into()),
        ("priority", i64::from(bead.priority).into()),
        ("assignee", bead.assignee.as_ref().into()),
        ("assignee_agent_id", bead.assignee_agent_id.as_ref().into()),
        ("hooked_by", bead.hooked_by.as_ref().into()),
        ("parent", bead.parent.as_ref().into()),
        ("labels", to_json(&bead.labels)),
        ("metadata", to_json(&bead.metadata)),
        ("external_ref", bead.external_ref.as_ref().into()),
        ("due_at", bead.due_at.into()),
        ("defer_until", bead.defer_until.into()),
        ("not_before", bead.not_before.into()),
        ("runs", to_json(&bead.runs)),
        ("losses", to_json(&bead.losses)),
        ("checkpoint", bead.checkpoint.as_ref().map_or(Value::Null, to_json)),
        ("failure_code", bead.failure_code.as_ref().into()),
        ("failure_message", bead.failure_message.as_ref().into()),
        ("created_at", bead.created_at.into()),
        ("created_by", (&bead.created_by).into()),
        ("updated_at", bead.updated_at.into()),
        ("started_at", bead.started_at.into()),
        ("closed_at", bead.closed_at.into()),
        ("close_reason", bead.close_reason.as_ref().into()),
        ("convoy", bead.ties.convoy.as_ref().into()),
        ("molecule", bead.ties.molecule.as_ref().into()),
        ("conflicts", bead.ties.conflicts.into()),
        ("branch", bead.ties.branch.as_ref().into()),
        ("pr_url", bead.ties.pr_url.as_ref().into()),
        ("cost_micros", bead.ties.cost_micros.into()),
        ("excused", to_json(&bead.ties.excused)),
        // Derived, and a column of its own so that the index on it is only touched when it changes.
        ("finished", i64::from(bead.status.is_finished()).into()),
    ]
}
