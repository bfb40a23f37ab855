//! The bead that was last touched from here: `update` and `close` without an id mean it, and `show --current` as its last
//! resort. One small file in the person's state directory for each rig, project and name, so that nothing of it gets
//! into a repository, and agents and worktrees that go on beside each other do not meet. Who calls twice at once under
//! one name leaves one of the two ids, whole. Must never make a verb fail: who has no home is remembered nothing of.

use crate::failure::Failure;
use crate::settings::{self, Settings};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files that are kept: one for each worktree of a busy machine. The oldest goes first.
const FILES_MAX: usize = 256;
/// Characters of an id; what is longer is none.
const ID_CHARS_MAX: usize = 200;

/// Remembers a bead, where there is a place for it.
pub fn remember(settings: &Settings, id: &str) {
    if settings.readonly {
        return;
    }
    if let Some(path) = path(settings) {
        // As in bd: what cannot be remembered is no failure.
        let _ = write(&path, id);
    }
}

/// The bead that was touched last.
pub fn recall(settings: &Settings) -> Option<String> {
    let text = fs::read_to_string(path(settings)?).ok()?;
    let id = text.trim();
    let fits = !id.is_empty() && id.chars().count() <= ID_CHARS_MAX;
    (fits && !id.chars().any(char::is_control)).then(|| id.to_owned())
}

/// What a change without an id is for.
pub fn meant(settings: &Settings) -> Result<String, Failure> {
    // Scripts that shall never change what they do not name have this variable in later versions of bd.
    let off = std::env::var("BD_LAST_TOUCHED_FALLBACK").is_ok_and(|it| it == "0" || it == "false");
    (!off)
        .then(|| recall(settings))
        .flatten()
        .ok_or_else(|| Failure::fatal("no issue ID provided and no last touched issue"))
}

fn path(settings: &Settings) -> Option<PathBuf> {
    let Settings { url, rig, actor, actor_in_file, project, .. } = settings;
    let actor = settings::said_actor(actor.as_deref(), actor_in_file.as_ref());
    let mut name = DefaultHasher::new();
    (url, rig, project, actor.map(|it| it.value)).hash(&mut name);
    Some(settings::state()?.join("last-touched").join(format!("{:016x}", name.finish())))
}

/// Whole or not at all.
fn write(path: &Path, id: &str) -> io::Result<()> {
    let Some(directory) = path.parent() else { return Ok(()) };
    if !path.exists() {
        fs::create_dir_all(directory)?;
        forget_oldest(directory)?;
    }
    let new = path.with_extension(std::process::id().to_string());
    fs::write(&new, format!("{id}\n"))?;
    fs::rename(&new, path)
}

fn forget_oldest(directory: &Path) -> io::Result<()> {
    let files: Vec<_> = fs::read_dir(directory)?.filter_map(Result::ok).collect();
    if files.len() < FILES_MAX {
        return Ok(());
    }
    let age = |it: &fs::DirEntry| it.metadata().and_then(|it| it.modified());
    let oldest = files.iter().min_by_key(|it| age(it).unwrap_or(SystemTime::UNIX_EPOCH));
    oldest.map_or(Ok(()), |it| fs::remove_file(it.path()))
}
