//! What may be handed to git: names of branches, addresses of repositories, hashes of commits. They become
//! arguments of a command, so nothing passes that git could take for an option, or for another kind of transport.

use super::check;
use crate::limits;
use crate::refusal::Refusal;

/// A branch as git allows it (`git check-ref-format --branch`).
pub(crate) fn branch(field: &str, text: &str) -> Result<String, Refusal> {
    let name = text.trim();
    let part = |it: &str| !it.is_empty() && !it.starts_with('.') && !it.ends_with('.');
    // Git's own locks; other spellings are no files of git.
    let lock = |it: &str| it.strip_suffix(".lock").is_some();
    let fits = name.len() <= limits::BRANCH_BYTES_MAX
        && name.split('/').all(|it| part(it) && !lock(it))
        && !name.starts_with('-')
        && name != "@"
        && name != "HEAD"
        && !name.contains("..")
        && !name.contains("@{")
        && !name.chars().any(|c| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c));
    if fits {
        return Ok(name.to_owned());
    }
    let max = limits::BRANCH_BYTES_MAX;
    let got = check::cut(name, limits::NAME_CHARS_MAX);
    Err(Refusal::invalid(
        field,
        format!(
            "{got:?} is no branch that git takes, such as main or gt/toast/x1 (at most {max} bytes)"
        ),
    ))
}

/// The branch of a bead: `gt/<agent>/<bead>`, if git takes it. What is no letter or digit in the agent's name is '-'.
pub(crate) fn of_bead(agent: &str, bead: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let agent: String = agent.chars().map(plain).collect();
    let agent = agent.trim_matches('-');
    let agent = if agent.is_empty() { "agent" } else { agent };
    branch("branch", &format!("gt/{agent}/{bead}")).ok()
}

/// Where a repository is: `https://…`, `ssh://…`, `git@host:path`, `file://…` or an absolute path.
pub(crate) fn git_url(text: &str) -> Result<String, Refusal> {
    let url = text.trim();
    let plain = !url.is_empty()
        && url.len() <= limits::URL_BYTES_MAX
        && !url.chars().any(|c| c.is_control() || c.is_whitespace());
    if let Some(rest) = url.strip_prefix("https://").filter(|_| plain)
        && rest.split('/').next().is_some_and(|host| host.contains('@'))
    {
        return Err(Refusal::invalid(
            "git_url",
            "must hold no credentials; put them into env_vars",
        ));
    }
    if plain && is_repository(url) {
        return Ok(url.to_owned());
    }
    let max = limits::URL_BYTES_MAX;
    Err(Refusal::invalid(
        "git_url",
        format!(
            "must be https://host/path, ssh://host/path, user@host:path, file:///path or /path, without blanks \
             and at most {max} bytes"
        ),
    ))
}

fn is_repository(url: &str) -> bool {
    if let Some(path) = url.strip_prefix("file://") {
        return path.starts_with('/');
    }
    if let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("ssh://")) {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let user = authority.rsplit_once('@').map_or("git", |(user, _)| user);
        return is_word(user) && is_word(&host.replace(':', ".")) && !path.is_empty();
    }
    if url.starts_with('/') {
        return url.len() > 1;
    }
    // The scp form: user@host:path.
    let Some((authority, path)) = url.split_once(':') else { return false };
    let Some((user, host)) = authority.split_once('@') else { return false };
    is_word(user) && is_word(host) && !path.is_empty() && !path.starts_with(['-', ':'])
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// The hash of a commit, whole or abbreviated.
pub(super) fn commit(text: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(text) = text.map(|it| it.trim().to_ascii_lowercase()).filter(|it| !it.is_empty())
    else {
        return Ok(None);
    };
    if (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(Some(text));
    }
    Err(Refusal::invalid("commit_sha", "must be 7 to 64 hexadecimal digits"))
}
