//! Turns how git failed into an [`Error`]: what kind it is, why, and what to do.
//!
//! Invariants: only an authoritative answer says that something does not exist, so whatever is not
//! recognised is network trouble; nothing that the server printed through git (`remote: `) decides the
//! kind; and all text is redacted and freed of control characters before it leaves.
//!
//! The messages are those of git 2.30 to 2.50, curl 7.74 to 8.x and OpenSSH 8 to 10 in the C locale.

use super::child::Ended;
use crate::error::{Error, Kind};
use crate::key::{GitUrl, Transport};
use crate::redact::redact;

/// The oldest git that knows every option that is used (`--no-write-fetch-head`).
const OLDEST_GIT: &str = "2.29";

/// Whether the server does not hand out, or does not have, the object or name that was asked for.
pub(super) fn is_refused(ended: &Ended) -> bool {
    let refusals = [
        "not our ref",
        "unadvertised object",
        "couldn't find remote ref",
        "no such remote ref",
        // It has no names at all.
        "no matching remote head",
    ];
    Text::of(ended).has(&refusals)
}

/// The HTTP status that ended it, if one did.
pub(super) fn http_status(ended: &Ended) -> Option<u16> {
    Text::of(ended).http_status()
}

/// What the failure of `what`, which asked no server, means.
pub(super) fn of_disk(what: &str, ended: &Ended) -> Error {
    let text = Text::of(ended);
    of_machine(what, ended, &text).unwrap_or_else(|| {
        let error = Error::new(Kind::Io, what, text.main_line(ended));
        error.hint("see what `git status` says there")
    })
}

/// What the failure of `what`, asked of `url`, means.
pub(super) fn explain(what: &str, url: &GitUrl, ended: &Ended) -> Error {
    let text = Text::of(ended);
    let error = |kind: Kind, why: &str| Error::new(kind, what, why.to_owned());
    let said = |kind: Kind| Error::new(kind, what, text.main_line(ended));

    if let Some(error) = of_machine(what, ended, &text) {
        return error;
    }
    if text.has(&["mismatched algorithms", "unsupported object format", "unknown object format"]) {
        return error(Kind::Unsupported, "the repository names its objects by SHA-256")
            .hint("srcfs reads SHA-1 repositories only");
    }
    if text.has(&["dumb http transport does not support"]) {
        return error(Kind::Unsupported, "the server speaks only git's old, dumb HTTP protocol");
    }
    if text.has(&["not allowed"]) && text.has(&["transport '"]) {
        return said(Kind::Invalid)
            .hint("an insteadOf of your git configuration leads to a forbidden transport");
    }
    if text.has(&["dubious ownership"]) {
        return said(Kind::Denied)
            .hint("the repository belongs to somebody else: git config --global --add safe.directory PATH");
    }
    match text.http_status() {
        Some(status) => http(what, url, ended, status, &text),
        None => transport(what, url, ended, &text),
    }
}

/// What has nothing to do with any repository: git itself, or what this machine lacks.
fn of_machine(what: &str, ended: &Ended, text: &Text) -> Option<Error> {
    let said = |kind: Kind| Error::new(kind, what, text.main_line(ended));
    if let Some(code @ (126 | 127)) = ended.code {
        let why = format!("the git program could not be started (status {code})");
        let error = Error::new(Kind::Unsupported, what, why);
        return Some(error.hint(format!("install git {OLDEST_GIT} or newer")));
    }
    if ended.code == Some(129) || text.has(&["unknown option", "unknown switch"]) {
        return Some(said(Kind::Unsupported).hint(format!("install git {OLDEST_GIT} or newer")));
    }
    if text.has(&["no space left on device", "disk quota exceeded"]) {
        let error = said(Kind::Full);
        return Some(error.hint("free some space in the cache, or choose another --cache-dir"));
    }
    let short = [
        "too many open files",
        "cannot allocate memory",
        "out of memory",
        "cannot fork",
        "unable to create thread",
        "resource temporarily unavailable",
    ];
    let hint = "this machine is short of memory, processes or descriptors";
    text.has(&short).then(|| said(Kind::Exhausted).hint(hint))
}

