//! `mail`. Reading never marks anything: what was lost on the way to the terminal would be gone.

use super::super::{Screen, fields};
use super::{agent, myself, resolve};
use crate::args::MailVerb;
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::text::{self, Paint};
use crate::when;
use beadrig::wire::agents::{AckMail, Acknowledged, MailView, SendMail, Sent};
use ureq::http::Method;

pub(super) fn mail(
    verb: MailVerb,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    match verb {
        MailVerb::Send { to, subject, message, from } => {
            let body = if message == "-" { fields::stdin()? } else { message };
            let from_agent_id = from.or_else(myself).unwrap_or_else(|| "operator".into());
            let client = connect()?;
            let to_agent_id = resolve(&client, &to)?;
            let mail = SendMail { from_agent_id, to_agent_id, subject, body };
            let sent: Sent = client.send(&Method::POST, "/mail", &mail)?;
            screen.done(&format!("✓ Sent to {}", text::clean(&to)), &sent)
        }
        MailVerb::Inbox { agent: whose, all } => {
            let named = agent(whose.as_ref())?;
            let client = connect()?;
            let id = resolve(&client, &named)?;
            let all = if all { "&include_delivered=true" } else { "" };
            let path = format!("/agents/{}/mail?ack=explicit{all}", encode(&id));
            let mails: Vec<MailView> = client.get(&path)?;
            show(&mails, screen)
        }
        MailVerb::Ack { ids, agent: whose } => {
            let named = agent(whose.as_ref())?;
            let client = connect()?;
            let id = resolve(&client, &named)?;
            let path = format!("/agents/{}/mail/ack", encode(&id));
            let done: Acknowledged = client.send(&Method::POST, &path, &AckMail { ids })?;
            screen.done(&format!("✓ {} marked as read", done.acknowledged), &done)
        }
    }
}

fn show(mails: &[MailView], screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(&mails);
    }
    if mails.is_empty() {
        return screen.line("No mail.");
    }
    for mail in mails {
        let head = format!(
            "{} from {}: {}",
            mail.id,
            text::line(&mail.from_agent_id),
            text::line(&mail.subject)
        );
        let head = screen.style.paint(Paint::Bold, &head);
        let body = text::clean(mail.body.trim_end()).replace('\n', "\n  ");
        screen.line(&format!("{head}  {}\n  {body}", when::show(&mail.created_at)))?;
    }
    Ok(())
}
