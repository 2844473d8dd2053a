//! One question from its first request to the answer: along redirects, and again where that may help.
//!
//! What fails passingly (429, 502, 503, 504, a connection that breaks off) is asked again [`AGAIN`] times
//! in all, within the bound of the whole, and only while nothing of the content has been handed on: what
//! was written to a sink cannot be taken back.

use std::io::Write;

use url::Url;

use super::body::Form;
use super::exchange::{Asked, Deadline, Exchange, Head, Message, sleep};
use super::failure::{self, Trouble};
use super::redirect::Way;
use super::{Http, Proxy, Request, shown};
use crate::error::Result;
use crate::source::Progress;

/// How often one request is asked again.
const AGAIN: u32 = 2;

/// A question.
pub(super) struct Asking<'a> {
    http: &'a Http,
    request: Request<'a>,
    form: Form,
    progress: &'a Progress,
    /// What is tried, as errors say it.
    what: String,
    deadline: Deadline,
}

/// How one attempt ended.
enum Outcome {
    Done(Head),
    SentOn,
    Failed(Trouble),
}

impl<'a> Asking<'a> {
    /// Its time begins now.
    pub fn new(http: &'a Http, request: Request<'a>, form: Form, progress: &'a Progress) -> Self {
        let what = format!("get {}", shown(request.url));
        let deadline = Deadline::of(form, http.settings.bounds);
        Asking { http, request, form, progress, what, deadline }
    }

    /// Writes the content to `sink`. What the answer began with (200, or 304 with no content), and where
    /// it came from.
    pub fn answer(&self, sink: &mut dyn Write) -> Result<(Head, Url)> {
        let mut again = 0;
        let mut way = Way::new(self.request.url);
        loop {
            let trouble = match self.attempt(&mut way, sink)? {
                Outcome::Done(head) => return Ok((head, way.here().clone())),
                Outcome::SentOn => continue,
                Outcome::Failed(trouble) => trouble,
            };
            let pause = trouble.pause(self.http.settings.bounds.pause, again);
            let Some(pause) = pause.filter(|pause| again < AGAIN && *pause < self.deadline.left()) else {
                return Err(trouble.error(&self.what));
            };
            log::debug!("{}: {}, asked again in {pause:?}", self.what, trouble.why());
            sleep(&self.what, pause, self.progress)?;
            again += 1;
        }
    }

    fn attempt(&self, way: &mut Way, sink: &mut dyn Write) -> Result<Outcome> {
        let (request, settings) = (&self.request, &self.http.settings);
        let url = way.here().clone();
        let proxy = match request.proxy {
            Proxy::Environment => settings.proxies.of(&url),
            Proxy::Direct => None,
            // As npm and cargo do, too.
            Proxy::Through(proxy) => Some(proxy).filter(|_| !settings.proxies.spares(&url)),
        };
        let credential = request.credential.filter(|_| way.is_at_origin());
        let agent = self.http.agents.take(&self.what, &url, request.trust, proxy)?;
        let asked = Asked { request, url: &url, credential, form: self.form };
        let mut exchange = Exchange::begin(&self.what, agent, &asked, settings.bounds, self.deadline)?;

        let head = match exchange.next(&self.what, self.progress)? {
            Message::Head(head) => head,
            Message::Failed(trouble) => {
                return Ok(Outcome::Failed(match proxy {
                    Some(proxy) => trouble.through(proxy),
                    None => trouble,
                }));
            }
            // Nothing comes before the head.
            Message::Bytes(_) | Message::End => return Ok(Outcome::Failed(Trouble::ended())),
        };
        let ended = match head.status {
            200 => self.take(&mut exchange, sink)?,
            304 if request.etag.is_some() || request.last_modified.is_some() => None,
            301 | 302 | 303 | 307 | 308 if head.text("location").is_some() => {
                way.follow(&self.what, &head.text("location").unwrap_or_default())?;
                self.http.agents.give_back(exchange.finish());
                return Ok(Outcome::SentOn);
            }
            _ => Some(Trouble::of_status(&head, &url, credential.is_some())),
        };
        match ended {
            Some(trouble) => Ok(Outcome::Failed(trouble)),
            None => {
                self.http.agents.give_back(exchange.finish());
                Ok(Outcome::Done(head))
            }
        }
    }

    /// Hands the content on; what came between, if nothing was handed on yet.
    fn take(&self, exchange: &mut Exchange, sink: &mut dyn Write) -> Result<Option<Trouble>> {
        let mut bytes = 0;
        loop {
            match exchange.next(&self.what, self.progress)? {
                Message::Bytes(piece) => {
                    sink.write_all(&piece).map_err(|error| failure::of_sink(&self.what, &error))?;
                    bytes += piece.len() as u64;
                    self.progress.set(bytes, 0, 0);
                }
                Message::End => return Ok(None),
                Message::Failed(trouble) if bytes == 0 => return Ok(Some(trouble)),
                Message::Failed(trouble) => return Err(trouble.error(&self.what)),
                // There is one, and it has come.
                Message::Head(_) => return Ok(Some(Trouble::ended())),
            }
        }
    }
}
