//! Names, addresses and what git says, at random: never a panic, never a way out, and as git itself has it.

use std::path::Path;
use std::process::Command;

use beadrig_container::git::credentials::redact;
use beadrig_container::git::names::{check_branch, check_url};
use beadrig_container::git::{forge, said};
use proptest::prelude::*;

/// What git itself thinks of a branch.
fn git_takes(name: &str) -> bool {
    let asked = Command::new("git").args(["check-ref-format", "--branch", name]).output();
    asked.unwrap().status.success()
}

/// Whether git would run a program of that name for it: `name::rest`.
fn is_helper(url: &str) -> bool {
    let name = url.split_once("::").map(|(name, _)| name);
    name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_branch_that_is_taken_is_one_that_git_takes(name in "[a-zA@{}./~^:?*\\[ \\\\-]{1,8}|[a-c./]{1,6}(\\.lock)?") {
        if check_branch("branch", &name).is_ok() {
            prop_assert!(git_takes(&name), "{name:?}");
        }
    }

    #[test]
    fn a_plain_branch_is_taken(name in "[a-z][a-z0-9_-]{0,9}(/[a-zA-Z0-9_-]{1,9}){0,3}") {
        prop_assert_eq!(check_branch("branch", &name), Ok(()));
    }

    #[test]
    fn an_address_that_is_taken_is_no_option_no_command_and_carries_no_password(url in "(https|ssh|file|ext|git)?(://|::?)?[-a-z@:/.?#]{0,20}") {
        if check_url("url", &url).is_ok() {
            prop_assert!(!url.starts_with('-') && !is_helper(&url), "{url:?}");
            let (scheme, rest) = url.split_once("://").unwrap_or(("", ""));
            let login = rest.split('/').next().and_then(|it| it.rsplit_once('@')).map(|(user, _)| user);
            let bare = match scheme {
                "ssh" => login.is_none_or(|user| !user.contains(':')),
                "http" | "https" => login.is_none() && redact(&url) == url,
                _ => true,
            };
            prop_assert!(bare, "{url:?}");
        }
    }

    #[test]
    fn a_refusal_never_repeats_a_password(user in "[a-z]{0,5}", host in "[a-z.]{0,8}", scheme in "(https|http|ssh|git|x)://|") {
        let url = format!("{scheme}{user}:hunter2@{host}/path");
        let refused = check_url("url", &url);
        prop_assert!(refused.is_err_and(|why| !why.contains("hunter2")));
    }

    #[test]
    fn whatever_git_says_is_read_without_a_panic(text in "\\PC*|[ !+*=\\t\\n:a-f0-9/-]{0,80}") {
        said::version(&text);
        said::head(&text);
        said::tip(&text, "refs/heads/a");
        said::pushed(&text, "refs/heads/a");
        said::paths(&text).count();
        redact(&text);
        forge::compare_url(&text, &text, &text);
        let _ = (check_url("url", &text), check_branch("branch", &text));
    }

    #[test]
    fn hashes_are_hashes(text in "[0-9a-fg]{38,66}") {
        let is = (text.len() == 40 || text.len() == 64) && !text.contains('g');
        prop_assert_eq!(said::is_hash(&text), is);
    }
}

#[test]
fn a_path_made_of_any_rig_that_is_taken_stays_in_its_directory() {
    for rig in ["..", ".", "a/b", "/etc", "", "a\0b", ".hidden"] {
        assert!(!beadrig_container::git::names::is_id(rig), "{rig:?}");
    }
    assert_eq!(Path::new("/data/git").join("r1").parent(), Some(Path::new("/data/git")));
}
