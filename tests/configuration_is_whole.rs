//! A configuration file that is being written changes nothing until it is there.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[allow(dead_code, reason = "no test uses all of it")]
#[path = "cache/upstream.rs"]
mod upstream;

use std::sync::Arc;
use std::time::SystemTime;

use srcfs::config::Config;
use srcfs::view::SourceTree;
use srcfs::view::status::About;
use upstream::{World, wait_until};

const ONE: &str = "[[resource]]\nname = \"one\"\ngit = \"https://example.org/a/b.git\"\n";

#[test]
fn a_file_that_is_truncated_or_moved_away_counts_when_that_lasts() {
    let world = World::new();
    let file = world.directory().join("config.toml");
    std::fs::write(&file, ONE).unwrap();
    let about = About { directory: world.directory().join("mount"), started: SystemTime::now() };
    let config = Config::load(&file).unwrap();
    let tree = SourceTree::new(world.open(), Arc::new(world.source()), config, Some(file.clone()), about);
    let tree = tree.unwrap();
    let names = || tree.config().resources.iter().map(|one| one.name.clone()).collect::<Vec<_>>();

    std::fs::write(&file, "").unwrap();
    assert_eq!(names(), ["one"], "it is being written");
    std::fs::write(&file, ONE.replace("one", "two")).unwrap();
    assert_eq!(names(), ["two"], "what is written counts at once");
    std::fs::rename(&file, file.with_extension("old")).unwrap();
    assert_eq!(names(), ["two"], "it is being replaced");
    std::fs::rename(file.with_extension("old"), &file).unwrap();
    assert_eq!(names(), ["two"]);
    std::fs::remove_file(&file).unwrap();
    wait_until("that it is gone is believed", || names().is_empty());
    std::fs::write(&file, ONE).unwrap();
    assert_eq!(names(), ["one"]);
}
