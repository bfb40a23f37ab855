//! Lines of an `issues.jsonl`: what is to become of each, and the writing of all of them in one transaction.
//!
//! A line is weighed against what is here, and nothing is written before all are weighed:
//!
//! ```text
//! cannot be kept ---------------------> dropped, with the reason
//! not here ---------------------------> created
//! here, and newer than the line ------> skipped
//! here, and says the same ------------> unchanged
//! here, and older ---------------------> updated; but a bead that a run holds, or that waits for its merge, keeps its
//!                                       status and its assignee
//! ```

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};

use super::Whole;
use super::edges::{Edge, Knot};
use super::fields::{self, PARENT};
use crate::bead::{Bead, Status};
use crate::command::{Effect, Error, Reply, Tell};
use crate::engine::links::PARENT_CHILD;
use crate::engine::{Apply, actor, check};
use crate::issue::{self, Issue, text, time};
use crate::limits;
use crate::refusal::Refusal;
use crate::store::{BeadEvent, Comment, Kept, PlacedNote, Sql};
use crate::token::Caller;
use crate::wire::exchange::{ImportBatch, ImportReport, Imported, ImportedLine, Sets};

/// What stays with a run that goes on.
const OF_A_RUN: [&str; 5] = ["status", "assignee", "started_at", "closed_at", "close_reason"];

/// A bead that is to be written.
struct Planned {
    /// Of which line.
    place: usize,
    before: Option<Whole>,
    bead: Bead,
    kept: Kept,
    edges: Vec<Edge>,
    comments: Vec<Comment>,
    /// The place from which notes go, and the text that follows.
    forget_notes: Option<i64>,
    note: Option<PlacedNote>,
}

/// A line that can be looked at.
struct Line {
    place: usize,
    id: String,
    issue: Issue,
}

