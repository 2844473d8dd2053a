//! P8 and P13: what may not be changed or removed is an error that names it, or is left and reported; it
//! never costs anybody what is cached, and the next who may finishes it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::process::Job;
use crate::upstream::{World, names};

const NOBODY: u32 = 65534;

/// A world in which jobs are those of an ordinary user, to whom permissions matter.
struct Restricted {
    world: World,
    root: bool,
}

impl Restricted {
    fn new() -> Restricted {
        let root = nix::unistd::geteuid().is_root();
        let world = World::new();
        if root {
            // git refuses repositories of other users.
            give_to(world.directory());
        }
        Restricted { world, root }
    }

    fn job(&self, job: &str) -> String {
        let job = Job::new(&self.world, job);
        (if self.root { job.user(NOBODY) } else { job }).run().unwrap()
    }
}

fn give_to(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        names(path).into_iter().for_each(|name| give_to(&path.join(name)));
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_clear_without_permission_names_what_it_may_not_change_and_loses_nothing() {
    let restricted = Restricted::new();
    let world = &restricted.world;
    assert_eq!(restricted.job("get"), "version 1");
    let mirror = world.mirror();
    mode(&mirror, 0o500);
    let refused = restricted.job("clear");
    assert!(refused.starts_with("error ") && refused.contains("Permission denied"), "{refused}");
    assert!(refused.contains(mirror.to_str().unwrap()), "{refused}");
    assert_eq!(restricted.job("get"), "version 1");
    assert_eq!(world.fetches(), 1, "what could not be cleared is still cached");
    mode(&mirror, 0o700);
    assert_eq!(restricted.job("clear"), "cleared true");
    assert!(world.generations().is_empty());
}

#[test]
fn a_clear_that_may_not_move_to_the_trash_is_done_and_the_bytes_go_later() {
    let restricted = Restricted::new();
    let world = &restricted.world;
    assert_eq!(restricted.job("get"), "version 1");
    let before = world.generations();
    let packs = world.mirror().join(&before[0]).join("objects/pack");
    let whole = names(&packs);
    mode(&world.v1("trash"), 0o500);
    assert_eq!(restricted.job("clear"), "cleared true");
    assert_eq!((world.generations(), names(&packs)), (before, whole), "nothing is deleted half");
    // Absent all the same.
    assert_eq!(restricted.job("get"), "version 1");
    assert_eq!((world.fetches(), world.generations().len()), (2, 2));
    mode(&world.v1("trash"), 0o700);
    restricted.job("reap");
    assert_eq!(world.generations().len(), 1);
    assert!(world.names("trash").is_empty());
}

#[test]
fn what_the_reaper_may_not_touch_is_left_and_costs_its_caller_nothing() {
    let restricted = Restricted::new();
    let world = &restricted.world;
    if !restricted.root {
        eprintln!("not run: only root can make what an ordinary user may not remove");
        return;
    }
    assert_eq!(restricted.job("get"), "version 1");
    // A directory of another user, with something in it: it can be renamed, not emptied.
    let foreign: [PathBuf; 2] = [world.v1("trash/foreign"), world.v1("staging/foreign")];
    for directory in &foreign {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("file"), "x").unwrap();
        mode(directory, 0o755);
    }
    // A lease that may not even be opened, of what is alive for all anybody knows.
    fs::write(world.v1("staging/closed.lease"), "").unwrap();
    mode(&world.v1("staging/closed.lease"), 0o600);
    let mine = world.v1("trash/mine");
    fs::create_dir(&mine).unwrap();
    chown(&mine, Some(NOBODY), Some(NOBODY)).unwrap();

    assert_ne!(restricted.job("reap"), "left 0");
    assert!(foreign.iter().all(|directory| directory.join("file").exists()));
    assert!(!mine.exists(), "one that stays does not keep the others");
    assert_eq!(restricted.job("clear"), "cleared true");
    assert_eq!(restricted.job("get"), "version 1");
    // When it may, it does.
    give_to(&world.cache_directory());
    assert_eq!(restricted.job("reap"), "left 0");
    assert!(world.names("trash").is_empty() && world.names("staging").is_empty());
}

#[test]
fn what_was_made_read_only_is_healed_and_deleted_by_its_owner() {
    let restricted = Restricted::new();
    let world = &restricted.world;
    assert_eq!(restricted.job("get"), "version 1");
    let generation = world.mirror().join(&world.generations()[0]);
    for directory in ["objects/pack", "objects", "tables", "refs/srcfs"] {
        mode(&generation.join(directory), 0o500);
    }
    assert_eq!(restricted.job("clear"), "cleared true");
    assert!(!generation.exists());
    assert_eq!(world.names("trash"), [""; 0]);
    assert_eq!(restricted.job("get"), "version 1");
}
