//! Decides where a redirect may lead. git itself follows none (`http.followRedirects=false`).
//!
//! git would carry a request on to any host, among them those of a private network, and with it
//! whatever header the user configured. Here the target becomes a [`GitUrl`] like one that a user
//! typed: it is http or https, holds no credential, is not less secure than where it came from, and
//! lies on the same server or on a host that the configuration allows. Then git is asked anew, which
//! finds the credential of *that* host by itself.

use url::Url;

use super::child::Ended;
use super::failure;
use crate::error::{Error, Kind, Result};
use crate::key::{GitUrl, Transport};
use crate::redact::redact;

/// What git appends to the url of a repository, and a server keeps when the repository has moved.
const REQUEST: (&str, &str) = ("/info/refs", "service=git-upload-pack");

/// The url to ask instead, if `ended` failed on a redirect that may be followed; none if it failed
/// in another way, and an error if the redirect leads where it must not.
pub(super) fn target(
    what: &str,
    asked: &GitUrl,
    ended: &Ended,
    allowed: &dyn Fn(&GitUrl) -> bool,
) -> Result<Option<GitUrl>> {
    if !matches!(failure::http_status(ended), Some(301 | 302 | 303 | 307 | 308)) {
        return Ok(None);
    }
    let Some(location) = &ended.transcript.http.location else { return Ok(None) };
    let refused = |why: String| {
        Error::new(Kind::Network, what, why).hint("ask who runs the server: srcfs does not go there")
    };

    let from = requested(asked, ended).ok_or_else(|| refused("it was redirected from nowhere".into()))?;
    let mut to = from
        .join(location)
        .map_err(|error| refused(format!("it was redirected to a malformed url ({error})")))?;
    let repository = to
        .path()
        .strip_suffix(REQUEST.0)
        .filter(|_| to.query() == Some(REQUEST.1))
        .map(str::to_owned)
        .ok_or_else(|| {
            let to = redact(to.as_str());
            refused(format!("it was redirected to {to:.200}, which is no git repository"))
                .hint("a proxy or a login page stands in front of it: open the url in a browser")
        })?;
    to.set_path(&repository);
    to.set_query(None);
    // What a server answers is no mistake of the user's, and says nothing about whether it exists.
    let to = GitUrl::parse(to.as_str()).map_err(|error| {
        let to = redact(to.as_str());
        refused(format!("it was redirected to {to:.200}, which is not followed: {}", error.why()))
    })?;

    if !matches!(to.transport(), Transport::Https | Transport::Http) {
        return Err(refused(format!("it was redirected to {to}, which is not http")));
    }
    if from.scheme() == "https" && to.transport() != Transport::Https {
        return Err(refused(format!("it was redirected to {to}, which is not encrypted")));
    }
    if !is_same_server(&from, &to) && !allowed(&to) {
        return Err(refused(format!("it was redirected to {to}, a host that is not configured"))
            .hint("if you trust that host, name the repository there, or add a [[host]] for it"));
    }
    log::info!("{what}: redirected to {to}");
    Ok(Some(to))
}

/// The url that git really requested: the user's `insteadOf` may have made it another one.
fn requested(asked: &GitUrl, ended: &Ended) -> Option<Url> {
    let named = ended.transcript.messages().find_map(|line| {
        let (_, rest) = line.split_once("unable to access '")?;
        Url::parse(rest.split_once("': ")?.0).ok()
    });
    let mut url = named.or_else(|| Url::parse(asked.as_str()).ok())?;
    // It is not carried on. Both fail only for a url that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(url)
}

/// Whether both are one server: host and port, or its encrypted and its plain default port.
fn is_same_server(from: &Url, to: &GitUrl) -> bool {
    let Ok(to) = Url::parse(to.as_str()) else { return false };
    let same_port = from.port_or_known_default() == to.port_or_known_default();
    let upgraded = from.scheme() == "http" && to.scheme() == "https" && from.port().or(to.port()).is_none();
    from.host_str() == to.host_str() && (same_port || upgraded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::git::transcript::Transcript;

    fn follow(asked: &str, location: &str) -> Result<Option<String>> {
        let mut transcript = Transcript::default();
        let line = format!("12:34:56.789012 http.c:872    <= Recv header: Location: {location}\n");
        transcript.push(line.as_bytes());
        let failed = format!("fatal: unable to access '{asked}/': The requested URL returned error: 301\n");
        transcript.push(failed.as_bytes());
        let ended = Ended { code: Some(128), output: Vec::new(), transcript };
        let allowed = |url: &GitUrl| url.host() == Some("allowed.org");
        target("ask", &GitUrl::parse(asked).unwrap(), &ended, &allowed)
            .map(|to| to.map(|to| to.as_str().to_owned()))
    }

    const TAIL: &str = "/info/refs?service=git-upload-pack";

    #[test]
    fn the_same_server_and_allowed_hosts_are_followed() {
        for (asked, to) in [
            ("https://a.org/x", "https://a.org/y"),
            ("http://a.org/x", "https://a.org/x.git"),
            ("https://a.org/x", "https://allowed.org/x"),
        ] {
            assert_eq!(follow(asked, &format!("{to}{TAIL}")).unwrap().as_deref(), Some(to));
        }
        let relative = follow("https://a.org/x", &format!("/y{TAIL}")).unwrap();
        assert_eq!(relative.as_deref(), Some("https://a.org/y"));
    }

    #[test]
    fn everything_else_is_refused() {
        for to in [
            "https://other.org/x",
            "http://a.org/x",
            "https://a.org:8443/x",
            "http://169.254.169.254/x",
            "https://user:pw@a.org/x",
            "file:///etc",
            "ssh://a.org/x",
            "ext::sh",
        ] {
            let error = follow("https://a.org/x", &format!("{to}{TAIL}")).unwrap_err();
            assert_eq!(error.kind(), Kind::Network, "{to}: {error}");
            assert!(!error.to_string().contains("user:pw"), "{error}");
        }
        assert!(follow("https://a.org/x", "https://a.org/login").is_err());
    }
}
