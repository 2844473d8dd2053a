//! crates: the sparse index and what it leads to.

use crate::asking::{get, get_with};
use crate::registry::{Registry, packing};

#[test]
fn the_index_has_a_line_for_each_version() {
    let registry = Registry::start();
    registry.crates("serde").version("1.0.0", &[("src/lib.rs", "//! one")]);
    registry.crates("serde").version("1.0.1", &[("src/lib.rs", "//! two")]).yanked();
    let index = get(&registry, "/crates/index/se/rd/serde");
    let lines: Vec<serde_json::Value> =
        index.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!([&lines[0]["vers"], &lines[1]["vers"]], ["1.0.0", "1.0.1"]);
    assert_eq!([&lines[0]["yanked"], &lines[1]["yanked"]], [false, true]);
    let archive = get(&registry, "/crates/dl/serde/1.0.1/download").body;
    assert_eq!(lines[1]["cksum"], packing::sha256(&archive));
    assert_eq!(registry.downloads_of("crates", "serde"), 1);
    assert_eq!(registry.lookups_of("crates", "serde"), 1);
    let condition = format!("If-None-Match: {}", index.headers["etag"]);
    assert_eq!(get_with(&registry, "/crates/index/se/rd/serde", &[&condition]).status, 304);
}

#[test]
fn names_are_where_cargo_looks_for_them() {
    let registry = Registry::start();
    for (name, path) in [("a", "1/a"), ("AB", "2/ab"), ("abc", "3/a/abc"), ("Inflector", "in/fl/inflector")] {
        registry.crates(name).version("1.0.0", &[("src/lib.rs", "")]);
        let index = get(&registry, &format!("/crates/index/{path}"));
        assert!(index.text().contains(&format!("\"name\":\"{name}\"")), "{index:?}");
    }
    assert_eq!(get(&registry, "/crates/index/in/fl/Inflector").status, 404);
    let config = get(&registry, "/crates/index/config.json").json();
    assert_eq!(config["dl"], registry.url("/crates/dl/{crate}/{version}/download"));
}

#[test]
fn a_recorded_crate_is_what_its_hash_says() {
    let registry = Registry::start();
    registry.recorded("crates", "cfg-if");
    let index = get(&registry, "/crates/index/cf/g-/cfg-if");
    for line in index.text().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let version = line["vers"].as_str().unwrap();
        let archive = get(&registry, &format!("/crates/dl/cfg-if/{version}/download")).body;
        assert_eq!(line["cksum"], packing::sha256(&archive));
    }
    assert_eq!(registry.downloads_of("crates", "cfg-if"), 2);
}

#[test]
fn archives_can_be_at_another_place() {
    let registry = Registry::start();
    registry.crates("serde").version("1.0.0", &[("src/lib.rs", "")]);
    registry.crates_at("{registry}/crates/files/{prefix}/{crate}-{version}.crate");
    let config = get(&registry, "/crates/index/config.json").json();
    assert_eq!(config["dl"], registry.url("/crates/files/{prefix}/{crate}-{version}.crate"));
    let archive = get(&registry, "/crates/files/se/rd/serde-1.0.0.crate").body;
    assert_eq!(archive, registry.crates("serde").bytes("1.0.0"));
    assert_eq!(registry.downloads_of("crates", "serde"), 1);
}
