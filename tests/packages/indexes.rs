//! Several indexes of Python projects: what they have is one, and each answers for itself.

use super::place::Place;
use super::registry::{Fault, Registry};

/// A place whose pip asks `other` after its own index, and that other one.
fn two() -> (Place, Registry) {
    let (place, other) = (Place::new(), Registry::start_at("127.0.0.2"));
    place.client.extra_index(&other.url("/pypi/simple/"));
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
            let error = place.refused("pypi/absent");
            assert!(error.contains("private"), "nobody has it: {error}");
            place.json(&["clear", "pypi/lib"]);
        }
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