impl<S: Sql> Apply<'_, S> {
    pub(in crate::engine) fn import(
        &mut self,
        by: &Caller,
        batch: ImportBatch,
    ) -> Result<Reply, Error> {
        self.speaker(by)?;
        if batch.issues.len() > limits::IMPORT_LINES_MAX {
            let (max, got) = (limits::IMPORT_LINES_MAX, batch.issues.len());
            let problem = format!("may be {max} in one call (got {got}); send the rest in another");
            return Err(Refusal::invalid("issues", problem).into());
        }
        let (lines, mut report) = read(batch.issues);
        let ids: Vec<&str> = lines.iter().map(|it| it.id.as_str()).collect();
        let mut here = self.engine.wholes(&ids)?;
        let mut plans = Vec::new();
        for it in lines {
            let said = &mut report.lines[it.place];
            let there = here.remove(&it.id);
            match self.weigh(by, it, there, batch.sets, said) {
                Ok(None) => {}
                Ok(Some(plan)) => plans.push(plan),
                Err(refusal) => {
                    said.outcome = Imported::Dropped;
                    said.reason = Some(refusal.message);
                }
            }
        }
        if !batch.dry_run && !plans.is_empty() {
            self.write(by, plans, &mut report)?;
        }
        for it in &mut report.lines {
            let cut = |text: &mut String| *text = check::cut(text, limits::IMPORT_REASON_CHARS_MAX);
            it.reason.iter_mut().for_each(cut);
            it.warnings.iter_mut().for_each(cut);
            it.warnings.truncate(10);
        }
        Ok(Reply::Imported(Box::new(report)))
    }

    /// What is to become of a line.
    fn weigh(
        &self,
        by: &Caller,
        line: Line,
        there: Option<Whole>,
        sets: Sets,
        report: &mut ImportedLine,
    ) -> Result<Option<Planned>, Refusal> {
        let mut issue = line.issue;
        let said = there.as_ref().map(fields::say);
        // A line has both times or none.
        for key in ["created_at", "updated_at"] {
            if !issue.contains_key(key) {
                let at = said.as_ref().and_then(|it| it.get(key)).cloned();
                let at = at.unwrap_or_else(|| self.now.to_string().into());
                issue.insert(key.to_owned(), at);
            }
        }
        if let (Some(whole), Some(said)) = (&there, &said) {
            let (ours, theirs) = (whole.bead.updated_at, time(&issue, "updated_at"));
            if theirs.is_some_and(|it| it < ours) {
                report.outcome = Imported::Skipped;
                report.reason = Some(format!("the rig's is newer: it was changed at {ours}"));
                return Ok(None);
            }
            let held = whole.bead.hooked_by.is_some() || whole.bead.status == Status::InReview;
            issue = merged(said, issue, sets, held, report);
            if issue::same(said, &issue) {
                report.outcome = Imported::Unchanged;
                return Ok(None);
            }
        }
        let bead = fields::read(
            &issue,
            there.as_ref().zip(said.as_ref()).map(|(whole, said)| (&whole.bead, said)),
            self.now,
        )?;
        let plan = self.plan(by, line.place, (issue, bead), there)?;
        report.outcome = if plan.before.is_some() { Imported::Updated } else { Imported::Created };
        Ok(Some(plan))
    }

    fn plan(
        &self,
        by: &Caller,
        place: usize,
        (issue, bead): (Issue, Bead),
        before: Option<Whole>,
    ) -> Result<Planned, Refusal> {
        let notes = text(&issue, "notes").unwrap_or_default();
        check::bytes("notes", notes.len(), limits::IMPORT_TEXT_BYTES_MAX)?;
        let old = before.as_ref().map_or(&[][..], |it| it.notes.as_slice());
        let (forget_notes, rest) = note_changes(old, notes);
        let note = rest.map(|text| PlacedNote {
            bead: bead.id.clone(),
            n: forget_notes.unwrap_or_else(|| old.last().map_or(1, |it| it.n + 1)),
            author: actor(by).to_owned(),
            at: bead.updated_at,
            text,
        });
        let edges: Vec<Edge> = issue::records(&issue, "dependencies")
            .map(|it| Edge::read(&bead.id, it))
            .collect::<Result<_, _>>()?;
        if edges.len() > limits::IMPORT_DEPENDENCIES_MAX {
            let max = limits::IMPORT_DEPENDENCIES_MAX;
            let problem = format!("may be {max} at most (got {})", edges.len());
            return Err(Refusal::invalid("dependencies", problem));
        }
        let there = before.as_ref().map_or(&[][..], |it| it.comments.as_slice());
        let comments = self.new_comments(&bead.id, &issue, there)?;
        let kept = fields::kept(&bead, notes, &issue)?;
        Ok(Planned { place, before, bead, kept, edges, comments, forget_notes, note })
    }

    /// The comments of an issue that are not there yet.
    fn new_comments(
        &self,
        bead: &str,
        issue: &Issue,
        there: &[Comment],
    ) -> Result<Vec<Comment>, Refusal> {
        let key = |it: &Comment| (it.author.clone(), it.at, it.text.clone());
        let mut seen: BTreeSet<_> = there.iter().map(key).collect();
        let mut new = Vec::new();
        for record in issue::records(issue, "comments") {
            let comment = fields::read_comment(bead, record, self.now)?;
            if seen.insert(key(&comment)) {
                new.push(comment);
            }
        }
        if seen.len() > limits::COMMENTS_PER_BEAD_MAX {
            let max = limits::COMMENTS_PER_BEAD_MAX;
            let problem = format!("may be {max} at most (would be {})", seen.len());
            return Err(Refusal::invalid("comments", problem));
        }
        Ok(new)
    }

    fn write(
        &mut self,
        by: &Caller,
        plans: Vec<Planned>,
        report: &mut ImportReport,
    ) -> Result<(), Error> {
        let mut knot = Knot::default();
        let mut freed = self.write_beads(&plans, &mut knot)?;
        self.write_texts(&plans)?;
        self.write_edges(&plans, &mut knot, report)?;
        self.store().keep(&knot.kept.into_iter().collect::<Vec<_>>())?;
        let touched: Vec<&str> = knot.touched.iter().map(String::as_str).collect();
        freed |= self.store().gate_anew(&touched)?;
        self.tell_of(by, &plans)?;
        if freed {
            self.wake();
        }
        for plan in &plans {
            self.wake_for(&plan.bead);
        }
        Ok(())
    }

    /// New ones in one statement, others by what differs. Whether some bead waits for nothing any more.
    fn write_beads(&mut self, plans: &[Planned], knot: &mut Knot) -> Result<bool, Error> {
        let mut freed = false;
        let new: Vec<&Bead> =
            plans.iter().filter(|it| it.before.is_none()).map(|it| &it.bead).collect();
        self.store().add_beads(&new)?;
        for plan in plans {
            let id = plan.bead.id.clone();
            let mut kept = plan.kept.clone();
            if let Some(whole) = &plan.before {
                freed |= self.store().save_bead(&whole.bead, &plan.bead)?;
                let out = whole.ties.iter().map(|it| &it.dependency);
                let out = out.map(|it| (it.depends_on.clone(), it.kind.clone())).collect();
                knot.out.insert(id.clone(), out);
                if let Some(parent) = &whole.bead.parent {
                    knot.parent.insert(id.clone(), parent.clone());
                    if let Some(said) = whole.kept.get(PARENT) {
                        kept.insert(PARENT.to_owned(), said.clone());
                    }
                }
            } else {
                knot.is_new(&id);
            }
            let keeps =
                !kept.is_empty() || plan.before.as_ref().is_some_and(|it| !it.kept.is_empty());
            if keeps {
                knot.kept.insert(id, kept);
            }
        }
        Ok(freed)
    }

    fn write_texts(&self, plans: &[Planned]) -> Result<(), Error> {
        for plan in plans {
            if let Some(from) = plan.forget_notes {
                self.store().forget_notes(&plan.bead.id, from)?;
            }
        }
        let notes: Vec<PlacedNote> = plans.iter().filter_map(|it| it.note.clone()).collect();
        self.store().add_notes(&notes)?;
        let comments: Vec<Comment> = plans.iter().flat_map(|it| it.comments.clone()).collect();
        Ok(self.store().add_comments(&comments)?)
    }

    fn write_edges(
        &self,
        plans: &[Planned],
        knot: &mut Knot,
        report: &mut ImportReport,
    ) -> Result<(), Error> {
        self.untie(plans, knot)?;
        let made: Vec<&str> =
            plans.iter().filter(|it| it.before.is_none()).map(|it| it.bead.id.as_str()).collect();
        let waiting = if made.is_empty() { Vec::new() } else { self.store().loose_on(&made)? };
        let edges = plans.iter().flat_map(|it| &it.edges).map(|it| it.depends_on.as_str());
        let mut others: Vec<&str> =
            edges.chain(waiting.iter().map(|it| it.depends_on.as_str())).collect();
        others.sort_unstable();
        others.dedup();
        self.look_around(knot, &others)?;
        for plan in plans {
            for edge in &plan.edges {
                let id = edge.bead.as_str();
                let tied = knot.out.get(id).and_then(|out| out.get(&edge.depends_on));
                let is_parent =
                    edge.kind == PARENT_CHILD && knot.parent.get(id) == Some(&edge.depends_on);
                if is_parent || tied == Some(&edge.kind) {
                    self.tell_anew(knot, edge);
                } else if let Some(problem) = self.tie(knot, edge)? {
                    let warning =
                        format!("{} {} is not tied: {problem}", edge.kind, edge.depends_on);
                    report.lines[plan.place].warnings.push(warning);
                }
            }
        }
        self.write_knot(knot)?;
        self.tie_those_that_waited(waiting, knot, report)?;
        self.write_knot(knot)
    }

    /// Forgets what lines say no more.
    fn untie(&self, plans: &[Planned], knot: &mut Knot) -> Result<(), Error> {
        let (mut ties, mut loose, mut parents) = (Vec::new(), Vec::new(), Vec::new());
        for plan in plans {
            let Some(whole) = &plan.before else { continue };
            let id = &plan.bead.id;
            let wanted = |other: &str, kind: &str| {
                plan.edges.iter().any(|it| it.depends_on == other && it.kind == kind)
            };
            for it in whole.ties.iter().map(|it| &it.dependency) {
                if !wanted(&it.depends_on, &it.kind) {
                    knot.out.entry(id.clone()).or_default().remove(&it.depends_on);
                    ties.push((id.clone(), it.depends_on.clone()));
                }
            }
            if let Some(parent) = whole.bead.parent.as_ref().filter(|it| !wanted(it, PARENT_CHILD))
            {
                knot.parent.remove(id);
                knot.kept.entry(id.clone()).or_default().remove(PARENT);
                parents.push((id.clone(), None));
                knot.touched.insert(parent.clone());
            }
            // Those that are still wanted are tried again, and kept again if they cannot be tied.
            let gone = whole.loose.iter();
            loose.extend(gone.map(|it| (id.clone(), it.depends_on.clone(), it.kind.clone())));
        }
        knot.touched.extend(ties.iter().map(|(bead, _)| bead.clone()));
        knot.touched.extend(parents.iter().map(|(bead, _)| bead.clone()));
        self.store().forget_ties(&ties)?;
        self.store().set_parents(&parents)?;
        Ok(self.store().forget_loose(&loose)?)
    }

    /// What came earlier than what it depends on.
    fn tie_those_that_waited(
        &self,
        waiting: Vec<crate::store::Loose>,
        knot: &mut Knot,
        report: &mut ImportReport,
    ) -> Result<(), Error> {
        // What is planned has been tried already.
        let old: BTreeSet<String> = waiting
            .iter()
            .map(|it| it.bead.clone())
            .filter(|id| !knot.fresh.contains(id) && !knot.out.contains_key(id))
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = old.iter().map(String::as_str).collect();
        for (id, whole) in self.engine.wholes(&ids)? {
            let out = whole.ties.into_iter().map(|it| it.dependency);
            knot.out.insert(id.clone(), out.map(|it| (it.depends_on, it.kind)).collect());
            if let Some(parent) = whole.bead.parent {
                knot.parent.insert(id.clone(), parent);
            }
            if !whole.kept.is_empty() {
                knot.kept.insert(id, whole.kept);
            }
        }
        let mut tied = Vec::new();
        for it in waiting.into_iter().filter(|it| old.contains(&it.bead)) {
            let key = (it.bead.clone(), it.depends_on.clone(), it.kind.clone());
            let (bead, depends_on) = (it.bead, it.depends_on);
            let edge = Edge { bead, depends_on, kind: it.kind, record: it.whole };
            if self.tie(knot, &edge)?.is_none() {
                tied.push(key);
            }
        }
        report.tied += u32::try_from(tied.len()).unwrap_or(u32::MAX);
        Ok(self.store().forget_loose(&tied)?)
    }

    /// A line in the audit of each bead, and one for whoever watches.
    fn tell_of(&mut self, by: &Caller, plans: &[Planned]) -> Result<(), Error> {
        let mut events = Vec::new();
        for plan in plans {
            let bead = &plan.bead;
            let mut event =
                |event: &str, old: Option<&str>, new: Option<&str>, data: Option<Value>| {
                    events.push(BeadEvent {
                        seq: 0,
                        bead: bead.id.clone(),
                        at: self.now,
                        actor: actor(by).to_owned(),
                        event: event.to_owned(),
                        old: old.map(str::to_owned),
                        new: new.map(str::to_owned),
                        data: data.map(|it| it.to_string()),
                    });
                };
            let Some(before) = plan.before.as_ref().map(|it| &it.bead) else {
                let data = json!({"title": bead.title, "priority": bead.priority, "import": true});
                event("created", None, Some(&bead.kind), Some(data));
                continue;
            };
            if before.status != bead.status {
                let closed = bead.status == Status::Closed;
                let name = if closed { "closed" } else { "status_changed" };
                event(name, Some(before.status.as_str()), Some(bead.status.as_str()), None);
            }
            if before.assignee != bead.assignee {
                event("assigned", before.assignee.as_deref(), bead.assignee.as_deref(), None);
            }
            let fields = crate::engine::fields::changed(before, bead);
            event("updated", None, None, Some(json!({"fields": fields, "import": true})));
        }
        self.store().add_events(&events)?;
        self.effects.push(Effect::Tell(Tell {
            event: "imported".to_owned(),
            bead: None,
            actor: Some(actor(by).to_owned()),
            detail: Some(format!("{} beads", plans.len())),
        }));
        Ok(())
    }
}

