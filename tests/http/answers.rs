//! What the answers of servers mean: a document, one that has not changed, or why there is none.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use srcfs::error::Kind;
use srcfs::source::Progress;
use srcfs::source::http::credential::Credential;
use srcfs::source::http::{Answer, Request};
use url::Url;

use crate::server::Server;
use crate::{LONG, assert_kind, content, content_of, http};

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_document_comes_with_what_is_said_of_it() {
    let server = Server::start(|_, peer| {
        peer.answer(200, "ETag: \"one\"\r\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n", "{}")
    });
    let url = server.url("/left-pad");
    let got = content_of(Request { accept: Some("application/json"), ..Request::new(&url) }).unwrap();
    assert_eq!(got.bytes, b"{}");
    assert_eq!(got.url, url);
    assert_eq!(got.etag.as_deref(), Some("\"one\""));
    assert_eq!(got.last_modified.as_deref(), Some("Sat, 21 Nov 2026 10:00:00 GMT"));
    let asked = &server.asked()[0];
    assert_eq!(asked.target, "/left-pad");
    assert_eq!(asked.headers["accept"], "application/json");
    assert!(asked.headers["user-agent"].starts_with("srcfs/"));
    assert!(!asked.headers.contains_key("authorization"));
}

#[test]
fn a_document_may_be_zipped_and_in_chunks() {
    let body = b"the same line again\n".repeat(10_000);
    let server = Server::start({
        let body = zipped(&body);
        move |asked, peer| {
            assert_eq!(asked.headers["accept-encoding"], "gzip");
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n")?;
            for piece in body.chunks(100) {
                peer.send(format!("{:x}\r\n", piece.len()))?;
                peer.send(piece)?;
                peer.send("\r\n")?;
            }
            peer.send("0\r\n\r\n")
        }
    });
    assert!(content(&server.url("/")).unwrap().bytes == body);
}

#[test]
fn an_archive_comes_as_it_is_stored() {
    let archive = zipped(b"an archive");
    let server = Server::start({
        let archive = archive.clone();
        move |asked, peer| {
            assert_eq!(asked.headers["accept-encoding"], "identity");
            // Some servers say so of what is stored so.
            peer.answer(200, "Content-Encoding: gzip\r\n", &archive)
        }
    });
    let (mut written, progress) = (Vec::new(), Progress::default());
    let url = server.url("/a.tgz");
    let downloaded = http(LONG).download(Request::new(&url), &mut written, &progress).unwrap();
    assert!(written == archive);
    assert_eq!((downloaded.bytes, downloaded.url), (archive.len() as u64, url));
    assert_eq!(progress.bytes(), archive.len() as u64);
}

#[test]
fn an_archive_may_end_where_the_connection_does() {
    let server = Server::start(|_, peer| {
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbytes")?;
        Err(std::io::ErrorKind::Other.into())
    });
    let (url, mut written) = (server.url("/a.tgz"), Vec::new());
    http(LONG).download(Request::new(&url), &mut written, &Progress::default()).unwrap();
    assert_eq!(written, b"bytes");
}

#[test]
fn what_has_not_changed_does_not_come_again() {
    let server = Server::start(|asked, peer| match asked.headers.get("if-none-match") {
        Some(etag) if etag == "\"one\"" => peer.send("HTTP/1.1 304 X\r\nETag: \"one\"\r\n\r\n"),
        _ => peer.answer(200, "ETag: \"one\"\r\n", "{}"),
    });
    let (http, url, progress) = (http(LONG), server.url("/"), Progress::default());
    let request = Request { etag: Some("\"one\""), ..Request::new(&url) };
    let unchanged = Answer::NotModified { etag: Some("\"one\"".into()), last_modified: None };
    assert_eq!(http.get(request, &progress).unwrap(), unchanged);
    let request = Request { etag: Some("\"two\""), ..Request::new(&url) };
    assert!(matches!(http.get(request, &progress).unwrap(), Answer::Content(_)));
}

#[test]
fn an_unchanged_document_that_nobody_has_is_no_answer() {
    let server = Server::start(|_, peer| peer.send("HTTP/1.1 304 X\r\n\r\n"));
    assert_kind(content(&server.url("/")), Kind::Network);
}

