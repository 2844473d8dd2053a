//! How registries are asked: against servers on the loopback that answer, misbehave and say nothing.

mod answers;
mod bounds;
mod documents;
mod encrypted;
mod proxies;
mod redirects;
mod server;

use std::time::Duration;

use srcfs::error::{Error, Kind};
use srcfs::source::Progress;
use srcfs::source::http::{Answer, Bounds, Content, Http, Request, Settings};
use url::Url;

/// Bounds that a test can wait for, on a machine that is busy with others.
const SHORT: Bounds = Bounds {
    connect: Duration::from_secs(5),
    answer: Duration::from_millis(700),
    stall: Duration::from_millis(700),
    document: Duration::from_secs(3),
    archive: Duration::from_secs(3),
    pause: Duration::from_millis(5),
};

/// Bounds that nothing in a test should reach.
const LONG: Bounds = Bounds {
    connect: Duration::from_secs(60),
    answer: Duration::from_secs(60),
    stall: Duration::from_secs(60),
    document: Duration::from_secs(120),
    archive: Duration::from_secs(120),
    pause: Duration::from_millis(5),
};

fn http(bounds: Bounds) -> Http {
    Http::new(Settings { bounds, ..Settings::default() })
}

/// Asks for the content of `url` with long bounds.
fn content(url: &Url) -> Result<Content, Error> {
    content_of(Request::new(url))
}

fn content_of(request: Request<'_>) -> Result<Content, Error> {
    match http(LONG).get(request, &Progress::default())? {
        Answer::Content(content) => Ok(content),
        other => panic!("{other:?}"),
    }
}

/// The error must be of this kind, and say why and what to do, without anything secret.
#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: Result<T, Error>, kind: Kind) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(!error.why().is_empty() && error.advice().is_some_and(|hint| !hint.is_empty()), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    error
}
