//! What only leases do when something goes wrong on the way: a lock that is made or given back half, a
//! release against a takeover, clocks that jump, an owner that is not heard of yet.

use std::time::UNIX_EPOCH;

use super::lease::{lasting, place, planted, record};
use super::*;

/// Short enough that nothing may go stale meanwhile.
fn too_short(place: &Place) -> Wait<'static> {
    Wait { bound: place.stale / 3, cancelled: &|| false }
}

#[test]
fn an_owner_that_has_given_no_heartbeat_is_live_until_it_is_stale() {
    let (place, locks, key) = place();
    let path = planted(&place, "aa-0");
    let content = fs::read(&path).unwrap();
    let lock = KeyLock::new(&locks, &key);
    // Each of those who come looks for itself: what one has seen makes another believe nothing.
    for who in ["one", "two", "three", "four"] {
        assert_eq!(lock.fetch(&too_short(&place), who).unwrap_err().kind(), Kind::Busy);
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    lock.fetch(&LONG, "later").unwrap().still_ours().unwrap();
}

#[test]
fn one_whose_making_fails_half_way_leaves_nothing() {
    for point in ["lease.written:error", "lease.linked:error", "lease.counted:error"] {
        let (place, locks, key) = lasting(LASTING);
        let said = Holder::with_fault(&place, "hold", Some(point)).end();
        assert!(said.contains("injected") || said.contains("lease."), "{point}: {said}");
        assert_eq!(place.residue(), [""; 0], "{point}");
        // At once, though nothing is stale yet.
        KeyLock::new(&locks, &key).fetch(&Wait::never(), "next").unwrap().still_ours().unwrap();
    }
}

#[test]
fn one_that_dies_while_it_gives_it_back_leaves_no_emptied_lock_that_blocks() {
    let (place, locks, key) = lasting(LASTING);
    let dying = Holder::with_fault(&place, "count", Some("lease.moved:kill"));
    assert!(dying.dies());
    assert_eq!(place.residue().len(), 1, "what it had moved away");
    KeyLock::new(&locks, &key).fetch(&Wait::never(), "next").unwrap().still_ours().unwrap();
}

#[test]
fn a_release_that_races_with_a_takeover_leaves_the_successor() {
    // It has just read that the lock is its own, and is about to move it; or has moved it.
    for point in ["lease.releasing:stop", "lease.moved:stop"] {
        let (place, locks, key) = place();
        let releasing = Holder::with_fault(&place, "count", Some(point));
        releasing.wait_for_stop();
        let second = KeyLock::new(&locks, &key).fetch(&LONG, "second").unwrap();
        let owner = record(&place.file(LockKind::Fetch)).owner;
        releasing.signal(Signal::SIGCONT);
        // Then it waits in line, for its next round.
        std::thread::sleep(HEARTBEAT * 3);
        second.still_ours().unwrap();
        assert_eq!(record(&place.file(LockKind::Fetch)).owner, owner, "{point}");
        drop(second);
        assert_eq!(releasing.end(), "counted");
        assert_eq!(place.residue(), [""; 0], "{point}");
    }
}

#[test]
fn a_clock_that_jumps_makes_no_lease_stale_and_keeps_none_alive() {
    let year = Duration::from_secs(365 * 24 * 3600);
    let now = UNIX_EPOCH.elapsed().unwrap();
    for time in [Duration::ZERO, now - year, now + year] {
        let (place, locks, key) = place();
        let path = planted(&place, "aa-0");
        // What the holder would say if its clock were there, and what the server would.
        let mut said = record(&path);
        said.holder.as_mut().unwrap().since = time.as_secs();
        fs::write(&path, said.encode()).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(UNIX_EPOCH + time).unwrap();
        let lock = KeyLock::new(&locks, &key);
        assert_eq!(lock.fetch(&too_short(&place), "early").unwrap_err().kind(), Kind::Busy, "{time:?}");
        assert_eq!(record(&path), said);
        lock.fetch(&LONG, "later").unwrap().still_ours().unwrap();
    }
}
