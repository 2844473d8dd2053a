//! Several indexes of Python projects: what they have is one, and each answers for itself.

use super::mounted2::run;
use super::place::Place;
use super::registry::{Fault, Registry};

/// Where the index is on the loopback.
const SIMPLE: &str = "/pypi/simple/";

/// A place whose pip asks `other` after its own index, and that other one.
fn two() -> (Place, Registry) {
    let (place, other) = (Place::new(), Registry::start_at("127.0.0.2"));
    place.client.indexes(&place.registry.url(SIMPLE), &other.url(SIMPLE));
    (place, other)
}

#[test]
fn the_versions_of_all_indexes_are_those_of_the_project() {
    let (mut place, other) = two();
    place.registry.pypi("lib").sdist("1.0", &[("a", "first")]);
    other.pypi("lib").sdist("1.0", &[("a", "later")]).sdist("2.0", &[("a", "only later")]);
    other.pypi("more").sdist("1.0", &[("a", "more")]);
    place.mount();
    assert_eq!(place.cat("pypi/lib/a"), "only later");
    assert_eq!(place.cat("pypi/lib@1.0/a"), "first");
    assert_eq!(place.cat("pypi/more/a"), "more");
    let downloads = [&place.registry, &other].map(|one| one.downloads_of("pypi", "lib"));
    assert_eq!(downloads, [1, 1]);
}

#[test]
fn each_index_leads_where_it_may_and_no_other_one_decides_that() {
    let (place, private) = (Place::new(), Registry::start_at("127.0.0.2"));
    // What is asked of a public address comes from the place's own registry, by way of a proxy.
    let public = "http://index.test/pypi/simple/";
    let get = |key: &str| {
        let proxy = place.registry.url("");
        let run = run(place.command(&["get", key]).env_remove("no_proxy").env("http_proxy", proxy));
        (run.code, run.out + &run.err)
    };
    place.registry.pypi("lib").sdist("1.0", &[("a", "public")]);
    private.pypi("lib").sdist("2.0", &[("a", "private")]);
    for (first, extra) in [(public, &*private.url(SIMPLE)), (&*private.url(SIMPLE), public)] {
        place.client.indexes(first, extra);
        let (code, said) = get("pypi/lib@2.0");
        assert_eq!(code, 0, "a private index leads to itself: {said}");
        let (code, said) = get("pypi/lib@1.0");
        assert!(code == 1 && said.contains("an address of a private network"), "{said}");
        place.json(&["clear", "pypi/lib"]);
    }
    assert_eq!(place.registry.downloads_of("pypi", "lib"), 0);
    assert_eq!(private.downloads_of("pypi", "lib"), 2);
}

#[test]
fn an_index_that_refuses_hides_nothing_of_the_others() {
    for first_refuses in [false, true] {
        let (place, other) = two();
        let (open, closed) =
            if first_refuses { (&other, &place.registry) } else { (&place.registry, &other) };
        open.pypi("lib").sdist("1.0", &[("a", "1")]);
        closed.pypi("lib").sdist("2.0", &[("a", "2")]);
        for status in [401, 403] {
            closed.misbehave("/pypi/", Fault::Status(status, vec![]));
            assert_eq!(place.version("pypi/lib"), "1.0", "{status}");
            for key in ["pypi/absent", "pypi/lib@2.0", "pypi/lib@>=2"] {
                let error = place.refused(key);
                assert!(error.contains("is private"), "the one that refused may have it: {error}");
            }
            place.json(&["clear", "pypi/lib"]);
        }
    }
}

#[test]
fn an_index_in_html_that_has_no_file_of_a_project_hides_nothing_of_the_others() {
    for first_is_empty in [true, false] {
        let (place, other) = two();
        let (full, empty) =
            if first_is_empty { (&other, &place.registry) } else { (&place.registry, &other) };
        full.pypi("lib").sdist("1.0", &[("a", "1")]);
        let page = Fault::Body(b"<!DOCTYPE html><h1>Links for lib</h1>".to_vec());
        empty.misbehave("/pypi/simple/lib/", page.clone());
        assert_eq!(place.version("pypi/lib"), "1.0");
        full.misbehave("/pypi/simple/lib/", page);
        assert!(place.refused("pypi/lib@2.0").contains("no version"), "it is in none of them");
    }
}

#[test]
fn an_index_that_fails_is_not_passed_over() {
    let (place, other) = two();
    place.registry.pypi("lib").sdist("1.0", &[("a", "1")]);
    other.pypi("lib").sdist("2.0", &[("a", "2")]);
    for failing in [&place.registry, &other] {
        for fault in [Fault::Status(500, vec![]), Fault::Hangup, Fault::Garbage] {
            failing.misbehave("/pypi/simple/", fault.clone());
            place.refused("pypi/lib");
        }
        failing.behave("/pypi/simple/");
        assert_eq!(place.version("pypi/lib"), "2.0");
        place.json(&["clear", "pypi/lib"]);
    }
}

#[test]
fn an_exact_version_stays_what_the_former_index_published_until_an_update() {
    let (place, other) = (Place::new(), Registry::start_at("127.0.0.2"));
    place.registry.pypi("lib").sdist("1.0.0", &[("a", "former")]);
    other.pypi("lib").sdist("1.0.0", &[("a", "present")]);
    let shown = || place.json(&["get", "pypi/lib@1.0.0"])["trees"][0]["tree"]["revision"].clone();
    let former = shown();
    place.client.indexes(&other.url(SIMPLE), &other.url(SIMPLE));
    assert_eq!(shown(), former);
    place.json(&["update", "pypi/lib@1.0.0"]);
    assert_ne!(shown(), former);
}
