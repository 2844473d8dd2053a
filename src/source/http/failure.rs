//! What a failed request means: its kind, why, what to do, and whether to ask again.
//!
//! Invariants: only 404 and 410 say that something does not exist; whatever is not recognised is network
//! trouble; nothing that a server or a proxy wrote stands in an error but its status and a `Retry-After`
//! of digits, and no url but as [`shown`].

use std::io::{self, ErrorKind};
use std::time::Duration;

use url::Url;

use super::Bounds;
use super::body::PastLimit;
use super::exchange::Head;
use super::shown;
use crate::config::size::Shown;
use crate::error::{Error, Kind};

/// How long a server may ask us to wait before the next try: longer is for the caller to decide.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why one attempt failed.
#[derive(Debug)]
pub(super) struct Trouble {
    kind: Kind,
    why: String,
    hint: String,
    again: Again,
}

/// Whether asking again at once may help.
#[derive(Debug)]
enum Again {
    No,
    Yes,
    /// Not before that.
    After(Duration),
}

impl Trouble {
    fn new(kind: Kind, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Trouble { kind, why: why.into(), hint: hint.into(), again: Again::No }
    }

    /// The same, of a request that went through `proxy`: who is not reached may be that.
    pub fn through(mut self, proxy: &str) -> Self {
        if self.kind == Kind::Unreachable {
            let shown = Url::parse(proxy).map_or_else(|_| crate::redact::redact(proxy), |url| shown(&url));
            self.why = format!("{}; it was tried through the proxy {shown}", self.why);
            self.hint = "check the network, and that this is the right proxy".to_owned();
        }
        self
    }

    fn passing(mut self) -> Self {
        self.again = Again::Yes;
        self
    }

    /// A bound was reached.
    pub fn out_of_time(why: &str) -> Self {
        Trouble::new(Kind::TimedOut, why, "check the network and the server, then try again")
    }

    /// What came is not what HTTP allows, or not what was asked for.
    pub fn garbled(of: &str) -> Self {
        let why = format!("the answer is not understood: {of}");
        Trouble::new(Kind::Network, why, "a proxy or something else that is no registry may stand in between")
    }

    /// There is more content than was to be read.
    pub fn too_large(limit: u64) -> Self {
        let limit = Shown(limit);
        Trouble::new(Kind::TooLarge, format!("it is larger than {limit}"), "ask who publishes it")
    }

    /// The thread that asked is gone.
    pub fn ended() -> Self {
        Trouble::new(
            Kind::Exhausted,
            "the request ended without an answer",
            "this machine is short of threads",
        )
    }

    /// An answer with another status than 200. `authorized`: a credential was sent.
    pub fn of_status(head: &Head, url: &Url, authorized: bool) -> Self {
        let (status, host) = (head.status, host(url));
        let said =
            |kind, why: &str, hint: String| Trouble::new(kind, format!("{host} {why} ({status})"), hint);
        let after = head.text("retry-after").filter(|text| text.len() < 10);
        let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let asks_to_wait = status == 429 || matches!(status, 403 | 503) && head.text("retry-after").is_some();
        let mut trouble = match status {
            _ if asks_to_wait => {
                let why = match after {
                    Some(after) => format!("asks to come back in {} s", after.as_secs()),
                    None => "asks to come back later".to_owned(),
                };
                said(Kind::RateLimited, &why, "wait, then try again".into())
            }
            401 | 403 if authorized => said(
                Kind::Denied,
                "refused the credential that is configured for it",
                "log in again with the registry's own client, or replace the token".into(),
            ),
            401 | 403 => Trouble::new(
                Kind::NotFoundOrPrivate,
                format!("it does not exist or is private ({host} answered {status})"),
                format!("check the name; if it is private, log in to {host} with the registry's own client"),
            ),
            404 | 410 => said(Kind::NotFound, "has no such thing", "check the name and the version".into()),
            451 => said(
                Kind::Denied,
                "may not hand it out, for legal reasons",
                "ask who runs the registry".into(),
            ),
            407 => Trouble::new(
                Kind::Network,
                "the proxy asks for a credential (407)",
                "give user and password in the proxy's url",
            ),
            300..=399 => said(Kind::Network, "sent us on to nowhere", "ask who runs the registry".into()),
            400..=499 => said(
                Kind::Network,
                "does not accept the request",
                "check the registry's address in your configuration".into(),
            ),
            _ => said(
                Kind::Network,
                "answered with a failure",
                "the server has a problem: try again later".into(),
            ),
        };
        trouble.again = match (status, after) {
            (429 | 503, Some(after)) => Again::After(after),
            // Said in a way that is not read here: it knows what it wants, and it is not "at once".
            (429 | 503, None) if head.text("retry-after").is_some() => Again::No,
            (429 | 502 | 503 | 504, _) => Again::Yes,
            _ => Again::No,
        };
        trouble
    }

