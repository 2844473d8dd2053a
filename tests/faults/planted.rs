//! The checker can fail: each sort of flaw is planted in a cache, and seen there.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use srcfs::cache::check::{AGE, Flaw, Thoroughness};

use crate::stage::{Case, Stage, Start, Upstream, copy, file_in, generations, rewrite};

const SETTLED: Thoroughness = Thoroughness { settled: true, deep: true };

fn generation(case: &Case<'_>) -> PathBuf {
    generations(&case.mirror()).remove(0)
}

fn pack(case: &Case<'_>, end: &str) -> PathBuf {
    file_in(&generation(case).join("objects/pack"), end)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    rewrite(path, &bytes);
}

/// Changes the text of the pointer.
fn restate(case: &Case<'_>, from: &str, to: &str) {
    let state = case.mirror().join("state.json");
    let text = fs::read_to_string(&state).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(state, text.replacen(from, to, 1)).unwrap();
}

type Plant = fn(&Case<'_>);

const PLANTS: &[(Flaw, &str, Plant)] = &[
    (Flaw::Permission, "a cache that others may look into", |case| {
        fs::set_permissions(case.cache(), Permissions::from_mode(0o755)).unwrap();
    }),
    (Flaw::Permission, "a room that others may look into", |case| {
        fs::set_permissions(case.v1().join("locks"), Permissions::from_mode(0o750)).unwrap();
    }),
    (Flaw::Foreign, "a file beside v1", |case| fs::write(case.cache().join("x"), "").unwrap()),
    (Flaw::Foreign, "a file in v1", |case| fs::write(case.v1().join("x"), "").unwrap()),
    (Flaw::Foreign, "a file among the locks", |case| fs::write(case.v1().join("locks/x"), "").unwrap()),
    (Flaw::Foreign, "a link among the mirrors", |case| {
        std::os::unix::fs::symlink("/", case.v1().join("mirrors/git/x")).unwrap();
    }),
    (Flaw::Foreign, "a directory in a mirror", |case| fs::create_dir(case.mirror().join("x")).unwrap()),
    (Flaw::Foreign, "a file in a generation", |case| fs::write(generation(case).join("x"), "").unwrap()),
    (Flaw::Foreign, "an unknown kind", |case| fs::create_dir(case.v1().join("mirrors/x")).unwrap()),
    (Flaw::Marker, "no id", |case| fs::remove_file(case.v1().join("id")).unwrap()),
    (Flaw::Marker, "an empty lock backend", |case| fs::write(case.v1().join("lock-backend"), "").unwrap()),
    (Flaw::State, "half a pointer", |case| {
        change(&case.mirror().join("state.json"), |bytes| bytes.truncate(bytes.len() / 2));
    }),
    (Flaw::State, "a reference to what is not there", |case| {
        let state = case.mirror().join("state.json");
        let mut state_of: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
        state_of["references"][""]["revision"] = "a".repeat(40).into();
        fs::write(state, state_of.to_string()).unwrap();
    }),
    (Flaw::Misplaced, "a mirror that was copied", |case| {
        copy(&case.mirror(), &case.v1().join("mirrors/git/other"));
    }),
    (Flaw::Generation, "a pointer to nothing", |case| fs::remove_dir_all(generation(case)).unwrap()),
    (Flaw::Generation, "no pin file", |case| fs::remove_file(generation(case).join("pin")).unwrap()),
    (Flaw::Generation, "objects that are borrowed", |case| {
        fs::write(generation(case).join("objects/info/alternates"), "/x\n").unwrap();
    }),
    (Flaw::Table, "a damaged table", |case| {
        change(&file_in(&generation(case).join("tables"), ".table"), |bytes| bytes[40] ^= 1);
    }),
    (Flaw::Table, "no table", |case| {
        fs::remove_file(file_in(&generation(case).join("tables"), ".table")).unwrap();
    }),
    (Flaw::Table, "a table of another tree", |case| {
        let state = fs::read_to_string(case.mirror().join("state.json")).unwrap();
        let tree = state.split("\"tree\": \"").nth(1).unwrap()[..40].to_owned();
        restate(case, &tree, &"0".repeat(40));
    }),
    (Flaw::Pack, "a pack that is cut short", |case| change(&pack(case, ".pack"), |bytes| bytes.truncate(99))),
    (Flaw::Pack, "a damaged index", |case| change(&pack(case, ".idx"), |bytes| bytes[1030] ^= 4)),
    (Flaw::Pack, "no index", |case| fs::remove_file(pack(case, ".idx")).unwrap()),
    (Flaw::Object, "a flipped bit in a blob", |case| {
        change(&pack(case, ".pack"), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
        });
    }),
    (Flaw::Unprotected, "no ref", |case| fs::remove_dir_all(generation(case).join("refs")).unwrap()),
    (Flaw::Unprotected, "no mark on the pack", |case| fs::remove_file(pack(case, ".keep")).unwrap()),
    (Flaw::Count, "files that are counted wrong", |case| restate(case, "\"files\": 2", "\"files\": 3")),
    (Flaw::Count, "bytes on the disk that are counted wrong", |case| {
        change(&pack(case, ".pack"), |bytes| bytes.push(0));
    }),
    (Flaw::Orphan, "a generation that nobody names", |case| {
        copy(&generation(case), &case.mirror().join("d".repeat(32)));
    }),
    (Flaw::Orphan, "a generation after its tombstone", |case| {
        let generation = generation(case);
        let aside = case.mirror().join("e".repeat(32));
        copy(&generation, &aside);
        let cleared = case.command(Upstream::Old, &["clear", crate::stage::KEY]).output().unwrap();
        assert!(cleared.status.success());
        if !aside.exists() {
            fs::create_dir(&aside).unwrap();
        }
    }),
    (Flaw::Staging, "staging without a lease", |case| fs::create_dir(case.v1().join("staging/x")).unwrap()),
    (Flaw::Staging, "a lease that is free", |case| {
        fs::write(case.v1().join("staging/x.lease"), "").unwrap();
    }),
    (Flaw::Trash, "something in the trash", |case| fs::create_dir(case.v1().join("trash/x")).unwrap()),
    (Flaw::Unfinished, "half a pointer beside the pointer", |case| {
        fs::write(case.mirror().join("state.json.x.new"), "").unwrap();
    }),
    (Flaw::Unfinished, "half a list of borders", |case| {
        fs::write(generation(case).join("shallow.x.new"), "").unwrap();
    }),
    (Flaw::Unfinished, "half a note", |case| fs::write(case.v1().join("failures/x.json.y.new"), "").unwrap()),
    (Flaw::Held, "a lock that is held", |case| {
        let file = File::open(file_in(&case.v1().join("locks"), ".fetch")).unwrap();
        file.lock().unwrap();
        // For as long as this process lives.
        std::mem::forget(file);
    }),
    (Flaw::Held, "a lease that is held", |case| {
        let lease = File::create(case.v1().join("staging/x.lease")).unwrap();
        lease.lock().unwrap();
        std::mem::forget(lease);
    }),
    (Flaw::Held, "an old generation that is pinned", |case| {
        let old = case.mirror().join("d".repeat(32));
        copy(&generation(case), &old);
        let pin = File::open(old.join("pin")).unwrap();
        pin.lock_shared().unwrap();
        std::mem::forget(pin);
    }),
    (Flaw::Unreadable, "a room that is gone", |case| fs::remove_dir(case.v1().join("trash")).unwrap()),
];

