//! What only leases do: signs of life, taking over, giving back without touching a successor, tokens.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::cache::lease::record::{Record, Seen};

pub(super) fn record(path: &Path) -> Record {
    look(path).unwrap().and_then(|seen: Seen| seen.record).expect("a record")
}

/// A lock of somebody who gives no sign of life, though this process, whose pid it names, lives.
pub(super) fn planted(place: &Place, owner: &str) -> PathBuf {
    let (path, key) = (place.file(LockKind::Fetch), key());
    let holder = holder(LockKind::Fetch, &key, "planted");
    let record = Record { beat: 3, ..Record::new(owner, 7, times(place.stale), Some(holder)) };
    fs::write(&path, record.encode()).unwrap();
    path
}

pub(super) fn place() -> (Place, Locks, Key) {
    lasting(BRIEF)
}

pub(super) fn lasting(stale: Duration) -> (Place, Locks, Key) {
    let place = Place::new(Backend::Lease, stale);
    let locks = place.locks();
    (place, locks, key())
}

fn ctime(path: &Path) -> (u64, i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[test]
fn a_lock_says_who_holds_it_and_is_gone_when_it_is_given_back() {
    let (place, locks, key) = lasting(LASTING);
    let path = place.file(LockKind::Fetch);
    let held = KeyLock::new(&locks, &key).fetch(&Wait::never(), "fetch something").unwrap();
    let first = record(&path);
    let holder = first.holder.clone().unwrap();
    assert_eq!((holder.pid, holder.what.as_str()), (std::process::id(), "fetch something"));
    assert!(first.owner.len() > 32 && first.token == 1);
    drop(held);
    assert!(!path.exists());
    let _again = KeyLock::new(&locks, &key).fetch(&Wait::never(), "again").unwrap();
    assert!(record(&path).token == 2 && record(&path).owner != first.owner);
}

#[test]
fn a_fresh_lock_that_says_nothing_is_not_stolen_and_goes_stale_like_any_other() {
    for content in ["", "{\"owner\":\"torn", "\0\0\0"] {
        let (place, locks, key) = place();
        fs::write(place.file(LockKind::Fetch), content).unwrap();
        let wait = Wait { bound: place.stale / 3, cancelled: &|| false };
        let error = KeyLock::new(&locks, &key).fetch(&wait, "too early").unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        assert_eq!(fs::read_to_string(place.file(LockKind::Fetch)).unwrap(), content);
        KeyLock::new(&locks, &key).fetch(&LONG, "later").unwrap();
        assert_eq!(place.residue(), [""; 0]);
    }
}

#[test]
fn a_directory_in_its_place_does_not_block_for_ever() {
    let (place, locks, key) = place();
    fs::create_dir(place.file(LockKind::Fetch)).unwrap();
    // What the older design left behind: an emptied lock directory.
    KeyLock::new(&locks, &key).fetch(&LONG, "later").unwrap();
}

#[test]
fn one_without_a_heartbeat_is_taken_over_even_if_its_pid_lives() {
    let (place, locks, key) = place();
    let path = planted(&place, "aa-0");
    let held = KeyLock::new(&locks, &key).fetch(&LONG, "next").unwrap();
    assert_ne!(record(&path).owner, "aa-0");
    held.still_ours().unwrap();
    drop(held);
    assert_eq!(place.residue(), [""; 0]);
}

#[test]
fn a_long_holder_is_kept_alive_by_its_heartbeat() {
    let (place, locks, key) = lasting(LASTING);
    let held = KeyLock::new(&locks, &key).fetch(&Wait::never(), "long").unwrap();
    let others = place.locks();
    let wait = Wait { bound: place.stale * 2, cancelled: &|| false };
    let error = KeyLock::new(&others, &key).fetch(&wait, "second").unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    held.still_ours().unwrap();
    assert!(record(&place.file(LockKind::Fetch)).beat >= 3);
}

#[test]
fn a_holder_survives_heartbeats_that_fail() {
    let (place, locks, key) = lasting(LASTING);
    let held = KeyLock::new(&locks, &key).fetch(&Wait::never(), "long").unwrap();
    let (there, away) = (locks.directory(), place.directory.path().join("away"));
    fs::rename(there, &away).unwrap();
    std::thread::sleep(HEARTBEAT * 3);
    fs::rename(&away, there).unwrap();
    held.still_ours().unwrap();
    let path = place.file(LockKind::Fetch);
    let before = record(&path).beat;
    wait_until("it beats again", || record(&path).beat > before);
}

#[test]
fn a_heartbeat_never_refreshes_a_replacement() {
    let (place, locks, key) = place();
    let held = KeyLock::new(&locks, &key).fetch(&Wait::never(), "first").unwrap();
    fs::remove_file(place.file(LockKind::Fetch)).unwrap();
    let path = planted(&place, "bb-0");
    let before = (fs::read(&path).unwrap(), ctime(&path));
    std::thread::sleep(HEARTBEAT * 4);
    assert_eq!((fs::read(&path).unwrap(), ctime(&path)), before);
    // Giving it back leaves the replacement, and does not even move it.
    drop(held);
    assert_eq!((fs::read(&path).unwrap(), ctime(&path)), before);
}

#[test]
fn a_replacement_that_comes_while_a_stale_lock_is_broken_is_put_back_untouched() {
    // Stopped when it has looked a second time and is about to take the stale one away.
    let (place, locks, _) = place();
    let path = planted(&place, "aa-0");
    let breaker = Holder::with_fault(&place, "count", Some("lease.breaking:stop"));
    breaker.wait_for_stop();
    fs::remove_file(&path).unwrap();
    let (key, others) = (key(), place.locks());
    let fresh = KeyLock::new(&others, &key).fetch(&Wait::never(), "fresh").unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    breaker.signal(Signal::SIGCONT);
    wait_until("it has looked", || place.residue().len() == 1);
    std::thread::sleep(HEARTBEAT);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    fresh.still_ours().unwrap();
    drop(fresh);
    assert_eq!(breaker.end(), "counted");
    assert_eq!(place.residue(), [""; 0]);
    drop(locks);
}

#[test]
fn a_stale_lock_that_vanishes_before_it_is_broken_is_simply_free() {
    let (place, _, _) = place();
    let path = planted(&place, "aa-0");
    let breaker = Holder::with_fault(&place, "count", Some("lease.breaking:stop"));
    breaker.wait_for_stop();
    fs::remove_file(&path).unwrap();
    breaker.signal(Signal::SIGCONT);
    assert_eq!(breaker.end(), "counted");
    assert_eq!(place.residue(), [""; 0]);
}

#[test]
fn two_contenders_for_a_stale_lock_never_hold_it_both() {
    let (place, _, _) = place();
    planted(&place, "aa-0");
    let contenders = [Holder::start(&place, "count"), Holder::start(&place, "count")];
    for contender in contenders {
        assert_eq!(contender.end(), "counted");
    }
    let counted = fs::read_to_string(place.directory.path().join("count")).unwrap();
    assert_eq!(counted, (2 * process::ROUNDS).to_string());
}

#[test]
fn a_third_one_that_comes_while_a_replacement_is_away_is_the_only_one_left() {
    // The window that prior designs have: the moved replacement cannot be put back.
    let (place, locks, key) = place();
    let path = planted(&place, "aa-0");
    let breaker = Holder::with_fault(&place, "hold", Some("lease.breaking:stop"));
    breaker.wait_for_stop();
    fs::remove_file(&path).unwrap();
    let second = KeyLock::new(&locks, &key).fetch(&Wait::never(), "second").unwrap();
    let away = locks.directory().join("moved");
    fs::rename(&path, &away).unwrap();
    let others = place.locks();
    let third = KeyLock::new(&others, &key).fetch(&Wait::never(), "third").unwrap();
    assert_eq!(second.still_ours().unwrap_err().kind(), Kind::Stale);
    third.still_ours().unwrap();
    drop(second);
    third.still_ours().unwrap();
}

#[test]
fn one_that_is_stopped_while_it_takes_the_lock_does_not_hold_it_when_it_goes_on() {
    for point in ["lease.written:stop", "lease.linked:stop", "lease.counted:stop"] {
        let (place, locks, key) = place();
        let mut slow = Holder::with_fault(&place, "hold", Some(point));
        slow.wait_for_stop();
        let tokens: Vec<u64> = (0..3)
            .map(|_| {
                let held = KeyLock::new(&locks, &key).fetch(&LONG, "quick").unwrap();
                held.still_ours().unwrap();
                record(&place.file(LockKind::Fetch)).token
            })
            .collect();
        assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
        let held = KeyLock::new(&locks, &key).fetch(&LONG, "quick").unwrap();
        slow.signal(Signal::SIGCONT);
        std::thread::sleep(HEARTBEAT * 2);
        held.still_ours().unwrap();
        drop(held);
        slow.hear("held");
        // It got it after all others, with a higher token than any of them.
        assert!(record(&place.file(LockKind::Fetch)).token > tokens[2] + 1, "{point}");
        assert_eq!(slow.end(), "ours");
        assert_eq!(place.residue(), [""; 0]);
    }
}

#[test]
fn one_that_dies_while_it_gives_it_back_is_followed_by_the_next() {
    for point in ["lease.releasing:kill", "lease.moved:kill", "lease.linked:kill", "lease.written:kill"] {
        let (place, locks, key) = place();
        let dying = Holder::with_fault(&place, "count", Some(point));
        let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(dying.id() as i32), None);
        KeyLock::new(&locks, &key).fetch(&LONG, "next").unwrap().still_ours().unwrap();
        // What it left beside is removed by a reap that has seen it for long enough.
        let lease = Lease::new(place.directory.path(), times(place.stale));
        wait_until("it is tidy", || {
            lease.reap(locks.directory(), &[]);
            place.residue().is_empty()
        });
    }
}

