//! The registry misbehaves as it is told, about what it is told, and as long as it is told.

use std::io::Read;

use crate::asking::{ask, get, get_with};
use crate::registry::{Fault, Registry, USER, packing};

const PATH: &str = "/npm/demo";

fn demo() -> Registry {
    let registry = Registry::start();
    registry.npm("demo").version("1.0.0", &[("index.js", "one")]);
    registry
}

#[test]
fn a_fault_is_of_a_path_and_can_end() {
    let registry = demo();
    registry.misbehave("/npm/", Fault::Status(500, vec![]));
    registry.misbehave_times(PATH, 2, Fault::Status(429, vec!["Retry-After: 30".to_owned()]));
    let busy = get(&registry, PATH);
    assert_eq!((busy.status, busy.headers["retry-after"].as_str()), (429, "30"));
    assert_eq!(get(&registry, "/npm/demo/-/demo-1.0.0.tgz").status, 500);
    assert_eq!(get(&registry, PATH).status, 429);
    assert_eq!(get(&registry, PATH).status, 500);
    registry.behave("/npm/");
    assert_eq!(get(&registry, PATH).status, 200);
    registry.misbehave("/npm/demo/", Fault::Status(410, vec![]));
    assert_eq!(get(&registry, PATH).status, 200);
    assert_eq!(get(&registry, "/npm/demo/-/demo-1.0.0.tgz").status, 410);
    assert_eq!(registry.downloads_of("npm", "demo"), 0);
    registry.reset();
    assert!(registry.requests().is_empty());
}

#[test]
fn bodies_are_not_what_their_headers_say() {
    let registry = demo();
    let right = get(&registry, PATH).body;
    let broken = |fault| {
        registry.misbehave(PATH, fault);
        get(&registry, PATH)
    };
    let short = broken(Fault::Truncate(7));
    assert_eq!((short.body.as_slice(), short.is_whole), (&right[..7], false));
    for fault in [Fault::TooShort(3), Fault::TooLong(3)] {
        let answer = broken(fault);
        assert_eq!((&answer.body, answer.is_whole), (&right, false));
    }
    let flipped = broken(Fault::Flip);
    assert_eq!(flipped.body.iter().zip(&right).filter(|(one, other)| one != other).count(), 1);
    assert!(broken(Fault::Garbage).text().starts_with("<html>"));
    assert_eq!(broken(Fault::Body(b"{}".to_vec())).text(), "{}");
    assert!(!broken(Fault::NoEtag).headers.contains_key("etag"));
    let slow = broken(Fault::Trickle(right.len() - 2));
    assert!(slow.is_whole && slow.body == right);
}

#[test]
fn metadata_can_be_too_large_or_too_deep() {
    let registry = demo();
    let deep = {
        registry.misbehave(PATH, Fault::Deep(10_000));
        get(&registry, PATH)
    };
    assert_eq!(deep.text().matches('{').count(), 10_000);
    assert!(deep.text().ends_with('}'));
    let size = 3_000_000;
    for fault in [Fault::Large(size), Fault::Announced(size), Fault::Bomb(size)] {
        registry.misbehave(PATH, fault.clone());
        let answer = get(&registry, PATH);
        assert!(answer.is_whole, "{fault:?}");
        assert_eq!(answer.body.len() as u64, size, "{fault:?}");
        assert!(answer.json()["name"].is_string(), "{fault:?}");
        assert_eq!(answer.headers.contains_key("content-length"), matches!(fault, Fault::Announced(_)));
    }
}

#[test]
fn a_redirect_leads_elsewhere_or_nowhere() {
    let (registry, other) = (demo(), Registry::start_at("127.0.0.2"));
    registry.misbehave(PATH, Fault::Redirect(other.url("")));
    assert_eq!(get(&registry, PATH).headers["location"], other.url(PATH));
    registry.misbehave(PATH, Fault::RedirectLoop);
    let mut path = PATH.to_owned();
    for _ in 0..3 {
        let answer = get(&registry, &path);
        assert_eq!(answer.status, 302);
        assert_ne!(answer.headers["location"], path);
        path = answer.headers["location"].clone();
    }
}

#[test]
fn an_answer_waits_until_it_is_released() {
    let registry = demo();
    registry.hold(PATH);
    let held = [ask(&registry, PATH, &[]), ask(&registry, PATH, &[])];
    registry.wait_until_held(2);
    assert!(registry.requests().iter().all(|request| request.status == 0));
    assert_eq!(get(&registry, "/npm/other").status, 404);
    registry.release();
    for mut connection in held {
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    }
    for fault in [Fault::StallBeforeHeaders, Fault::StallInBody(5)] {
        registry.misbehave(PATH, fault);
        let mut connection = ask(&registry, PATH, &[]);
        registry.wait_until_held(1);
        registry.release();
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        assert!(text.ends_with('}'), "{text}");
    }
    // What hangs ends with the server.
    let mut connection = ask(&registry, PATH, &[]);
    registry.wait_until_held(1);
    drop(registry);
    let _ = connection.read_to_end(&mut Vec::new());
}

#[test]
fn a_token_is_asked_for() {
    let registry = demo();
    registry.require_token("/npm/", "secret");
    assert_eq!(get(&registry, PATH).status, 401);
    assert_eq!(get_with(&registry, PATH, &["Authorization: Bearer other"]).status, 401);
    let basic = packing::base64(format!("{USER}:secret").as_bytes());
    for shown in ["secret".to_owned(), "Bearer secret".to_owned(), format!("Basic {basic}")] {
        assert_eq!(get_with(&registry, PATH, &[&format!("Authorization: {shown}")]).status, 200);
    }
    let shown: Vec<_> = registry.requests().iter().map(|request| request.authorization().is_some()).collect();
    assert_eq!(shown, [false, true, true, true, true]);
}
