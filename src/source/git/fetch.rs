//! Brings the objects of one revision into a workplace.
//!
//! The revision is asked for by its id, so that nothing that moves meanwhile is fetched by mistake.
//! A server that hands out no ids is asked for the full name instead, and what comes must be the
//! revision; otherwise it is stale, and whoever called resolves again.

use std::time::Instant;

use super::child::{Ended, Patience};
use super::command::Command;
use super::repository::Found;
use super::{Ask, Git, failure, repository};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::Key;
use crate::source::{Prepared, Progress, Resolved, Workplace};

/// Does what [`crate::source::Source::prepare`] promises.
pub(super) fn prepare(
    git: &Git,
    key: &Key,
    resolved: &Resolved,
    place: Workplace<'_>,
    progress: &Progress,
) -> Result<Prepared> {
    let revision = resolved.revision.as_str();
    let what = format!("fetch {key}@{revision}");
    repository::init(place.directory)?;
    if let Some(lender) = place.borrow {
        repository::borrow(place.directory, lender)?;
    }
    fault!("fetch.begun")?;
    let ended = fetch(git, &what, key, resolved, place, progress)?;
    // Here git has checked and indexed what came.
    fault!("fetch.received")?;

    let commit = match repository::inspect(place.directory, revision)? {
        Found::Commit(commit) => commit,
        Found::Other(_) if resolved.full_name.is_some() => return Err(moved(&what)),
        Found::Other(commit) => {
            return Err(Error::new(Kind::NotFound, what, "it is a tag and no commit")
                .hint(format!("the commit that it names is {commit}")));
        }
        Found::NoCommit(sort) => {
            return Err(Error::new(Kind::NotFound, what, format!("it is a {sort} and no commit")));
        }
    };
    let transferred = match ended.transcript.received.bytes {
        0 => repository::pack_bytes(place.directory),
        bytes => bytes,
    };
    Ok(Prepared {
        revision: resolved.revision.clone(),
        tree: commit.tree,
        modified: commit.time,
        transferred,
        stamp: None,
        about: None,
    })
}

fn fetch(
    git: &Git,
    what: &str,
    key: &Key,
    resolved: &Resolved,
    place: Workplace<'_>,
    progress: &Progress,
) -> Result<Ended> {
    let revision = resolved.revision.as_str();
    let options = git.options();
    let question = Ask {
        what,
        url: super::url_of(key)?,
        deadline: Instant::now() + options.fetch_deadline,
        patience: Patience::Progress,
        lease: place.lease,
        progress,
    };
    // git runs in `/`.
    let directory = std::path::absolute(place.directory)
        .map_err(|error| Error::io("find the directory", place.directory, &error))?;
    let ask = |wanted: &str| {
        let refspec = format!("{wanted}:{}", repository::reference_of(revision));
        git.ask(&question, |url| Command::fetch(&options.program, &directory, url, &refspec))
    };
    let (ended, url) = ask(revision)?;
    if ended.succeeded() {
        return Ok(ended);
    }
    if !failure::is_refused(&ended) {
        return Err(failure::explain(what, &url, &ended));
    }
    let Some(full_name) = &resolved.full_name else {
        return Err(Error::new(
            Kind::NotFound,
            what,
            "the server has no such commit, or hands none out by its id",
        )
        .hint("check the id; a commit that no branch or tag leads to may be gone: use a branch or tag"));
    };
    log::debug!("{what}: the server hands out no ids, asking for {full_name}");
    let (ended, url) = ask(full_name)?;
    match ended.succeeded() {
        true => Ok(ended),
        false if failure::is_refused(&ended) => Err(moved(what)),
        false => Err(failure::explain(what, &url, &ended)),
    }
}

fn moved(what: &str) -> Error {
    Error::new(Kind::Stale, what, "the reference moved on the server between asking and fetching")
}
