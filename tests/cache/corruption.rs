//! P1 and P19: what is not what its record says is found before it is used, taken out of use, and
//! fetched again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use srcfs::cache::Freshness;
use srcfs::key::Reference;

use crate::upstream::{World, get, key, names, version};

/// A file of the published generation whose name ends so.
fn file(world: &World, directory: &str, end: &str) -> PathBuf {
    let directory = world.mirror().join(&world.generations()[0]).join(directory);
    let name = names(&directory).into_iter().find(|name| name.ends_with(end)).unwrap();
    directory.join(name)
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Damages a cached mirror, then checks that a fresh process has it whole again by one more fetch.
fn is_healed_after(damage: impl FnOnce(&World)) {
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    let before = world.generations();
    damage(&world);
    let cache = world.open();
    let fetched = world.get(&cache, Freshness::Cached).unwrap();
    assert_eq!(version(&fetched.snapshot), 1);
    assert_eq!(world.fetches(), 2);
    assert_ne!(world.generations(), before);
    cache.reap();
    world.assert_whole(&cache);
}

#[test]
fn a_flipped_bit_in_an_index() {
    is_healed_after(|world| rewrite(&file(world, "objects/pack", ".idx"), |bytes| bytes[1100] ^= 4));
}

#[test]
fn a_truncated_pack() {
    is_healed_after(|world| rewrite(&file(world, "objects/pack", ".pack"), |bytes| bytes.truncate(1000)));
}

#[test]
fn a_missing_pack() {
    is_healed_after(|world| fs::remove_file(file(world, "objects/pack", ".pack")).unwrap());
}

#[test]
fn a_damaged_table() {
    is_healed_after(|world| rewrite(&file(world, "tables", ".table"), |bytes| bytes[20] ^= 1));
}

#[test]
fn a_generation_removed_by_hand() {
    is_healed_after(|world| fs::remove_dir_all(world.mirror().join(&world.generations()[0])).unwrap());
}

#[test]
fn a_pin_file_removed_by_hand() {
    is_healed_after(|world| fs::remove_file(file(world, "", "pin")).unwrap());
}

#[test]
fn a_torn_state() {
    is_healed_after(|world| {
        rewrite(&world.mirror().join("state.json"), |bytes| bytes.truncate(bytes.len() / 2));
        assert!(world.open().state(&key()).unwrap().is_none());
    });
}

#[test]
fn a_state_that_leads_out_of_the_mirror() {
    is_healed_after(|world| {
        let generation = world.generations().remove(0);
        rewrite(&world.mirror().join("state.json"), |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text.replace(&generation, "../../../../../etc").into_bytes();
        });
    });
}

#[test]
fn damage_found_by_an_update_is_not_built_upon() {
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    world.publish(2);
    rewrite(&file(&world, "objects/pack", ".idx"), |bytes| bytes[1100] ^= 4);
    let cache = world.open();
    let fetched = world.get(&cache, Freshness::Now).unwrap();
    assert_eq!(version(&fetched.snapshot), 2);
    assert!(fetched.transferred > 200_000, "nothing was borrowed");
    cache.reap();
    world.assert_whole(&cache);
}

#[test]
fn damage_is_found_before_anything_is_borrowed_for_another_reference() {
    let world = World::new();
    drop(world.get(&world.open(), Freshness::Cached).unwrap());
    world.git(&["checkout", "-q", "-b", "topic"]);
    world.publish(2);
    rewrite(&file(&world, "objects/pack", ".idx"), |bytes| bytes[1100] ^= 4);
    let cache = world.open();
    let topic = Reference::parse("topic").unwrap();
    let fetched = get(&cache, &world.source(), &topic, Freshness::Cached).unwrap();
    assert_eq!(version(&fetched.snapshot), 2);
    assert!(fetched.transferred > 200_000, "nothing was borrowed");
    cache.reap();
    world.assert_whole(&cache);
}

#[test]
fn who_reads_a_damaged_generation_already_keeps_its_files() {
    let world = World::new();
    let cache = world.open();
    let reader = world.get(&cache, Freshness::Cached).unwrap().snapshot;
    let table = file(&world, "tables", ".table");
    rewrite(&table, |bytes| bytes[20] ^= 1);
    // Another process finds the damage and fetches anew.
    let other = world.open();
    let fresh = world.get(&other, Freshness::Cached).unwrap().snapshot;
    assert_ne!(fresh.generation(), reader.generation());
    assert_eq!((version(&reader), version(&fresh)), (1, 1));
    assert!(table.exists());
    assert_eq!(version(&cache.peek(&key(), &Reference::Default).unwrap().unwrap()), 1);
}

#[test]
fn malformed_mirrors_are_left_out_and_their_siblings_listed() {
    let world = World::new();
    let cache = world.open();
    drop(world.get(&cache, Freshness::Cached).unwrap());
    let mirrors = world.v1("mirrors/git");
    fs::create_dir(mirrors.join("empty")).unwrap();
    fs::create_dir(mirrors.join("torn")).unwrap();
    fs::write(mirrors.join("torn/state.json"), "{").unwrap();
    fs::create_dir(mirrors.join("copied")).unwrap();
    fs::copy(world.mirror().join("state.json"), mirrors.join("copied/state.json")).unwrap();
    fs::write(mirrors.join("file"), "").unwrap();
    std::os::unix::fs::symlink(world.mirror(), mirrors.join("link")).unwrap();
    let listed = cache.mirrors().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key().unwrap(), key());
    assert!(listed[0].bytes_on_disk() > 200_000);
}
