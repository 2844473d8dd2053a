//! Names that ask for the same share a binding: what one of them sees never keeps another from what is
//! new.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[allow(dead_code, reason = "no test uses all of it")]
#[path = "cache/upstream.rs"]
mod upstream;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use srcfs::cache::{Cache, Freshness};
use srcfs::config::Config;
use srcfs::key::Reference;
use srcfs::view::SourceTree;
use srcfs::view::status::About;
use srcfs_mount::tree::{Caller, Entry, Snapshot, Tree, View};
use upstream::{World, get, key};

const CONFIG: &str = r#"
refresh = "never"
[[host]]
name = "example.org"
url = "https://example.org/{path}.git"
[[resource]]
name = "docs"
git = "https://example.org/a/b.git"
ref = "main"
"#;
const NAMES: [&str; 2] = ["docs", "git/example.org/a/b@main"];
const NOBODY: Caller = Caller { tid: 0 };

fn tree(world: &World, cache: &Arc<Cache>) -> Arc<SourceTree> {
    let about = About { directory: world.directory().join("mount"), started: SystemTime::now() };
    let config = Config::parse(CONFIG).unwrap();
    SourceTree::new(cache.clone(), Arc::new(world.source()), config, None, about).unwrap()
}

fn view(tree: &SourceTree, path: &str) -> Arc<dyn View> {
    match tree.entry(Path::new(path)) {
        Entry::View(view) => view,
        _ => panic!("{path} is no view"),
    }
}

fn revision(snapshot: &dyn Snapshot) -> String {
    String::from_utf8(snapshot.xattr(0, "user.srcfs.revision".as_ref()).unwrap()).unwrap()
}

#[test]
fn a_name_that_is_opened_late_does_not_keep_another_on_what_is_old() {
    let world = World::new();
    let cache = world.open();
    let tree = tree(&world, &cache);
    let [one, other] = NAMES.map(|name| view(&tree, name));
    assert_eq!(one.id(), other.id(), "they share it");
    let first = revision(&*one.open(NOBODY).unwrap());

    let second = world.publish(2);
    let main = Reference::parse("main").unwrap();
    get(&cache, &world.source(), &main, Freshness::Now).unwrap();
    let late = other.local().unwrap().unwrap();
    assert_eq!(revision(&*late), second, "it sees what is new at once");
    for name in NAMES {
        assert_ne!(view(&tree, name).id(), one.id(), "{name} is bound anew");
    }

    // Also if upstream takes it back before anybody asks again.
    let [newest, late] = NAMES.map(|name| view(&tree, name));
    assert_eq!(revision(&*newest.local().unwrap().unwrap()), second);
    world.git(&["reset", "-q", "--hard", &first]);
    get(&cache, &world.source(), &main, Freshness::Now).unwrap();
    assert_eq!(revision(&*late.local().unwrap().unwrap()), first);
    world.git(&["reset", "-q", "--hard", &second]);
    get(&cache, &world.source(), &main, Freshness::Now).unwrap();
    assert_ne!(view(&tree, NAMES[0]).id(), newest.id());
    assert_eq!(cache.state(&key()).unwrap().unwrap().references.len(), 1);
}

#[test]
fn a_pointer_that_cannot_be_read_for_a_moment_changes_nothing() {
    let world = World::new();
    let cache = world.open();
    let tree = tree(&world, &cache);
    let bound = view(&tree, NAMES[0]);
    bound.open(NOBODY).unwrap();
    let (pointer, away) = (world.mirror().join("state.json"), world.directory().join("state"));
    std::fs::rename(&pointer, &away).unwrap();
    std::os::unix::fs::symlink(&pointer, &pointer).unwrap();
    assert_eq!(view(&tree, NAMES[0]).id(), bound.id(), "a loop of links is no answer");
    std::fs::remove_file(&pointer).unwrap();
    assert_ne!(view(&tree, NAMES[0]).id(), bound.id(), "that it is gone is one");
}