/// The server answered, and its status says why not.
fn http(what: &str, url: &GitUrl, ended: &Ended, status: u16, text: &Text) -> Error {
    let host = host(url);
    let error = |kind: Kind, why: String| Error::new(kind, what, why);
    let headers = &ended.transcript.http;
    if status == 429 || matches!(status, 403 | 503) && headers.retry_after.is_some() {
        return match &headers.retry_after {
            Some(after) => {
                let after = clean(after);
                let unit = if after.bytes().all(|b| b.is_ascii_digit()) { " s" } else { "" };
                error(Kind::RateLimited, format!("{host} answered {status}, retry after {after}{unit}"))
            }
            None => error(Kind::RateLimited, format!("{host} answered {status}, too many requests")),
        }
        .hint("wait, or give git a credential for this host: forges allow more to whom they know");
    }
    match status {
        401 | 403 if headers.authorized || text.has(&["authentication failed"]) => {
            error(Kind::Denied, format!("{host} refused the credential that git offered ({status})")).hint(
                format!("replace it: git credential reject, then git ls-remote {url} asks for a new one"),
            )
        }
        401 | 403 => error(
            Kind::NotFoundOrPrivate,
            format!("it does not exist or is private ({host} answered {status})"),
        )
        .hint(format!(
            "check the name; if it is private, give git's credential helper a credential for {host}"
        )),
        // Only where the repository itself is asked for is it an answer about the repository.
        404 | 410 if !text.is_rpc() => {
            error(Kind::NotFound, format!("{host} has no such repository ({status})")).hint("check the name")
        }
        407 => error(Kind::Network, "the proxy asks for a credential".into())
            .hint("set http.proxy in your git configuration"),
        300..=399 => {
            error(Kind::Network, format!("{host} answered with a redirect ({status}) that leads nowhere"))
        }
        _ => error(Kind::Network, format!("{host} answered {status}"))
            .hint("the server has a problem: try again later"),
    }
}

/// No answer, or none that could be understood.
fn transport(what: &str, url: &GitUrl, ended: &Ended, text: &Text) -> Error {
    let said = |kind: Kind| Error::new(kind, what, text.main_line(ended));
    let host = host(url);
    if text.has(&["does not appear to be a git repository"]) {
        return said(Kind::NotFound).hint("check the path of the repository");
    }
    // What forges say over ssh, where there are no statuses. They say the same of private ones.
    if text.has(&["repository not found", "could not be found or you don't have permission"]) {
        return Error::new(
            Kind::NotFoundOrPrivate,
            what,
            format!("it does not exist or is private ({host} says)"),
        )
        .hint("check the name, and that your key may read it");
    }
    if text.has(&["permission denied (", "too many authentication failures"]) {
        return said(Kind::Denied).hint(format!("{host} accepted none of your keys: check ssh-add -l"));
    }
    if text.has(&["host key verification failed"]) {
        return Error::new(
            Kind::Network,
            what,
            format!("the ssh key of {host} is not known, or has changed"),
        )
        .hint(format!("check it, then connect once by hand: ssh {host}"));
    }
    if text.has(&["too slow", "timeout was reached", "timed out", "connection timeout"]) {
        return said(Kind::TimedOut).hint("check the network and the server, then try again");
    }
    if text.has(&[
        "could not resolve",
        "couldn't resolve",
        "failed to connect",
        "couldn't connect",
        "could not connect",
        "connection refused",
        "no route to host",
        "network is unreachable",
        "name or service not known",
        "temporary failure in name resolution",
    ]) {
        return said(Kind::Unreachable).hint(format!("check the network, and that {host} is right"));
    }
    if text.has(&["certificate", "ssl", "tls", "handshake"]) {
        return said(Kind::Network)
            .hint(format!("no trusted connection to {host}: check the clock, the proxy and http.sslCAInfo"));
    }
    if url.transport() == Transport::File {
        return said(Kind::Io).hint(format!("try git ls-remote {url}"));
    }
    said(Kind::Network).hint(format!("the answer of {host} broke off or was not git's: try again"))
}

fn host(url: &GitUrl) -> String {
    url.host().unwrap_or("the disk").to_owned()
}

/// The messages of git and its helpers, in lower case, without what the server printed.
struct Text {
    lower: String,
}

impl Text {
    fn of(ended: &Ended) -> Self {
        let lines: Vec<_> = ended.transcript.messages().map(str::to_ascii_lowercase).collect();
        Text { lower: lines.join("\n") }
    }

    fn has(&self, any: &[&str]) -> bool {
        any.iter().any(|text| self.lower.contains(text))
    }

    /// Whether the request for objects failed, and not the one for the repository.
    fn is_rpc(&self) -> bool {
        self.has(&["rpc failed"])
    }