#[test]
fn a_lock_that_nobody_waits_for_is_removed_by_a_reap_and_a_living_one_is_not() {
    let (place, locks, key) = place();
    planted(&place, "aa-0");
    let held = KeyLock::new(&locks, &key).commit(&Wait::never(), "living").unwrap();
    // Each look is one of another short process.
    let reap = || Lease::new(place.directory.path(), times(place.stale)).reap(locks.directory(), &[]);
    wait_until("the dead one is gone", || {
        reap();
        !place.file(LockKind::Fetch).exists()
    });
    std::thread::sleep(place.stale);
    reap();
    held.still_ours().unwrap();
}

#[test]
fn on_a_file_system_without_hard_links_it_is_made_exclusively() {
    let (place, locks, key) = lasting(LASTING);
    let mut holder = Holder::with_fault(&place, "hold", Some("lease.link:error"));
    holder.hear("held");
    let path = place.file(LockKind::Fetch);
    assert!(record(&path).token == 1 && fs::metadata(&path).unwrap().nlink() == 1);
    assert_eq!(KeyLock::new(&locks, &key).fetch(&Wait::never(), "second").unwrap_err().kind(), Kind::Busy);
    assert_eq!(holder.end(), "ours");
    assert_eq!(place.residue(), [""; 0]);
}

