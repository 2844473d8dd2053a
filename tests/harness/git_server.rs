//! A git server on the loopback that misbehaves on request.
//!
//! `git http-backend` behind a small HTTP server: it serves the repositories below a directory, counts
//! what is asked of each, and breaks the next answers of one repository in the way a test names. It
//! ends when it is dropped, with whatever still hangs in it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::repository::hermetic;

/// How an answer goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is answered until [`GitServer::release`].
    StallBeforeHeaders,
    /// The headers and so many bytes, then nothing until [`GitServer::release`].
    StallInBody(usize),
    /// The headers and so many bytes, then a byte per second.
    Trickle(usize),
    /// The connection is closed without an answer.
    Hangup,
    /// This status, with these header lines (`Retry-After: 30`).
    Status(u16, Vec<String>),
    /// A redirect of the request to this base (`http://host:1/a.git`, or `/a.git`): what git appends
    /// to the url of a repository is appended to it.
    Redirect(String),
    /// Only so many bytes of the body, though the header says how long it is.
    Truncate(usize),
    /// The header says a length that is so much shorter than the body.
    TooShort(usize),
    /// Bytes that are no answer of a git server.
    Garbage,
    /// The body has one flipped bit in the middle.
    Flip,
    /// 401 to everybody but this user with this password.
    Credentials(String, String),
    /// Version 0 of the protocol, in which only what a name leads to is handed out.
    OldProtocol,
    /// Announces a bundle at this url, as a server can since protocol 2.
    BundleUri(String),
}

/// Which requests go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All.
    Any,
    /// The first of a conversation (`info/refs`).
    Hello,
    /// The one that asks for objects.
    Fetch,
}

/// What was asked about one repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All requests.
    pub requests: usize,
    /// Requests for objects: one per fetch of what is not there yet.
    pub fetches: usize,
    /// Requests that carried a credential.
    pub credentials: usize,
    /// Requests that wait for [`GitServer::release`] now.
    pub stalled: usize,
}

/// One pack that was sent: what a fetch costs.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// The repository.
    pub repository: String,
    /// The ids that were asked for.
    pub wants: Vec<String>,
    /// What the client calls itself (`GIT_HTTP_USER_AGENT`).
    pub agent: String,
    /// When the request for it came.
    pub began: Instant,
}

/// The server. Dropping it ends it.
pub struct GitServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    backend: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    faults: HashMap<String, (Stage, Fault)>,
    counts: HashMap<String, Counts>,
    transfers: Vec<Transfer>,
    unknown_is_401: bool,
    /// Grows with each release; a stall ends when it is another than at its start.
    releases: u64,
    /// How many stalled at once, at most.
    most_stalled: usize,
    ended: bool,
}

