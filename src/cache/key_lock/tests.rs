//! One suite for both backends: what a lock of a key does, whoever keeps it. What only leases do is in
//! [`lease`] and [`unlucky`], the processes that take part in [`process`].

mod lease;
mod process;
mod unlucky;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::*;
use crate::cache::lease::{ALIVE, SEEN};
use crate::config::locking::LeaseTimes;
use crate::key::GitUrl;
use process::Holder;

/// For what is to be believed dead.
const BRIEF: Duration = Duration::from_millis(900);
/// For what is not, however busy the machine is.
const LASTING: Duration = Duration::from_secs(3);
const HEARTBEAT: Duration = Duration::from_millis(100);

fn times(stale: Duration) -> LeaseTimes {
    LeaseTimes::new(stale, Some(HEARTBEAT), Some(stale)).unwrap()
}

/// Far longer than anything that a test waits for.
const LONG: Wait<'static> = Wait { bound: Duration::from_secs(60), cancelled: &|| false };

fn key() -> Key {
    Key::git(GitUrl::parse("https://example.org/a/b").unwrap())
}

/// A directory for locks.
struct Place {
    directory: tempfile::TempDir,
    backend: Backend,
    stale: Duration,
}

impl Place {
    fn new(backend: Backend, stale: Duration) -> Place {
        let directory = tempfile::tempdir().unwrap();
        for name in ["locks", ALIVE, SEEN] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Place { directory, backend, stale }
    }

    /// As a process of its own sees them.
    fn locks(&self) -> Locks {
        locks(self.directory.path(), self.backend, self.stale)
    }

    fn file(&self, kind: LockKind) -> PathBuf {
        self.directory.path().join("locks").join(format!("{}.{}", key().digest(), kind.as_str()))
    }

    /// What lies about, but for what is permanent.
    fn residue(&self) -> Vec<String> {
        let permanent = |name: &String| match self.backend {
            Backend::Kernel => name.ends_with(".fetch") || name.ends_with(".commit"),
            Backend::Lease => name.ends_with(".last"),
        };
        let entries = fs::read_dir(self.directory.path().join("locks")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !permanent(name)).collect()
    }
}

fn locks(directory: &Path, backend: Backend, stale: Duration) -> Locks {
    let lease = match backend {
        Backend::Kernel => None,
        Backend::Lease => Some(Arc::new(Lease::new(directory, times(stale)))),
    };
    Locks::new(directory.join("locks"), lease)
}

/// Waits until `condition` holds; a minute is for a test that fails.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

