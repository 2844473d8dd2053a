//! Revisions that nobody uses go, and the mirror stays, without anything changing for a reader.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::signal::Signal;
use srcfs::cache::{Cache, Collected, Done, Freshness, Mode, Snapshot, State, Stays, What, Why};
use srcfs::config::Quota;
use srcfs::error::Kind;
use srcfs::key::Reference;

use crate::process::Job;
use crate::quota::{HOUR, age, with_quota};
use crate::upstream::{World, get, key, version, wait_until};

/// Commits a version with something large of its own, that does not compress.
pub fn publish(world: &World, number: u32) -> String {
    let noise: Vec<u8> = (0..40_000_u32)
        .flat_map(|n| (n + number).wrapping_mul(2_654_435_761 ^ number).to_le_bytes())
        .collect();
    fs::write(world.upstream().join("own"), noise).unwrap();
    world.publish(number)
}

/// A mirror with versions 2 to 5, of which the default means the last and the branch `three` the
/// second. Their commits.
fn versions(world: &World, cache: &Cache) -> Vec<String> {
    let mut commits = Vec::new();
    for number in 2..6 {
        commits.push(publish(world, number));
        assert_eq!(version(&world.get(cache, Freshness::Now).unwrap().snapshot), number);
        if number == 3 {
            world.git(&["branch", "-f", "three"]);
            let three = Reference::parse("three").unwrap();
            get(cache, &world.source(), &three, Freshness::Now).unwrap();
        }
    }
    age(cache, &key(), None, HOUR * 2);
    commits
}

fn peek(cache: &Cache, reference: &str) -> Option<Snapshot> {
    cache.peek(&key(), &Reference::parse(reference).unwrap()).unwrap()
}

/// Every path of a snapshot with its bytes.
fn content(snapshot: &Snapshot) -> BTreeMap<PathBuf, Vec<u8>> {
    let table = snapshot.table();
    let mut found = BTreeMap::new();
    for index in 0..table.len() {
        let node = table.node(index).unwrap();
        if matches!(node.kind, srcfs::store::Kind::File { .. }) {
            let content = found.entry(table.path(index)).or_insert_with(Vec::new);
            let mut with = |bytes: &[u8]| content.extend_from_slice(bytes);
            snapshot.objects().read(&node.object, 0, u32::MAX, &mut with).unwrap();
        }
    }
    found
}

fn state(cache: &Cache) -> Arc<State> {
    cache.state(&key()).unwrap().unwrap()
}

fn fsck(world: &World) {
    let generation = world.generations().remove(0);
    let repository = world.mirror().join(generation);
    let repository = repository.to_str().unwrap();
    world.git(&["--git-dir", repository, "fsck", "--full", "--strict"]);
    let packs = crate::upstream::names(&PathBuf::from(repository).join("objects/pack"));
    for index in packs.iter().filter(|name| name.ends_with(".idx")) {
        world.git(&["verify-pack", &format!("{repository}/objects/pack/{index}")]);
    }
}

fn only(collected: &Collected) -> (&What, &Done) {
    let [item] = collected.items.as_slice() else { panic!("{collected:?}") };
    (&item.what, &item.done)
}

#[test]
fn superseded_revisions_go_and_what_stays_is_byte_for_byte_the_same() {
    let world = World::new();
    let cache = with_quota(&world, Quota::none());
    let commits = versions(&world, &cache);
    let (before, old) = (state(&cache), world.generations());
    let read = |reference| content(&peek(&cache, reference).unwrap());
    let contents = [read(""), read("three")];

    let rehearsal = cache.collect(Mode::Rehearsal).unwrap();
    assert_eq!((state(&cache), world.generations()), (before.clone(), old.clone()));
    let collected = cache.collect(Mode::Asked).unwrap();
    let mut expected = vec![commits[0].clone(), commits[2].clone()];
    expected.sort();
    let (What::Revisions(dropped), Done::Freed(freed)) = only(&collected) else { panic!("{collected:?}") };
    assert_eq!((dropped, collected.items[0].why), (&expected, Why::Superseded));
    let (What::Revisions(rehearsed), Done::Freed(expected)) = only(&rehearsal) else {
        panic!("{rehearsal:?}")
    };
    assert!(rehearsed == dropped && expected.abs_diff(*freed) < 30_000, "{rehearsal:?}");
    assert!(*freed > 300_000 && collected.after + freed == collected.before, "{collected:?}");
    let really = cache.collect(Mode::Rehearsal).unwrap();
    assert!(really.before.abs_diff(collected.after) <= 4096 && really.items.is_empty(), "{really:?}");

    assert_eq!([read(""), read("three")], contents);
    assert!(peek(&cache, &commits[0]).is_none() && peek(&cache, &commits[1]).is_some());
    let now = state(&cache);
    assert_ne!(now.generation, before.generation);
    assert_eq!((&now.references, &now.changed), (&before.references, &before.changed));
    assert_eq!((&now.cleared, &now.url), (&before.cleared, &before.url));
    let used = cache.last_used(&key()).unwrap();
    assert!(used.elapsed().unwrap() > HOUR, "it was not used");
    fsck(&world);
    world.assert_whole(&cache);

    // It goes on from there: what an update brings builds on the new generation.
    let fetches = world.fetches();
    publish(&world, 6);
    let updated = world.get(&cache, Freshness::Now).unwrap();
    assert_eq!((version(&updated.snapshot), world.fetches()), (6, fetches + 1));
    assert!(updated.transferred < 190_000, "only what is new: {}", updated.transferred);
    fsck(&world);
    world.assert_whole(&world.open());
}

