//! Which addresses, branches and paths are taken.
//!
//! Pure. Whatever passes here can be an argument of git and a part of a path: it is no option, leaves no directory,
//! carries no secret, and runs no command. A refusal names the thing, but shows no password.

use beadrig::wire::merge::GitWork;
use sha2::{Digest as _, Sha256};

use super::credentials::redact;
use crate::limits::{GIT_BRANCH_BYTES_MAX, GIT_URL_BYTES_MAX, ID_CHARS_MAX};

/// Whether a run can work there.
pub fn check_work(work: &GitWork) -> Result<(), String> {
    check_url("git.url", &work.url)?;
    if let Some(branch) = &work.default_branch {
        check_branch("git.defaultBranch", branch)?;
        if *branch == work.branch {
            return Err(format!(
                "git.branch is the default branch, {branch}: a bead works on a branch of its own"
            ));
        }
    }
    check_branch("git.branch", &work.branch)
}

/// Whether git can be pointed at this address.
pub fn check_url(field: &str, url: &str) -> Result<(), String> {
    let no = |why: &str| Err(format!("{field} {why}: {:?}", shown(url)));
    if url.is_empty() || url.len() > GIT_URL_BYTES_MAX {
        return Err(format!("{field} takes 1 to {GIT_URL_BYTES_MAX} bytes"));
    }
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return no("has a space or a control character");
    }
    if url.starts_with('/') {
        return Ok(());
    }
    if let Some((scheme, rest)) = url.split_once("://") {
        let authority = rest.split('/').next().unwrap_or_default();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        return match scheme {
            "file" if !authority.is_empty() => no("names a host: file:/// and a path is taken"),
            "file" => Ok(()),
            "https" | "http" | "ssh" if !is_host(host) => no("has no host"),
            "https" | "http" if user.is_some() => {
                no("has a user or a token in it: put the token into the variable GIT_TOKEN")
            }
            "https" | "http" if rest.contains(['?', '#']) => no("has a query"),
            "ssh" if user.is_some_and(|user| !is_user(user)) => {
                no("has a password in it, or a user that cannot be one: use a key")
            }
            "https" | "http" | "ssh" => Ok(()),
            _ => no("takes https://, ssh://, user@host:path, file:// or a full path"),
        };
    }
    match url.split_once(':').map(|(login, path)| (login.split_once('@'), path)) {
        Some((Some((user, host)), path))
            if is_user(user)
                && is_host(host)
                && !path.is_empty()
                && !path.starts_with([':', '-']) =>
        {
            Ok(())
        }
        _ => no("takes https://, ssh://, user@host:path, file:// or a full path"),
    }
}

/// An address as it may be shown: whatever could be a password is not.
fn shown(url: &str) -> String {
    let clean = redact(url);
    let clean = clean.split(['?', '#']).next().unwrap_or_default().to_owned();
    match clean.split_once('@') {
        Some((login, rest)) if !clean.contains("://") && login.contains(':') => {
            format!("***@{rest}")
        }
        _ => clean,
    }
}

/// Whether a branch can be called so: git's own rules, and no more than a file name can hold.
pub fn check_branch(field: &str, name: &str) -> Result<(), String> {
    let no = |why: &str| Err(format!("{field} {why}: {name:?}"));
    if name.is_empty() || name.len() > GIT_BRANCH_BYTES_MAX {
        return Err(format!("{field} takes 1 to {GIT_BRANCH_BYTES_MAX} bytes"));
    }
    if name.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c)) {
        return no("has a character that a branch cannot have");
    }
    if name.contains("..") || name.contains("@{") || name.ends_with('.') || name.starts_with('-') {
        return no("has .. or @{ in it, ends with a dot or begins with a dash");
    }
    if name == "@" || name == "HEAD" || name.starts_with("refs/") {
        return no("is a name that git has for something else");
    }
    let is_part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none()
    };
    if !name.split('/').all(is_part) {
        return no("has a part that is empty, begins with a dot or ends with .lock");
    }
    Ok(())
}

/// Whether a name can be a directory of ours and a part of an address.
pub fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=ID_CHARS_MAX).contains(&id.len()) && !id.starts_with('.') && id.chars().all(plain)
}

fn is_host(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    !host.is_empty() && !host.starts_with(['-', ':']) && host.chars().all(plain)
}

fn is_user(user: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !user.is_empty() && !user.starts_with('-') && user.chars().all(plain)
}

/// A directory for a branch: readable, and never the same for two.
pub(super) fn directory(branch: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let readable: String = branch.replace('/', "__").chars().map(plain).take(80).collect();
    format!("{readable}-{}", &hash(branch)[..8])
}

/// A name as one part of a ref: itself if it can be one.
pub(super) fn ref_part(name: &str) -> String {
    let is_part = !name.contains('/') && name.len() <= 100 && check_branch("", name).is_ok();
    if is_part { name.to_owned() } else { hash(name) }
}

/// 16 hex digits that stand for a text.
pub(crate) fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let first = digest[..8].iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    format!("{first:016x}")
}

/// A name as it can stand before the `@` of an address.
pub(super) fn mailbox(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let box_name: String = name.chars().map(plain).take(60).collect();
    if box_name.is_empty() { "agent".to_owned() } else { box_name }
}

/// A text on one line, without what a terminal or git could take for more.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_kinds_are_taken() {
        for url in [
            "https://github.com/acme/app.git",
            "http://127.0.0.1:3000/a/b",
            "ssh://git@host:22/srv/a.git",
            "git@github.com:acme/app.git",
            "file:///srv/a.git",
            "/srv/a.git",
            "https://[::1]:8443/a",
        ] {
            assert_eq!(check_url("url", url), Ok(()), "{url}");
        }
    }

    #[test]
    fn addresses_with_a_password_or_a_trick_are_refused_and_nothing_secret_is_said() {
        for url in [
            "https://hunter2@github.com/a",
            "https://user:hunter2@github.com/a",
            "ssh://git:hunter2@host/a",
            "git:hunter2@host:path",
            "https://host/a?token=hunter2\n",
        ] {
            let refused = check_url("gitUrl", url).unwrap_err();
            assert!(refused.starts_with("gitUrl "), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
        for url in [
            "",
            "ext::sh -c id",
            "ext::sh",
            "--upload-pack=id",
            "-oProxyCommand=id",
            "ssh://-oProxyCommand=id/a",
            "-x@host:a",
            "u@-host:a",
            "u@host:-a",
            "host:path",
            "git://host/a",
            "ftp://host/a",
            "file://host/a",
            "https:///a",
            "relative/path",
            "https://host/a b",
            "../up",
        ] {
            assert!(check_url("gitUrl", url).is_err(), "{url}");
        }
    }

    #[test]
    fn directories_are_readable_and_never_the_same() {
        assert!(directory("gt/Toast/b-1").starts_with("gt__Toast__b-1-"));
        assert_ne!(directory("a/b"), directory("a__b"));
        assert!(directory(&"x".repeat(200)).len() < 100);
        assert!(!directory("a.b").contains('.'));
    }
}
