//! The rows as answers. Reads only.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Engine, check, dispatch, tick};
use crate::agent::Role;
use crate::attempt::{Attempt, State};
use crate::bead::{Bead, PRIORITIES, Status};
use crate::breaker::Breaker;
use crate::command::Error;
use crate::id::Millis;
use crate::limits;
use crate::refusal::Refusal;
use crate::settings::dollars;
use crate::store::{BeadFilter, Blocker, Member, Sql};
use crate::wire::rig::{
    AgentView, AttemptView, BeadView, BreakerView, Failure, NoteView, RigStatus, Waiting,
};

/// What the beads of a list may wait for.
struct Around {
    crew: Vec<Member>,
    breaker: Breaker,
    blockers: Vec<Blocker>,
}

/// The first of what a bead waits for, and how many there are besides.
fn named(blockers: &[Blocker], bead: &str) -> String {
    let mine = || blockers.iter().filter(|it| it.bead == bead).map(|it| it.blocker.as_str());
    let names: Vec<&str> = mine().take(limits::BLOCKERS_NAMED).collect();
    let more = match mine().count() - names.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("waits for {}{more} to be closed", names.join(", "))
}

impl<S: Sql> Engine<S> {
    /// One bead with its notes, or why there is none.
    pub fn bead_with_notes(&self, id: &str, now: Millis) -> Result<BeadView, Error> {
        self.with_notes(self.find_bead(id)?, now)
    }

    /// A bead as it is shown alone.
    pub fn with_notes(&self, bead: Bead, now: Millis) -> Result<BeadView, Error> {
        let notes = self.store.notes(&bead.id)?;
        let mut view = self.bead_view(bead, now)?;
        view.notes = Some(
            notes
                .into_iter()
                .map(|it| NoteView { author: it.author, at: it.at.to_string(), text: it.text })
                .collect(),
        );
        Ok(view)
    }

    /// Beads as a list, by a query string's pairs.
    pub fn list_beads(
        &self,
        query: &[(String, String)],
        now: Millis,
    ) -> Result<Vec<BeadView>, Error> {
        if let Some((_, ids)) = query.iter().find(|(key, _)| key == "ids") {
            return self.named(ids, now);
        }
        let filter = bead_filter(query)?;
        if filter.limit == 0 {
            return Ok(Vec::new());
        }
        let beads = self.store.beads(&filter)?;
        self.views(beads, now)
    }

    /// Beads as they are shown in a list.
    pub(super) fn views(&self, beads: Vec<Bead>, now: Millis) -> Result<Vec<BeadView>, Error> {
        let around = self.concerned(&beads)?;
        Ok(beads.into_iter().map(|bead| self.shown(bead, &around, now)).collect())
    }

    /// A bead as it is shown.
    pub fn bead_view(&self, bead: Bead, now: Millis) -> Result<BeadView, Error> {
        let around = self.concerned(std::slice::from_ref(&bead))?;
        Ok(self.shown(bead, &around, now))
    }

    /// The agents and the beads that these beads may wait for.
    fn concerned(&self, beads: &[Bead]) -> Result<Around, Error> {
        let blocked: Vec<&str> = beads
            .iter()
            .filter(|bead| bead.blocked && bead.is_for_agents() && bead.status == Status::Open)
            .map(|bead| bead.id.as_str())
            .collect();
        Ok(Around {
            crew: self.crew_for(beads)?,
            breaker: self.store.breaker()?,
            blockers: self.store.blockers(&blocked)?,
        })
    }

    /// The agents that these beads may wait for: none, the one that holds it, or all.
    fn crew_for(&self, beads: &[Bead]) -> Result<Vec<Member>, Error> {
        let mut holders = Vec::new();
        for bead in beads.iter().filter(|bead| concerns_agents(bead)) {
            match (bead.status, &bead.hooked_by) {
                (Status::InProgress, Some(agent)) => holders.push(agent),
                (Status::Open, _) if !bead.blocked => return Ok(self.store.crew()?.0),
                _ => {}
            }
        }
        Ok(match holders.as_slice() {
            [] => Vec::new(),
            [agent] => self.store.member(agent)?.into_iter().collect(),
            _ => self.store.crew()?.0,
        })
    }

