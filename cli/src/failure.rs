//! Everything that can go wrong, as the person at the terminal shall read it. Every failure exits with 1, as in bd.
//! A message never holds a token.

use std::io;

/// A sentence, perhaps with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whose fault it is, as far as the verbs must know.
    pub kind: Kind,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What a verb with several beads does next depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The rig has no such bead; others may be there.
    NotFound,
    /// The rig refused this; it may take the next.
    Refused,
    /// Somebody else has it already.
    Claimed,
    /// Nothing else will go better: the rig is away, the token is wrong, the flags make no sense.
    Fatal,
    /// All has been said already.
    Told,
}

impl Failure {
    /// Nothing else will go better.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { kind: Kind::Fatal, message: message.into(), hint: None }
    }

    /// The rig's own sentence.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, message: message.into(), hint: None }
    }

    /// In bd's words.
    pub fn not_found(id: &str) -> Self {
        Self {
            kind: Kind::NotFound,
            message: format!("no issue found matching {id:?}"),
            hint: None,
        }
    }

    /// In bd's words.
    pub fn ambiguous(id: &str, names: &[String]) -> Self {
        let (count, names) = (names.len(), names.join(" "));
        let message = format!("ambiguous ID {id:?} matches {count} issues: [{names}]");
        Self { kind: Kind::NotFound, message, hint: Some("use more characters".into()) }
    }

    /// Says which of the names that were typed means nothing, as bd does: `resolving rig-a1b`.
    #[must_use]
    pub fn while_resolving(self, what: &str) -> Self {
        match self.kind {
            Kind::NotFound => {
                Self { message: format!("resolving {what}: {}", self.message), ..self }
            }
            _ => self,
        }
    }

    /// All has been said already; only the exit code is left.
    pub fn told() -> Self {
        Self { kind: Kind::Told, message: String::new(), hint: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Only printing uses bare `?` on io errors. A reader that went away (`beadrig list | head`) is no news.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::told(),
            _ => Self::fatal(format!("cannot print: {error}")),
        }
    }
}