    /// No answer, or none that could be understood.
    pub fn of(error: &ureq::Error, url: &Url, bounds: Bounds) -> Self {
        use ureq::Error as E;
        let host = host(url);
        let untrusted = |why: String| {
            Trouble::new(
                Kind::Network,
                format!("no trusted connection to {host}: {why}"),
                "check the clock and the proxy; a company's own authority is named by SSL_CERT_FILE or in the \
                 configuration of the registry's client",
            )
        };
        match error {
            E::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => untrusted(error.to_string()),
                None => Trouble::of_io(error, &host),
            },
            E::Rustls(error) => untrusted(error.to_string()),
            E::Tls(why) => untrusted((*why).to_owned()),
            E::TlsRequired => untrusted("it could not be encrypted".to_owned()),
            E::Timeout(ureq::Timeout::Connect) => {
                Trouble::out_of_time(&format!("no connection to {host} within {:?}", bounds.connect))
            }
            E::Timeout(_) => {
                Trouble::out_of_time(&format!("there was no answer of {host} within {:?}", bounds.answer))
            }
            E::HostNotFound => unreachable(&host, "its address is not known"),
            E::ConnectionFailed => unreachable(&host, "the connection failed"),
            E::ConnectProxyFailed(_) => Trouble::new(
                Kind::Unreachable,
                format!("the proxy made no connection to {host}"),
                "check HTTPS_PROXY and NO_PROXY, and the user and password in the proxy's url",
            ),
            E::BadUri(_) | E::Http(_) => Trouble::new(
                Kind::Config,
                "its url cannot be asked for",
                "check the registry's address in your configuration",
            ),
            E::LargeResponseHeader(..) => Trouble::garbled("its head is too large"),
            E::Protocol(error) => Trouble::garbled(&error.to_string()),
            E::BodyStalled => broke_off(),
            // The texts of these may hold anything.
            _ => Trouble::garbled("it is not HTTP"),
        }
    }

    fn of_io(error: &io::Error, host: &str) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => {
                let why = format!("{host} broke the connection off");
                Trouble::new(Kind::Network, why, "check the network and the server, then try again").passing()
            }
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                Trouble::out_of_time(&format!("{host} did not answer in time"))
            }
            ErrorKind::ConnectionRefused => unreachable(host, "it refuses the connection"),
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
                unreachable(host, "there is no way to it")
            }
            _ if is_out_of_descriptors(error) => {
                Trouble::new(Kind::Exhausted, error.to_string(), "this machine is short of descriptors")
            }
            // std's words for what getaddrinfo says.
            _ if error.to_string().starts_with("failed to lookup address") => {
                unreachable(host, "its address is not known")
            }
            _ => Trouble::new(Kind::Network, format!("{host}: {error}"), "check the network, then try again"),
        }
    }

    /// The content failed under way.
    pub fn of_content(error: io::Error) -> Self {
        if let Some(past) = error.get_ref().and_then(|inner| inner.downcast_ref::<PastLimit>()) {
            return Trouble::too_large(past.0);
        }
        // What ureq says of it, or the decoder.
        let decoding = matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData);
        match ureq::Error::from(error) {
            ureq::Error::Io(_) if decoding => Trouble::garbled("it is not gzip, as it says"),
            ureq::Error::Protocol(error) => Trouble::garbled(&error.to_string()),
            _ => broke_off(),
        }
    }

    /// How long to wait before it is asked once more, having been asked `again` times again; none if that
    /// would not help.
    pub fn pause(&self, pause: Duration, again: u32) -> Option<Duration> {
        let own = pause.saturating_mul(1 << again.min(8));
        match self.again {
            Again::No => None,
            Again::Yes => Some(own),
            Again::After(after) if after > LONGEST_PAUSE => None,
            Again::After(after) => Some(after.max(own)),
        }
    }

    pub fn why(&self) -> &str {
        &self.why
    }

    /// The failure of `what`.
    pub fn error(self, what: &str) -> Error {
        Error::new(self.kind, what, self.why).hint(self.hint)
    }
}

/// What was received could not be written.
pub(super) fn of_sink(what: &str, error: &io::Error) -> Error {
    let kind = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Kind::Full,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Kind::Exhausted,
        _ => Kind::Io,
    };
    Error::new(kind, what, format!("what came could not be kept: {error}"))
}

fn broke_off() -> Trouble {
    Trouble::new(Kind::Network, "the answer broke off before its end", "check the network, then try again")
        .passing()
}

fn unreachable(host: &str, why: &str) -> Trouble {
    let hint = format!("check the network and the proxy, and that {host} is right");
    Trouble::new(Kind::Unreachable, format!("{host} is not reached: {why}"), hint)
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
}

/// The server, with its port.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the server");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
