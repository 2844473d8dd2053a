//! P2: what was fetched once stays as it is, whatever moves upstream and whatever git program cleans
//! up in the mirror.

use srcfs::cache::Freshness;
use srcfs::key::Reference;

use crate::upstream::{World, get, key, version};

#[test]
fn an_update_brings_what_is_new_and_keeps_what_was() {
    let world = World::new();
    let cache = world.open();
    let first = world.get(&cache, Freshness::Cached).unwrap();
    let commit = world.publish(2);
    assert_eq!(version(&world.get(&cache, Freshness::Cached).unwrap().snapshot), 1, "not asked for");
    let second = world.get(&cache, Freshness::Now).unwrap();
    assert!(second.fetched && second.changed);
    assert_eq!(second.snapshot.revision().as_str(), commit);
    assert_eq!(second.snapshot.generation(), first.snapshot.generation());
    // The noise is 200,000 bytes and did not come again.
    assert!(first.transferred > 200_000 && second.transferred < 20_000, "{}", second.transferred);
    assert_eq!(version(&first.snapshot), 1);
    assert_eq!(version(&second.snapshot), 2);
    // Both are there after a restart, without any network.
    let old = Reference::parse(first.snapshot.revision().as_str()).unwrap();
    drop((first, second));
    world.disconnect();
    let later = world.open();
    assert_eq!(version(&later.peek(&key(), &old).unwrap().unwrap()), 1);
    assert_eq!(version(&later.peek(&key(), &Reference::Default).unwrap().unwrap()), 2);
    world.assert_whole(&later);
}

#[test]
fn nothing_new_upstream_is_no_fetch() {
    let world = World::new();
    let cache = world.open();
    let first = world.get(&cache, Freshness::Cached).unwrap();
    let again = world.get(&cache, Freshness::Now).unwrap();
    assert!(!again.fetched && !again.changed);
    assert_eq!(again.snapshot.revision(), first.snapshot.revision());
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_moved_and_a_deleted_branch() {
    let world = World::new();
    world.git(&["branch", "topic"]);
    let cache = world.open();
    let topic = Reference::parse("topic").unwrap();
    let source = world.source();
    let first = get(&cache, &source, &topic, Freshness::Cached).unwrap().snapshot;
    // A force-push to something that does not descend from it.
    world.git(&["checkout", "-q", "--orphan", "other"]);
    let other = world.publish(7);
    world.git(&["branch", "-f", "topic", &other]);
    let moved = get(&cache, &source, &topic, Freshness::Now).unwrap();
    assert!(moved.changed);
    assert_eq!((version(&first), version(&moved.snapshot)), (1, 7));
    world.git(&["branch", "-D", "topic"]);
    let error = get(&cache, &source, &topic, Freshness::Now).unwrap_err();
    assert_eq!(error.kind(), srcfs::error::Kind::NotFound);
    // An authoritative answer is not papered over by what is cached ...
    let stale = Freshness::NotOlderThan(std::time::Duration::ZERO);
    assert_eq!(get(&cache, &source, &topic, stale).unwrap_err().kind(), srcfs::error::Kind::NotFound);
    assert_eq!(cache.failure(&key(), &topic).unwrap().kind, "NotFound");
    // ... which stays what it is for those who read it, or do not ask.
    assert_eq!((version(&first), version(&moved.snapshot)), (1, 7));
    assert_eq!(version(&cache.peek(&key(), &topic).unwrap().unwrap()), 7);
}

#[test]
fn git_gc_in_a_mirror_keeps_everything() {
    let world = World::new();
    let cache = world.open();
    let mut commits = vec![world.get(&cache, Freshness::Now).unwrap().snapshot.revision().clone()];
    for number in 2..5 {
        // One that is never fetched, so that the next one's parent is missing.
        world.publish(number * 10);
        world.publish(number);
        commits.push(world.get(&cache, Freshness::Now).unwrap().snapshot.revision().clone());
    }
    let generation = world.generations().remove(0);
    let repository = world.mirror().join(generation);
    let repository = repository.to_str().unwrap();
    world.git(&["--git-dir", repository, "gc", "-q", "--prune=now"]);
    world.git(&[
        "--git-dir",
        repository,
        "-c",
        "gc.reflogExpire=now",
        "gc",
        "-q",
        "--aggressive",
        "--prune=now",
    ]);
    world.git(&["--git-dir", repository, "fsck", "--full"]);
    let later = world.open();
    for (number, commit) in commits.iter().enumerate() {
        let reference = Reference::parse(commit.as_str()).unwrap();
        assert_eq!(version(&later.peek(&key(), &reference).unwrap().unwrap()) as usize, number + 1);
    }
    // And it goes on from there.
    world.publish(9);
    assert_eq!(version(&world.get(&later, Freshness::Now).unwrap().snapshot), 9);
    world.assert_whole(&later);
    assert_eq!(world.fetches(), 5);
}
