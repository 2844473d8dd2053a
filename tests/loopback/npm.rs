//! npm: packuments in both forms, scopes, tags, times, archives.

use serde_json::{Value, json};

use crate::asking::{get, get_with};
use crate::registry::{Hashes, Registry, packing};

const ABBREVIATED: &str = "Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

fn left_pad() -> Registry {
    let registry = Registry::start();
    registry
        .npm("left-pad")
        .version("1.0.0", &[("index.js", "one")])
        .published(Some("2015-01-01T00:00:00.000Z"))
        .version("1.1.0", &[("index.js", "two"), ("bin/run!", "#!/bin/sh")])
        .deprecated("use padStart")
        .version("2.0.0-rc.1", &[("index.js", "three")])
        .tag("next", "2.0.0-rc.1");
    registry
}

#[test]
fn a_packument_is_full_or_abbreviated() {
    let registry = left_pad();
    let full = get(&registry, "/npm/left-pad");
    assert_eq!(full.headers["content-type"], "application/json");
    let full = full.json();
    assert_eq!(full["dist-tags"], json!({ "latest": "1.1.0", "next": "2.0.0-rc.1" }));
    assert_eq!(full["time"]["1.0.0"], "2015-01-01T00:00:00.000Z");
    assert_eq!(full["versions"]["1.1.0"]["deprecated"], "use padStart");
    assert_eq!(full["versions"]["1.1.0"]["license"], "MIT");

    let short = get_with(&registry, "/npm/left-pad", &[ABBREVIATED]);
    assert_eq!(short.headers["content-type"], "application/vnd.npm.install-v1+json");
    let short = short.json();
    assert_eq!(short["time"], Value::Null);
    assert_eq!(short["versions"]["1.1.0"]["license"], Value::Null);
    assert_eq!(short["versions"]["1.1.0"]["dist"], full["versions"]["1.1.0"]["dist"]);

    registry.full_only();
    assert_eq!(get_with(&registry, "/npm/left-pad", &[ABBREVIATED]).json(), full);
}

#[test]
fn an_archive_has_the_hashes_that_are_published() {
    let registry = left_pad();
    let dist = &get(&registry, "/npm/left-pad").json()["versions"]["1.1.0"]["dist"];
    let path = dist["tarball"].as_str().unwrap().strip_prefix(&registry.url("")).unwrap().to_owned();
    assert_eq!(path, "/npm/left-pad/-/left-pad-1.1.0.tgz");
    let archive = get(&registry, &path).body;
    assert_eq!(dist["integrity"], packing::integrity(&archive));
    assert_eq!(dist["shasum"], packing::sha1(&archive));
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
    let entry = |entry: std::io::Result<tar::Entry<_>>| {
        let entry = entry.unwrap();
        (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
    };
    let entries: Vec<_> = tar.entries().unwrap().map(entry).collect();
    let named = |name: &str, mode| (name.to_owned(), mode);
    let expected = [
        named("package/package.json", 0o644),
        named("package/index.js", 0o644),
        named("package/bin/run", 0o755),
    ];
    assert_eq!(entries, expected);
    assert_eq!(registry.downloads_of("npm", "left-pad"), 1);
    assert_eq!(registry.lookups_of("npm", "left-pad"), 1);
}

#[test]
fn a_scoped_package_is_found_by_both_spellings() {
    let registry = Registry::start();
    registry.npm("@scope/pkg").version("1.0.0", &[("index.js", "")]);
    for path in ["/npm/@scope/pkg", "/npm/@scope%2fpkg", "/npm/@scope%2Fpkg", "/npm/%40scope%2fpkg"] {
        let document = get(&registry, path).json();
        let tarball = document["versions"]["1.0.0"]["dist"]["tarball"].as_str().unwrap();
        assert_eq!(tarball, registry.url("/npm/@scope/pkg/-/pkg-1.0.0.tgz"));
    }
    assert_eq!(get(&registry, "/npm/@scope/pkg/-/pkg-1.0.0.tgz").status, 200);
    assert_eq!(registry.downloads_of("npm", "@scope/pkg"), 1);
    assert_eq!(registry.lookups_of("npm", "@scope/pkg"), 4);
    assert_eq!(get(&registry, "/npm/pkg").status, 404);
}

#[test]
fn what_is_known_is_not_sent_again() {
    let registry = left_pad();
    let first = get_with(&registry, "/npm/left-pad", &["Accept-Encoding: gzip"]);
    assert_eq!(first.headers["content-encoding"], "gzip");
    let condition = format!("If-None-Match: {}", first.headers["etag"]);
    let again = get_with(&registry, "/npm/left-pad", &[&condition]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert!(!again.headers.contains_key("content-length"), "{again:?}");
    registry.npm("left-pad").version("1.2.0", &[("index.js", "")]);
    let changed = get_with(&registry, "/npm/left-pad", &[&condition]);
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json()["dist-tags"]["latest"], "1.2.0");
    let statuses: Vec<_> = registry.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 304, 200]);
}

#[test]
fn metadata_can_promise_what_is_not_so() {
    let (registry, other) = (Registry::start(), Registry::start_at("127.0.0.2"));
    registry
        .npm("liar")
        .version("1.0.0", &[("index.js", "")])
        .forged(packing::tgz(&[("package/evil.js".to_owned(), b"evil".to_vec())]))
        .version("2.0.0", &[("index.js", "")])
        .hashes(Hashes::Weak)
        .version("3.0.0", &[("index.js", "")])
        .hashes(Hashes::None)
        .version("4.0.0", &[("index.js", "")])
        .elsewhere(&other.url(""))
        .version("../../x", &[("index.js", "")])
        .version("5.0.0", &[("index.js", "")])
        .unpublished("5.0.0");
    let document = get(&registry, "/npm/liar").json();
    let dist = |version: &str| document["versions"][version]["dist"].clone();
    let forged = get(&registry, "/npm/liar/-/liar-1.0.0.tgz").body;
    assert_ne!(dist("1.0.0")["integrity"], packing::integrity(&forged));
    assert!(dist("2.0.0")["integrity"].is_null() && dist("2.0.0")["shasum"].is_string());
    assert!(dist("3.0.0")["integrity"].is_null() && dist("3.0.0")["shasum"].is_null());
    assert_eq!(dist("4.0.0")["tarball"], other.url("/npm/liar/-/liar-4.0.0.tgz"));
    assert!(dist("../../x")["tarball"].is_string());
    assert!(document["versions"]["5.0.0"].is_null() && document["time"]["5.0.0"].is_string());
    assert_eq!(get(&registry, "/npm/liar/-/liar-5.0.0.tgz").status, 404);
}

#[test]
fn recorded_packages_are_what_their_hashes_say() {
    let registry = Registry::start();
    for name in ["ms", "@types/ms"] {
        registry.recorded("npm", name);
        let document = get(&registry, &registry.metadata_path("npm", name)).json();
        for version in document["versions"].as_object().unwrap().values() {
            let path = version["dist"]["tarball"].as_str().unwrap().replace(&registry.url(""), "");
            assert_eq!(packing::integrity(&get(&registry, &path).body), version["dist"]["integrity"]);
        }
        assert!(document["time"].is_object() && document["dist-tags"]["latest"].is_string());
    }
    assert_eq!(registry.downloads_of("npm", "ms"), 3);
}
