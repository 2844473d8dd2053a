//! Through a proxy, and only where one is meant.

use std::ffi::OsString;

use srcfs::config::proxies::Proxies;
use srcfs::error::Kind;
use srcfs::source::Progress;
use srcfs::source::http::{Http, Proxy, Request, Settings};
use url::Url;

use crate::server::Server;
use crate::{LONG, assert_kind};

/// A proxy that answers itself for whatever it is asked to connect to.
fn proxy() -> Server {
    Server::start(|asked, peer| match asked.target.starts_with('/') {
        true => peer.answer(200, "", "by proxy"),
        false => peer.send("HTTP/1.1 200 OK\r\n\r\n"),
    })
}

fn get(http: &Http, request: Request<'_>) -> Result<Vec<u8>, srcfs::error::Error> {
    match http.get(request, &Progress::default())? {
        srcfs::source::http::Answer::Content(content) => Ok(content.bytes),
        other => panic!("{other:?}"),
    }
}

fn with_environment(name: &'static str, value: &str) -> Http {
    let proxies = Proxies::from(|asked| (asked == name).then(|| OsString::from(value)));
    Http::new(Settings { bounds: LONG, proxies, ..Settings::default() })
}

#[test]
fn that_of_the_environment_is_used() {
    let proxy = proxy();
    let http = with_environment("HTTP_PROXY", proxy.url("/").as_str());
    let url = Url::parse("http://registry.invalid/left-pad").unwrap();
    assert_eq!(get(&http, Request::new(&url)).unwrap(), b"by proxy");
    let asked = proxy.asked();
    assert_eq!(asked[0].target, "registry.invalid:80");
    assert_eq!(asked[1].target, "/left-pad");
}

#[test]
fn one_that_is_not_reached_is_named_without_its_password() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http = with_environment("HTTP_PROXY", &format!("http://me:hunter2@{closed}"));
    let url = Url::parse("http://registry.invalid/left-pad").unwrap();
    let error = get(&http, Request::new(&url)).unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    let text = error.to_string();
    assert!(
        text.contains(&format!("through the proxy http://{closed}/")) && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn that_of_the_caller_comes_first_and_is_told_who_asks() {
    let proxy = proxy();
    let http = with_environment("ALL_PROXY", "http://127.0.0.1:1");
    let mut given = proxy.url("/");
    given.set_username("somebody").unwrap();
    given.set_password(Some("hunter2")).unwrap();
    let url = Url::parse("http://registry.invalid/left-pad").unwrap();
    let request = Request { proxy: Proxy::Through(given.as_str()), ..Request::new(&url) };
    assert_eq!(get(&http, request).unwrap(), b"by proxy");
    let asked = proxy.asked();
    assert!(asked[0].headers["proxy-authorization"].starts_with("Basic "));
    assert!(!asked[1].headers.contains_key("proxy-authorization"));
}

#[test]
fn a_proxy_that_fails_is_named_as_the_trouble() {
    let refusing = Server::start(|_, peer| {
        peer.send("HTTP/1.1 407 X\r\n\r\n")?;
        Err(std::io::ErrorKind::Other.into())
    });
    let mut given = refusing.url("/");
    given.set_username("somebody").unwrap();
    given.set_password(Some("hunter2")).unwrap();
    let url = Url::parse("http://registry.invalid/left-pad").unwrap();
    let http = with_environment("NONE", "");
    let error = get(&http, Request { proxy: Proxy::Through(given.as_str()), ..Request::new(&url) });
    let error = assert_kind(error, Kind::Unreachable);
    assert!(error.why().contains("proxy"), "{error}");
    let error = get(&http, Request { proxy: Proxy::Through("hunter2:// no url"), ..Request::new(&url) });
    assert_kind(error, Kind::Config);
}
