//! The rules by which names are shown and found.

use super::*;
use crate::project::{Location, Origin, Stamp};

fn pin(ecosystem: Ecosystem, name: &str, version: &str, reach: Reach) -> Pin {
    Pin {
        ecosystem,
        name: name.to_owned(),
        version: version.to_owned(),
        origin: Origin::Registry { index: None },
        hashes: Vec::new(),
        reach,
        dev: false,
        optional: false,
        aliases: Vec::new(),
        lockfiles: Vec::new(),
    }
}

fn project(pins: Vec<Pin>) -> Project {
    let (locals, notes, broken) = (Vec::new(), Vec::new(), Vec::new());
    Project { pins, locals, notes, broken, registries: Default::default(), stamp: Stamp::default() }
}

fn shown(project: &Project, ecosystem: Ecosystem) -> Vec<String> {
    let names = project.names(ecosystem);
    names.iter().map(|(name, pin)| format!("{name} is {}", pin.version)).collect()
}

#[test]
fn one_version_has_the_bare_name_and_is_found_with_its_version_too() {
    let project = project(vec![pin(Ecosystem::Npm, "@s/a", "1.2.0", Reach::Transitive)]);
    assert_eq!(shown(&project, Ecosystem::Npm), ["@s/a is 1.2.0"]);
    assert!(project.names(Ecosystem::Crates).is_empty());
    assert_eq!(project.find(Ecosystem::Npm, "@s/a@1.2.0").unwrap().version, "1.2.0");
    assert_eq!(project.find(Ecosystem::Npm, "@s/a").unwrap().version, "1.2.0");
    for absent in ["@s/a@1.2", "@s/a@1.2.0.0", "@s", "@", "", "a", "@s/a@", "@s/a@x@1.2.0", "é@1.2.0"] {
        assert!(project.find(Ecosystem::Npm, absent).is_none(), "{absent}");
    }
}

#[test]
fn of_several_versions_the_one_of_the_root_has_the_bare_name_too() {
    let mut project = project(vec![
        pin(Ecosystem::Crates, "a", "1.9.0", Reach::Root),
        pin(Ecosystem::Crates, "a", "1.10.0", Reach::Member),
        pin(Ecosystem::Crates, "a", "2.0.0", Reach::Transitive),
    ]);
    assert_eq!(
        shown(&project, Ecosystem::Crates),
        ["a is 1.9.0", "a@1.10.0 is 1.10.0", "a@1.9.0 is 1.9.0", "a@2.0.0 is 2.0.0"]
    );
    for (name, version) in [("a", "1.9.0"), ("A", "1.9.0"), ("a@2.0.0", "2.0.0"), ("a@1.9.0", "1.9.0")] {
        assert_eq!(project.find(Ecosystem::Crates, name).unwrap().version, version);
    }
    project.pins[0].reach = Reach::Transitive;
    assert_eq!(project.find(Ecosystem::Crates, "a").unwrap().version, "1.10.0", "then a member's");
    project.pins[1].reach = Reach::Transitive;
    assert!(project.find(Ecosystem::Crates, "a").is_none(), "nobody's: only with versions");
    assert_eq!(project.names(Ecosystem::Crates).len(), 3);
}

#[test]
fn a_name_is_found_in_every_spelling_that_its_registry_takes_for_the_same() {
    let project = project(vec![
        pin(Ecosystem::Crates, "serde_json", "1.0.0", Reach::Root),
        pin(Ecosystem::Pypi, "typing-extensions", "4.0.0", Reach::Root),
        pin(Ecosystem::Npm, "JSONStream", "1.0.0", Reach::Root),
    ]);
    assert!(project.find(Ecosystem::Crates, "Serde-JSON@1.0.0").is_some());
    assert!(project.find(Ecosystem::Pypi, "Typing__Extensions@4.0").is_some(), "4.0 is 4.0.0 there");
    assert!(project.find(Ecosystem::Pypi, "typing-extensions@4.0.1").is_none());
    assert!(project.find(Ecosystem::Pypi, "typing-extensions@x").is_none());
    assert!(project.find(Ecosystem::Npm, "jsonstream").is_none(), "npm's names differ by case");
}

#[test]
fn an_alias_is_found_unless_a_package_has_its_name() {
    let mut alias = pin(Ecosystem::Npm, "ms", "0.7.1", Reach::Root);
    alias.aliases.push("old-ms".to_owned());
    let mut project = project(vec![alias, pin(Ecosystem::Npm, "ms", "2.0.0", Reach::Root)]);
    assert_eq!(project.find(Ecosystem::Npm, "ms").unwrap().version, "2.0.0", "not the aliased one");
    assert_eq!(project.find(Ecosystem::Npm, "old-ms").unwrap().version, "0.7.1");
    assert!(!project.names(Ecosystem::Npm).contains_key("old-ms"));
    project.pins.push(pin(Ecosystem::Npm, "old-ms", "9.0.0", Reach::Transitive));
    assert_eq!(project.find(Ecosystem::Npm, "old-ms").unwrap().version, "9.0.0");
}