#[test]
fn every_planted_flaw_is_seen_and_a_whole_cache_has_none() {
    let stage = Stage::new();
    let whole = stage.case(Start::Old).look(SETTLED);
    assert!(whole.violations.is_empty(), "{whole:?}");
    assert_eq!((whole.mirrors, whole.generations, whole.snapshots, whole.objects), (1, 1, 1, 2));
    let mut seen = BTreeSet::new();
    for (flaw, what, plant) in PLANTS {
        let case = stage.case(Start::Old);
        plant(&case);
        let found = case.look(SETTLED).violations;
        assert!(found.iter().any(|one| one.flaw == *flaw), "{what}: {flaw:?} is not in {found:?}");
        seen.insert(*flaw as u8);
    }
    assert_eq!(seen.len(), Flaw::Unreadable as usize + 1, "each flaw is planted");
}

#[test]
fn what_a_dead_process_left_is_a_flaw_when_it_has_been_there_for_long() {
    let stage = Stage::new();
    let case = stage.case(Start::Leftovers);
    let fresh = case.look(Thoroughness::default());
    assert!(fresh.violations.is_empty() && fresh.leftovers > 0, "{fresh:?}");
    let long_ago = SystemTime::now() - AGE - Duration::from_secs(60);
    for left in ["staging/dead", "staging/dead.lease", "trash/dead"] {
        File::open(case.v1().join(left)).unwrap().set_modified(long_ago).unwrap();
    }
    // A generation has been nobody's since its pointer changed, at most.
    File::open(case.mirror().join("state.json")).unwrap().set_modified(long_ago).unwrap();
    let old: Vec<Flaw> = case.look(Thoroughness::default()).violations.iter().map(|one| one.flaw).collect();
    assert_eq!(old, [Flaw::Orphan, Flaw::Staging, Flaw::Staging, Flaw::Trash]);
    let arguments = ["__check", "--json", "--reap", "--settled"];
    let reaped = case.command(Upstream::Old, &arguments).output().unwrap();
    assert!(reaped.status.success(), "{reaped:?}");
}

#[test]
fn the_verb_says_what_is_wrong_and_fails() {
    let stage = Stage::new();
    let case = stage.case(Start::Damaged);
    let checked = case.command(Upstream::Old, &["__check"]).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1));
    assert!(said.contains(".idx") && said.contains("1 violation"), "{said}");
    let nowhere = case.command(Upstream::Old, &["__check", "--cache-dir", "/nonexistent"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1), "{nowhere:?}");
}