#[test]
fn what_was_used_lately_or_is_kept_stays_and_so_does_all_if_too_little_is_won() {
    let world = World::new();
    let cache = with_quota(&world, Quota::none());
    let commits = versions(&world, &cache);
    cache.keep(&key(), &Reference::parse(&commits[0]).unwrap()).unwrap();
    // Used by its id.
    cache.touch(&key(), &commits[2]);
    assert!(cache.collect(Mode::Asked).unwrap().items.is_empty());
    assert_eq!(state(&cache).snapshots.len(), 4);
    age(&cache, &key(), None, HOUR * 2);
    let collected = cache.collect(Mode::Asked).unwrap();
    assert!(matches!(only(&collected).1, Done::Stays(Stays::Small)), "{collected:?}");
    cache.release(&key(), &Reference::parse(&commits[0]).unwrap()).unwrap();
    let collected = cache.collect(Mode::Asked).unwrap();
    assert!(matches!(only(&collected).1, Done::Freed(_)), "{collected:?}");
    assert_eq!(state(&cache).snapshots.len(), 2);
    world.assert_whole(&cache);
}

#[test]
fn a_reference_that_was_not_used_for_max_age_protects_nothing() {
    let world = World::new();
    let cache = with_quota(&world, Quota { max_age: Some(HOUR), ..Quota::none() });
    let commits = versions(&world, &cache);
    age(&cache, &key(), None, HOUR * 2);
    cache.touch(&key(), &commits[3]);
    let collected = cache.collect(Mode::Tending).unwrap();
    let (What::Revisions(dropped), Done::Freed(_)) = only(&collected) else { panic!("{collected:?}") };
    assert_eq!((dropped.len(), collected.items[0].why), (3, Why::Age));
    assert!(peek(&cache, "three").is_none());
    assert_eq!(version(&peek(&cache, "").unwrap()), 5);
    world.assert_whole(&cache);
    // It comes again when it is asked for.
    let three = Reference::parse("three").unwrap();
    assert_eq!(version(&get(&cache, &world.source(), &three, Freshness::Cached).unwrap().snapshot), 3);
}

#[test]
fn a_reader_of_the_old_generation_goes_on_and_what_stayed_can_move_over() {
    let world = World::new();
    let cache = with_quota(&world, Quota::none());
    let commits = versions(&world, &cache);
    let (old, new) = (peek(&cache, &commits[0]).unwrap(), peek(&cache, "").unwrap());
    let before = content(&new);
    let collected = cache.collect(Mode::Asked).unwrap();
    assert!(matches!(only(&collected).1, Done::Pending(_)), "{collected:?}");
    assert_eq!(world.generations().len(), 2);
    assert_eq!((version(&old), version(&new)), (2, 5));
    assert!(cache.move_over(&old).unwrap().is_none(), "it did not stay");
    let moved = cache.move_over(&new).unwrap().unwrap();
    assert!(Arc::ptr_eq(moved.table(), new.table()), "it is in memory once");
    assert_ne!(moved.generation(), new.generation());
    assert!(cache.move_over(&moved).unwrap().is_none());
    drop(new);
    assert_eq!(world.generations().len(), 2);
    drop(old);
    wait_until("the old generation is gone", || world.generations() == [moved.generation().to_owned()]);
    wait_until("the trash is empty", || world.names("trash").is_empty());
    assert_eq!(content(&moved), before);
    // After a clear its place is what the clear waits for.
    cache.clear(&key()).unwrap();
    assert!(cache.move_over(&moved).unwrap().is_none());
}

