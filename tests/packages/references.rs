//! What stands after `@`: versions, ranges and tags, as the ecosystem's own client reads them.

use super::mounted2::errno;
use super::place::Place;

/// What a version of a test says of itself.
fn file(version: &str) -> [(&'static str, String); 1] {
    [("version.txt", version.to_owned())]
}

/// `npm/lib`, with a version of each sort.
fn npm(place: &Place) {
    let lib = place.registry.npm("lib");
    let versions = ["16.0.0", "17.0.2", "18.2.0", "18.3.1", "19.0.0-rc.1", "19.0.0"];
    let lib = versions.iter().fold(lib, |lib, version| lib.version(version, &file(version)));
    lib.tag("latest", "18.3.1").tag("next", "19.0.0");
}

#[test]
fn npm_packages_by_version_range_and_tag() {
    let mut place = Place::new();
    npm(&place);
    place.mount();
    for (reference, version) in [
        ("", "18.3.1"),
        ("@18.2.0", "18.2.0"),
        ("@17", "17.0.2"),
        ("@^18.0.0", "18.3.1"),
        ("@>=16 <18", "17.0.2"),
        ("@next", "19.0.0"),
        ("@19.0.0-rc.1", "19.0.0-rc.1"),
    ] {
        assert_eq!(place.cat(&format!("npm/lib{reference}/version.txt")), version, "{reference}");
    }
    assert_eq!(place.registry.downloads_of("npm", "lib"), 5, "each version came once");
}

#[test]
fn crates_and_projects_by_version_and_range() {
    let mut place = Place::new();
    let krate = place.registry.crates("my-crate").version("0.9.0", &file("0.9.0"));
    let krate = krate.version("1.2.0", &file("1.2.0")).version("1.2.7", &file("1.2.7"));
    krate.version("1.3.0", &file("1.3.0")).yanked().version("2.0.0-alpha.1", &file("2.0.0-alpha.1"));
    let project = place.registry.pypi("my-project").sdist("1.0", &file("1.0"));
    let project = project.sdist("2.31.0", &file("2.31.0")).sdist("2.32.0", &file("2.32.0")).yanked("broken");
    project.sdist("3.0rc1", &file("3.0rc1"));
    place.mount();
    for (name, version) in [
        ("crates/my-crate", "1.2.7"),
        ("crates/my-crate@1", "1.2.7"),
        ("crates/my-crate@=1.2.0", "1.2.0"),
        ("crates/my-crate@0.9", "0.9.0"),
        ("crates/my-crate@1.3.0", "1.3.0"),
        ("crates/my-crate@2.0.0-alpha.1", "2.0.0-alpha.1"),
        ("pypi/my-project", "2.31.0"),
        ("pypi/my-project@~=2.0", "2.31.0"),
        ("pypi/my-project@<2", "1.0"),
        ("pypi/my-project@1.0.0", "1.0"),
        ("pypi/my-project@2.32.0", "2.32.0"),
        ("pypi/my-project@3.0rc1", "3.0rc1"),
    ] {
        assert_eq!(place.cat(&format!("{name}/version.txt")), version, "{name}");
    }
    assert_eq!(place.attribute("crates/my-crate@1.3.0", "yanked"), "");
    assert_eq!(place.attribute("pypi/my-project@2.32.0", "yanked"), "broken");
}

#[test]
fn a_version_that_is_not_there_names_those_that_are_near() {
    let mut place = Place::new();
    npm(&place);
    place.mount();
    for (name, near) in
        [("npm/lib@18.2.1", "18.2.0"), ("npm/lib@21", "19.0.0"), ("npm/lib@beta", "latest, next")]
    {
        let path = place.path(name);
        assert_eq!(errno(std::fs::metadata(&path)), libc::ENOENT, "{name}");
        let explained = place.json(&["explain", path.to_str().unwrap()]).to_string();
        assert!(explained.contains(near), "{name}: {explained}");
    }
    let error = place.refused("npm/nothing-of-that-name");
    assert!(error.contains("the registry has no npm/nothing-of-that-name"), "{error}");
    assert_eq!(errno(std::fs::metadata(place.path("crates/nothing"))), libc::ENOENT);
    assert_eq!(errno(std::fs::metadata(place.path("pypi/nothing"))), libc::ENOENT);
}

#[test]
fn an_exact_version_is_asked_for_once_and_a_range_follows_after_an_update() {
    let mut place = Place::with("refresh = \"1s\"");
    npm(&place);
    place.mount();
    assert_eq!(place.cat("npm/lib@18.2.0/version.txt"), "18.2.0");
    assert_eq!(place.cat("npm/lib@18/version.txt"), "18.3.1");
    place.registry.npm("lib").version("18.4.0", &file("18.4.0")).tag("latest", "18.4.0");
    place.json(&["update", "npm/lib@18"]);
    assert_eq!(place.cat("npm/lib@18/version.txt"), "18.4.0");

    place.registry.reset();
    place.json(&["update", "npm/lib@18.2.0"]);
    assert_eq!(place.version("npm/lib@18.2.0"), "18.2.0");
    assert_eq!(place.registry.requests(), [], "nobody was asked what can never change");

    place.json(&["clear", "npm/lib"]);
    assert_eq!(place.version("npm/lib@18.2.0"), "18.2.0");
    assert_eq!(place.registry.lookups_of("npm", "lib"), 0, "what the registry said of it is at hand");
    assert_eq!(place.registry.downloads_of("npm", "lib"), 1);
}

#[test]
fn what_has_not_changed_does_not_come_again() {
    let place = Place::new();
    npm(&place);
    place.version("npm/lib@18");
    place.registry.reset();
    place.json(&["update", "npm/lib@18"]);
    let statuses: Vec<u16> = place.registry.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [304]);
}

#[test]
fn a_path_that_names_the_version_is_what_path_pin_prints() {
    let mut place = Place::new();
    npm(&place);
    place.mount();
    for name in ["npm/lib", "npm/lib@18", "npm/lib@18.3.1"] {
        let located = place.json(&["path", "--pin", name]);
        assert_eq!(located["path"], place.path("npm/lib@18.3.1").to_str().unwrap(), "{name}");
    }
    // `@2024.1` would be the newest 2024.1 if that one were taken away.
    place.registry.pypi("dated").sdist("2024.1", &file("2024.1"));
    let located = place.json(&["path", "--pin", "pypi/dated"]);
    assert_eq!(located["path"], place.path("pypi/dated@2024.1.0").to_str().unwrap());
    assert_eq!(place.cat("pypi/dated@2024.1.0/version.txt"), "2024.1");
}

#[test]
fn a_python_version_of_two_numbers_is_asked_for_once_if_it_exists() {
    let place = Place::new();
    place.registry.pypi("dated").sdist("2024.1", &file("2024.1"));
    assert_eq!(place.version("pypi/dated@2024.1"), "2024.1");
    assert_eq!(place.version("pypi/dated@2024"), "2024.1");
    place.registry.pypi("dated").sdist("2024.1.1", &file("2024.1.1"));
    place.json(&["update", "pypi/dated@2024"]);
    assert_eq!(place.version("pypi/dated@2024"), "2024.1.1");
    place.registry.reset();
    assert_eq!(place.json(&["update"])["references"].as_array().unwrap().len(), 1, "only the range moves");
    assert_eq!(place.registry.requests().len(), 1);
    place.json(&["clear", "pypi/dated"]);
    place.registry.reset();
    assert_eq!(place.version("pypi/dated@2024.1"), "2024.1");
    assert_eq!(place.registry.lookups_of("pypi", "dated"), 0);
}
