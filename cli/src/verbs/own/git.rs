//! Whether a repository can be reached from here: `git ls-remote`, for so long and no longer. Must never ask for a
//! password, and never show one that is in the address.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// The names of its branches, or why they cannot be had.
pub(super) fn branches(url: &str, deadline: Duration) -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    git.args(["ls-remote", "--heads", "--", url])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // git has helpers of its own, which are to end with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut git, 0);
    let mut child = git.spawn().map_err(|error| format!("git cannot be run: {error}"))?;
    // Read beside, so that a long list does not fill the pipe and wait for us.
    let mut out = child.stdout.take();
    let mut err = child.stderr.take();
    let out = std::thread::spawn(move || read(out.as_mut()));
    let err = std::thread::spawn(move || read(err.as_mut()));
    let until = Instant::now() + deadline;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(POLL),
            Ok(None) => {
                end(&mut child);
                return Err(format!("it did not answer within {} s", deadline.as_secs()));
            }
            Err(error) => return Err(format!("git cannot be waited for: {error}")),
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() {
        return Ok(out
            .lines()
            .filter_map(|line| line.split("refs/heads/").nth(1))
            .map(str::to_owned)
            .collect());
    }
    let lines = || err.lines().filter(|line| !line.trim().is_empty());
    // What follows it is advice.
    let said = lines().find(|line| line.starts_with("fatal:")).or_else(|| lines().next_back());
    Err(said.unwrap_or("git failed").replace(url, &without_secret(url)))
}

/// It and its helpers; it alone, where there is no `kill`.
fn end(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    let _ = child.kill();
    let _ = child.wait();
}

fn read(from: Option<&mut impl std::io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // The answer of a remote is not ours: a hundred thousand branches fit, and no more.
        let _ = from.take(16 << 20).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The address without the name and password that may be in it.
pub(in crate::verbs) fn without_secret(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let bare = host.rsplit('@').next().unwrap_or(host);
            if bare == host { url.to_owned() } else { format!("{scheme}://…@{bare}/{path}") }
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        assert_eq!(
            without_secret("https://me:pw@example.com/a/b.git"),
            "https://…@example.com/a/b.git"
        );
        assert_eq!(without_secret("https://example.com/a.git"), "https://example.com/a.git");
        assert_eq!(without_secret("git@example.com:a.git"), "git@example.com:a.git");
    }
}