#[test]
fn another_process_that_opens_it_meanwhile_finds_it() {
    for point in ["pin.opened:stop", "pin.locked:stop"] {
        let world = World::new();
        let cache = with_quota(&world, Quota::none());
        versions(&world, &cache);
        let fetches = world.fetches();
        let reader = Job::new(&world, "get").fault(point).start();
        reader.wait_for_stop();
        assert_eq!(cache.collect(Mode::Asked).unwrap().items.len(), 1);
        reader.signal(Signal::SIGCONT);
        assert_eq!(reader.finish().unwrap(), "version 5", "{point}");
        assert_eq!(world.fetches(), fetches, "{point}");
        cache.reap();
        assert_eq!(world.generations().len(), 1);
        world.assert_whole(&cache);
    }
}

#[test]
fn a_borrower_is_waited_for_and_one_whose_lock_was_removed_is_refused() {
    let world = World::new();
    let cache = with_quota(&world, Quota::none());
    versions(&world, &cache);
    publish(&world, 6);
    let fetcher = Job::new(&world, "update").fault("verify.synced:stop").start();
    fetcher.wait_for_stop();
    let collected = cache.collect(Mode::Asked).unwrap();
    assert!(matches!(only(&collected).1, Done::Stays(Stays::Busy(_))), "{collected:?}");
    // By hand: now both go on.
    fs::remove_file(world.v1("locks").join(format!("{}.fetch", key().digest()))).unwrap();
    let collected = cache.collect(Mode::Asked).unwrap();
    assert!(matches!(only(&collected).1, Done::Pending(_)), "it pins what it borrows from: {collected:?}");
    fetcher.signal(Signal::SIGCONT);
    assert_eq!(fetcher.finish().unwrap(), "version 6", "refused, and begun again");
    cache.reap();
    fsck(&world);
    world.assert_whole(&cache);
}

#[test]
fn one_that_loses_its_lock_publishes_nothing() {
    let world = World::new();
    let cache = world.open();
    versions(&world, &cache);
    let collecting = Job::new(&world, "gc").fault("gc.prepared:stop").start();
    collecting.wait_for_stop();
    fs::remove_file(world.v1("locks").join(format!("{}.fetch", key().digest()))).unwrap();
    publish(&world, 6);
    assert_eq!(version(&world.get(&cache, Freshness::Now).unwrap().snapshot), 6);
    let before = state(&cache);
    collecting.signal(Signal::SIGCONT);
    let said = collecting.finish().unwrap();
    assert!(said.contains("Failed") && said.contains("Stale"), "{said}");
    assert_eq!(state(&cache), before);
    world.assert_whole(&cache);
}

#[test]
fn what_is_used_or_kept_while_it_is_copied_begins_again() {
    for how in ["keep", "update"] {
        let world = World::new();
        let cache = world.open();
        let commits = versions(&world, &cache);
        let collecting = Job::new(&world, "gc").fault("gc.prepared:stop").start();
        collecting.wait_for_stop();
        match how {
            "keep" => drop(cache.keep(&key(), &Reference::parse(&commits[2]).unwrap()).unwrap()),
            // Somebody who published without the lock, if there ever is one.
            _ => {
                let file = world.mirror().join("state.json");
                let text = fs::read_to_string(&file).unwrap();
                let moved = text.replace("\"three\"", "\"third\"");
                assert_ne!(moved, text);
                fs::write(&file, moved).unwrap();
            }
        }
        collecting.signal(Signal::SIGCONT);
        collecting.finish().unwrap();
        let three = if how == "keep" { "three" } else { "third" };
        assert_eq!(version(&peek(&cache, three).unwrap()), 3, "{how}");
        assert_eq!(peek(&cache, &commits[2]).is_some(), how == "keep", "{how}");
        world.assert_whole(&cache);
    }
}

#[test]
fn wrong_bytes_are_not_copied() {
    let world = World::new();
    let cache = world.open();
    versions(&world, &cache);
    let before = state(&cache);
    // Whatever stays is in some of the packs.
    let packs = world.mirror().join(world.generations().remove(0)).join("objects/pack");
    for name in crate::upstream::names(&packs).iter().filter(|name| name.ends_with(".pack")) {
        let path = packs.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        for at in (64..file.metadata().unwrap().len() - 20).step_by(512) {
            file.write_all_at(b"?", at).unwrap();
        }
    }
    let collected = with_quota(&world, Quota::none()).collect(Mode::Asked).unwrap();
    let Done::Stays(Stays::Failed(error)) = only(&collected).1 else { panic!("{collected:?}") };
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
    assert_eq!((state(&cache), world.generations().len()), (before, 1));
    assert_eq!((world.names("staging"), world.names("trash")), (vec![], vec![]));
}
