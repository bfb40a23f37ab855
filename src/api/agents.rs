//! Agents and the reports on their runs, over HTTP. No rules: those are the engine's.

use super::{Answer, Call};
use crate::agent::Role;
use crate::command::{Command, Error, Reply};
use crate::refusal::{Code, Refusal};
use crate::store::Sql;
use crate::wire::PROTOCOL;
use crate::wire::container::{ExitReport, Heartbeats, Verdict, Verdicts};
use crate::wire::rig::{Checkpoint, GetOrCreateAgent, HookBead};

pub(super) fn register<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let answer = agent(call, Command::RegisterAgent(call.body()?))?;
    Ok(Answer { status: 201, ..answer })
}

pub(super) fn list<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.list_agents(&call.query(), call.now())?))
}

pub(super) fn get_or_create<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let wanted: GetOrCreateAgent = call.body()?;
    agent(call, Command::GetOrCreateAgent(Role::read(&wanted.role)?))
}

pub(super) fn get<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.agent(&call.param(0), call.now())?))
}

pub(super) fn hook<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let hook: HookBead = call.body()?;
    done_as("hooked", call, Command::HookBead(call.by(), call.param(0), hook.bead_id))
}

pub(super) fn unhook<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    done_as("unhooked", call, Command::UnhookBead(call.by(), call.param(0)))
}

pub(super) fn checkpoint<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let checkpoint: Checkpoint = call.body()?;
    done_as("written", call, Command::Checkpoint(call.by(), call.param(0), checkpoint.data))
}

pub(super) fn heartbeat<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    done_as("heartbeat", call, Command::Heartbeat(call.by(), call.param(0)))
}

pub(super) fn done<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    done_as("done", call, Command::Done(call.by(), call.param(0), call.body_or_default()?))
}

pub(super) fn completed<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let report: ExitReport = call.body()?;
    done_as("completed", call, Command::Exited(call.by(), call.param(0), report))
}

pub(super) fn heartbeats<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let beats: Heartbeats = call.body()?;
    if beats.protocol != PROTOCOL && !crate::mutant!(AnyProtocolIsTaken) {
        let message = format!("protocol {} is not {PROTOCOL}; roll out both parts", beats.protocol);
        return Err(Refusal::new(Code::Protocol, message).into());
    }
    let boot = Some(beats.boot_id).filter(|it| !it.is_empty());
    let verdicts = match call.apply(Command::Heartbeats(boot, beats.agents))? {
        Reply::Verdicts(verdicts) => verdicts,
        _ => Vec::new(),
    };
    let verdicts = verdicts
        .into_iter()
        .map(|(beat, verdict)| Verdict { agent_id: beat.agent_id, attempt: beat.attempt, verdict })
        .collect();
    let merges = match beats.merges.as_slice() {
        [] => Reply::Done,
        _ => call.apply(Command::Merging(beats.merges))?,
    };
    let merges = match merges {
        Reply::Landings(verdicts) => verdicts,
        _ => Vec::new(),
    };
    Ok(Answer::ok(&Verdicts { verdicts, merges }))
}

fn agent<S: Sql>(call: &Call<'_, S>, command: Command) -> Result<Answer, Error> {
    match call.apply(command)? {
        Reply::Agent(member) => Ok(Answer::ok(&call.engine.agent_view(*member, call.now())?)),
        _ => Ok(Answer::word("done")),
    }
}

fn done_as<S: Sql>(word: &str, call: &Call<'_, S>, command: Command) -> Result<Answer, Error> {
    call.apply(command)?;
    Ok(Answer::word(word))
}
