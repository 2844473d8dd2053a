//! How the registry answers a request: as it should, or in the way a test wants it to go wrong.

use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::configuration::USER;
use super::http::{Answer, Chunks, read};
use super::{Fault, Request, Shared, State, covers, crates, packing, pypi};

/// What there is at a path.
enum Found {
    /// Something that clients ask again about: of this content type.
    Document(&'static str, String),
    Archive(Vec<u8>),
    Moved(String),
    Nothing,
}

const JSON: &str = "application/json";
const ABBREVIATED: &str = "application/vnd.npm.install-v1+json";
const SIMPLE: &str = "application/vnd.pypi.simple.v1+json";

impl Shared {
    /// Answers what comes on a connection, until one of the two ends it.
    pub(super) fn serve(&self, connection: &TcpStream) {
        let Ok(peer) = connection.peer_addr() else { return };
        if let Ok(other) = connection.try_clone() {
            self.state().connections.insert(peer, other);
        }
        let mut input = BufReader::new(connection);
        while let Some(request) = read(&mut input) {
            if !self.answer(request, connection).unwrap_or(false) {
                break;
            }
        }
        self.state().connections.remove(&peer);
        let _ = connection.shutdown(Shutdown::Both);
    }

    /// Answers one request, and says whether the connection is good for another.
    fn answer(&self, request: Request, to: &TcpStream) -> std::io::Result<bool> {
        // What is released after a request came does not hold it any more.
        let (number, is_held, releases) = {
            let mut state = self.state();
            if state.ended {
                return Ok(false);
            }
            state.requests.push(request.clone());
            let number = state.forgotten + state.requests.len() - 1;
            (number, state.held.iter().any(|rule| covers(rule, &request.path)), state.releases)
        };
        self.changed.notify_all();
        if is_held {
            self.stall(releases);
        }
        let fault = self.state().fault(&request.path);
        match fault {
            Some(Fault::Hangup) => return Ok(false),
            Some(Fault::StallBeforeHeaders) => self.stall(releases),
            _ => {}
        }
        let mut answer = self.properly(&request, fault.as_ref());
        if let Some(fault) = &fault {
            spoil(&mut answer, fault, &request);
        }
        {
            let mut state = self.state();
            // It is gone if the test has forgotten the requests meanwhile.
            if let Some(number) = number.checked_sub(state.forgotten) {
                state.requests[number].status = answer.status;
            }
        }
        self.changed.notify_all();
        let is_kept = self.send(&answer, fault.as_ref(), &request, releases, to)?;
        Ok(is_kept && !request.header("connection").eq_ignore_ascii_case("close"))
    }