macro_rules! on_both_backends {
    ($($name:ident)*) => {
        mod kernel_backend {
            $(#[test] fn $name() { super::$name(super::Backend::Kernel) })*
        }
        mod lease_backend {
            $(#[test] fn $name() { super::$name(super::Backend::Lease) })*
        }
    };
}

on_both_backends! {
    a_waiter_ends_at_its_bound_and_names_the_holder_whose_lock_stays
    the_locks_of_a_key_and_of_other_keys_are_independent
    a_waiter_that_gives_up_is_let_go
    it_is_free_after_release_and_after_a_panic_and_leaves_nothing
    five_processes_never_overlap
    those_who_wait_get_it_one_after_the_other
    a_killed_holder_is_followed_by_the_next
    a_stopped_holder_that_goes_on_within_the_bound_has_lost_nothing_or_is_refused
    holders_are_listed_while_they_hold_and_without_secrets
    with_its_file_removed_by_hand_the_first_is_refused_and_leaves_the_second_alone
    with_its_file_removed_by_hand_nobody_else_there_it_is_refused_all_the_same
    where_it_cannot_be_looked_at_the_check_fails
    what_is_no_lock_is_not_listed
}

fn a_waiter_ends_at_its_bound_and_names_the_holder_whose_lock_stays(backend: Backend) {
    let place = Place::new(backend, LASTING);
    let (key, mut holder) = (key(), Holder::start(&place, "hold"));
    holder.hear("held");
    let locks = place.locks();
    // Longer than it would take for a lease without a heartbeat to go stale.
    let wait = Wait { bound: place.stale * 2, cancelled: &|| false };
    let error = KeyLock::new(&locks, &key).fetch(&wait, "second").unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    for part in [&format!("process {}", holder.id()), "hold for a test"] {
        assert!(error.why().contains(part), "{error}");
    }
    assert_eq!(holder.end(), "ours");
    KeyLock::new(&locks, &key).fetch(&Wait::never(), "third").unwrap();
}

fn the_locks_of_a_key_and_of_other_keys_are_independent(backend: Backend) {
    let (place, key) = (Place::new(backend, LASTING), key());
    let locks = place.locks();
    let lock = KeyLock::new(&locks, &key);
    let _fetch = lock.fetch(&Wait::never(), "one").unwrap();
    let _commit = lock.commit(&Wait::never(), "two").unwrap();
    let other = Key::git(GitUrl::parse("https://example.org/a/c").unwrap());
    KeyLock::new(&locks, &other).fetch(&Wait::never(), "three").unwrap();
    assert_eq!(lock.fetch(&Wait::never(), "again").unwrap_err().kind(), Kind::Busy);
}

fn a_waiter_that_gives_up_is_let_go(backend: Backend) {
    let (place, key) = (Place::new(backend, LASTING), key());
    let locks = place.locks();
    let lock = KeyLock::new(&locks, &key);
    let held = lock.fetch(&Wait::never(), "one").unwrap();
    let error = lock.fetch(&Wait { cancelled: &|| true, ..LONG }, "two").unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
    held.still_ours().unwrap();
}

fn it_is_free_after_release_and_after_a_panic_and_leaves_nothing(backend: Backend) {
    let (place, key) = (Place::new(backend, LASTING), key());
    let locks = place.locks();
    let lock = KeyLock::new(&locks, &key);
    drop(lock.fetch(&Wait::never(), "first").unwrap());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _held = lock.fetch(&Wait::never(), "second").unwrap();
        panic!("under the lock");
    }));
    assert!(panicked.is_err());
    lock.fetch(&Wait::never(), "third").unwrap();
    assert_eq!(place.residue(), [""; 0]);
    assert_eq!(fs::read_dir(locks.directory()).unwrap().count(), 1);
}

fn five_processes_never_overlap(backend: Backend) {
    let place = Place::new(backend, LASTING);
    let holders: Vec<_> = (0..5).map(|_| Holder::start(&place, "count")).collect();
    for holder in holders {
        assert_eq!(holder.end(), "counted");
    }
    let counted = fs::read_to_string(place.directory.path().join("count")).unwrap();
    assert_eq!(counted, (5 * process::ROUNDS).to_string());
    assert_eq!(place.residue(), [""; 0]);
}

fn those_who_wait_get_it_one_after_the_other(backend: Backend) {
    let place = Place::new(backend, LASTING);
    let mut first = Holder::start(&place, "hold");
    first.hear("held");
    let waiting = [Holder::start(&place, "count"), Holder::start(&place, "count")];
    assert_eq!(first.end(), "ours");
    for holder in waiting {
        assert_eq!(holder.end(), "counted");
    }
    let counted = fs::read_to_string(place.directory.path().join("count")).unwrap();
    assert_eq!(counted, (2 * process::ROUNDS).to_string());
}

fn a_killed_holder_is_followed_by_the_next(backend: Backend) {
    let place = Place::new(backend, BRIEF);
    let mut holder = Holder::start(&place, "hold");
    holder.hear("held");
    holder.kill();
    let (key, locks) = (key(), place.locks());
    let next = KeyLock::new(&locks, &key).fetch(&LONG, "next").unwrap();
    next.still_ours().unwrap();
    drop(next);
    assert_eq!(place.residue(), [""; 0]);
}

fn a_stopped_holder_that_goes_on_within_the_bound_has_lost_nothing_or_is_refused(backend: Backend) {
    let place = Place::new(backend, BRIEF);
    let mut holder = Holder::start(&place, "hold");
    holder.hear("held");
    holder.stop();
    let (key, locks) = (key(), place.locks());
    match backend {
        // Not stolen, however long it takes.
        Backend::Kernel => {
            let wait = Wait { bound: place.stale * 2, cancelled: &|| false };
            let error = KeyLock::new(&locks, &key).fetch(&wait, "second").unwrap_err();
            assert_eq!(error.kind(), Kind::Busy);
            holder.signal(Signal::SIGCONT);
            assert_eq!(holder.end(), "ours");
        }
        // Taken over; the one that goes on learns it, and touches nothing of the second.
        Backend::Lease => {
            let second = KeyLock::new(&locks, &key).fetch(&LONG, "second").unwrap();
            let before = fs::read(place.file(LockKind::Fetch)).unwrap();
            holder.signal(Signal::SIGCONT);
            assert!(holder.end().starts_with("Stale"));
            second.still_ours().unwrap();
            assert_eq!(fs::read(place.file(LockKind::Fetch)).unwrap().len(), before.len());
        }
    }
    assert!(place.residue().len() <= 1, "{:?}", place.residue());
}