/// The lines that can be looked at, and a report with a place for each. Of two with the same id the newer counts, the
/// later one if both are as new.
fn read(issues: Vec<Value>) -> (Vec<Line>, ImportReport) {
    let mut report = ImportReport::default();
    let mut lines: Vec<Line> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (place, value) in issues.into_iter().enumerate() {
        let mut drop = |id: &str, reason: String| {
            report.lines.push(ImportedLine {
                id: id.to_owned(),
                outcome: Imported::Dropped,
                reason: Some(reason),
                warnings: Vec::new(),
            });
        };
        let Value::Object(issue) = value else {
            drop("", "no issue: it is no JSON object".to_owned());
            continue;
        };
        let id = check::cut(text(&issue, "id").unwrap_or_default(), limits::NAME_CHARS_MAX);
        if let Some(what) = issue::not_an_issue(&issue) {
            drop(&id, what);
            continue;
        }
        if let Err(refusal) = check::id("id", &id) {
            drop(&id, refusal.message);
            continue;
        }
        report.lines.push(ImportedLine {
            id: id.clone(),
            outcome: Imported::Unchanged,
            reason: None,
            warnings: Vec::new(),
        });
        let issue = issue::normal(issue);
        let Some(&other) = known.get(&id) else {
            known.insert(id.clone(), lines.len());
            lines.push(Line { place, id, issue });
            continue;
        };
        let later = time(&issue, "updated_at") >= time(&lines[other].issue, "updated_at");
        let loser = if later { lines[other].place } else { place };
        if later {
            lines[other] = Line { place, id, issue };
        }
        report.lines[loser].outcome = Imported::Skipped;
        report.lines[loser].reason =
            Some("the same id comes again in this batch, as new or newer".to_owned());
    }
    (lines, report)
}

