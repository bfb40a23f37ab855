//! What does not go together: the files and hunks of a merge that stopped, within bounds.

use std::path::Path;

use super::command::GitError;
use super::names::one_line;
use super::repo::Repo;
use super::said;
use crate::limits::CONFLICT_BYTES_MAX;

/// Files that are named; the rest is counted.
const FILES_MAX: usize = 20;

/// Describes the conflict that a worktree is in; nothing if it is in none.
pub(super) async fn describe(repo: &Repo, tree: &Path) -> Result<Option<String>, GitError> {
    let unmerged = ["diff", "--name-only", "--diff-filter=U", "-z"];
    let said = repo.run_in(tree, &unmerged).await?;
    let files: Vec<&str> = said::paths(&said).collect();
    if files.is_empty() {
        return Ok(None);
    }
    let named: Vec<String> = files.iter().take(FILES_MAX).map(|file| one_line(file)).collect();
    let mut text = format!("conflict in {}", named.join(", "));
    if files.len() > FILES_MAX {
        text.push_str(&format!(" and {} more", files.len() - FILES_MAX));
    }
    // A difference too large to read is not worth reading.
    let hunks = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--diff-filter=U"];
    let hunks = repo.run_in(tree, &hunks).await.unwrap_or_default();
    if !hunks.trim().is_empty() {
        text.push('\n');
        text.push_str(hunks.trim_end());
    }
    Ok(Some(shorten(&repo.setting.scrub(&text), CONFLICT_BYTES_MAX)))
}

/// The beginning of a text, whole characters only, and that there was more.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let cut = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}\n[{} more bytes]", &text[..cut], text.len() - cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("aäb", 2), "a\n[3 more bytes]");
    }
}