#[test]
fn a_token_lower_than_that_of_what_is_published_is_refused_once() {
    let (_place, locks, key) = lasting(LASTING);
    let lock = KeyLock::new(&locks, &key);
    let mut fence = 0;
    lock.commit(&Wait::never(), "first").unwrap().fence(&mut fence).unwrap();
    assert_eq!(fence, 1);
    // All lock files were removed by hand, and with them the count.
    let mut fence = 41;
    let refused = lock.commit(&Wait::never(), "second").unwrap().fence(&mut fence).unwrap_err();
    assert_eq!((refused.kind(), fence), (Kind::Stale, 41));
    lock.commit(&Wait::never(), "third").unwrap().fence(&mut fence).unwrap();
    assert_eq!(fence, 42);
    // Locks of the kernel need no token.
    let kernel = Place::new(Backend::Kernel, LASTING).locks();
    fs::create_dir_all(kernel.directory()).unwrap();
    KeyLock::new(&kernel, &key).commit(&Wait::never(), "first").unwrap().fence(&mut fence).unwrap();
    assert_eq!(fence, 42);
}

#[test]
fn a_process_that_is_about_to_end_gives_up_what_its_threads_hold() {
    let (place, _, key) = lasting(LASTING);
    let lease = Arc::new(Lease::new(place.directory.path(), times(LASTING)));
    let locks = Locks::new(place.directory.path().join("locks"), Some(Arc::clone(&lease)));
    let held = KeyLock::new(&locks, &key).fetch(&Wait::never(), "for ever").unwrap();
    lease.life().unwrap();
    lease.give_up();
    assert_eq!(fs::read_dir(place.directory.path().join(ALIVE)).unwrap().count(), 0);
    let others = place.locks();
    let next = KeyLock::new(&others, &key).fetch(&Wait::never(), "next").unwrap();
    // A thread that still works is refused, and touches nothing of the next one.
    assert_eq!(held.still_ours().unwrap_err().kind(), Kind::Stale);
    drop(held);
    next.still_ours().unwrap();
}