/// What shall be said of a bead that is here, once a line has said what it says.
fn merged(
    said: &Issue,
    mut line: Issue,
    sets: Sets,
    held: bool,
    report: &mut ImportedLine,
) -> Issue {
    if held {
        let differ = ["status", "assignee"].iter().any(|key| said.get(*key) != line.get(*key));
        if differ {
            let status = text(said, "status").unwrap_or_default();
            let who = text(said, "assignee").unwrap_or("nobody");
            report
                .warnings
                .push(format!("work on it goes on here: it stays {status} and assigned to {who}"));
        }
        for key in OF_A_RUN {
            line.remove(key);
            if let Some(value) = said.get(key) {
                line.insert(key.to_owned(), value.clone());
            }
        }
    }
    let mut lists: Vec<(&str, Vec<Value>)> = vec![("comments", Vec::new())];
    if sets == Sets::Union {
        lists.extend([("labels", Vec::new()), ("dependencies", Vec::new())]);
        for (key, value) in said.iter().filter(|(key, _)| !fields::COLUMNS.contains(&key.as_str()))
        {
            line.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    for (key, mut all) in lists {
        let of = |issue: &Issue| issue.get(key).and_then(Value::as_array).cloned();
        let ours = of(said).unwrap_or_default();
        let theirs = of(&line).unwrap_or_default();
        let id = |it: &Value| match (key, it.as_object()) {
            ("comments", Some(it)) => issue::comment_key(it),
            ("dependencies", Some(it)) => it.get("depends_on_id").cloned().unwrap_or_default(),
            _ => it.clone(),
        };
        let known: HashSet<String> = theirs.iter().map(|it| id(it).to_string()).collect();
        // Of what both have, a comment is ours, and a dependency is as the line has it.
        let (mine, rest): (Vec<_>, Vec<_>) =
            ours.into_iter().partition(|it| known.contains(&id(it).to_string()));
        all.extend(rest);
        if key == "comments" {
            all.extend(mine.iter().cloned());
            let mine: HashSet<String> = mine.iter().map(|it| id(it).to_string()).collect();
            all.extend(theirs.into_iter().filter(|it| !mine.contains(&id(it).to_string())));
        } else {
            all.extend(theirs);
        }
        if key == "labels" {
            all.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            all.dedup();
        }
        if all.is_empty() {
            line.remove(key);
        } else {
            line.insert(key.to_owned(), Value::Array(all));
        }
    }
    line
}

/// From which note on those that are there go, and what follows: rows that the text still begins with stay.
fn note_changes(notes: &[PlacedNote], text: &str) -> (Option<i64>, Option<String>) {
    if fields::joined(notes) == text {
        return (None, None);
    }
    let (mut rest, mut stay) = (Some(text).filter(|it| !it.is_empty()), 0);
    for note in notes {
        let Some(tail) = rest.and_then(|rest| rest.strip_prefix(note.text.as_str())) else { break };
        rest = match tail.strip_prefix('\n') {
            Some(tail) => Some(tail),
            None if tail.is_empty() => None,
            None => break,
        };
        stay += 1;
    }
    let forget = notes.get(stay).map(|it| it.n);
    (forget, rest.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Millis;

    fn notes(texts: &[&str]) -> Vec<PlacedNote> {
        let note = |(n, text): (usize, &&str)| PlacedNote {
            bead: "x".to_owned(),
            n: i64::try_from(n).unwrap_or_default() + 1,
            author: "a".to_owned(),
            at: Millis(0),
            text: (*text).to_owned(),
        };
        texts.iter().enumerate().map(note).collect()
    }

    #[test]
    fn notes_that_a_text_begins_with_stay() {
        let changes = |old: &[&str], new: &str| {
            let (from, rest) = note_changes(&notes(old), new);
            let stay = from.map_or(old.len(), |n| usize::try_from(n - 1).unwrap_or_default());
            let mut now: Vec<String> = old[..stay].iter().map(|it| (*it).to_owned()).collect();
            now.extend(rest);
            assert_eq!(now.join("\n"), new, "{old:?}");
            now
        };
        assert_eq!(changes(&[], "a\nb"), ["a\nb"]);
        assert_eq!(changes(&["a", "b"], "a\nb"), ["a", "b"]);
        assert_eq!(changes(&["a", "b"], "a\nb\nc\nd"), ["a", "b", "c\nd"]);
        assert_eq!(changes(&["a", "b"], "a\nB"), ["a", "B"]);
        assert_eq!(changes(&["a", "b"], "ab"), ["ab"]);
        assert_eq!(changes(&["a", "b"], "a"), ["a"]);
        assert_eq!(changes(&["a"], "a\n"), ["a", ""]);
        assert_eq!(changes(&["a"], ""), [""; 0]);
    }
}
