//! What is chosen, beside what the clients choose.

use super::*;
use crate::key::{Key, Package};

/// Versions; `!` in front is yanked, `~` is deprecated.
fn offer(versions: &[&str], tags: &[(&str, &str)]) -> Offer {
    let release = |text: &&str| Release {
        version: text.trim_start_matches(['!', '~']).to_owned(),
        yanked: text.starts_with('!').then(String::new),
        deprecated: text.starts_with('~'),
        archives: Vec::new(),
        published: None,
    };
    Offer {
        releases: versions.iter().map(release).collect(),
        tags: tags.iter().map(|(tag, version)| ((*tag).to_owned(), (*version).to_owned())).collect(),
        ..Offer::of("x", &url::Url::parse("https://registry.test").unwrap())
    }
}

fn chosen(kind: Kind, text: &str, offer: &Offer) -> Result<String> {
    let key = Key::package(Package::new(kind, "x").unwrap());
    let reference = key.reference(text).unwrap();
    choose(kind, &reference, offer, "resolve x").map(|choice| choice.release.version.clone())
}

#[test]
fn npm_chooses_as_npm_does() {
    let versions =
        ["16.0.0", "17.0.2", "18.0.0", "18.3.1", "~18.9.0", "19.0.0-rc.1", "19.0.0", "20.0.0-beta.2"];
    let offer = offer(&versions, &[("latest", "19.0.0"), ("next", "20.0.0-beta.2"), ("old", "1.0.0")]);
    for (text, version) in [
        ("", "19.0.0"),
        ("next", "20.0.0-beta.2"),
        ("18", "18.3.1"),
        ("^18.0.0", "18.3.1"),
        ("18.9.x", "18.9.0"),
        ("18.9.0", "18.9.0"),
        ("16 || 17", "17.0.2"),
        (">=17 <19", "18.3.1"),
        ("*", "19.0.0"),
        ("v17.0.2", "17.0.2"),
        ("^20.0.0-beta", "20.0.0-beta.2"),
    ] {
        assert_eq!(chosen(Kind::Npm, text, &offer).unwrap(), version, "{text}");
    }
    for text in ["15", "21", "nightly", "18.3.2", "old", "20"] {
        assert_eq!(chosen(Kind::Npm, text, &offer).unwrap_err().kind(), ErrorKind::NotFound, "{text}");
    }
    // Of one that cannot be read as a version nothing is taken, and what follows one is no part of it.
    let odd =
        super::tests::offer(&["1.0.0", "2.0.0", "1.5.0 junk", "1.6.0/../x"], &[("latest", "1.5.0 junk")]);
    for (text, version) in
        [("1.0.0 - 2.0.0", "2.0.0"), ("1.0.0 || 2.0.0", "2.0.0"), ("", "2.0.0"), ("1", "1.0.0")]
    {
        assert_eq!(chosen(Kind::Npm, text, &odd).unwrap(), version, "{text}");
    }
    let key = Key::package(Package::new(Kind::Npm, "x").unwrap());
    for text in ["1.0.0 junk", "1.0.0/../../x", "1.0.0\u{1b}[31m"] {
        assert!(key.reference(text).is_err(), "{text}");
    }
    let held_back = super::tests::offer(&["1.0.0", "1.1.0", "1.2.0"], &[("latest", "1.1.0")]);
    assert_eq!(chosen(Kind::Npm, "1", &held_back).unwrap(), "1.1.0", "what latest names, if it fits");
    let discouraged = super::tests::offer(&["1.0.0", "~1.1.0"], &[("latest", "1.1.0")]);
    assert_eq!(chosen(Kind::Npm, "*", &discouraged).unwrap(), "1.0.0", "also of all");
}

