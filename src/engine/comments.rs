//! What is said about a bead. A comment is no note: it moves nothing, and does not date the bead, as in bd.

use serde_json::Map;

use super::{Apply, Engine, actor, beads, check};
use crate::command::{Error, Reply};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Comment, Sql};
use crate::token::Caller;
use crate::wire::exchange::{AddComment, CommentView};

impl<S: Sql> Apply<'_, S> {
    pub(super) fn add_comment(
        &mut self,
        by: &Caller,
        id: &str,
        fields: AddComment,
    ) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let bead = self.bead(id)?;
        beads::owns(by, speaker.as_ref(), &bead)?;
        let text = check::note(&fields.text)?.to_owned();
        let author = match (speaker, check::word("author", fields.author)?) {
            // An agent speaks for itself.
            (Some(member), _) => member.agent.name,
            (None, Some(author)) => author,
            (None, None) => actor(by).to_owned(),
        };
        if self.store().comments(&[&bead.id])?.len() >= limits::COMMENTS_PER_BEAD_MAX {
            let max = limits::COMMENTS_PER_BEAD_MAX;
            let message =
                format!("Bead {} has {max} comments, which is as many as it may have", bead.id);
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        let (id, at) = (self.dice.uuid(), self.now);
        let comment = Comment { bead: bead.id, id, author, at, text, kept: Map::new() };
        self.store().add_comments(std::slice::from_ref(&comment))?;
        let detail = Some(check::cut(&comment.text, limits::NAME_CHARS_MAX));
        let data = Some(serde_json::json!({"comment_id": comment.id}).to_string());
        let who = actor(by);
        self.event_of(&comment.bead, who, "commented", (None, None), (detail, data))?;
        Ok(Reply::Comment(Box::new(comment)))
    }
}

impl<S: Sql> Engine<S> {
    /// What was said about a bead, oldest first.
    pub fn comments(&self, id: &str) -> Result<Vec<Comment>, Error> {
        let bead = self.find_bead(id)?;
        Ok(self.store.comments(&[&bead.id])?)
    }
}

/// A comment as it is shown.
pub(crate) fn comment_view(it: Comment) -> CommentView {
    let (id, issue_id) = (it.id, it.bead);
    CommentView { id, issue_id, author: it.author, text: it.text, created_at: it.at.to_string() }
}