fn holders_are_listed_while_they_hold_and_without_secrets(backend: Backend) {
    let (place, key) = (Place::new(backend, LASTING), key());
    let locks = place.locks();
    let lock = KeyLock::new(&locks, &key);
    let held = lock.commit(&Wait::never(), "clear https://u:secret@h/x").unwrap();
    let listed = holders(&locks);
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].lock, listed[0].pid), (LockKind::Commit, std::process::id()));
    assert_eq!(listed[0].key, key.to_string());
    assert!(!listed[0].what.contains("secret"));
    drop(held);
    assert_eq!(holders(&locks), []);
}

fn with_its_file_removed_by_hand_the_first_is_refused_and_leaves_the_second_alone(backend: Backend) {
    let (place, key) = (Place::new(backend, LASTING), key());
    let locks = [place.locks(), place.locks()];
    let first = KeyLock::new(&locks[0], &key).fetch(&Wait::never(), "first").unwrap();
    first.still_ours().unwrap();
    fs::remove_file(place.file(LockKind::Fetch)).unwrap();
    let second = KeyLock::new(&locks[1], &key).fetch(&Wait::never(), "second").unwrap();
    second.still_ours().unwrap();
    assert_eq!(first.still_ours().unwrap_err().kind(), Kind::Stale);
    drop(first);
    second.still_ours().unwrap();
    assert_eq!(holders(&locks[0]).len(), 1);
}

fn with_its_file_removed_by_hand_nobody_else_there_it_is_refused_all_the_same(backend: Backend) {
    let (place, key) = (Place::new(backend, LASTING), key());
    let locks = place.locks();
    let held = KeyLock::new(&locks, &key).commit(&Wait::never(), "first").unwrap();
    fs::remove_file(place.file(LockKind::Commit)).unwrap();
    assert_eq!(held.still_ours().unwrap_err().kind(), Kind::Stale);
    // And it is not made again.
    std::thread::sleep(HEARTBEAT * 3);
    assert!(!place.file(LockKind::Commit).exists());
    drop(held);
    KeyLock::new(&locks, &key).commit(&Wait::never(), "next").unwrap();
}

fn where_it_cannot_be_looked_at_the_check_fails(backend: Backend) {
    let (place, key) = (Place::new(backend, LASTING), key());
    let locks = place.locks();
    let held = KeyLock::new(&locks, &key).commit(&Wait::never(), "first").unwrap();
    held.still_ours().unwrap();
    let (there, away) = (locks.directory(), place.directory.path().join("away"));
    fs::rename(there, &away).unwrap();
    fs::write(there, "no directory").unwrap();
    held.still_ours().unwrap_err();
    fs::remove_file(there).unwrap();
    fs::rename(&away, there).unwrap();
    held.still_ours().unwrap();
}

fn what_is_no_lock_is_not_listed(backend: Backend) {
    let (place, key) = (Place::new(backend, LASTING), key());
    let locks = place.locks();
    drop(KeyLock::new(&locks, &key).fetch(&Wait::never(), "first").unwrap());
    fs::write(locks.directory().join("notes.txt"), "{}").unwrap();
    fs::write(locks.directory().join("torn.fetch"), "{\"owner\"").unwrap();
    assert_eq!(holders(&locks), []);
}

/// Text that a killed holder left behind is not a holder.
#[test]
fn with_locks_of_the_kernel_a_dead_holder_is_not_listed() {
    let place = Place::new(Backend::Kernel, LASTING);
    let mut holder = Holder::start(&place, "hold");
    holder.hear("held");
    assert_eq!(holders(&place.locks()).len(), 1);
    holder.kill();
    assert!(fs::metadata(place.file(LockKind::Fetch)).unwrap().len() > 0);
    assert_eq!(holders(&place.locks()), []);
}
