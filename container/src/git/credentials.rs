//! Credentials: how git gets a rig's token, and how the token stays out of everything else.
//!
//! The token is in the environment of the process alone. Git is told, also by its environment, of a helper that
//! prints it, and asks that for the rig's own host only, so a redirect to another one gets nothing. Each request
//! brings the token along, so a new one counts at once and two rigs never share one.
//! It must never be written to a file, an argument, a URL, a log or an error.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use beadrig::wire::container::Secret;

/// What a rig's variables may hold, the first that is set counts; which hosts each is for.
const TOKENS: [(&str, &[&str]); 3] =
    [("GIT_TOKEN", &[""]), ("GITHUB_TOKEN", &["github"]), ("GITLAB_TOKEN", &["gitlab"])];

/// Where the helper finds what it prints.
const USER: &str = "BEADRIG_GIT_USER";
const TOKEN: &str = "BEADRIG_GIT_TOKEN";

/// What git runs to ask for a password. No secret is in it.
const HELPER: &str = "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \
     \"$BEADRIG_GIT_USER\" \"$BEADRIG_GIT_TOKEN\"; }; f";

/// What one rig shows to its remote.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Scheme and host, `https://github.com`.
    site: Option<String>,
    user: &'static str,
    token: Option<Secret>,
    /// Everything that must not be seen.
    secrets: Vec<Secret>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?})", self.site)
    }
}

impl Credentials {
    /// Those that a rig's variables have for an address.
    pub fn new(url: &str, variables: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| variables.get(name).map(|value| value.trim());
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let secrets = TOKENS.iter().filter_map(|(name, _)| get(name)).map(Secret::new).collect();
        let Some((site, host)) = site(url) else {
            return Self { secrets, ..Self::default() };
        };
        let fits = |hosts: &[&str]| hosts.iter().any(|part| host.contains(part));
        let first = TOKENS.iter().find_map(|(name, hosts)| get(name).filter(|_| fits(hosts)));
        // A token for one product is also tried at a host that does not say which product it is.
        let unnamed = !fits(&["github", "gitlab"]);
        let any = || TOKENS.iter().find_map(|(name, _)| get(name).filter(|_| unnamed));
        let user = match host {
            host if host.contains("gitlab") => "oauth2",
            host if host.contains("bitbucket") => "x-token-auth",
            _ => "x-access-token",
        };
        let token = first.or_else(any).filter(|token| !token.contains(['\n', '\0']));
        Self { site: Some(site.to_owned()), user, token: token.map(Secret::new), secrets }
    }

    /// What makes git use them, and these settings.
    pub fn environment(&self, settings: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        let mut settings: Vec<(String, String)> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut all: Vec<(String, String)> = Vec::new();
        // An empty one forgets those that came before.
        settings.push(("credential.helper".to_owned(), String::new()));
        if let (Some(site), Some(token)) = (&self.site, &self.token) {
            settings.push((format!("credential.{site}.helper"), HELPER.to_owned()));
            all.push((USER.to_owned(), self.user.to_owned()));
            all.push((TOKEN.to_owned(), token.expose().to_owned()));
        }
        all.push(("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string()));
        for (at, (name, value)) in settings.into_iter().enumerate() {
            all.push((format!("GIT_CONFIG_KEY_{at}"), name));
            all.push((format!("GIT_CONFIG_VALUE_{at}"), value));
        }
        all.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// A text without these secrets, and without what stands before the host of a URL.
    pub fn scrub(&self, text: &str) -> String {
        let mut text = redact(text);
        for secret in &self.secrets {
            text = text.replace(secret.expose(), "***");
        }
        text
    }
}

/// Scheme with host and port, and the host alone, of an `https://` or `http://` address.
fn site(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "https" | "http") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some((&url[..scheme.len() + 3 + authority.len()], host))
}

/// Puts `***` in the place of user and password in every URL of a text.
pub fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '\'' | '"');
        let authority = &after[..after.find(ends).unwrap_or(after.len())];
        rest = match authority.rfind('@') {
            Some(sign) => {
                clean.push_str("***");
                &after[sign..]
            }
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

/// How git calls ssh: without a question, and with a memory for hosts that it has met once.
pub(super) fn ssh(known_hosts: &Path) -> String {
    let hosts = known_hosts.to_string_lossy();
    let hosts = shlex::try_quote(&hosts).map(std::borrow::Cow::into_owned).unwrap_or_default();
    format!(
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=15 \
         -o UserKnownHostsFile={hosts}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &[(&str, &str)]) -> BTreeMap<String, String> {
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn token(url: &str, set: &[(&str, &str)]) -> Option<String> {
        let found = Credentials::new(url, &variables(set));
        let mut all = found.environment(&[]).into_iter();
        all.find(|(name, _)| name == TOKEN).map(|(_, value)| value.into_string().unwrap())
    }

    #[test]
    fn a_token_goes_to_the_host_it_is_for() {
        let both = [("GITHUB_TOKEN", "hub"), ("GITLAB_TOKEN", "lab")];
        assert_eq!(token("https://github.com/a/b", &both).as_deref(), Some("hub"));
        assert_eq!(token("https://gitlab.com/a/b", &both).as_deref(), Some("lab"));
        assert_eq!(token("https://github.com/a/b", &both[1..]), None);
        assert_eq!(token("https://git.example/a", &both[1..]).as_deref(), Some("lab"));
        assert_eq!(token("https://x.example/a", &[("GIT_TOKEN", "any")]).as_deref(), Some("any"));
        assert_eq!(token("ssh://git@github.com/a", &both), None);
        assert_eq!(token("/srv/git/a", &both), None);
    }

    #[test]
    fn no_secret_is_in_a_setting_or_in_debug() {
        let found = Credentials::new("https://a.example/b", &variables(&[("GIT_TOKEN", "s3cret")]));
        let shown: Vec<_> =
            found.environment(&[]).into_iter().filter(|(_, v)| v == "s3cret").collect();
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].0, TOKEN);
        assert!(!format!("{found:?}").contains("s3cret"));
        assert_eq!(found.scrub("no s3cret at https://u:p@h/x"), "no *** at https://***@h/x");
    }

    #[test]
    fn what_stands_before_a_host_is_never_shown() {
        for (text, clean) in [
            (
                "see https://user:pass@host/x and http://t@h",
                "see https://***@host/x and http://***@h",
            ),
            ("'https://a:b@c@d/e'", "'https://***@d/e'"),
            ("https://host/a@b", "https://host/a@b"),
            ("://", "://"),
        ] {
            assert_eq!(redact(text), clean);
        }
    }
}