    fn shown(&self, bead: Bead, around: &Around, now: Millis) -> BeadView {
        let waiting = self.waiting(&bead, around, now);
        let attempts = super::beads::in_window(&bead.runs, now).len();
        let failure = bead
            .failure_code
            .map(|code| Failure { code, message: bead.failure_message.unwrap_or_default() });
        BeadView {
            id: bead.id,
            kind: bead.kind,
            status: bead.status.as_str().to_owned(),
            title: bead.title,
            body: bead.body,
            design: bead.design,
            acceptance_criteria: bead.acceptance_criteria,
            priority: PRIORITIES[usize::from(bead.priority).min(PRIORITIES.len() - 1)].to_owned(),
            assignee: bead.assignee,
            assignee_agent_id: bead.assignee_agent_id,
            parent: bead.parent,
            labels: bead.labels,
            metadata: bead.metadata,
            external_ref: bead.external_ref,
            due_at: bead.due_at.map(|at| at.to_string()),
            defer_until: bead.defer_until.map(|at| at.to_string()),
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            cost_usd: (bead.ties.cost_micros > 0).then(|| dollars(bead.ties.cost_micros)),
            created_at: bead.created_at.to_string(),
            created_by: bead.created_by,
            updated_at: bead.updated_at.to_string(),
            started_at: bead.started_at.map(|at| at.to_string()),
            closed_at: bead.closed_at.map(|at| at.to_string()),
            close_reason: bead.close_reason,
            failure,
            waiting,
            convoy_id: bead.ties.convoy,
            molecule_id: bead.ties.molecule,
            branch: bead.ties.branch,
            pr_url: bead.ties.pr_url,
            notes: None,
        }
    }

    /// Why a bead that is for agents is not at work.
    fn waiting(&self, bead: &Bead, around: &Around, now: Millis) -> Option<Waiting> {
        if !concerns_agents(bead) {
            return None;
        }
        let crew = &around.crew;
        let say = |reason: &str, until: Option<Millis>, message: String| {
            let until = until.map(|at| at.to_string());
            Some(Waiting { reason: reason.to_owned(), message, until })
        };
        if let (Status::InProgress, Some(agent)) = (bead.status, &bead.hooked_by) {
            let member = crew.iter().find(|it| it.agent.id == *agent);
            let live = member.and_then(|it| it.attempt.as_ref());
            if let (Some(says), None | Some(State::Claimed)) =
                (around.breaker.says(), live.map(|it| it.state))
            {
                return say("breaker_open", around.breaker.probe_at, says);
            }
            return match live {
                Some(Attempt { state: State::Claimed, reason, retry_at, .. }) => {
                    let why = reason.as_deref().unwrap_or("no room in the container");
                    say(
                        "container_unavailable",
                        *retry_at,
                        format!("claimed; waits for the container: {why}"),
                    )
                }
                // Hooked by hand, it stays on its hook between its runs.
                None if member.is_some() => match self.backs_off(bead, now) {
                    Some((at, why)) => say("back_off", Some(at), why),
                    None => say("queued", None, "its agent is started at the next tick".to_owned()),
                },
                _ => None,
            };
        }
        if bead.status == Status::InProgress && bead.hooked_by.is_none() {
            let at = bead.updated_at.plus(limits::ORPHAN_MS);
            let message = "no agent holds it; it goes back to the queue".to_owned();
            return say("no_agent", Some(at), message);
        }
        if bead.status == Status::Deferred {
            return match bead.defer_until {
                Some(at) => say("deferred", Some(at), format!("deferred until {at}")),
                None => say("deferred", None, "deferred until a person opens it".to_owned()),
            };
        }
        if bead.status != Status::Open {
            return None;
        }
        if bead.acceptance_criteria.is_none() {
            let message = "has no acceptance criteria, and an agent takes no bead without; \
                           add them: beadrig update <id> --acceptance \"…\"";
            return say("no_acceptance_criteria", None, message.replace("<id>", &bead.id));
        }
        if bead.blocked {
            return say("blocked_by", None, named(&around.blockers, &bead.id));
        }
        if let Some(at) = bead.defer_until.filter(|at| *at > now) {
            return say("deferred", Some(at), format!("deferred until {at}"));
        }
        let settings = self.effective().unwrap_or_else(|_| self.settings.clone());
        let paused = self.dispatch(&settings).ok().and_then(|it| dispatch::in_words(&it));
        if let Some(why) = paused {
            return say("dispatch_paused", None, why);
        }
        if crate::mutant!(WaitsWithoutReason) {
            return None;
        }
        let backs_off = self.backs_off(bead, now);
        if let Some(says) = around.breaker.says()
            && backs_off.as_ref().map(|(at, _)| *at) <= around.breaker.probe_at
        {
            return say("breaker_open", around.breaker.probe_at, says);
        }
        if let Some((at, why)) = backs_off {
            return say("back_off", Some(at), why);
        }
        if tick::free_slots(crew, &settings) == 0 {
            let max = settings.max_agents;
            return say("no_capacity", None, format!("all {max} agents of the rig are at work"));
        }
        say("queued", None, "will be taken at the next tick".to_owned())
    }

