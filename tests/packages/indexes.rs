//! Several indexes of Python projects: what they have is one, and each answers for itself.

use super::place::Place;
use super::registry::Registry;

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
