//! What agents print and which tools they use. It is kept for people who look; no rule ever reads it.

use serde_json::{Value, json};

use super::{Apply, check};
use crate::command::{Error, Reply};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::Sql;
use crate::token::Caller;
use crate::wire::agents::{AppendEvents, NewAgentEvent};

impl<S: Sql> Apply<'_, S> {
    pub(super) fn append_events(
        &mut self,
        by: &Caller,
        fields: AppendEvents,
    ) -> Result<Reply, Error> {
        if let Caller::Agent(claims) = by
            && claims.agent_id != fields.agent_id
        {
            let message = "agent_id does not match authenticated agent";
            return Err(Refusal::new(Code::Forbidden, message).into());
        }
        let member = self.speaker_or(by, &fields.agent_id)?;
        let events = match (fields.event_type, fields.events) {
            (Some(event_type), None) => {
                vec![NewAgentEvent { event_type, data: fields.data, at: None }]
            }
            (None, Some(events)) if !events.is_empty() => events,
            _ => {
                let message = "Invalid request body: give event_type and data, or a list of events";
                return Err(Refusal::new(Code::Invalid, message).into());
            }
        };
        let events = checked(events, self.now)?;
        self.store().add_agent_events(&member.agent.id, &events)?;
        Ok(Reply::Number(i64::try_from(events.len()).unwrap_or(i64::MAX)))
    }
}

fn checked(
    events: Vec<NewAgentEvent>,
    now: Millis,
) -> Result<Vec<(String, Millis, Value)>, Refusal> {
    let max = limits::AGENT_EVENTS_CALL_MAX;
    if events.len() > max {
        let message = format!("events are {} in one call, they may be {max}", events.len());
        return Err(Refusal::new(Code::TooLarge, message));
    }
    let (mut checked, mut size) = (Vec::new(), 0);
    for event in events {
        let kind = check::name("event_type", &event.event_type)?;
        let at = check::time("at", event.at)?.unwrap_or(now);
        let data = event.data.unwrap_or_else(|| json!({}));
        size += check::event_data(&data)?;
        checked.push((kind, at, data));
    }
    // Numbers may be longer written out than they were sent, and all of it is one row.
    check::bytes("events", size, limits::REQUEST_BYTES_MAX)?;
    Ok(checked)
}
