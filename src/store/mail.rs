//! The table `mail`.

use serde::Deserialize;

use super::{Sql, SqlError, Store, to_json};
use crate::id::Millis;
use crate::limits;

/// A mail about to be filed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMail<'a> {
    /// Who sends it; not always an agent.
    pub from: &'a str,
    /// To which agent.
    pub to: &'a str,
    /// One line.
    pub subject: &'a str,
    /// The rest.
    pub body: &'a str,
}

/// A mail. The order of the fields is the order of the columns in `ROW`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Mail {
    /// Its number; later ones are higher.
    pub n: i64,
    /// Who sent it.
    pub from: String,
    /// To which agent.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// When it was sent.
    pub created_at: Millis,
    /// When it was read.
    pub delivered_at: Option<Millis>,
}

const ROW: &str = "json_array(n, from_agent, to_agent, subject, body, created_at, delivered_at)";

impl<S: Sql> Store<S> {
    /// How many mails wait for an agent.
    pub fn mail_waiting(&self, agent: &str) -> Result<i64, SqlError> {
        let count = self.number(
            "SELECT count(*) FROM mail WHERE to_agent = ? AND delivered = 0",
            &[agent.into()],
        )?;
        Ok(count.unwrap_or(0))
    }

    /// Files a mail and answers its number.
    pub fn add_mail(&self, mail: &NewMail<'_>, now: Millis) -> Result<i64, SqlError> {
        let n = self.number(
            "INSERT INTO mail (to_agent, delivered, n, from_agent, subject, body, created_at)
             SELECT ?1, 0, max(?5,
                 1 + coalesce((SELECT max(n) FROM mail WHERE to_agent = ?1 AND delivered = 0), 0),
                 1 + coalesce((SELECT max(n) FROM mail WHERE to_agent = ?1 AND delivered = 1), 0)),
                 ?2, ?3, ?4, ?5
             RETURNING n",
            &[mail.to.into(), mail.from.into(), mail.subject.into(), mail.body.into(), now.into()],
        )?;
        n.ok_or_else(|| SqlError::Unreadable("no number for a new mail".to_owned()))
    }

    /// What waits for an agent, oldest first.
    pub fn waiting_mail(&self, agent: &str) -> Result<Vec<Mail>, SqlError> {
        self.all(
            &format!("SELECT {ROW} FROM mail WHERE to_agent = ? AND delivered = 0 ORDER BY n"),
            &[agent.into()],
        )
    }

    /// What an agent has read and what waits for it, oldest first.
    pub fn all_mail(&self, agent: &str) -> Result<Vec<Mail>, SqlError> {
        self.all(&format!("SELECT {ROW} FROM mail WHERE to_agent = ? ORDER BY n"), &[agent.into()])
    }

    /// Writes that an agent has these mails, forgets what it has had for long, and answers how many were new.
    pub fn deliver_mail(
        &self,
        agent: &str,
        numbers: &[i64],
        now: Millis,
    ) -> Result<usize, SqlError> {
        let marked = self.run(
            "UPDATE mail SET delivered = 1, delivered_at = ?
             WHERE to_agent = ? AND delivered = 0 AND n IN (SELECT value FROM json_each(?))
             RETURNING 1",
            &[now.into(), agent.into(), to_json(&numbers)],
        )?;
        if !marked.is_empty() {
            self.run(
                "DELETE FROM mail
                 WHERE to_agent = ?1 AND delivered = 1 AND (delivered_at < ?2 OR n <= (
                     SELECT n FROM mail WHERE to_agent = ?1 AND delivered = 1
                     ORDER BY n DESC LIMIT 1 OFFSET ?3))",
                &[
                    agent.into(),
                    now.plus(-limits::MAIL_KEEP_MS).into(),
                    limits::MAIL_DELIVERED_KEPT.into(),
                ],
            )?;
        }
        Ok(marked.len())
    }
}