    /// Until when a bead that was tried is left alone, and why.
    fn backs_off(&self, bead: &Bead, now: Millis) -> Option<(Millis, String)> {
        let at = bead.not_before.filter(|at| *at > now)?;
        let runs = super::beads::in_window(&bead.runs, now).len();
        let max = self.effective().map_or(self.settings.max_attempts, |it| it.max_attempts);
        Some((at, format!("{runs} of {max} attempts failed; next try at {at}")))
    }

    /// For what a bead waits, in words.
    pub(super) fn waits_for(&self, bead: &str) -> Result<String, Error> {
        Ok(named(&self.store.blockers(&[bead])?, bead))
    }

    /// One agent, or why there is none.
    pub fn agent(&self, id: &str, now: Millis) -> Result<AgentView, Error> {
        let member = self.store.member(id)?.ok_or_else(|| Refusal::no_agent(id))?;
        self.agent_view(member, now)
    }

    /// The agents, by a query string's pairs (`role`, `status`).
    pub fn list_agents(
        &self,
        query: &[(String, String)],
        now: Millis,
    ) -> Result<Vec<AgentView>, Error> {
        let get =
            |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let role = get("role").map(Role::read).transpose()?;
        let (crew, _) = self.store.crew()?;
        let mut checkpoints = self.checkpoints(&crew)?;
        Ok(crew
            .into_iter()
            .filter(|it| role.is_none_or(|role| it.agent.role == role))
            .filter(|it| get("status").is_none_or(|status| it.status() == status))
            .map(|it| agent_view(it, &mut checkpoints, now))
            .collect())
    }

    /// An agent as it is shown.
    pub fn agent_view(&self, member: Member, now: Millis) -> Result<AgentView, Error> {
        let mut checkpoints = self.checkpoints(std::slice::from_ref(&member))?;
        Ok(agent_view(member, &mut checkpoints, now))
    }

    /// What was left on the hooks of these agents.
    fn checkpoints(&self, crew: &[Member]) -> Result<BTreeMap<String, Value>, Error> {
        let beads: Vec<&str> =
            crew.iter().filter_map(|it| it.bead.as_ref()).map(|it| it.id.as_str()).collect();
        Ok(self.store.checkpoints(&beads)?.into_iter().collect())
    }

    /// What the rig is doing; `next_tick` is the alarm that is set.
    pub fn status(&self, next_tick: Option<Millis>, now: Millis) -> Result<RigStatus, Error> {
        let max = limits::STATUS_FINISHED_MAX;
        let counts = self.store.bead_counts(max)?;
        let finished = counts.iter().filter(|(status, _)| status.is_finished());
        let more_finished = finished.map(|(_, n)| n).sum::<u64>() >= u64::from(max);
        let settings = self.effective()?;
        let dispatch = self.dispatch(&settings)?;
        Ok(RigStatus {
            rig_id: self.rig.clone(),
            beads: counts.into_iter().map(|(status, n)| (status.as_str().to_owned(), n)).collect(),
            more_finished,
            agents: self.list_agents(&[], now)?,
            max_agents: settings.max_agents,
            dispatch_enabled: dispatch.enabled,
            breaker: breaker_view(&self.store.breaker()?),
            dispatch,
            next_tick_at: next_tick.map(|at| at.to_string()),
        })
    }
}

