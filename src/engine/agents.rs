//! What people and agents do with agents and hooks.

use serde_json::Value;

use super::beads::in_window;
use super::reviews::{self, Work};
use super::{Apply, DISPATCHER, actor, check, refs};
use crate::agent::{Agent, NAMES, Role};
use crate::attempt::{self, Attempt};
use crate::bead::{Bead, Event, Status};
use crate::command::{Effect, Error, Reply};
use crate::refusal::{Code, Refusal};
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::rig::{Done, RegisterAgent};

impl<S: Sql> Apply<'_, S> {
    pub(super) fn register_agent(&mut self, fields: RegisterAgent) -> Result<Reply, Error> {
        let role = Role::read(&fields.role)?;
        let agent = self.new_agent(
            role,
            check::name("name", &fields.name)?,
            check::name("identity", &fields.identity)?,
        );
        let (crew, _) = self.store().crew()?;
        self.make_room(&crew)?;
        self.add(agent)
    }

    pub(super) fn get_or_create_agent(&mut self, role: Role) -> Result<Reply, Error> {
        let (crew, _) = self.store().crew()?;
        let single = matches!(role, Role::Refinery | Role::Witness);
        let found = crew.iter().find(|it| {
            it.agent.role == role && (it.is_free() || single && it.agent.mark.is_none())
        });
        if let Some(member) = found {
            return Ok(Reply::Agent(Box::new(member.clone())));
        }
        self.make_room(&crew)?;
        let agent = self.next_agent(role, &crew)?;
        self.add(agent)
    }

    fn add(&mut self, agent: Agent) -> Result<Reply, Error> {
        if !self.store().add_agent(&agent)? {
            let message = format!("An agent with identity {} exists already", agent.identity);
            return Err(Refusal::new(Code::Exists, message).into());
        }
        Ok(Reply::Agent(Box::new(Member { agent, attempt: None, bead: None })))
    }

    /// A free polecat for the scheduler, made if there is room for one more at work.
    pub(super) fn free_polecat(&mut self) -> Result<Agent, Error> {
        let (crew, _) = self.store().crew()?;
        let polecats = || crew.iter().filter(|it| it.agent.role == Role::Polecat);
        let more = if crate::mutant!(TooManyAgents) { 3 } else { 0 };
        let max = self.settings()?.max_agents as usize + more;
        if polecats().filter(|it| it.is_busy()).count() >= max {
            let message = format!(
                "all {max} agents of the rig are at work; wait until one is done, raise max_agents in the rig's \
                 config, or file a bead for `agent`, which waits for its turn"
            );
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        if let Some(member) = polecats().find(|it| it.is_free()) {
            return Ok(member.agent.clone());
        }
        self.make_room(&crew)?;
        let agent = self.next_agent(Role::Polecat, &crew)?;
        self.add(agent.clone())?;
        Ok(agent)
    }

    /// The next agent of a role under a name that is free.
    fn next_agent(&mut self, role: Role, crew: &[Member]) -> Result<Agent, Error> {
        let more = if crate::mutant!(TooManyAgents) { 3 } else { 0 };
        let max = self.settings()?.max_agents as usize + more;
        // One that was set aside and holds nothing is in nobody's way: the rest must go on.
        let counts = |it: &&Member| {
            it.agent.role == Role::Polecat && (it.is_busy() || it.agent.mark.is_none())
        };
        let polecats = crew.iter().filter(counts).count();
        if role == Role::Polecat && polecats >= max {
            let message = format!(
                "Maximum polecats per rig reached ({max}). Wait for one to be done, or raise MAX_AGENTS."
            );
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        let taken = |name: &str| crew.iter().any(|it| it.agent.name == name && !it.is_dead());
        let name = NAMES.iter().map(|name| (*name).to_owned());
        let name = name.chain((NAMES.len() + 1..).map(|n| format!("Polecat-{n}")));
        let name = match role {
            Role::Polecat => name.into_iter().find(|name| !taken(name)).unwrap_or_default(),
            other => other.as_str().to_owned(),
        };
        // A name is used again when its agent is dead; an identity never is.
        let identities = (1..).map(|n| match n {
            1 => format!("{}/{name}", role.as_str()),
            n => format!("{}/{name}-{n}", role.as_str()),
        });
        let known = |identity: &String| crew.iter().any(|it| it.agent.identity == *identity);
        let identity = identities.into_iter().find(|it| !known(it)).unwrap_or_default();
        Ok(self.new_agent(role, name, identity))
    }

    fn new_agent(&mut self, role: Role, name: String, identity: String) -> Agent {
        let id = format!("{}-{}", role.as_str(), self.dice.base36(8));
        Agent { id, role, name, identity, created_at: self.now, mark: None, used_at: None }
    }

    pub(super) fn hook_bead(&mut self, by: &Caller, agent: &str, id: &str) -> Result<Reply, Error> {
        self.speaker(by)?;
        let before = self.bead(id)?;
        let member = self.member(agent)?;
        if before.hooked_by.as_deref() == Some(agent) {
            return Ok(Reply::Done);
        }
        if let Some(held) = &member.bead {
            let message = format!("Agent {agent} is already hooked to bead {}", held.id);
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        if let Some(mark) = member.agent.mark {
            let mark = mark.as_str();
            let message =
                format!("Agent {agent} is {mark} and takes no bead; set it idle, or hook another");
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        if let Some(live) = &member.attempt {
            let message = format!(
                "Agent {agent} is still {} its last run on bead {}; hook another agent, or try again when it is idle",
                live.state, live.bead
            );
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        self.may_be_hooked(&before)?;
        let mut bead = before.clone();
        self.hook(&member.agent, &mut bead, actor(by))?;
        self.store().save_bead(&before, &bead)?;
        self.wake();
        Ok(Reply::Done)
    }

    /// Refuses a bead that another agent holds, that waits for others, or that has run too often.
    pub(super) fn may_be_hooked(&self, bead: &Bead) -> Result<(), Error> {
        let id = &bead.id;
        let conflict = |message: String| Err(Refusal::new(Code::Conflict, message).into());
        if let Some(other) = &bead.hooked_by {
            return conflict(format!(
                "Bead {id} is hooked by agent {other}; unhook it there first"
            ));
        }
        if bead.blocked {
            return conflict(format!("Bead {id} {}", self.engine.waits_for(id)?));
        }
        let runs = in_window(&bead.runs, self.now).len();
        if runs >= self.settings()?.max_attempts {
            return conflict(format!(
                "Bead {id} has used its {runs} attempts; reopen it to try again"
            ));
        }
        Ok(())
    }

    /// Puts a bead on an agent's hook; the caller saves.
    pub(super) fn hook(&mut self, agent: &Agent, bead: &mut Bead, by: &str) -> Result<(), Error> {
        bead.status = bead.status.after(Event::Hooked)?;
        bead.hooked_by = Some(agent.id.clone());
        bead.assignee_agent_id = Some(agent.id.clone());
        bead.started_at = bead.started_at.or(Some(self.now));
        bead.updated_at = self.now;
        let id = bead.id.clone();
        self.event(&id, by, "hooked", (None, Some(&agent.id)), Some(agent.name.clone()))?;
        Ok(())
    }

    /// Takes a bead from the queue and asks for a run.
    pub(super) fn claim(&mut self, id: &str) -> Result<Reply, Error> {
        let before = self.bead(id)?;
        let due = before.not_before.max(before.defer_until).unwrap_or_default();
        let ready = before.status == Status::Open
            && before.is_for_agents()
            && before.acceptance_criteria.is_some()
            && !before.blocked
            && due <= self.now;
        if !ready {
            let message = format!("Bead {id} is {} and not to be taken", before.status);
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        let agent = self.free_polecat()?;
        let mut bead = before.clone();
        self.hook(&agent, &mut bead, DISPATCHER)?;
        let claimed = format!("auto-dispatcher claimed at {}", self.now);
        self.write_note(&mut bead, DISPATCHER, &claimed)?;
        self.begin(&agent, &mut bead)?;
        self.store().save_bead(&before, &bead)?;
        Ok(Reply::Done)
    }

    pub(super) fn unhook_bead(&mut self, by: &Caller, agent: &str) -> Result<Reply, Error> {
        let member = self.speaker_or(by, agent)?;
        self.let_go(member, actor(by), None)?;
        Ok(Reply::Done)
    }

    pub(super) fn checkpoint(
        &mut self,
        by: &Caller,
        agent: &str,
        data: Value,
    ) -> Result<Reply, Error> {
        let held = self.speaker_or(by, agent)?.bead.ok_or_else(|| no_hook(agent))?;
        check::json("data", &data)?;
        let before = self.bead(&held.id)?;
        let bead = Bead { checkpoint: Some(data), updated_at: self.now, ..before.clone() };
        self.store().save_bead(&before, &bead)?;
        self.event(&bead.id, actor(by), "checkpointed", (None, None), None)?;
        Ok(Reply::Done)
    }

    pub(super) fn heartbeat(&mut self, by: &Caller, agent: &str) -> Result<Reply, Error> {
        self.speaker_or(by, agent)?;
        self.effects.push(Effect::WakeAt(self.now.plus(self.settings()?.active_alarm_ms)));
        Ok(Reply::Done)
    }

    /// The agent says that the work on its hook is done. With a branch, in a rig that has a repository, it waits to
    /// be merged; else there is nothing to merge, and the bead is closed.
    pub(super) fn done(&mut self, by: &Caller, agent: &str, done: Done) -> Result<Reply, Error> {
        let mut member = self.member(agent)?;
        if let Caller::Agent(claims) = by {
            if let Some(live) = &member.attempt
                && live.number == claims.attempt
                && live.outcome == Some(attempt::State::Done)
                && self.is_done_by(live)?
            {
                return Ok(Reply::Done); // Its answer was lost, and it says so again.
            }
            member = self.heard(claims, Some(member))?;
        }
        let held = member.bead.as_ref().ok_or_else(|| no_hook(agent))?;
        let before = self.bead(&held.id)?;
        let mut bead = before.clone();
        let branch = check::word("branch", done.branch)?;
        let branch = branch.map(|it| refs::branch("branch", &it)).transpose()?;
        let git = self.engine.git_url()?.is_some();
        // The bead's own, which the agent need not name.
        let branch = branch.or_else(|| bead.ties.branch.clone().filter(|_| git));
        let pr_url = reviews::url(done.pr_url)?;
        let summary = check::reason(done.summary.as_deref());
        let said: Vec<String> =
            [("branch", branch.clone()), ("pr", pr_url.clone()), ("summary", summary.clone())]
                .into_iter()
                .filter_map(|(name, value)| value.map(|value| format!("{name}={value}")))
                .collect();
        if !said.is_empty() {
            self.write_note(&mut bead, &member.agent.name, &format!("done: {}", said.join(" ")))?;
        }
        if let Some(branch) = branch.filter(|_| git) {
            let work = Work { branch, pr_url, summary };
            self.queue_review(by, &member, &mut bead, work)?;
            self.store().save_bead(&before, &bead)?;
            return Ok(Reply::Done);
        }
        let job = member.attempt.as_ref().map_or("unknown", |live| &live.job);
        let reason = summary.unwrap_or_else(|| format!("completed by agent {job}"));
        self.set_status(by, Some(&member), &mut bead, Status::Closed, Some(reason))?;
        bead.updated_at = self.now;
        if self.store().save_bead(&before, &bead)? {
            self.wake();
        }
        Ok(Reply::Done)
    }

    /// Whether what this run said has its bead where `done` brings it, and not at `blocked`, or with the next run.
    fn is_done_by(&self, live: &Attempt) -> Result<bool, Error> {
        Ok(match self.bead(&live.bead)?.status {
            Status::Closed => true,
            Status::InReview => {
                let review = self.store().open_review(&live.bead)?;
                review.is_some_and(|it| it.attempt == Some(live.number))
            }
            _ => false,
        })
    }

    /// The agent that is spoken of, who mostly is the one that speaks.
    pub(super) fn speaker_or(&mut self, by: &Caller, agent: &str) -> Result<Member, Error> {
        match self.speaker(by)? {
            Some(speaker) if speaker.agent.id == agent => Ok(speaker),
            _ => self.member(agent),
        }
    }

    pub(super) fn member(&self, agent: &str) -> Result<Member, Error> {
        self.store().member(agent)?.ok_or_else(|| Refusal::no_agent(agent).into())
    }
}

fn no_hook(agent: &str) -> Refusal {
    Refusal::new(Code::Conflict, format!("Agent {agent} has no hooked bead"))
}
