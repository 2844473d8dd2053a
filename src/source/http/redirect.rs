//! Decides where a registry may lead: by a redirect, or by a link in what it says.
//!
//! Invariants: only http and https are followed; what began encrypted stays encrypted; and a public
//! registry cannot make srcfs ask an address of this machine or of a private network. A credential goes
//! to the origin it was given for, also where that is asked encrypted instead, and once the way has left
//! that, it is not sent again, even on coming back: who sent us away may have chosen the place we come back to.

use url::Url;

use super::shown;
use crate::error::{Error, Kind, Result};
use crate::key::is_private;

/// As many as curl and browsers are asked to follow at most by the clients of registries.
const MOST: usize = 10;

/// Refuses what `from` may not lead to: another scheme, a plain connection after an encrypted one, a
/// private address from a public one. `what` was tried.
pub fn check(what: &str, from: &Url, to: &Url) -> Result<()> {
    let refused = |why: &str| {
        Err(Error::new(Kind::Network, what, format!("it was sent on to {}, {why}", shown(to)))
            .hint("ask who runs the registry: srcfs does not go there"))
    };
    if !matches!(to.scheme(), "http" | "https") || to.host().is_none() {
        return refused("which is not http");
    }
    if from.scheme() == "https" && to.scheme() != "https" {
        return refused("which is not encrypted");
    }
    if is_private(to) && !is_private(from) {
        return refused("an address of a private network");
    }
    Ok(())
}

/// The way of one request: every url it was sent on to.
pub(super) struct Way {
    visited: Vec<Url>,
    left_origin: bool,
}

impl Way {
    pub fn new(url: &Url) -> Self {
        let mut first = url.clone();
        // Never sent, and never part of what is asked for. None of it fails for http.
        let _ = first.set_username("");
        let _ = first.set_password(None);
        first.set_fragment(None);
        Way { visited: vec![first], left_origin: false }
    }

    /// What is asked now.
    pub fn here(&self) -> &Url {
        // There is always a first one.
        &self.visited[self.visited.len() - 1]
    }

    /// Whether the credential of the request may be sent to where it is now.
    pub fn is_at_origin(&self) -> bool {
        !self.left_origin
    }

    /// Goes on to where the answer's `Location` points.
    pub fn follow(&mut self, what: &str, location: &str) -> Result<()> {
        let lost = |why: String| {
            Error::new(Kind::Network, what, why).hint("ask who runs the registry: it leads nowhere")
        };
        if self.visited.len() > MOST {
            return Err(lost(format!("it was sent on more than {MOST} times")));
        }
        let to = self
            .here()
            .join(location)
            .map_err(|error| lost(format!("it was sent on to a malformed url ({error})")))?;
        let to = Way::new(&to).visited.remove(0);
        check(what, self.here(), &to)?;
        if self.visited.contains(&to) {
            return Err(lost(format!("it is sent in a circle, by way of {}", shown(&to))));
        }
        self.left_origin |= to.origin() != self.here().origin() && !is_upgrade(self.here(), &to);
        log::debug!("{what}: sent on to {}", shown(&to));
        self.visited.push(to);
        Ok(())
    }
}

/// Whether `to` is the same host as `from`, asked encrypted now, both at the port of their scheme. A server
/// that sends all of its visitors there sends nobody away.
fn is_upgrade(from: &Url, to: &Url) -> bool {
    let at = |url: &Url, scheme: &str| url.scheme() == scheme && url.port().is_none();
    at(from, "http") && at(to, "https") && from.host() == to.host()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(from: &str, to: &str) -> Result<()> {
        Way::new(&Url::parse(from).unwrap()).follow("ask", to)
    }

    #[test]
    fn only_what_is_as_safe_is_followed() {
        for (from, to) in [
            ("https://a.example/x", "/y"),
            ("https://a.example/x", "https://cdn.example/x"),
            ("http://a.example/x", "https://a.example/x"),
            ("http://10.0.0.1/x", "http://10.0.0.2/x"),
            ("http://10.0.0.1/x", "https://a.example/x"),
        ] {
            follow(from, to).unwrap();
        }
        for (from, to) in [
            ("https://a.example/x", "http://a.example/x"),
            ("https://a.example/x", "file:///etc/passwd"),
            ("https://a.example/x", "ftp://a.example/x"),
            ("https://a.example/x", "https://127.0.0.1/x"),
            ("https://a.example/x", "https://[::1]/x"),
            ("https://a.example/x", "https://169.254.169.254/latest"),
            ("https://a.example/x", "https://localhost/x"),
            ("https://a.example/x", "https://2130706433/x"),
            ("https://a.example/x", "https://"),
            ("https://a.example/x", "/x"),
        ] {
            let error = follow(from, to).unwrap_err();
            assert_eq!(error.kind(), Kind::Network, "{from} {to}: {error}");
        }
    }

    #[test]
    fn a_credential_does_not_come_back_from_elsewhere() {
        let mut way = Way::new(&Url::parse("https://u:pw@a.example/x#top").unwrap());
        assert_eq!(way.here().as_str(), "https://a.example/x");
        way.follow("ask", "/y").unwrap();
        assert!(way.is_at_origin());
        way.follow("ask", "https://a.example:8443/y").unwrap();
        assert!(!way.is_at_origin());
        way.follow("ask", "https://a.example/z").unwrap();
        assert!(!way.is_at_origin());
    }

    #[test]
    fn a_credential_goes_along_to_the_same_host_encrypted() {
        for (from, to, keeps) in [
            ("http://a.example/x", "https://a.example/x", true),
            ("http://a.example:80/x", "https://a.example:443/y", true),
            ("http://a.example:8080/x", "https://a.example/x", false),
            ("http://a.example/x", "https://a.example:8443/x", false),
            ("http://a.example/x", "https://b.example/x", false),
            ("http://a.example/x", "https://x.a.example/x", false),
        ] {
            let mut way = Way::new(&Url::parse(from).unwrap());
            way.follow("ask", to).unwrap();
            assert_eq!(way.is_at_origin(), keeps, "{from} {to}");
        }
    }

    #[test]
    fn nothing_secret_of_a_redirect_is_shown() {
        let error = follow("https://a.example/x", "http://u:hunter2@b.example/y?token=hunter2").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