    fn http_status(&self) -> Option<u16> {
        let number = |after: &str| -> Option<u16> {
            let (_, rest) = self.lower.split_once(after)?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        if let Some(status) =
            number("the requested url returned error: ").or_else(|| number("rpc failed; http "))
        {
            return Some(status);
        }
        if self.has(&["received http code 407"]) {
            return Some(407);
        }
        let no_credential =
            ["could not read username", "could not read password", "unable to get password from user"];
        if self.has(&["authentication failed for"]) || self.has(&no_credential) {
            return Some(401);
        }
        // git's words for 404 on the first request; the file transport has others.
        self.lower
            .lines()
            .any(|line| line.starts_with("fatal: repository '") && line.ends_with("' not found"))
            .then_some(404)
    }

    /// The line that says most: the first fatal one, else the first error, else the last one.
    fn main_line(&self, ended: &Ended) -> String {
        let messages: Vec<_> = ended.transcript.messages().collect();
        let generic = "Could not read from remote repository";
        let fatal =
            messages.iter().find_map(|line| line.strip_prefix("fatal: ").filter(|l| !l.contains(generic)));
        // The cause, where the fatal line is only a consequence of it.
        let cause = messages.iter().find_map(|line| {
            line.strip_prefix("error: RPC failed; ").or_else(|| line.starts_with("ssh: ").then_some(line))
        });
        let line = cause
            .or(fatal)
            .or_else(|| messages.iter().find_map(|line| line.strip_prefix("error: ")))
            .or_else(|| messages.last().copied());
        match (line, ended.code) {
            (Some(line), _) => clean(line),
            (None, Some(code)) => format!("git ended with status {code} and no message"),
            (None, None) => "git was killed".to_owned(),
        }
    }
}

/// Fit to be shown: no credential, no control character, no more than a line.
fn clean(text: &str) -> String {
    redact(text).chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::git::transcript::Transcript;

    fn ended(code: i32, stderr: &str) -> Ended {
        let mut transcript = Transcript::default();
        transcript.push(stderr.as_bytes());
        transcript.finish();
        Ended { code: Some(code), output: Vec::new(), transcript }
    }

    fn kind(stderr: &str) -> Kind {
        let url = GitUrl::parse("https://example.org/a").unwrap();
        explain("fetch", &url, &ended(128, stderr)).kind()
    }

    #[test]
    fn every_message_has_its_kind() {
        for (expected, text) in [
            (Kind::Unreachable, "fatal: unable to access 'https://x/': Could not resolve host: x"),
            (
                Kind::Unreachable,
                "ssh: Could not resolve hostname x: Name or service not known\nfatal: Could not read from remote repository.",
            ),
            (Kind::Unreachable, "ssh: connect to host x port 22: Connection refused"),
            (Kind::TimedOut, "ssh: connect to host x port 22: Connection timed out"),
            (
                Kind::TimedOut,
                "fatal: unable to access 'https://x/': Operation too slow. Less than 1 bytes/sec transferred the last 30 seconds",
            ),
            (
                Kind::Network,
                "fatal: unable to access 'https://x/': SSL certificate problem: self-signed certificate",
            ),
            (Kind::Network, "fatal: unable to access 'https://x/': The requested URL returned error: 502"),
            (
                Kind::Network,
                "error: RPC failed; HTTP 404 curl 22 The requested URL returned error: 404\nfatal: expected flush",
            ),
            (
                Kind::Network,
                "fetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF",
            ),
            (Kind::Network, "fatal: protocol error: bad line length character: garb"),
            (Kind::Network, "Host key verification failed.\nfatal: Could not read from remote repository."),
            (Kind::Network, "something new"),
            (
                Kind::Denied,
                "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            ),
            (Kind::Denied, "fatal: Authentication failed for 'https://x/'"),
            (Kind::Denied, "fatal: detected dubious ownership in repository at '/x'"),
            (
                Kind::NotFoundOrPrivate,
                "fatal: could not read Username for 'https://x': terminal prompts disabled",
            ),
            (
                Kind::NotFoundOrPrivate,
                "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
            ),
            (Kind::NotFound, "fatal: repository 'https://x/' not found"),
            (Kind::NotFound, "fatal: unable to access 'https://x/': The requested URL returned error: 410"),
            (Kind::NotFound, "fatal: '/x' does not appear to be a git repository"),
            (
                Kind::RateLimited,
                "fatal: unable to access 'https://x/': The requested URL returned error: 429",
            ),
            (
                Kind::Full,
                "fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output",
            ),
            (Kind::Exhausted, "error: cannot create async thread: Too many open files"),
            (Kind::Invalid, "fatal: transport 'ext' not allowed"),
            (Kind::Unsupported, "fatal: mismatched algorithms: client sha1; server sha256"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn a_server_cannot_choose_how_its_failure_is_understood() {
        assert_eq!(kind("remote: fatal: repository 'x' not found\nfatal: early EOF"), Kind::Network);
    }

    #[test]
    fn a_missing_or_old_program_says_what_to_install() {
        let url = GitUrl::parse("https://example.org/a").unwrap();
        for (code, text) in [(127, "srcfs: 4: git: not found"), (129, "error: unknown option `x'")] {
            let error = explain("fetch", &url, &ended(code, text));
            assert_eq!(error.kind(), Kind::Unsupported);
            assert!(error.advice().unwrap().contains("install git"), "{error}");
        }
    }

    #[test]
    fn no_credential_is_shown() {
        let url = GitUrl::parse("https://example.org/a").unwrap();
        let error = explain(
            "fetch",
            &url,
            &ended(128, "fatal: unable to access 'https://u:hunter2@x/': \u{1b}[31mEmpty reply"),
        );
        assert!(!error.to_string().contains("hunter2") && !error.to_string().contains('\u{1b}'), "{error}");
    }
}
