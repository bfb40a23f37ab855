//! `comment` and `comments`.

use super::{Screen, fields};
use crate::api;
use crate::args::{Comment, Comments, CommentsVerb};
use crate::client::Client;
use crate::failure::Failure;
use crate::issue;
use crate::text;

pub(super) fn add(
    args: &Comment,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let words = &args.text;
    let text = match (&words.file, words.stdin) {
        (Some(path), _) => fields::file(path)?,
        (None, true) => fields::stdin()?,
        (None, false) => words.words.join(" "),
    };
    if text.trim().is_empty() {
        return Err(Failure::fatal("comment text cannot be empty")
            .hint("use positional args, --stdin, or -f to read from file"));
    }
    let author = words.author.as_deref().filter(|name| !name.is_empty());
    let comment = api::comment(&connect()?, &args.id, &text, author)
        .map_err(|failure| failure.while_resolving(&args.id))?;
    if screen.json {
        return Ok(issue::print(screen.out, &comment)?);
    }
    screen.line(&format!("Comment added to {}", text::line(&comment.issue_id)))
}

pub(super) fn comments(
    args: &Comments,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let id = match (&args.verb, &args.id) {
        (Some(CommentsVerb::Add(args)), _) => return add(args, screen, connect),
        (None, Some(id)) => id,
        (None, None) => return Err(Failure::fatal("no issue ID provided")),
    };
    let client = connect()?;
    let id = api::bead(&client, id).map_err(|failure| failure.while_resolving(id))?.id;
    let comments = api::comments(&client, &id)?;
    if screen.json {
        return Ok(issue::print(screen.out, &comments)?);
    }
    if comments.is_empty() {
        return screen.line(&format!("No comments on {id}"));
    }
    Ok(write!(screen.out, "{}", text::comments(&comments, screen.style))?)
}
