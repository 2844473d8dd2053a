//! Urls of git repositories, by an allow-list grammar.

use std::fmt;

use url::Url;

use super::{address, refuse_invisible};
use crate::error::{Error, Kind, Result};

/// How git reaches a repository. Anything else (`ext::`, `fd::`, `git://`) is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// `https://`
    Https,
    /// `http://`: no privacy and no integrity on the way; only where the configuration names the host.
    Http,
    /// `ssh://` or `user@host:path`
    Ssh,
    /// `file:///`
    File,
}

impl Transport {
    /// git's name of it, as in `GIT_ALLOW_PROTOCOL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Https => "https",
            Transport::Http => "http",
            Transport::Ssh => "ssh",
            Transport::File => "file",
        }
    }
}

/// The url of a git repository: an allowed transport, a host, a path; no credentials, no options.
/// Equal urls (but for `.git`, trailing slashes and the host's case) have equal identities.
#[derive(Clone, Debug)]
pub struct GitUrl {
    url: String,
    transport: Transport,
    host: Option<String>,
    identity: String,
}

impl GitUrl {
    /// Parses a url as a user writes it: `https://`, `http://`, `ssh://`, `file:///`, or scp-like
    /// `user@host:path`.
    ///
    /// Fails with [`Kind::Invalid`] for everything else, and for credentials in the url.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |why: &str| {
            Error::new(
                Kind::Invalid,
                format!("read the git url {:?}", crate::redact::redact_url(text)),
                why.to_owned(),
            )
        };
        refuse_invisible("the git url", text).map_err(|error| invalid(error.why()))?;
        if text.len() > 2048 {
            return Err(invalid("it is longer than 2048 bytes"));
        }
        if text.starts_with('-') || text.contains("::") && !text.contains("://") {
            return Err(invalid("git would take it for an option or a helper"));
        }
        let text = match scp_like(text) {
            Some(url) => url,
            None => text.to_owned(),
        };
        let url = Url::parse(&text)
            .map_err(|error| invalid(&error.to_string()).hint("write it as https://host/path.git"))?;
        let transport = match url.scheme() {
            "https" => Transport::Https,
            "http" => Transport::Http,
            "ssh" => Transport::Ssh,
            "file" => Transport::File,
            other => {
                return Err(
                    invalid(&format!("srcfs does not speak {other:?}")).hint("use https, ssh or file")
                );
            }
        };
        if url.password().is_some() || (transport != Transport::Ssh && !url.username().is_empty()) {
            return Err(
                invalid("it holds a credential").hint("leave it out and give it to git's credential helper")
            );
        }
        if url.username().starts_with('-') {
            return Err(invalid("the user begins with -"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it holds a query or a fragment"));
        }
        let host = match (transport, url.host()) {
            (Transport::File, None) => None,
            (Transport::File, Some(_)) => {
                return Err(invalid("file:// takes no host").hint("write file:///path"));
            }
            (_, None) => return Err(invalid("it names no host")),
            (_, Some(host)) => {
                let text = host.to_string();
                if text.is_empty() || text.starts_with('-') {
                    return Err(invalid("it names no host"));
                }
                Some(text)
            }
        };
        let path = url.path();
        let trimmed = path.trim_end_matches('/');
        let trimmed = trimmed.strip_suffix(".git").unwrap_or(trimmed);
        if trimmed.trim_matches('/').is_empty() {
            return Err(invalid("it names no repository on the host"));
        }
        if path.starts_with("/-") || path.contains("%00") || path.split('/').any(|part| part == "..") {
            return Err(invalid("its path begins with - or climbs up"));
        }
        let authority = match (&host, url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.clone(),
            (None, _) => String::new(),
        };
        let user = match url.username() {
            "" | "git" => String::new(),
            user => format!("{user}@"),
        };
        // https is the common case and needs no mark; the others must not collide with it.
        let identity = match transport {
            Transport::Https => format!("{authority}{trimmed}"),
            other => format!("{}:{user}{authority}{trimmed}", other.as_str()),
        };
        Ok(GitUrl { url: url.to_string(), transport, host, identity })
    }

    /// As git is given it.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// How git reaches it.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The host, without a port; none for `file`.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The host, with the port unless that is the transport's own: `example.org`, `example.org:8443`.
    pub fn authority(&self) -> Option<String> {
        let host = self.host()?;
        let port = Url::parse(&self.url).ok()?.port();
        Some(match port.filter(|port| (self.transport, *port) != (Transport::Ssh, 22)) {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }

    /// What is equal for all spellings of one url.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether the host is written as an address, or as a name, of this machine or a private network.
    /// What a public name resolves to is not looked at.
    pub fn is_private(&self) -> bool {
        Url::parse(&self.url).map_or(true, |url| address::is_private(&url))
    }
}

impl PartialEq for GitUrl {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}
impl Eq for GitUrl {}
impl std::hash::Hash for GitUrl {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}
impl PartialOrd for GitUrl {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for GitUrl {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity.cmp(&other.identity)
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// `user@host:path` as an ssh url; none if it is something else.
fn scp_like(text: &str) -> Option<String> {
    if text.contains("://") {
        return None;
    }
    let (authority, path) = text.split_once(':')?;
    let (user, host) = authority.split_once('@')?;
    if authority.contains('/') || user.is_empty() || host.is_empty() {
        return None;
    }
    Some(format!("ssh://{user}@{host}/{}", path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_are_one_key() {
        let a = GitUrl::parse("https://Example.org/a/b.git").unwrap();
        for other in ["https://example.org/a/b", "https://example.org:443/a/b/"] {
            assert_eq!(a, GitUrl::parse(other).unwrap(), "{other}");
        }
        assert_ne!(a, GitUrl::parse("http://example.org/a/b").unwrap());
        assert_ne!(a, GitUrl::parse("https://example.org/a/B").unwrap());
        assert_eq!(
            GitUrl::parse("git@example.org:a/b.git").unwrap(),
            GitUrl::parse("ssh://git@example.org/a/b").unwrap()
        );
    }

    #[test]
    fn hostile_urls_are_refused() {
        for text in [
            "ext::sh -c id",
            "fd::7",
            "git://example.org/a",
            "-oProxyCommand=x",
            "--upload-pack=x",
            "https://user:secret@example.org/a",
            "https://token@example.org/a",
            "https:///a",
            "https://",
            "https://example.org",
            "https://example.org/",
            "https://example.org/a\nb",
            "https://example.org/a?x=1",
            "ssh://-oProxyCommand=x/a",
            "ssh://-x@example.org/a",
            "file://host/a",
            "/etc",
            "a/b",
            "",
            "javascript:x",
            "https://example.org/a\u{202e}b",
        ] {
            assert_eq!(GitUrl::parse(text).map(|url| url.url).unwrap_err().kind(), Kind::Invalid, "{text:?}");
        }
    }

    #[test]
    fn a_refused_url_does_not_show_its_secret() {
        let error = GitUrl::parse("https://user:hunter2@example.org/a").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn private_hosts_are_recognised_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "localhost",
            "10.1.2.3",
            "192.168.0.1",
            "169.254.169.254",
            "[::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "0x7f.1",
            "2130706433",
            "intranet",
            "a.local",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.170",
            "[64:ff9b::a00:1]",
            "[::10.0.0.1]",
        ] {
            assert!(GitUrl::parse(&format!("https://{host}/a/b")).unwrap().is_private(), "{host}");
        }
        assert!(!GitUrl::parse("https://example.org/a/b").unwrap().is_private());
    }
}
