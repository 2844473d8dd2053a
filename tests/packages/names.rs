//! How packages are called: each registry's own grammar, spellings, and what is listed.

use super::mounted2::{errno, wait_until};
use super::place::Place;

const FILES: [(&str, &str); 1] = [("a", "1")];

#[test]
fn scopes_are_directories_and_listing_asks_nobody() {
    let mut place = Place::new();
    place.registry.npm("@scope/lib").version("1.0.0", &FILES);
    place.registry.npm("plain").version("2.0.0", &FILES);
    place.mount();
    assert_eq!(place.ls("npm"), Vec::<String>::new());
    assert_eq!(place.ls(""), [".srcfs", "README.md", "crates", "git", "local", "npm", "projects", "pypi"]);
    assert_eq!(place.ls("npm/@other"), Vec::<String>::new(), "a scope of which nothing is cached");
    assert_eq!(place.registry.requests(), []);

    assert_eq!(place.cat("npm/@scope/lib/a"), "1");
    assert_eq!(place.cat("npm/@scope/lib@1/a"), "1");
    assert_eq!(place.cat("npm/plain@2.0.0/a"), "1");
    wait_until("what is cached is listed", || place.ls("npm") == ["@scope", "plain@2.0.0"]);
    wait_until("what is cached is listed", || place.ls("npm/@scope") == ["lib", "lib@1"]);
    assert_eq!(place.attribute("npm/@scope/lib/a", "key"), "npm/@scope/lib");
}

#[test]
fn any_spelling_works_and_the_registrys_own_is_shown_of_one_mirror() {
    let mut place = Place::new();
    place.registry.crates("Serde_JSON").version("1.0.0", &FILES);
    place.registry.pypi("Zope.Interface").sdist("5.0", &FILES);
    place.mount();
    for name in ["crates/serde-json", "crates/serde_json", "crates/SERDE_json@1"] {
        assert_eq!(place.cat(&format!("{name}/a")), "1", "{name}");
    }
    for name in ["pypi/zope.interface", "pypi/Zope-Interface", "pypi/zope_interface@5"] {
        assert_eq!(place.cat(&format!("{name}/a")), "1", "{name}");
    }
    assert_eq!(place.ls("crates"), ["Serde_JSON", "Serde_JSON@1"]);
    assert_eq!(place.ls("pypi"), ["zope-interface", "zope-interface@5"]);
    for (kind, name) in [("crates", "Serde_JSON"), ("pypi", "zope-interface")] {
        assert_eq!(place.registry.downloads_of(kind, name), 1, "{kind}: one mirror");
    }
}

#[test]
fn a_package_is_cited_by_its_registrys_spelling_whichever_was_used_first() {
    for first in ["serde-json", "serde_json"] {
        let mut place = Place::new();
        place.registry.crates("serde_json").version("1.0.0", &FILES);
        place.registry.crates("Inflector").version("1.0.0", &FILES);
        place.mount();
        for name in [&format!("crates/{first}/a"), "crates/inflector@1/a"] {
            assert_eq!(place.cat(name), "1");
        }
        for (name, key, cited) in [
            ("serde_json", "crates/serde_json", "serde_json"),
            ("serde-json", "crates/serde_json", "serde_json"),
            ("Inflector@1", "crates/Inflector@1", "Inflector"),
            ("inflector@1", "crates/Inflector@1", "Inflector"),
        ] {
            let (root, url) = (format!("crates/{name}"), format!("pkg:cargo/{cited}"));
            assert_eq!(place.cat(&format!("{root}/a")), "1");
            assert_eq!(place.attribute(&root, "key"), key, "{name} after {first}");
            assert_eq!(place.attribute(&root, "url"), url, "{name} after {first}");
            let citation = format!("crates/{cited}@1.0.0:a:1 {}", place.attribute(&root, "hash"));
            let on_disk = format!("{}:1", place.path(&root).join("a").display());
            for asked in [on_disk, format!("{root}/a:1")] {
                let report = place.json(&["cite", &asked]);
                let one = &report["citations"][0];
                assert_eq!(one["citation"], citation, "{asked} after {first}: {report}");
                assert_eq!(one["url"], url, "{asked} after {first}");
            }
        }
    }
}

#[test]
fn npm_tells_names_apart_by_case() {
    let mut place = Place::new();
    place.registry.npm("JSONStream").version("1.0.0", &[("a", "old")]);
    place.registry.npm("jsonstream").version("1.0.0", &[("a", "new")]);
    place.mount();
    assert_eq!(place.cat("npm/JSONStream/a"), "old");
    assert_eq!(place.cat("npm/jsonstream/a"), "new");
}

#[test]
fn what_the_grammar_forbids_reaches_nobody() {
    let mut place = Place::new();
    place.mount();
    for name in [
        "npm/.hidden",
        "npm/node_modules",
        "npm/favicon.ico",
        "npm/@scope/.x",
        "npm/@",
        "npm/a%2fb",
        "npm/lib@..",
        "npm/tsconfig.json",
        "npm/AGENTS.md",
        "npm/@scope/package.json",
        "pypi/pyproject.toml",
        "crates/Makefile",
        "npm/lib@-x",
        "npm/a\u{202e}b",
        "crates/1x",
        "crates/a.b",
        "crates/x@not-a-version",
        "crates/x@../../y",
        "pypi/.x",
        "pypi/x@not a version",
        "pypi/x@%2e%2e",
    ] {
        assert_eq!(errno(std::fs::metadata(place.path(name))), libc::ENOENT, "{name}");
    }
    assert_eq!(place.registry.requests(), []);
}

#[test]
fn a_package_whose_name_programs_look_for_is_had_by_its_version() {
    let mut place = Place::new();
    place.registry.npm("package.json").version("2.0.1", &FILES);
    place.registry.pypi("pyproject.toml").sdist("0.1", &FILES);
    place.mount();
    assert_eq!(place.cat("npm/package.json/a"), "1");
    assert_eq!(place.cat("pypi/pyproject.toml@0.1/a"), "1");
}

#[test]
fn a_named_resource_may_be_a_package() {
    let mut place = Place::new();
    place.registry.npm("@scope/lib").version("1.0.0", &[("src/a", "1"), ("docs/b", "2")]);
    place.site.configure(
        "refresh = \"never\"\n[[resource]]\nname = \"docs\"\nnpm = \"@scope/lib\"\nref = \"^1\"\nsubpaths = [\"docs\"]\n",
    );
    place.mount();
    assert_eq!(place.ls("docs"), ["docs"]);
    assert_eq!(place.cat("docs/docs/b"), "2");
    assert_eq!(place.cat("docs@1.0.0/docs/b"), "2");
    assert_eq!(place.registry.downloads_of("npm", "@scope/lib"), 1);
}