/// What npm's own semver (7.x, `maxSatisfying`) answers, recorded: a line a range, and the version or `null`.
#[test]
fn ranges_mean_what_they_mean_to_npm() {
    let recorded = |file: &str| {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/versions").join(file);
        std::fs::read_to_string(path).unwrap()
    };
    let (versions, ranges) = (recorded("npm.versions"), recorded("npm.ranges"));
    let versions: Vec<&str> = versions.lines().collect();
    let offer = offer(&versions, &[]);
    let key = Key::package(Package::new(Kind::Npm, "x").unwrap());
    let mut wrong = Vec::new();
    for line in ranges.lines() {
        let (text, wanted) = line.split_once('\t').unwrap();
        // A dist-tag, or nothing, is none.
        let reference = key.reference(text).ok().filter(|one| *one != Reference::Default);
        let found = reference.and_then(|reference| choose(Kind::Npm, &reference, &offer, "x").ok());
        let found = found.map_or("null", |choice| &choice.release.version);
        // That one is of deno_semver's own: below the lowest of all versions there is nothing.
        if found != wanted && !text.trim().is_empty() && text != "<0.0.0-z" {
            wrong.push(format!("{text:?}: {found}, to npm {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn crates_are_chosen_as_cargo_does() {
    let versions = ["0.9.0", "0.10.1", "1.0.0", "1.2.0", "1.2.7", "!1.3.0", "2.0.0-alpha.1", "1.9.0+build.5"];
    let offer = offer(&versions, &[]);
    for (text, version) in [
        ("", "1.9.0+build.5"),
        ("1", "1.9.0+build.5"),
        ("1.2", "1.2.7"),
        ("0", "0.10.1"),
        ("~1.2.0", "1.2.7"),
        (">=0.9, <1", "0.10.1"),
        ("1.3.0", "1.3.0"),
        ("1.9.0", "1.9.0+build.5"),
        ("2.0.0-alpha.1", "2.0.0-alpha.1"),
        ("^2.0.0-alpha", "2.0.0-alpha.1"),
    ] {
        assert_eq!(chosen(Kind::Crates, text, &offer).unwrap(), version, "{text}");
    }
    let twins = super::tests::offer(&["1.0.0+a", "1.0.0+b", "2.0.0"], &[]);
    for text in ["1.0.0+a", "1.0.0+b", "2.0.0"] {
        assert_eq!(chosen(Kind::Crates, text, &twins).unwrap(), text);
    }
    for text in ["1.3", "2", "=1.3.0", "3.0.0", "1.9.0+other"] {
        assert_eq!(chosen(Kind::Crates, text, &offer).unwrap_err().kind(), ErrorKind::NotFound, "{text}");
    }
    assert_eq!(chosen(Kind::Crates, "", &super::tests::offer(&["0.1.0-a"], &[])).unwrap(), "0.1.0-a");
}

#[test]
fn projects_are_chosen_by_pep_440() {
    let versions = ["1.0", "2.0.0", "2.31.0", "!2.32.0", "2.33.0rc1", "2024.1", "2024.1.1", "1!0.1"];
    let offer = offer(&versions, &[]);
    for (text, version) in [
        ("", "1!0.1"),
        ("2", "2.31.0"),
        ("1", "1.0"),
        ("2.31", "2.31.0"),
        ("2024", "2024.1.1"),
        ("2024.1", "2024.1"),
        ("~=2.0", "2.31.0"),
        (">=2,<3", "2.31.0"),
        (">=2.33.0rc1,<3", "2.33.0rc1"),
        ("2.32.0", "2.32.0"),
        ("1.0.0", "1.0"),
        ("==2.32.0", "2.32.0"),
        ("===2.32.0", "2.32.0"),
    ] {
        assert_eq!(chosen(Kind::Pypi, text, &offer).unwrap(), version, "{text}");
    }
    let two_numbers = super::tests::offer(&["!1.0", "0.9"], &[]);
    for text in ["1.0", "==1.0", "===1.0", "1.0.0"] {
        assert_eq!(chosen(Kind::Pypi, text, &two_numbers).unwrap(), "1.0", "{text}: yanked, and named");
    }
    assert!(chosen(Kind::Pypi, "==1.*", &two_numbers).is_err());
    let again = super::tests::offer(&["!1.0.0", "1.0", "!1.0+local", "2.0rc1", "2.0rc2"], &[]);
    for text in ["==1.0", "1.0.0", ">=1,!=2.0rc1"] {
        assert_eq!(
            chosen(Kind::Pypi, text, &again).unwrap(),
            "1.0",
            "{text}: one that is not yanked will do"
        );
    }
    for text in ["3", "==2.32.*", "2.34.0"] {
        assert_eq!(chosen(Kind::Pypi, text, &offer).unwrap_err().kind(), ErrorKind::NotFound, "{text}");
    }
    let early = super::tests::offer(&["2.0rc1", "2.0", "2.1.dev1", "2.1b2", "2.1rc1", "2.1", "2.2a1"], &[]);
    for (text, version) in [
        ("<2.1rc1,>=2.0rc1", "2.1b2"),
        ("<2.1b2,>=2.0rc1", "2.1.dev1"),
        ("<=2.1rc1,>=2.0rc1", "2.1rc1"),
        ("<2.1,>=2.0rc1", "2.0"),
        ("<2.2,>=2.0rc1", "2.1"),
    ] {
        assert_eq!(chosen(Kind::Pypi, text, &early).unwrap(), version, "{text}");
    }
    let only_early = super::tests::offer(&["1.0a1", "1.0b1"], &[]);
    assert_eq!(chosen(Kind::Pypi, "", &only_early).unwrap(), "1.0b1");
}

#[test]
fn a_python_version_of_two_numbers_is_exact_if_it_exists() {
    let offer = offer(&["2024.1", "2", "2.31.0"], &[]);
    let key = Key::package(Package::new(Kind::Pypi, "x").unwrap());
    let choice = |reference: &Reference| choose(Kind::Pypi, reference, &offer, "resolve x").unwrap();
    for (text, version, moving) in
        [("2024.1", "2024.1", false), ("2024", "2024.1", true), ("2", "2", false), ("2.31", "2.31.0", true)]
    {
        let chosen = choice(&key.reference(text).unwrap());
        assert_eq!((chosen.release.version.as_str(), chosen.moving), (version, moving), "{text}");
    }
    // A pin is that version whatever else begins so, and its text means nothing else.
    let pin = Reference::exact_version(Kind::Pypi, "2").unwrap();
    assert_eq!(choice(&pin).release.version, "2");
    assert_eq!(key.reference(&pin.to_string()).unwrap(), pin);
    assert_eq!(pin.to_string(), "2.0.0");
}

#[test]
fn a_missing_version_names_those_that_are_near() {
    let offer = offer(&["1.0.0", "1.2.3", "1.2.4", "2.0.0"], &[("latest", "2.0.0")]);
    let advice = |text: &str| {
        let error = chosen(Kind::Npm, text, &offer).unwrap_err();
        error.advice().unwrap_or_default().to_owned()
    };
    assert!(advice("1.2.5").starts_with("the nearest are 1.2.4, 1.2.3"), "{}", advice("1.2.5"));
    assert!(advice("^3").starts_with("the newest are 2.0.0, 1.2.4"), "{}", advice("^3"));
    assert_eq!(advice("beta"), "its tags are latest");
    let empty = chosen(Kind::Npm, "1", &super::tests::offer(&[], &[])).unwrap_err();
    assert!(empty.why().contains("has no version") && empty.advice().is_none(), "{empty}");
    let none = super::tests::offer(&["!1.0.0"], &[]);
    assert!(chosen(Kind::Crates, "", &none).unwrap_err().why().contains("yanked"));
    let one = super::tests::offer(&["1.0.0", "!1.2.0", "!2.0"], &[]);
    for (kind, text, hint) in [
        (Kind::Crates, "1.2", "write @1.2.0"),
        (Kind::Crates, "=1.2.0", "write @1.2.0"),
        (Kind::Pypi, "1.2", "write @1.2.0"),
        (Kind::Pypi, ">=2,<3", "write @2.0.0"),
    ] {
        let error = chosen(kind, text, &one).unwrap_err();
        assert!(error.why().contains("was yanked"), "{text}: {error}");
        assert!(error.advice().unwrap().starts_with(hint), "{text}: {error}");
    }
    assert!(!chosen(Kind::Crates, "3", &one).unwrap_err().why().contains("yanked"));
}
