//! Speaks HTTP with registries of packages: one request, bounded in every direction.
//!
//! Invariants: what is returned is a whole answer of status 200, never an error page, never a part, never
//! more than the caller's limit; only 404 and 410 say that something does not exist; every wait ends, at a
//! bound of [`Bounds`] or within a tenth of a second of the wish to stop; a credential goes to the origin it
//! was given for and to no other ([`redirect`]), and stands in no error and no log.
//!
//! Each request runs on a thread of its own, which the caller waits for: a read that hangs
//! is ended by closing its socket. Connections are kept and used again. What fails passingly
//! before any of the content came is asked again, twice at most.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::config::proxies::Proxies;
use crate::error::Result;
use crate::source::Progress;

mod addresses;
mod agents;
mod asking;
mod body;
pub mod credential;
pub mod documents;
mod exchange;
mod failure;
pub mod redirect;
pub mod trust;

use agents::Agents;
use asking::Asking;
use body::Form;
use credential::Credential;

/// What a document of metadata may be, decoded: the largest that are known have some 100 MB.
pub const LARGEST_DOCUMENT: u64 = 256_000_000;

/// How long the parts of one request may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// To find the address, connect, and shake hands.
    pub connect: Duration,
    /// From then to the whole head of the answer.
    pub answer: Duration,
    /// Between two pieces of the content.
    pub stall: Duration,
    /// A whole document, with everything that is asked again.
    pub document: Duration,
    /// A whole archive, likewise.
    pub archive: Duration,
    /// Before it is asked again for the first time, where the server does not say; then twice as long.
    pub pause: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connect: Duration::from_secs(15),
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            document: Duration::from_secs(180),
            archive: Duration::from_secs(30 * 60),
            pause: Duration::from_millis(500),
        }
    }
}

/// How to ask.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long it may take.
    pub bounds: Bounds,
    /// The proxies of the environment.
    pub proxies: Proxies,
    /// How srcfs calls itself.
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        let user_agent = concat!("srcfs/", env!("CARGO_PKG_VERSION"));
        Settings { bounds: Bounds::default(), proxies: Proxies::default(), user_agent: user_agent.to_owned() }
    }
}

/// How a url is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Proxy<'a> {
    /// As the environment says (`HTTPS_PROXY`, `NO_PROXY`): the client's configuration says nothing.
    Environment,
    /// Without a proxy, whatever the environment says.
    Direct,
    /// Through this one. The text may hold a password.
    Through(&'a str),
}

impl std::fmt::Debug for Proxy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Proxy::Environment => "Environment",
            Proxy::Direct => "Direct",
            Proxy::Through(_) => "Through(…)",
        })
    }
}

/// What to ask for. Begin with [`Request::new`].
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Where: http or https. A user or password in it is not sent.
    pub url: &'a Url,
    /// Who asks.
    pub credential: Option<&'a Credential>,
    /// The media types to send: the value of `Accept`.
    pub accept: Option<&'a str>,
    /// The `ETag` of what is at hand already.
    pub etag: Option<&'a str>,
    /// The `Last-Modified` of what is at hand already.
    pub last_modified: Option<&'a str>,
    /// Files of certificates (PEM), and directories of such, that are trusted beside those of the system.
    pub trust: &'a [PathBuf],
    /// How it is reached.
    pub proxy: Proxy<'a>,
    /// The most bytes of content, decoded.
    pub limit: u64,
}

impl<'a> Request<'a> {
    /// Asks `url` for a document, as anybody.
    pub fn new(url: &'a Url) -> Self {
        Request {
            url,
            credential: None,
            accept: None,
            etag: None,
            last_modified: None,
            trust: &[],
            proxy: Proxy::Environment,
            limit: LARGEST_DOCUMENT,
        }
    }
}

/// What a server says of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is what [`Request::etag`] or [`Request::last_modified`] say. What the answer says of these
    /// two now.
    NotModified {
        /// The new `ETag`, if there is one.
        etag: Option<String>,
        /// The new `Last-Modified`, if there is one.
        last_modified: Option<String>,
    },
    /// It is this.
    Content(Content),
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// It, decoded.
    pub bytes: Vec<u8>,
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
    /// Where it came from in the end: what its relative links are relative to.
    pub url: Url,
}

/// What [`Http::download`] has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// How many bytes.
    pub bytes: u64,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
    /// Where they came from in the end.
    pub url: Url,
}

/// Asks registries. One for the process: it keeps the connections.
pub struct Http {
    settings: Settings,
    agents: Agents,
}

impl Http {
    /// Asks as `settings` say. Touches nothing yet.
    pub fn new(settings: Settings) -> Self {
        let agents = Agents::new(settings.bounds, &settings.user_agent);
        Http { settings, agents }
    }

    /// Asks for a document of metadata.
    ///
    /// Fails with `NotFound` where the server says so (404, 410), `NotFoundOrPrivate` and `Denied` for
    /// 401 and 403 without and with a credential, `RateLimited`, `Unreachable`, `TimedOut`, `Network`,
    /// `TooLarge` past the limit, `Interrupted` if `progress` is cancelled, and `Config` for what no
    /// request can be made of.
    pub fn get(&self, request: Request<'_>, progress: &Progress) -> Result<Answer> {
        let mut bytes = Vec::new();
        let (head, url) = Asking::new(self, request, Form::Document, progress).answer(&mut bytes)?;
        let (etag, last_modified) = (head.text("etag"), head.text("last-modified"));
        Ok(match head.status {
            304 => Answer::NotModified { etag, last_modified },
            _ => Answer::Content(Content { bytes, etag, last_modified, url }),
        })
    }

    /// Writes an archive to `sink` as it comes, byte for byte as it is stored there. What was written
    /// when it fails is to be thrown away.
    ///
    /// Whether an answer without a length is whole cannot be seen here: the caller compares the hash
    /// that was published. Fails as [`Http::get`] does, and as `sink` does.
    pub fn download(
        &self,
        request: Request<'_>,
        sink: &mut dyn Write,
        progress: &Progress,
    ) -> Result<Downloaded> {
        let request = Request { etag: None, last_modified: None, ..request };
        let mut sink = Counting { sink, bytes: 0 };
        let (head, url) = Asking::new(self, request, Form::Archive, progress).answer(&mut sink)?;
        Ok(Downloaded { bytes: sink.bytes, last_modified: head.text("last-modified"), url })
    }
}

struct Counting<'a> {
    sink: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let written = self.sink.write(piece)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

/// `url` as it may be shown: without user, password, query and fragment, any of which may hold a secret.
pub fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    let asks = shown.query().is_some();
    shown.set_query(None);
    format!("{shown}{}", if asks { "?…" } else { "" })
}
