//! What git says, read.
//!
//! Pure. Names in it come from repositories, so anything may stand there: what is not understood is nothing, and
//! it must never panic.

/// `git version 2.47.3`, and what vendors make of it.
pub fn version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix("git version ")?.split(['.', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The branch that a remote's `HEAD` is, of `ls-remote --symref`.
pub fn head(said: &str) -> Option<&str> {
    said.lines().find_map(|line| {
        let (what, name) = line.split_once('\t')?;
        let branch = what.strip_prefix("ref: refs/heads/")?;
        (name == "HEAD" && !branch.is_empty()).then_some(branch)
    })
}

/// What a ref is at, of `ls-remote`.
pub fn tip<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    said.lines().find_map(|line| {
        let (hash, found) = line.split_once('\t')?;
        (found == name && is_hash(hash)).then_some(hash)
    })
}

/// Whether this is the full name of an object.
pub fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Paths that end with NUL.
pub fn paths(said: &str) -> impl Iterator<Item = &str> {
    said.split('\0').filter(|path| !path.is_empty())
}

/// What came of pushing one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is there.
    Done,
    /// It is not where it was expected.
    Moved(String),
    /// The remote does not want it.
    Refused(String),
}

/// What came of pushing to a ref, of `push --porcelain`; nothing if that is not said.
pub fn pushed(said: &str, name: &str) -> Option<Pushed> {
    said.lines().find_map(|line| {
        let mut parts = line.split('\t');
        let (flag, names, summary) = (parts.next()?, parts.next()?, parts.next()?);
        if names.split_once(':')?.1 != name {
            return None;
        }
        Some(match flag {
            " " | "+" | "-" | "*" | "=" => Pushed::Done,
            // The remote's own refusal of an old value: two pushes at the same time.
            _ if summary.contains("[rejected]")
                || summary.contains("cannot lock ref")
                || summary.contains("failed to update ref") =>
            {
                Pushed::Moved(summary.to_owned())
            }
            _ => Pushed::Refused(summary.to_owned()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";

    #[test]
    fn versions_of_vendors_are_read() {
        assert_eq!(version("git version 2.39.5 (Apple Git-154)\n"), Some((2, 39)));
        assert_eq!(version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(version("git version 3.0-rc1"), None);
        assert_eq!(version("hub"), None);
    }

    #[test]
    fn the_default_branch_is_what_head_is() {
        let said = format!("ref: refs/heads/trunk\tHEAD\n{ONE}\tHEAD\n");
        assert_eq!(head(&said), Some("trunk"));
        assert_eq!(head(&format!("{ONE}\tHEAD")), None);
        assert_eq!(head(""), None);
    }

    #[test]
    fn a_ref_is_found_by_its_whole_name() {
        let said = format!("{ONE}\trefs/heads/a/b\n{}\trefs/heads/b\n", ONE.replace('1', "2"));
        assert_eq!(tip(&said, "refs/heads/a/b"), Some(ONE));
        assert_eq!(tip(&said, "refs/heads/a"), None);
        assert_eq!(tip("x\trefs/heads/a", "refs/heads/a"), None);
    }

    #[test]
    fn a_push_that_came_too_late_is_told_from_one_that_is_not_wanted() {
        let of = |line: &str| pushed(&format!("To /srv/a.git\n{line}\nDone\n"), "refs/heads/m");
        assert_eq!(of(" \tabc:refs/heads/m\tabc..def"), Some(Pushed::Done));
        assert_eq!(of("-\t:refs/heads/m\t[deleted]"), Some(Pushed::Done));
        assert_eq!(
            of("!\tabc:refs/heads/m\t[rejected] (stale info)"),
            Some(Pushed::Moved("[rejected] (stale info)".to_owned()))
        );
        assert_eq!(
            of("!\tabc:refs/heads/m\t[remote rejected] (pre-receive hook declined)"),
            Some(Pushed::Refused("[remote rejected] (pre-receive hook declined)".to_owned()))
        );
        assert_eq!(of("!\tabc:refs/heads/other\t[rejected]"), None);
    }
}
