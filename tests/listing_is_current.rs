//! What a directory of the mount lists is what is cached: at once after this process fetched it, or
//! after a barrier.
#![allow(clippy::disallowed_methods, reason = "tests start programs of their own")]

#[allow(dead_code, reason = "no test uses all of it")]
#[path = "cache/upstream.rs"]
mod upstream;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use srcfs::cache::Freshness;
use srcfs::config::Config;
use srcfs::key::Reference;
use srcfs::view::SourceTree;
use srcfs::view::status::About;
use srcfs_mount::tree::{Caller, Entry, Tree};
use upstream::{World, get};

const HOST: &str = "[[host]]\nname = \"example.org\"\nurl = \"https://example.org/{path}.git\"\n";

#[test]
fn what_came_is_listed_at_once_here_and_after_a_barrier_everywhere() {
    let world = World::new();
    world.git(&["branch", "topic"]);
    let about = About { directory: world.directory().join("mount"), started: SystemTime::now() };
    let config = Config::parse(HOST).unwrap();
    let tree = SourceTree::new(world.open(), Arc::new(world.source()), config, None, about).unwrap();
    let listed = || tree.list(Path::new("git/example.org/a")).unwrap().into_iter().map(|(name, _)| name);
    assert_eq!(listed().count(), 0);
    let Entry::View(view) = tree.entry(Path::new("git/example.org/a/b")) else { panic!("it is a view") };
    view.open(Caller { tid: 0 }).unwrap();
    assert_eq!(listed().collect::<Vec<_>>(), ["b"]);

    let other = world.open();
    get(&other, &world.source(), &Reference::parse("topic").unwrap(), Freshness::Cached).unwrap();
    assert!(matches!(tree.entry(Path::new(".srcfs/sync-1")), Entry::Barrier));
    assert_eq!(listed().collect::<Vec<_>>(), ["b", "b@topic"]);
    other.clear(&upstream::key()).unwrap();
    assert!(matches!(tree.entry(Path::new(".srcfs/sync-2")), Entry::Barrier));
    assert_eq!(listed().count(), 0);
}