/// Whether agents are to work on it: whoever may, or the one that it was hooked to by hand.
fn concerns_agents(bead: &Bead) -> bool {
    bead.is_for_agents() || bead.hooked_by.is_some()
}

fn agent_view(member: Member, checkpoints: &mut BTreeMap<String, Value>, now: Millis) -> AgentView {
    let status = member.status().to_owned();
    let runs = member.bead.as_ref().map_or(0, |it| super::beads::in_window(&it.runs, now).len());
    AgentView {
        role: member.agent.role.as_str().to_owned(),
        name: member.agent.name,
        identity: member.agent.identity,
        status,
        checkpoint: member.bead.as_ref().and_then(|it| checkpoints.remove(&it.id)),
        current_hook_bead_id: member.bead.map(|it| it.id),
        dispatch_attempts: u32::try_from(runs).unwrap_or(u32::MAX),
        last_activity_at: member
            .attempt
            .as_ref()
            .and_then(|it| it.last_activity)
            .map(|at| at.to_string()),
        attempt: member.attempt.map(attempt_view),
        created_at: member.agent.created_at.to_string(),
        id: member.agent.id,
    }
}

fn breaker_view(breaker: &Breaker) -> Option<BreakerView> {
    Some(BreakerView {
        message: breaker.says()?,
        open_since: breaker.opened_at?.to_string(),
        next_probe_at: breaker.probe_at?.to_string(),
    })
}

fn attempt_view(attempt: Attempt) -> AttemptView {
    AttemptView {
        number: attempt.number,
        job_id: attempt.job,
        state: attempt.state.as_str().to_owned(),
        reason: attempt.reason,
        started_at: attempt.asked_at.to_string(),
        ended_at: attempt.ended_at.map(|at| at.to_string()),
        cost_usd: attempt.cost_micros.map(dollars),
    }
}

/// `status`, `exclude_status` (both with commas), `type`, `assignee`, `assignee_agent_id`, `label`, `priority`,
/// `limit`, `offset`; others are ignored.
pub(super) fn bead_filter(query: &[(String, String)]) -> Result<BeadFilter, Refusal> {
    let mut filter = BeadFilter { limit: limits::PAGE_ROWS, ..BeadFilter::default() };
    let mut excluded = Vec::new();
    for (key, value) in query {
        let text = || Some(value.clone());
        match key.as_str() {
            "status" => filter.status.extend(statuses(value)?),
            "exclude_status" => excluded.extend(statuses(value)?),
            "type" => filter.kind = text(),
            "assignee" => filter.assignee = text(),
            "assignee_agent_id" => filter.assignee_agent_id = text(),
            "convoy_id" => filter.convoy = text(),
            "label" => filter.label = text(),
            "priority" => filter.priority = Some(check::priority(&value.as_str().into())?),
            // An empty limit is 0, as in Gastown.
            "limit" => filter.limit = count(value)?.min(limits::PAGE_ROWS_MAX),
            "offset" => filter.offset = count(value)?,
            _ => {}
        }
    }
    if !excluded.is_empty() {
        let all = if filter.status.is_empty() { Status::ALL.to_vec() } else { filter.status };
        filter.status = all.into_iter().filter(|status| !excluded.contains(status)).collect();
        if filter.status.is_empty() {
            filter.limit = 0;
        }
    }
    Ok(filter)
}

/// A part of a list.
pub(crate) struct Page {
    pub(crate) limit: u32,
    pub(crate) offset: u32,
}

/// `limit` (at most `max`) and `offset`.
pub(crate) fn page(query: &[(String, String)], max: u32) -> Result<Page, Refusal> {
    let mut page = Page { limit: limits::PAGE_ROWS.min(max), offset: 0 };
    for (key, value) in query {
        match key.as_str() {
            "limit" => page.limit = count(value)?.min(max),
            "offset" => page.offset = count(value)?,
            _ => {}
        }
    }
    Ok(page)
}

fn statuses(value: &str) -> Result<Vec<Status>, Refusal> {
    value.split(',').map(|it| check::status(it.trim())).collect()
}

pub(super) fn count(value: &str) -> Result<u32, Refusal> {
    if value.is_empty() {
        return Ok(0);
    }
    value.parse().map_err(|_| Refusal::invalid("limit and offset", "must be non-negative integers"))
}
