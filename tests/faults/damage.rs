//! Row "bit flips (400 random ones in .idx, 400 in .pack) or truncation, before opening": quarantined,
//! fetched again, never wrong bytes, never a crash. Through the cache, as every process opens it.

use std::fs;
use std::sync::Arc;

use srcfs::cache::Cache;
use srcfs::error::Kind;

use crate::copying::{Copying, with_source};
use crate::stage::{Case, Start, content, file_in, generations, read, rewrite};

/// Reads everything as a process does that has just started, and asks again when it finds damage, as a
/// daemon does. Whether it found any.
fn read_all(case: &Case<'_>, source: &Copying) -> bool {
    let before = source.fetches();
    let cache: Arc<Cache> = case.open();
    let mut read_again = 0;
    loop {
        let snapshot = source.get(&cache).unwrap().snapshot;
        match read(&snapshot) {
            Ok(found) => {
                assert_eq!(found, content("old"), "wrong bytes");
                return source.fetches() > before;
            }
            Err(error) => {
                assert_eq!(error.kind(), Kind::Corrupt, "{error}");
                cache.distrust(&snapshot, &error).unwrap();
            }
        }
        read_again += 1;
        assert!(read_again < 3, "it does not heal");
    }
}

/// Damages files that end so, one after the other; how often that was found.
fn damaged(end: &str, count: usize, damage: impl Fn(usize, &mut Vec<u8>)) -> usize {
    let mut found = 0;
    with_source(|stage, source| {
        let case = stage.case(Start::Old);
        for number in 0..count {
            let generation = generations(&case.mirror()).remove(0);
            let file = file_in(&generation.join("objects/pack"), end);
            let whole = fs::read(&file).unwrap();
            let mut bytes = whole.clone();
            damage(number, &mut bytes);
            rewrite(&file, &bytes);
            match read_all(&case, source) {
                true => found += 1,
                // Nobody has read what is damaged, and nobody is shown it.
                false => rewrite(&file, &whole),
            }
            assert_eq!(generations(&case.mirror()).len(), 1, "the damaged one is gone");
        }
    });
    found
}

/// Flips a bit anywhere.
fn flip(number: usize, bytes: &mut [u8]) {
    let random = (number as u64 + 1).wrapping_mul(6_364_136_223_846_793_005).rotate_left(29);
    let bit = random as usize % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn four_hundred_flipped_bits_in_indexes_are_found_and_fetched_again() {
    assert_eq!(damaged(".idx", 400, |number, bytes| flip(number, bytes)), 400);
}

#[test]
fn four_hundred_flipped_bits_in_packs_show_no_wrong_bytes_and_are_fetched_again() {
    // One in what is never read (a commit, a tree) shows nothing, and is not found before it is.
    let found = damaged(".pack", 400, |number, bytes| flip(number, bytes));
    assert!(found > 300, "{found}");
}

#[test]
fn files_of_any_shorter_length_are_found_and_fetched_again() {
    for end in [".idx", ".pack"] {
        let cut = |number: usize, bytes: &mut Vec<u8>| bytes.truncate(bytes.len() * number / 40);
        assert_eq!(damaged(end, 40, cut), 40, "{end}");
    }
}