impl GitServer {
    /// Serves the bare repositories below `root`.
    pub fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let exec_path = hermetic("git").arg("--exec-path").output().unwrap().stdout;
        let backend = Path::new(String::from_utf8(exec_path).unwrap().trim()).join("git-http-backend");
        assert!(backend.exists(), "there is no {}", backend.display());
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            backend,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let server = shared.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if server.state.lock().unwrap().ended {
                    return;
                }
                let server = server.clone();
                // A client that goes away is no failure of the server.
                std::thread::spawn(move || server.serve(connection));
            }
        });
        GitServer { address, shared }
    }

    /// The url of a repository below the root (`team/a.git`).
    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks the answers about `repository` from now on.
    pub fn fail(&self, repository: &str, stage: Stage, fault: Fault) {
        self.shared.state.lock().unwrap().faults.insert(repository.to_owned(), (stage, fault));
    }

    /// Answers about `repository` as it should, from now on.
    pub fn mend(&self, repository: &str) {
        self.shared.state.lock().unwrap().faults.remove(repository);
    }

    /// Answers 401 for what is not there, as forges do.
    pub fn hide_unknown(&self) {
        self.shared.state.lock().unwrap().unknown_is_401 = true;
    }

    /// Lets everything that stalls now go on.
    pub fn release(&self) {
        self.shared.state.lock().unwrap().releases += 1;
        self.shared.changed.notify_all();
    }

    /// What was asked about `repository` so far.
    pub fn counts(&self, repository: &str) -> Counts {
        self.shared.state.lock().unwrap().counts.get(repository).copied().unwrap_or_default()
    }

    /// All requests so far, whatever they were about.
    pub fn requests(&self) -> usize {
        self.shared.state.lock().unwrap().counts.values().map(|counts| counts.requests).sum()
    }

    /// How many requests stalled at once so far, at most.
    pub fn most_stalled(&self) -> usize {
        self.shared.state.lock().unwrap().most_stalled
    }

    /// The packs that were sent since the first `after` ones, in the order in which they were ready.
    pub fn transfers(&self, after: usize) -> Vec<Transfer> {
        self.shared.state.lock().unwrap().transfers.get(after..).unwrap_or_default().to_vec()
    }

    /// Waits until what was asked about `repository` is as `wanted`; fails the test after 20 s.
    pub fn wait_for(&self, repository: &str, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let until = Instant::now() + Duration::from_secs(20);
        let mut state = self.shared.state.lock().unwrap();
        loop {
            let counts = state.counts.get(repository).copied().unwrap_or_default();
            if wanted(&counts) {
                return counts;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{repository}: waited in vain, it is {counts:?}");
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        if let Ok(mut state) = self.shared.state.lock() {
            state.ended = true;
            state.releases += 1;
        }
        self.shared.changed.notify_all();
        // The accepting thread looks again.
        let _ = TcpStream::connect(self.address);
    }
}

/// An address of the loopback at which nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

struct Request {
    method: String,
    /// `team/a.git`
    repository: String,
    /// `info/refs`
    service: String,
    query: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn read(connection: &TcpStream) -> Option<Self> {
        let mut input = BufReader::new(connection);
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            input.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut body = Vec::new();
        if headers.get("transfer-encoding").is_some_and(|how| how == "chunked") {
            loop {
                let mut size = String::new();
                input.read_line(&mut size).ok()?;
                let size = usize::from_str_radix(size.trim(), 16).ok()?;
                let start = body.len();
                body.resize(start + size, 0);
                input.read_exact(&mut body[start..]).ok()?;
                input.read_line(&mut String::new()).ok()?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = headers.get("content-length") {
            body.resize(length.parse().ok()?, 0);
            input.read_exact(&mut body).ok()?;
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = path.trim_start_matches('/');
        let at = ["/info/refs", "/git-upload-pack"]
            .iter()
            .find_map(|tail| Some(path.len() - tail.len()).filter(|_| path.ends_with(tail)));
        let (repository, service) = match at {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (path, ""),
        };
        let (repository, service, query) = (repository.to_owned(), service.to_owned(), query.to_owned());
        Some(Request { method, repository, service, query, headers, body })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn is_fetch(&self) -> bool {
        // A long request is compressed; only one with many objects that are there already is long.
        self.service == "git-upload-pack"
            && (self.header("content-encoding") == "gzip" || contains(&self.body, b"want "))
    }

    /// The ids that are asked for.
    fn wants(&self) -> Vec<String> {
        let mut body = self.body.clone();
        if self.header("content-encoding") == "gzip" {
            let size = body.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
            let mut plain = vec![0; size];
            libdeflater::Decompressor::new().gzip_decompress(&self.body, &mut plain).unwrap();
            body = plain;
        }
        let text = String::from_utf8_lossy(&body);
        text.split("want ").skip(1).map(|id| id.chars().take(40).collect()).collect()
    }
}

struct Answer {
    status: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, headers: &[String], body: &[u8]) -> Self {
        Answer { status: format!("{status} Test"), headers: headers.to_vec(), body: body.to_vec() }
    }
}

impl Shared {
    fn serve(&self, connection: TcpStream) {
        let began = Instant::now();
        let Some(request) = Request::read(&connection) else { return };
        let fault = {
            let mut state = self.state.lock().unwrap();
            let counts = state.counts.entry(request.repository.clone()).or_default();
            counts.requests += 1;
            counts.fetches += usize::from(request.is_fetch());
            counts.credentials += usize::from(request.headers.contains_key("authorization"));
            self.changed.notify_all();
            let applies = |stage: Stage| match stage {
                Stage::Any => true,
                Stage::Hello => request.service == "info/refs",
                Stage::Fetch => request.is_fetch(),
            };
            let known = self.root.join(&request.repository).join("HEAD").exists();
            match state.faults.get(&request.repository) {
                Some((stage, fault)) if applies(*stage) => Some(fault.clone()),
                None if !known && state.unknown_is_401 => {
                    Some(Fault::Credentials(String::new(), String::new()))
                }
                _ => None,
            }
        };
        // The client may be gone.
        let _ = self.answer(&request, fault, &connection, began);
        let _ = connection.shutdown(std::net::Shutdown::Both);
    }

    fn answer(
        &self,
        request: &Request,
        fault: Option<Fault>,
        mut to: &TcpStream,
        began: Instant,
    ) -> std::io::Result<()> {
        let mut answer = match &fault {
            Some(Fault::Hangup) => return Ok(()),
            Some(Fault::StallBeforeHeaders) => {
                self.stall(&request.repository);
                self.backend(request, None)?
            }
            Some(Fault::Status(status, headers)) => Answer::new(*status, headers, b"no\n"),
            Some(Fault::Redirect(base)) => {
                let Request { service, query, .. } = request;
                Answer::new(301, &[format!("Location: {base}/{service}?{query}")], b"")
            }
            Some(Fault::Garbage) => {
                let kind = format!("Content-Type: application/x-{}-result", request.service);
                Answer::new(200, &[kind], b"<html>Please log in to this hotel</html>\n")
            }
            Some(Fault::Credentials(user, password)) => {
                let expected = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
                if request.header("authorization") == expected && !user.is_empty() {
                    self.backend(request, None)?
                } else {
                    Answer::new(401, &["WWW-Authenticate: Basic realm=\"test\"".into()], b"no\n")
                }
            }
            fault => self.backend(request, fault.as_ref())?,
        };
        // What goes before it (acknowledgements) may come in an answer of its own.
        if request.is_fetch() && contains(&answer.body, b"packfile\n") {
            let (repository, wants) = (request.repository.clone(), request.wants());
            let agent = request.header("user-agent").to_owned();
            self.state.lock().unwrap().transfers.push(Transfer { repository, wants, agent, began });
        }
        let mut announced = answer.body.len();
        let mut sent = answer.body.len();
        match fault {
            Some(Fault::Truncate(bytes) | Fault::StallInBody(bytes) | Fault::Trickle(bytes)) => {
                sent = bytes.min(sent);
            }
            Some(Fault::TooShort(bytes)) => announced = announced.saturating_sub(bytes),
            Some(Fault::Flip) => {
                let middle = answer.body.len() / 2;
                if let Some(byte) = answer.body.get_mut(middle) {
                    *byte ^= 4;
                }
            }
            _ => {}
        }
        let mut head =
            format!("HTTP/1.1 {}\r\nContent-Length: {announced}\r\nConnection: close\r\n", answer.status);
        for header in &answer.headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        to.write_all(head.as_bytes())?;
        to.write_all(&answer.body[..sent])?;
        let rest = &answer.body[sent..];
        match fault {
            Some(Fault::StallInBody(_)) => {
                self.stall(&request.repository);
                to.write_all(rest)
            }
            Some(Fault::Trickle(_)) => rest.iter().try_for_each(|byte| {
                to.write_all(&[*byte])?;
                match self.wait(Duration::from_secs(1), |state| state.ended) {
                    true => Err(std::io::ErrorKind::ConnectionAborted.into()),
                    false => Ok(()),
                }
            }),
            _ => Ok(()),
        }
    }

    fn stall(&self, repository: &str) {
        let mark = |by: isize| {
            let mut state = self.state.lock().unwrap();
            let counts = state.counts.entry(repository.to_owned()).or_default();
            counts.stalled = counts.stalled.saturating_add_signed(by);
            let stalled = state.counts.values().map(|counts| counts.stalled).sum();
            state.most_stalled = state.most_stalled.max(stalled);
            self.changed.notify_all();
            state.releases
        };
        let before = mark(1);
        self.wait(Duration::from_secs(600), |state| state.releases != before || state.ended);
        mark(-1);
    }

    /// Waits until `wanted`, but no longer than `bound`; whether it is so.
    fn wait(&self, bound: Duration, wanted: impl Fn(&State) -> bool) -> bool {
        let state = self.state.lock().unwrap();
        let (state, _) = self.changed.wait_timeout_while(state, bound, |state| !wanted(state)).unwrap();
        wanted(&state)
    }

    /// What git itself answers.
    fn backend(&self, request: &Request, fault: Option<&Fault>) -> std::io::Result<Answer> {
        let mut command = hermetic(self.backend.to_str().unwrap());
        command
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", format!("/{}/{}", request.repository, request.service))
            .env("QUERY_STRING", &request.query)
            .env("REQUEST_METHOD", &request.method)
            .env("CONTENT_TYPE", request.header("content-type"))
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
            .env("REMOTE_ADDR", "127.0.0.1");
        if fault != Some(&Fault::OldProtocol) {
            command.env("GIT_PROTOCOL", request.header("git-protocol"));
        }
        if let Some(Fault::BundleUri(uri)) = fault {
            let settings = [
                ("uploadpack.advertiseBundleURIs", "true"),
                ("bundle.version", "1"),
                ("bundle.mode", "all"),
                ("bundle.one.uri", uri),
            ];
            command.env("GIT_CONFIG_COUNT", settings.len().to_string());
            for (n, (name, value)) in settings.iter().enumerate() {
                command.env(format!("GIT_CONFIG_KEY_{n}"), name).env(format!("GIT_CONFIG_VALUE_{n}"), value);
            }
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(&request.body));
            child.wait_with_output()
        })?
        .stdout;
        let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(output.len());
        let mut answer = Answer { status: "200 OK".into(), headers: Vec::new(), body: Vec::new() };
        answer.body = output.get(end + 4..).unwrap_or_default().to_vec();
        for line in String::from_utf8_lossy(&output[..end]).lines() {
            match line.strip_prefix("Status: ") {
                Some(status) => answer.status = status.to_owned(),
                None => answer.headers.push(line.to_owned()),
            }
        }
        Ok(answer)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number =
            three.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            match digit <= three.len() {
                true => text.push(DIGITS[(number >> (18 - 6 * digit)) as usize & 63] as char),
                false => text.push('='),
            }
        }
    }
    text
}
