//! Whatever a server does or does not do, the answer is whole, or an error within its bound.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use srcfs::error::{Error, Kind};
use srcfs::source::Progress;
use srcfs::source::http::{Bounds, Downloaded, Request};
use url::Url;

use crate::server::{Asked, Peer, Server};
use crate::{LONG, SHORT, assert_kind, http};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
const CLOSE: io::ErrorKind = io::ErrorKind::Other;

/// Asks for a document and for an archive; both must fail so, and their connections be left.
fn fails(bounds: Bounds, kind: Kind, why: &str, answering: fn(&Asked, &mut Peer) -> io::Result<()>) {
    let server = Server::start(answering);
    let url = server.url("/x?token=hunter2");
    for error in [
        assert_kind(http(bounds).get(Request::new(&url), &Progress::default()), kind),
        assert_kind(download(bounds, &url), kind),
    ] {
        assert!(error.why().contains(why), "{error}");
    }
    server.wait_until_left();
}

fn download(bounds: Bounds, url: &Url) -> Result<Downloaded, Error> {
    http(bounds).download(Request::new(url), &mut io::sink(), &Progress::default())
}

#[test]
fn a_server_that_says_nothing_is_left() {
    fails(SHORT, Kind::TimedOut, "no answer", |_, peer| peer.stall());
}

#[test]
fn a_server_that_stops_in_the_head_is_left() {
    fails(SHORT, Kind::TimedOut, "no answer", |_, peer| {
        peer.send("HTTP/1.1 200 OK\r\nContent-")?;
        peer.stall()
    });
}

#[test]
fn a_server_that_dribbles_its_head_is_left() {
    fails(SHORT, Kind::TimedOut, "no answer", |_, peer| {
        peer.send("HTTP/1.1 200 OK\r\nX: ")?;
        peer.drip(b"x", Duration::from_millis(50))
    });
}

#[test]
fn a_server_that_stops_in_the_content_is_left() {
    fails(SHORT, Kind::TimedOut, "nothing came", |_, peer| {
        peer.send(HEAD)?;
        peer.send("begun")?;
        peer.stall()
    });
}

#[test]
fn a_byte_now_and_then_ends_at_the_bound_of_the_whole() {
    fails(SHORT, Kind::TimedOut, "not whole", |_, peer| {
        peer.send(HEAD)?;
        peer.drip(b"x", Duration::from_millis(100))
    });
}

#[test]
fn what_is_cut_off_is_no_answer() {
    fails(LONG, Kind::Network, "broke off", |_, peer| {
        peer.send(HEAD)?;
        peer.send("begun")?;
        Err(CLOSE.into())
    });
    fails(LONG, Kind::Network, "broke off", |_, peer| {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")?;
        Err(CLOSE.into())
    });
    fails(LONG, Kind::Network, "broke off", |_, peer| {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nbegun")?;
        Err(CLOSE.into())
    });
}

#[test]
fn garbage_is_no_answer() {
    for garbage in [
        &b"\x16\x03\x01 this is not http\r\n\r\n"[..],
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbanana\r\n",
    ] {
        let server = Server::start(move |_, peer| {
            peer.send(garbage)?;
            Err(CLOSE.into())
        });
        let url = server.url("/");
        assert_kind(http(LONG).get(Request::new(&url), &Progress::default()), Kind::Network);
        assert_kind(download(LONG, &url), Kind::Network);
    }
    let endless = Server::start(|_, peer| {
        peer.send("HTTP/1.1 200 OK\r\n")?;
        peer.drip(&b"X: a header again\r\n".repeat(1000), Duration::ZERO)
    });
    assert_kind(download(LONG, &endless.url("/")), Kind::Network);
}

