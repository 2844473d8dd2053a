//! One request and its answer, on a thread of its own.
//!
//! The thread reads and decodes; who began it waits for its messages, with bounds and an eye on the wish
//! to stop. When the wait ends early, for whatever reason, the agent is shut down, which closes the socket:
//! a read or a handshake that hangs then fails at once and the thread ends. Two things cannot be ended so:
//! a connection that is being made, which ends at [`Bounds::connect`], and the system's search for an
//! address, which ends when the system gives it up (resolv.conf: some ten seconds). Nobody waits for
//! either. The channel holds few pieces, so a slow reader slows the server and not the memory.

use std::io::Read;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, HeaderValue};
use url::Url;

use super::agents::Taken;
use super::body::{self, Form};
use super::credential::Credential;
use super::failure::Trouble;
use super::{Bounds, Request, shown};
use crate::error::{Error, Kind, Result};
use crate::source::Progress;

/// How often the wish to stop is looked at.
const GLANCE: Duration = Duration::from_millis(100);
/// How much of the content is read at once, and how many pieces may wait to be taken.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 4;

/// What an answer begins with.
pub(super) struct Head {
    pub status: u16,
    headers: HeaderMap,
}

impl Head {
    /// The value of a header, if it is text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }
}

pub(super) enum Message {
    /// What the answer begins with. It comes once, and first.
    Head(Head),
    /// A piece of the content, decoded.
    Bytes(Vec<u8>),
    /// The content was whole.
    End,
    /// Nothing more comes.
    Failed(Trouble),
}

/// What goes over the wire.
pub(super) struct Asked<'a> {
    pub request: &'a Request<'a>,
    pub url: &'a Url,
    pub credential: Option<&'a Credential>,
    pub form: Form,
}

/// When the whole is to be there, with all that is asked again.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    bound: Duration,
    at: Instant,
}

impl Deadline {
    pub fn of(form: Form, bounds: Bounds) -> Self {
        let bound = match form {
            Form::Document => bounds.document,
            Form::Archive => bounds.archive,
        };
        Deadline { bound, at: Instant::now() + bound }
    }

    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// A request under way. Dropped, it is broken off.
pub(super) struct Exchange {
    agent: Option<Taken>,
    messages: Receiver<Message>,
    bounds: Bounds,
    /// By when the next message is due.
    due: Instant,
    deadline: Deadline,
    has_answered: bool,
}

impl Exchange {
    /// Sends the request. Fails with `Config` if none can be made of it.
    pub fn begin(
        what: &str,
        agent: Taken,
        asked: &Asked<'_>,
        bounds: Bounds,
        deadline: Deadline,
    ) -> Result<Exchange> {
        let headers = headers(what, asked)?;
        let (sender, messages) = mpsc::sync_channel(WAITING);
        let (form, limit) = (asked.form, asked.request.limit);
        let (wire, url) = (agent.agent().clone(), asked.url.clone());
        let run = move || {
            let mut call = wire.get(url.as_str());
            if let Some(all) = call.headers_mut() {
                all.extend(headers);
            }
            let last = match call.call() {
                Ok(response) => receive(response, form, limit, &sender),
                Err(error) => Message::Failed(Trouble::of(&error, &url, bounds)),
            };
            // Who does not listen any more does not need it.
            let _ = sender.send(last);
        };
        std::thread::Builder::new().name("http".into()).spawn(run).map_err(|error| {
            Error::new(Kind::Exhausted, what, format!("no thread for it ({error})")).hint("try again later")
        })?;
        let due = Instant::now() + bounds.connect + bounds.answer;
        Ok(Exchange { agent: Some(agent), messages, bounds, due, deadline, has_answered: false })
    }

    /// Waits for the next message. A bound that is reached is a message, too; only the wish to stop is
    /// an error.
    pub fn next(&mut self, what: &str, progress: &Progress) -> Result<Message> {
        let due = self.due.min(self.deadline.at);
        loop {
            if progress.is_cancelled() {
                return Err(interrupted(what));
            }
            let left = due.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left.min(GLANCE)) {
                Ok(message) => {
                    self.has_answered = true;
                    self.due = Instant::now() + self.bounds.stall;
                    return Ok(message);
                }
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    let trouble = if due == self.deadline.at {
                        Trouble::out_of_time(&format!("it was not whole within {:?}", self.deadline.bound))
                    } else if self.has_answered {
                        Trouble::out_of_time(&format!("nothing came for {:?}", self.bounds.stall))
                    } else {
                        let bound = self.bounds.connect + self.bounds.answer;
                        Trouble::out_of_time(&format!("there was no answer within {bound:?}"))
                    };
                    return Ok(Message::Failed(trouble));
                }
                Err(RecvTimeoutError::Timeout) => {}
                // It died without a word: a thread that it needed itself could not be had.
                Err(RecvTimeoutError::Disconnected) => return Ok(Message::Failed(Trouble::ended())),
            }
        }
    }

    /// Ends what came to a good end, and gives the agent for the next one.
    pub fn finish(mut self) -> Option<Taken> {
        self.agent.take()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.shut_down();
        }
    }
}

/// Waits before something is asked again.
pub(super) fn sleep(what: &str, pause: Duration, progress: &Progress) -> Result<()> {
    let until = Instant::now() + pause;
    loop {
        if progress.is_cancelled() {
            return Err(interrupted(what));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(GLANCE));
    }
}

fn interrupted(what: &str) -> Error {
    Error::new(Kind::Interrupted, what, "the caller gave up")
}

fn headers(what: &str, asked: &Asked<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: Option<&str>, secret: bool| -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            let why = format!("the value for `{name}` holds characters that cannot be sent");
            let hint = format!("look for a line break in what is configured for {}", shown(asked.url));
            Error::new(Kind::Config, what, why).hint(hint)
        })?;
        value.set_sensitive(secret);
        headers.insert(name, value);
        Ok(())
    };
    set("authorization", asked.credential.map(Credential::header), true)?;
    set("accept", asked.request.accept, false)?;
    set("accept-encoding", Some(asked.form.encodings()), false)?;
    set("if-none-match", asked.request.etag, false)?;
    set("if-modified-since", asked.request.last_modified, false)?;
    Ok(headers)
}

/// Sends the head, and the content if it is one; what is to be sent last.
fn receive(
    response: ureq::http::Response<ureq::Body>,
    form: Form,
    limit: u64,
    sender: &SyncSender<Message>,
) -> Message {
    let (parts, body) = response.into_parts();
    let is_content = parts.status.as_u16() == 200;
    let content = if is_content { body::open(&parts.headers, body, form, limit) } else { Ok(None) };
    let head = Head { status: parts.status.as_u16(), headers: parts.headers };
    if sender.send(Message::Head(head)).is_err() {
        return Message::End;
    }
    let mut content = match content {
        Ok(Some(content)) => content,
        Ok(None) => return Message::End,
        Err(trouble) => return Message::Failed(trouble),
    };
    loop {
        let mut piece = vec![0; PIECE];
        match content.read(&mut piece) {
            Ok(0) => return Message::End,
            Ok(length) => {
                piece.truncate(length);
                if sender.send(Message::Bytes(piece)).is_err() {
                    return Message::End;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Message::Failed(Trouble::of_content(error)),
        }
    }
}
