//! The service's own door to a clone: the same objects, refs and worktrees, but a configuration that no agent's git
//! writes.
//!
//! ```text
//! own.git/config, HEAD                              the service's
//! own.git/{objects,refs,logs,worktrees,packed-refs} links into repo.git
//! ```
//!
//! What an agent sets with `git config` goes into `repo.git/config`, and git takes commands from there: filters,
//! merge drivers, other addresses. The service's commands carry the rig's token and touch the work of all its agents,
//! so they must never read that file. In a worktree they are told with `GIT_COMMON_DIR` to read this one instead.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// All that is set here; the rest comes with each command.
const CONFIG: &str =
    "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogAllRefUpdates = true\n";

/// What is shared with the clone: directories, and files that need not be there.
const DIRECTORIES: [&str; 4] = ["objects", "refs", "logs", "worktrees"];
const FILES: [&str; 1] = ["packed-refs"];

/// Makes it, or puts it right. It blocks, shortly.
pub(super) fn make(own: &Path, bare: &Path) -> io::Result<()> {
    fs::create_dir_all(own)?;
    for name in DIRECTORIES {
        fs::create_dir_all(bare.join(name))?;
    }
    for name in DIRECTORIES.iter().chain(&FILES) {
        let (link, target) = (own.join(name), bare.join(name));
        if fs::read_link(&link).is_ok_and(|found| found == target) {
            continue;
        }
        match fs::symlink_metadata(&link) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&link)?,
            Ok(_) => fs::remove_file(&link)?,
            Err(_) => {}
        }
        symlink(&target, &link)?;
    }
    for (name, text) in [("config", CONFIG), ("HEAD", "ref: refs/heads/main\n")] {
        let path = own.join(name);
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            continue;
        }
        // Others read it meanwhile.
        let aside = own.join(format!("{name}.new"));
        fs::write(&aside, text)?;
        fs::rename(&aside, &path)?;
    }
    Ok(())
}

/// Where git keeps what only this worktree has; nothing if it is no worktree of this clone. The files say it, for to
/// ask git would be to have it read what an agent has set.
pub(super) fn dir_of(tree: &Path, bare: &Path) -> Option<PathBuf> {
    let link = tree.join(".git");
    if !fs::symlink_metadata(&link).ok()?.is_file() {
        return None;
    }
    let text = fs::read_to_string(&link).ok()?;
    let own = tree.join(text.trim_end().strip_prefix("gitdir: ")?).canonicalize().ok()?;
    let worktrees = bare.join("worktrees").canonicalize().ok()?;
    let back = fs::read_to_string(own.join("gitdir")).ok()?;
    let back = own.join(back.trim_end()).canonicalize().ok()?;
    (own.parent() == Some(&worktrees) && Some(back) == link.canonicalize().ok()).then_some(own)
}