    /// Waits until there were more than so many releases.
    fn stall(&self, releases: u64) {
        let mut state = self.state();
        state.waiting += 1;
        self.changed.notify_all();
        while state.releases == releases {
            state = self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state.waiting -= 1;
    }

    /// The answer as it should be.
    fn properly(&self, request: &Request, fault: Option<&Fault>) -> Answer {
        // It is the proxy of a test, and answers itself for everybody else.
        if request.method == "CONNECT" {
            return Answer::new(200, &[], b"");
        }
        if !["GET", "HEAD"].contains(&request.method.as_str()) {
            return Answer::new(405, &["Content-Type: text/plain"], b"this registry only reads\n");
        }
        let state = self.state();
        if !state.admits(request) {
            let scheme = if request.path.starts_with("/crates/") { "Cargo" } else { "Basic realm=\"test\"" };
            return Answer::new(401, &[&format!("WWW-Authenticate: {scheme}")], b"no\n");
        }
        match state.find(request) {
            Found::Nothing => {
                Answer::new(404, &[&format!("Content-Type: {JSON}")], b"{\"error\":\"Not found\"}\n")
            }
            Found::Moved(path) => Answer::new(301, &[&format!("Location: {path}")], b""),
            Found::Archive(bytes) => {
                let mut answer = Answer::new(200, &["Content-Type: application/octet-stream"], &bytes);
                answer
                    .headers
                    .extend(state.last_modified.iter().map(|time| format!("Last-Modified: {time}")));
                answer
            }
            Found::Document(kind, text) => {
                let text = text.replace("{registry}", &self.base);
                let kind = format!("Content-Type: {kind}");
                let mut answer = Answer::new(200, &[&kind, "Vary: Accept, Accept-Encoding"], text.as_bytes());
                if fault != Some(&Fault::NoEtag) {
                    let tag = format!("\"{}\"", &packing::sha256(text.as_bytes())[..32]);
                    answer.headers.push(format!("ETag: {tag}"));
                    let known = request.header("if-none-match");
                    if known == "*" || known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
                    {
                        (answer.status, answer.body) = (304, Vec::new());
                        return answer;
                    }
                }
                if fault != Some(&Fault::Plain) && request.header("accept-encoding").contains("gzip") {
                    answer.headers.push("Content-Encoding: gzip".to_owned());
                    answer.body = packing::gzip(&answer.body);
                }
                answer
            }
        }
    }

    /// Sends an answer, and says whether the connection is good for another.
    fn send(
        &self,
        answer: &Answer,
        fault: Option<&Fault>,
        request: &Request,
        releases: u64,
        mut to: &TcpStream,
    ) -> std::io::Result<bool> {
        let body = &answer.body;
        let length = body.len() as u64;
        if request.method == "HEAD" {
            to.write_all(answer.head(Some(length)).as_bytes())?;
            return Ok(true);
        }
        let part = |count: usize| &body[..count.min(body.len())];
        match fault {
            Some(Fault::StallInBody(count) | Fault::Trickle(count)) => {
                to.write_all(answer.head(Some(length)).as_bytes())?;
                to.write_all(part(*count))?;
                let rest = &body[part(*count).len()..];
                if let Some(Fault::Trickle(_)) = fault {
                    for byte in rest.chunks(1) {
                        std::thread::sleep(Duration::from_millis(200));
                        to.write_all(byte)?;
                    }
                } else {
                    self.stall(releases);
                    to.write_all(rest)?;
                }
                return Ok(true);
            }
            Some(Fault::Truncate(count)) => {
                to.write_all(answer.head(Some(length)).as_bytes())?;
                to.write_all(part(*count))?;
            }
            Some(Fault::TooShort(count)) => {
                to.write_all(answer.head(Some(length.saturating_sub(*count as u64))).as_bytes())?;
                to.write_all(body)?;
            }
            Some(Fault::TooLong(count)) => {
                to.write_all(answer.head(Some(length + *count as u64)).as_bytes())?;
                to.write_all(body)?;
            }
            Some(Fault::Announced(size)) => {
                to.write_all(answer.head(Some(*size)).as_bytes())?;
                filler(&mut to, *size)?;
            }
            Some(Fault::Large(size)) => {
                to.write_all(answer.head(None).as_bytes())?;
                let mut chunks = Chunks(to);
                filler(&mut chunks, *size)?;
                chunks.finish()?;
            }
            Some(Fault::Bomb(size)) => {
                to.write_all(answer.head(None).as_bytes())?;
                let mut encoder = GzEncoder::new(Chunks(to), Compression::default());
                filler(&mut encoder, *size)?;
                encoder.finish()?.finish()?;
            }
            _ => {
                to.write_all(answer.head(Some(length)).as_bytes())?;
                to.write_all(body)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl State {
    /// The fault of an answer about this path; one of those of which there are only so many is used up.
    fn fault(&mut self, path: &str) -> Option<Fault> {
        let rules = self.faults.iter().filter(|(rule, _)| covers(rule, path));
        let rule = rules.max_by_key(|(rule, _)| rule.len())?.0.clone();
        let (fault, left) = self.faults.get_mut(&rule)?;
        let fault = fault.clone();
        if let Some(left) = left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.faults.remove(&rule);
            }
        }
        Some(fault)
    }

    fn token(&self, path: &str) -> Option<&String> {
        let rules = self.tokens.iter().filter(|(rule, _)| covers(rule, path));
        rules.max_by_key(|(rule, _)| rule.len()).map(|(_, token)| token)
    }

    fn admits(&self, request: &Request) -> bool {
        let Some(token) = self.token(&request.path) else { return true };
        let shown = request.header("authorization");
        let basic = packing::base64(format!("{USER}:{token}").as_bytes());
        shown == token || shown == format!("Bearer {token}") || shown == format!("Basic {basic}")
    }

    fn find(&self, request: &Request) -> Found {
        let path = request.path.as_str();
        let archive = |bytes: Option<&[u8]>| bytes.map(|bytes| Found::Archive(bytes.to_vec()));
        let found = if let Some(path) = path.strip_prefix("/npm/") {
            match path.split_once("/-/") {
                Some((name, file)) => archive(self.npm.get(name).and_then(|one| one.archive(file))),
                None => self.packument(path, request),
            }
        } else if path == "/crates/index/config.json" {
            let mut text = serde_json::json!({
                "dl": self.dl.as_deref().unwrap_or("{registry}/crates/dl/{crate}/{version}/download"),
                "api": "{registry}/crates",
            });
            if self.token(path).is_some() {
                text["auth-required"] = true.into();
            }
            Some(Found::Document(JSON, text.to_string()))
        } else if let Some(path) = path.strip_prefix("/crates/index/") {
            let mut known = self.crates.iter();
            known
                .find(|(name, _)| crates::index_path(name) == path)
                .map(|(_, one)| Found::Document("text/plain", one.index()))
        } else if let Some(path) = path.strip_prefix("/crates/dl/") {
            path.strip_suffix("/download")
                .and_then(|path| path.split_once('/'))
                .and_then(|(name, version)| archive(self.crates.get(name)?.archive(version)))
        } else if let Some(path) = path.strip_prefix("/crates/files/") {
            archive(self.crates.values().find_map(|one| one.file(path)))
        } else if let Some(name) = path.strip_prefix("/pypi/simple/") {
            self.project(name, request)
        } else if let Some(path) = path.strip_prefix("/pypi/files/") {
            path.split_once('/').and_then(|(name, file)| archive(self.pypi.get(name)?.archive(file)))
        } else {
            None
        };
        found.unwrap_or(Found::Nothing)
    }

    fn packument(&self, name: &str, request: &Request) -> Option<Found> {
        let package = self.npm.get(name)?;
        let is_short = request.header("accept").contains(ABBREVIATED) && !self.full_only;
        let kind = if is_short { ABBREVIATED } else { JSON };
        Some(Found::Document(kind, package.packument(name, is_short).to_string()))
    }

    fn project(&self, name: &str, request: &Request) -> Option<Found> {
        let proper = pypi::normalised(name.trim_end_matches('/'));
        let project = self.pypi.get(&proper)?;
        if name != format!("{proper}/") {
            return Some(Found::Moved(format!("/pypi/simple/{proper}/")));
        }
        let is_json = request.header("accept").contains(SIMPLE) && !self.html_only;
        Some(match is_json {
            true => Found::Document(SIMPLE, project.json(&proper).to_string()),
            false => Found::Document("text/html; charset=utf-8", project.html(&proper)),
        })
    }
}

/// Replaces what goes wrong before anything is sent.
fn spoil(answer: &mut Answer, fault: &Fault, request: &Request) {
    let json = format!("Content-Type: {JSON}");
    match fault {
        Fault::Status(status, headers) => {
            *answer = Answer { status: *status, headers: headers.clone(), body: b"no\n".to_vec() };
        }
        Fault::RedirectLoop => {
            let turn = request.target.rsplit_once("?turn=").and_then(|(_, turn)| turn.parse().ok());
            let next = turn.unwrap_or(0_u32).wrapping_add(1);
            let path = request.target.split('?').next().unwrap_or_default();
            *answer = Answer::new(302, &[&format!("Location: {path}?turn={next}")], b"");
        }
        Fault::Redirect(base) => {
            *answer = Answer::new(302, &[&format!("Location: {base}{}", request.target)], b"");
        }
        Fault::Garbage => {
            let page = b"<html>Please log in to this hotel</html>\n";
            *answer = Answer::new(200, &["Content-Type: text/html"], page);
        }
        Fault::Body(body) => *answer = Answer::new(200, &[&json], body),
        Fault::Flip => {
            let middle = answer.body.len() / 2;
            if let Some(byte) = answer.body.get_mut(middle) {
                *byte ^= 1;
            }
        }
        Fault::Deep(depth) => {
            let body = "{\"versions\":".repeat(*depth) + "1" + &"}".repeat(*depth);
            *answer = Answer::new(200, &[&json], body.as_bytes());
        }
        Fault::Large(_) | Fault::Announced(_) => *answer = Answer::new(200, &[&json], b""),
        Fault::Bomb(_) => *answer = Answer::new(200, &[&json, "Content-Encoding: gzip"], b""),
        _ => {}
    }
}

/// Writes JSON of so many bytes without ever having it in memory.
fn filler(to: &mut impl Write, size: u64) -> std::io::Result<()> {
    let (begin, end) = (b"{\"name\":\"", b"\"}");
    to.write_all(begin)?;
    let mut left = size.saturating_sub((begin.len() + end.len()) as u64);
    let block = [b'x'; 1 << 16];
    while left > 0 {
        let count = left.min(block.len() as u64);
        to.write_all(&block[..count as usize])?;
        left -= count;
    }
    to.write_all(end)
}