#[test]
fn one_version_from_two_sources_is_that_of_the_root() {
    let mut fork = pin(Ecosystem::Crates, "a", "1.0.0", Reach::Root);
    fork.origin = Origin::Archive { url: Location::new("https://host.test/a.crate") };
    let project = project(vec![fork, pin(Ecosystem::Crates, "a", "1.0.0", Reach::Transitive)]);
    assert_eq!(shown(&project, Ecosystem::Crates), ["a is 1.0.0", "a@1.0.0 is 1.0.0"]);
    for name in ["a", "a@1.0.0"] {
        assert_eq!(project.find(Ecosystem::Crates, name).unwrap().reach, Reach::Root);
        assert_eq!(project.names(Ecosystem::Crates)[name].reach, Reach::Root);
    }
}

#[test]
fn one_version_from_two_sources_has_the_bare_name_though_nobody_asks_for_it() {
    let mut fork = pin(Ecosystem::Npm, "a", "1.0.0", Reach::Transitive);
    fork.origin = Origin::Archive { url: Location::new("https://host.test/a.tgz") };
    let registry = pin(Ecosystem::Npm, "a", "1.0.0", Reach::Transitive);
    let project = project(vec![registry, fork]);
    assert_eq!(shown(&project, Ecosystem::Npm), ["a is 1.0.0", "a@1.0.0 is 1.0.0"]);
    for name in ["a", "a@1.0.0"] {
        let origin = Origin::Registry { index: None };
        assert_eq!(project.find(Ecosystem::Npm, name).unwrap().origin, origin, "the registry's");
        assert_eq!(project.names(Ecosystem::Npm)[name].origin, origin);
    }
}

#[test]
fn what_is_missing_is_said_with_the_nearest_names() {
    let project = project(vec![pin(Ecosystem::Crates, "serde", "1.0.0", Reach::Root)]);
    let missing = |name| project.missing(Ecosystem::Crates, name, ["serde", "serial"].into_iter());
    let error = missing("sedre");
    assert_eq!((error.kind(), error.advice()), (Kind::NotFound, Some("pinned are serde")), "{error}");
    for (name, near) in
        [("serd", true), ("xerde", true), ("sdeer", false), ("serde-x", true), ("tokio", false)]
    {
        assert_eq!(missing(name).advice() == Some("pinned are serde"), near, "{name}");
    }
    assert!(missing(".gitignore").to_string().contains("no package can have that name"));
}

#[test]
fn what_is_pinned_in_several_versions_that_the_root_does_not_ask_for_is_said_with_them() {
    let of = |name: &str, version: &str| pin(Ecosystem::Pypi, name, version, Reach::Transitive);
    let mut project =
        project(vec![of("urllib", "1.0"), of("urllib3", "2.6.3"), of("urllib3", "2.8.0"), of("x", "1.0")]);
    let missing = |project: &Project, name| {
        let names = project.names(Ecosystem::Pypi);
        let error = project.missing(Ecosystem::Pypi, name, names.keys().map(String::as_str));
        (error.to_string(), error.advice().unwrap().to_owned())
    };
    for name in ["urllib3", "URLLIB3"] {
        let (error, advice) = missing(&project, name);
        assert!(error.contains("it is pinned in several versions, and the root asks for none"), "{error}");
        assert_eq!(advice, "name one of urllib3@2.6.3, urllib3@2.8.0");
    }
    let (error, advice) = missing(&project, "urllib3@1");
    assert!(error.contains("none of them pins it") && advice.contains("urllib3@2.8.0"), "{error}");
    for minor in 0..20 {
        project.pins.insert(0, of("urllib3", &format!("1.{minor}")));
    }
    let (_, advice) = missing(&project, "urllib3");
    assert!(advice.ends_with("urllib3@2.6.3, urllib3@2.8.0; list the directory to see all 22"), "{advice}");
}

#[test]
fn what_is_prepared_finds_what_the_pins_do() {
    let mut alias = pin(Ecosystem::Npm, "ms", "0.7.1", Reach::Root);
    alias.aliases = vec!["old-ms".to_owned(), "b".to_owned()];
    let project = project(vec![
        pin(Ecosystem::Crates, "a_b", "1.0.0", Reach::Transitive),
        pin(Ecosystem::Crates, "a_b", "2.0.0", Reach::Root),
        pin(Ecosystem::Crates, "c", "1.0.0", Reach::Transitive),
        pin(Ecosystem::Crates, "c", "2.0.0", Reach::Transitive),
        alias,
        pin(Ecosystem::Npm, "ms", "2.0.0", Reach::Root),
        pin(Ecosystem::Npm, "b", "1.0.0", Reach::Transitive),
        pin(Ecosystem::Pypi, "typing-extensions", "4.0.0", Reach::Root),
    ]);
    let prepared = Spellings::of(&project.pins);
    for ecosystem in Ecosystem::ALL {
        for name in [
            "a-b",
            "A_B",
            "a-b@1.0.0",
            "a-b@3.0.0",
            "c",
            "c@1.0.0",
            "ms",
            "ms@0.7.1",
            "old-ms",
            "old-ms@0.7.1",
            "b",
            "B",
            "Typing__Extensions@4.0",
            "typing.extensions",
            "typing-extensions@x",
            "",
            "@",
            "x",
        ] {
            assert_eq!(
                prepared.find(&project.pins, ecosystem, name),
                project.find(ecosystem, name),
                "{name}"
            );
        }
    }
}