#[test]
fn every_status_has_its_meaning() {
    let server = Server::start(|asked, peer| {
        let status = asked.target[1..].parse().unwrap();
        peer.answer(status, "", "<html>not content, hunter2</html>")
    });
    let token = Credential::bearer("hunter2");
    for (status, without, with) in [
        (404, Kind::NotFound, Kind::NotFound),
        (410, Kind::NotFound, Kind::NotFound),
        (401, Kind::NotFoundOrPrivate, Kind::Denied),
        (403, Kind::NotFoundOrPrivate, Kind::Denied),
        (451, Kind::Denied, Kind::Denied),
        (429, Kind::RateLimited, Kind::RateLimited),
        (400, Kind::Network, Kind::Network),
        (407, Kind::Network, Kind::Network),
        (418, Kind::Network, Kind::Network),
        (500, Kind::Network, Kind::Network),
        (502, Kind::Network, Kind::Network),
        (503, Kind::Network, Kind::Network),
        (504, Kind::Network, Kind::Network),
        (204, Kind::Network, Kind::Network),
        (206, Kind::Network, Kind::Network),
        (300, Kind::Network, Kind::Network),
        (302, Kind::Network, Kind::Network),
    ] {
        let mut url = server.url(&format!("/{status}"));
        url.set_username("somebody").unwrap();
        url.set_password(Some("hunter2")).unwrap();
        for (credential, kind) in [(None, without), (Some(&token), with)] {
            let error = assert_kind(content_of(Request { credential, ..Request::new(&url) }), kind);
            assert!(error.why().contains(&status.to_string()), "{error}");
        }
        let mut written = Vec::new();
        let download = http(LONG).download(Request::new(&url), &mut written, &Progress::default());
        assert_kind(download, without);
        assert!(written.is_empty(), "{status}: an error page is no content");
    }
}

/// A server that fails `times` times.
fn failing(times: u32, failure: &'static [u8]) -> Server {
    let begun = AtomicU32::new(0);
    Server::start(move |_, peer| {
        if begun.fetch_add(1, Ordering::SeqCst) >= times {
            return peer.answer(200, "", "at last");
        }
        peer.send(failure)?;
        Err(std::io::ErrorKind::Other.into())
    })
}

const FAILURES: [&[u8]; 7] = [
    b"HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 X\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 504 X\r\nContent-Length: 0\r\n\r\n",
    b"",
    b"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n",
];

#[test]
fn what_fails_passingly_is_asked_twice_more() {
    for failure in FAILURES {
        let server = failing(2, failure);
        assert_eq!(content(&server.url("/")).unwrap().bytes, b"at last");
        let server = failing(3, failure);
        content(&server.url("/")).unwrap_err();
        assert_eq!(server.asked().len(), 3);
    }
}

#[test]
fn what_does_not_pass_is_asked_once() {
    for failure in [
        &b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"[..],
        b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 X\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 X\r\nRetry-After: Sat, 21 Nov 2099 10:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nbegun",
    ] {
        let server = failing(1, failure);
        content(&server.url("/")).unwrap_err();
        assert_eq!(server.asked().len(), 1, "{}", String::from_utf8_lossy(failure));
    }
}

#[test]
fn how_long_to_wait_is_said() {
    let server = Server::start(|_, peer| peer.answer(429, "Retry-After: 3600\r\n", ""));
    let error = assert_kind(content(&server.url("/")), Kind::RateLimited);
    assert!(error.why().contains("3600 s"), "{error}");
}

#[test]
fn nobody_there_is_unreachable() {
    let url = {
        let server = Server::start(|_, peer| peer.answer(200, "", ""));
        server.url("/")
    };
    assert_kind(content(&url), Kind::Unreachable);
    // Reserved for names that do not exist (RFC 6761).
    assert_kind(content(&Url::parse("http://nobody.invalid/").unwrap()), Kind::Unreachable);
}

#[test]
fn what_cannot_be_sent_is_a_matter_of_the_configuration() {
    let server = Server::start(|_, peer| peer.answer(200, "", ""));
    let url = server.url("/");
    let broken = Credential::bearer("hunter2\n");
    assert_kind(content_of(Request { credential: Some(&broken), ..Request::new(&url) }), Kind::Config);
    let missing = [PathBuf::from("/nowhere/authorities.pem")];
    let encrypted = Url::parse("https://127.0.0.1:1/").unwrap();
    let error =
        assert_kind(content_of(Request { trust: &missing, ..Request::new(&encrypted) }), Kind::Config);
    assert!(error.why().contains("/nowhere/authorities.pem"), "{error}");
    assert!(server.asked().is_empty());
}

#[test]
fn a_connection_is_used_again() {
    let server = Server::start(|_, peer| peer.answer(200, "", "{}"));
    let http = http(LONG);
    for path in ["/a", "/b", "/c"] {
        http.get(Request::new(&server.url(path)), &Progress::default()).unwrap();
    }
    let connections: Vec<_> = server.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}
