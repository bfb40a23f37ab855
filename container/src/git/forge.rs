//! Where a pull request can be made, for hosts whose pages are known.
//!
//! Pure. It must never show more of an address than its host and path.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays readable in a path.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');

/// The page on which a person makes a pull request of a branch; none for hosts that are not known.
pub fn compare_url(url: &str, target: &str, branch: &str) -> Option<String> {
    let (host, path) = place(url)?;
    let path = path.trim_matches('/').trim_end_matches(".git");
    if path.is_empty() {
        return None;
    }
    let escape = |text: &str| utf8_percent_encode(text, KEPT).to_string();
    let (path, target, branch) = (escape(path), escape(target), escape(branch));
    let base = format!("https://{host}/{path}");
    let name = host.split(':').next().unwrap_or_default();
    let has = |part: &str| name.split('.').any(|label| label == part);
    Some(if has("github") {
        format!("{base}/compare/{target}...{branch}?expand=1")
    } else if has("gitlab") {
        let (from, to) = (branch.replace('/', "%2F"), target.replace('/', "%2F"));
        format!(
            "{base}/-/merge_requests/new?merge_request%5Bsource_branch%5D={from}\
             &merge_request%5Btarget_branch%5D={to}"
        )
    } else if has("bitbucket") {
        let (from, to) = (branch.replace('/', "%2F"), target.replace('/', "%2F"));
        format!("{base}/pull-requests/new?source={from}&dest={to}")
    } else if has("gitea") || has("forgejo") || has("codeberg") {
        format!("{base}/compare/{target}...{branch}")
    } else {
        return None;
    })
}

/// Host with port and path of an address; the port of ssh says nothing of where the pages are.
fn place(url: &str) -> Option<(&str, &str)> {
    if let Some((scheme, rest)) = url.split_once("://") {
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        return match scheme {
            "https" | "http" => Some((host, path)),
            "ssh" => Some((host.split(':').next()?, path)),
            _ => None,
        };
    }
    let (login, path) = url.split_once(':')?;
    let (_, host) = login.split_once('@')?;
    Some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_a_pull_request_is_known_for_known_hosts() {
        let page = |url| compare_url(url, "main", "gt/Toast/b-1");
        assert_eq!(
            page("git@github.com:acme/app.git").as_deref(),
            Some("https://github.com/acme/app/compare/main...gt/Toast/b-1?expand=1")
        );
        assert_eq!(
            page("ssh://git@gitlab.com:22/a/b/c.git").as_deref(),
            Some(
                "https://gitlab.com/a/b/c/-/merge_requests/new?merge_request%5Bsource_branch%5D=\
                 gt%2FToast%2Fb-1&merge_request%5Btarget_branch%5D=main"
            )
        );
        assert_eq!(
            page("https://bitbucket.org/a/b").as_deref(),
            Some("https://bitbucket.org/a/b/pull-requests/new?source=gt%2FToast%2Fb-1&dest=main")
        );
        assert_eq!(
            page("https://gitea.example:3000/a/b").as_deref(),
            Some("https://gitea.example:3000/a/b/compare/main...gt/Toast/b-1")
        );
        for url in ["/srv/a.git", "file:///srv/a", "https://example.com/a", "https://github.com/"] {
            assert_eq!(page(url), None, "{url}");
        }
    }
}
