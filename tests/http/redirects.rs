//! Where a server may send us, and with what.

use std::sync::Mutex;

use srcfs::error::Kind;
use srcfs::source::Progress;
use srcfs::source::http::Request;
use srcfs::source::http::credential::Credential;

use crate::server::Server;
use crate::{LONG, assert_kind, content, content_of, http};

/// A server that sends on to wherever its path says: `/to/http://...`, and answers everything else.
fn sending_on() -> Server {
    Server::start(|asked, peer| match asked.target.split_once("/to/") {
        Some((_, to)) => peer.answer(302, &format!("Location: {to}\r\n"), "moved"),
        None => peer.answer(200, "", "here"),
    })
}

#[test]
fn it_is_followed_and_the_last_url_is_told() {
    let (one, other) = (sending_on(), sending_on());
    let there = other.url("/there");
    let got = content(&one.url(&format!("/to//to/{there}"))).unwrap();
    assert_eq!((got.bytes.as_slice(), &got.url), (&b"here"[..], &there));
    let url = one.url("/to//there");
    let mut written = Vec::new();
    let downloaded = http(LONG).download(Request::new(&url), &mut written, &Progress::default()).unwrap();
    assert_eq!((written.as_slice(), downloaded.url), (&b"here"[..], one.url("/there")));
}

#[test]
fn a_credential_goes_to_its_own_origin_only() {
    let (one, other) = (sending_on(), sending_on());
    let token = Credential::bearer("hunter2");
    // Within the origin, then away, then back to it.
    let back = one.url("/back");
    let away = other.url(&format!("/to/{back}"));
    let url = one.url(&format!("/to//to/{away}"));
    content_of(Request { credential: Some(&token), ..Request::new(&url) }).unwrap();
    let authorized = |server: &Server| -> Vec<bool> {
        server.asked().iter().map(|asked| asked.headers.contains_key("authorization")).collect()
    };
    assert_eq!(authorized(&one), [true, true, false]);
    assert_eq!(authorized(&other), [false]);
    assert_eq!(one.asked()[0].headers["authorization"], "Bearer hunter2");
}

#[test]
fn a_refusal_elsewhere_is_no_refusal_of_the_credential() {
    let other = Server::start(|_, peer| peer.answer(403, "", ""));
    let one = sending_on();
    let token = Credential::bearer("hunter2");
    let url = one.url(&format!("/to/{}", other.url("/x")));
    let got = content_of(Request { credential: Some(&token), ..Request::new(&url) });
    assert_kind(got, Kind::NotFoundOrPrivate);
}

#[test]
fn a_circle_is_left() {
    let server = Server::start(|_, peer| peer.answer(302, "Location: /again\r\n", ""));
    assert_kind(content(&server.url("/")), Kind::Network);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn an_endless_way_is_left() {
    let server = Server::start(|asked, peer| {
        let step: u32 = asked.target[1..].parse().unwrap();
        peer.answer(301, &format!("Location: /{}\r\n", step + 1), "")
    });
    assert_kind(content(&server.url("/0")), Kind::Network);
    assert_eq!(server.asked().len(), 11);
}

#[test]
fn other_schemes_are_not_followed() {
    for to in ["file:///etc/passwd", "ftp://127.0.0.1/", "data:,x", "http://", "http://a b/"] {
        let server = Server::start(move |_, peer| peer.answer(307, &format!("Location: {to}\r\n"), ""));
        assert_kind(content(&server.url("/")), Kind::Network);
    }
}

#[test]
fn what_was_asked_conditionally_is_so_at_the_end_of_the_way() {
    let other = Server::start(|asked, peer| {
        assert_eq!(asked.headers["if-none-match"], "\"one\"");
        peer.send("HTTP/1.1 304 X\r\n\r\n")
    });
    let one = sending_on();
    let url = one.url(&format!("/to/{}", other.url("/x")));
    let request = Request { etag: Some("\"one\""), ..Request::new(&url) };
    http(LONG).get(request, &Progress::default()).unwrap();
    assert_eq!(other.asked().len(), 1);
}

/// What srcfs itself has logged in this process.
static LOGGED: Mutex<String> = Mutex::new(String::new());

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("srcfs")
    }
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            LOGGED.lock().unwrap().push_str(&format!("{}\n", record.args()));
        }
    }
    fn flush(&self) {}
}

#[test]
fn nothing_secret_is_logged() {
    log::set_logger(&Logger).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let server = Server::start(|asked, peer| match asked.target.as_str() {
        "/logged?token=hunter2" => {
            peer.answer(302, "Location: http://somebody:hunter2@127.0.0.1:1/?token=hunter2\r\n", "")
        }
        _ => peer.answer(404, "", ""),
    });
    let token = Credential::bearer("hunter2");
    let url = server.url("/logged?token=hunter2");
    assert_kind(content_of(Request { credential: Some(&token), ..Request::new(&url) }), Kind::Unreachable);
    let logged = LOGGED.lock().unwrap();
    assert!(logged.contains("sent on") && !logged.contains("hunter2"), "{logged}");
}