#[test]
fn a_document_that_does_not_say_where_it_ends_is_refused() {
    let server = Server::start(|_, peer| {
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"vers\":\"1.0.0\"}\n")?;
        Err(CLOSE.into())
    });
    assert_kind(http(LONG).get(Request::new(&server.url("/")), &Progress::default()), Kind::Network);
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn damaged_compression_is_no_answer() {
    let good = zipped(&b"a line of a document\n".repeat(1000));
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let mut bad_trailer = good.clone();
    let last = bad_trailer.len() - 6;
    bad_trailer[last] ^= 1;
    for bytes in [good[..good.len() / 2].to_vec(), good[..good.len() - 4].to_vec(), flipped, bad_trailer] {
        let server = Server::start(move |_, peer| peer.answer(200, "Content-Encoding: gzip\r\n", &bytes));
        assert_kind(http(LONG).get(Request::new(&server.url("/")), &Progress::default()), Kind::Network);
    }
    let server = Server::start(|_, peer| peer.answer(200, "Content-Encoding: br\r\n", "x"));
    assert_kind(http(LONG).get(Request::new(&server.url("/")), &Progress::default()), Kind::Network);
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let bomb = Arc::new(zipped(&vec![0; 50_000_000]));
    let server = Server::start({
        let bomb = Arc::clone(&bomb);
        move |_, peer| peer.answer(200, "Content-Encoding: gzip\r\n", bomb.as_slice())
    });
    let url = server.url("/");
    let progress = Progress::default();
    let request = Request { limit: 1_000_000, ..Request::new(&url) };
    let error = assert_kind(http(LONG).get(request, &progress), Kind::TooLarge);
    assert!(error.why().contains("1 MB"), "{error}");
    assert!(progress.bytes() <= 1_000_000);
}

#[test]
fn what_is_too_large_is_not_taken() {
    // By what it says.
    let server = Server::start(|_, peer| {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")?;
        peer.drip(&[b' '; 65536], Duration::ZERO)
    });
    let url = server.url("/");
    let progress = Progress::default();
    assert_kind(http(LONG).get(Request::new(&url), &progress), Kind::TooLarge);
    assert_eq!(progress.bytes(), 0);
    // By what comes.
    let server = Server::start(|_, peer| {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        peer.drip(&[b"1000\r\n", &[b' '; 4096][..], b"\r\n"].concat(), Duration::ZERO)
    });
    let url = server.url("/");
    let mut written = Vec::new();
    let request = Request { limit: 100_000, ..Request::new(&url) };
    assert_kind(http(LONG).download(request, &mut written, &progress), Kind::TooLarge);
    assert!(written.len() <= 100_000);
    server.wait_until_left();
    // What is exactly as large as allowed is not too large.
    let server = Server::start(|_, peer| peer.answer(200, "", [0; 1000]));
    let url = server.url("/");
    http(LONG).get(Request { limit: 1000, ..Request::new(&url) }, &progress).unwrap();
}

#[test]
fn a_sink_that_is_full_ends_it() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let server = Server::start(|_, peer| {
        peer.send(HEAD)?;
        peer.drip(b"x", Duration::from_millis(5))
    });
    let url = server.url("/");
    let error = http(LONG).download(Request::new(&url), &mut Full, &Progress::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Full);
    server.wait_until_left();
}

/// Cancels once the server has been asked; the request must end long before its bounds do.
fn is_cancelled(answering: fn(&Asked, &mut Peer) -> io::Result<()>) {
    let server = Server::start(answering);
    let (url, progress) = (server.url("/"), Progress::default());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| http(LONG).get(Request::new(&url), &progress));
        server.wait_until_asked(1);
        progress.cancel();
        assert_eq!(asking.join().unwrap().unwrap_err().kind(), Kind::Interrupted);
    });
    // Not a time that is promised, but none that a bound would give.
    assert!(begun.elapsed() < Duration::from_secs(40));
    server.wait_until_left();
}

#[test]
fn who_gives_up_waits_for_no_server() {
    is_cancelled(|_, peer| peer.stall());
    is_cancelled(|_, peer| {
        peer.send(HEAD)?;
        peer.send("begun")?;
        peer.stall()
    });
    is_cancelled(|_, peer| {
        peer.send(HEAD)?;
        peer.drip(b"x", Duration::from_millis(20))
    });
    is_cancelled(|_, peer| peer.answer(503, "Retry-After: 9\r\n", ""));
}
