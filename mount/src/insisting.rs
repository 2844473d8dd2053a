//! Programs that go on listing a directory although it failed.
//!
//! readdir(3) may be called again after an error, and a program that only stops at the end of the directory
//! calls it for ever: ripgrep did before Rust's standard library took an error for the end, and such builds, as
//! Debian 12's, are in use. There is no open of a directory here that could fail instead (see `adapter`). So who
//! asks again at once, time after time, is told ENOENT in the end, which the C libraries take for the end of
//! a directory. A program that waits before it tries again is never told so.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::ino::Ino;
use crate::locked;
use crate::sync::Mutex;
use crate::tree::{Caller, Errno};

/// Who asks again later than this after the failure has thought about it.
const AT_ONCE: Duration = Duration::from_millis(20);
/// So many failures in a row are told as they are.
const PATIENCE: u32 = 8;
/// More are not remembered. A program lists with few threads.
const MOST: usize = 256;

/// The failures of the last moments.
#[derive(Default)]
pub(crate) struct Insisting(Mutex<HashMap<(u32, Ino), Failed>>);

struct Failed {
    last: Instant,
    in_a_row: u32,
}

impl Insisting {
    /// What to answer to a listing that was `asked` for then and failed with `error` now.
    pub(crate) fn answer(&self, caller: Caller, directory: Ino, asked: Instant, error: Errno) -> Errno {
        self.answer_at(caller, directory, asked, Instant::now(), error)
    }

    fn answer_at(&self, caller: Caller, directory: Ino, asked: Instant, now: Instant, error: Errno) -> Errno {
        let mut failures = locked(&self.0);
        let in_a_row = match failures.get(&(caller.tid, directory)) {
            Some(before) if asked.saturating_duration_since(before.last) < AT_ONCE => before.in_a_row + 1,
            _ => 1,
        };
        if in_a_row > PATIENCE {
            failures.remove(&(caller.tid, directory));
            return Errno(libc::ENOENT);
        }
        if failures.len() >= MOST {
            failures.retain(|_, failed| now.saturating_duration_since(failed.last) < AT_ONCE);
        }
        if failures.len() < MOST {
            failures.insert((caller.tid, directory), Failed { last: now, in_a_row });
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EIO: Errno = Errno(libc::EIO);

    #[test]
    fn only_who_asks_again_at_once_is_told_that_it_is_the_end() {
        let insisting = Insisting::default();
        let start = Instant::now();
        let (one, other) = (Caller { tid: 1 }, Caller { tid: 2 });
        for round in 0..3 {
            for n in 0..PATIENCE {
                assert_eq!(insisting.answer_at(one, Ino(5), start, start, EIO), EIO, "{round} {n}");
            }
            assert_eq!(insisting.answer_at(other, Ino(5), start, start, EIO), EIO, "another program");
            assert_eq!(insisting.answer_at(one, Ino(6), start, start, EIO), EIO, "another directory");
            assert_eq!(insisting.answer_at(one, Ino(5), start, start, EIO), Errno(libc::ENOENT));
        }
        let patient = Caller { tid: 3 };
        let mut now = start;
        for _ in 0..10 * PATIENCE {
            now += AT_ONCE;
            assert_eq!(insisting.answer_at(patient, Ino(5), now, now, EIO), EIO);
        }
    }

    #[test]
    fn how_long_the_failure_itself_took_does_not_matter() {
        let insisting = Insisting::default();
        let mut asked = Instant::now();
        let slow = |asked| {
            insisting.answer_at(Caller { tid: 1 }, Ino(5), asked, asked + Duration::from_secs(60), EIO)
        };
        for _ in 0..PATIENCE {
            assert_eq!(slow(asked), EIO);
            asked += Duration::from_secs(60);
        }
        assert_eq!(slow(asked), Errno(libc::ENOENT));
    }

    #[test]
    fn many_programs_do_not_fill_the_memory() {
        let insisting = Insisting::default();
        let start = Instant::now();
        for tid in 0..10_000 {
            let now = start + Duration::from_millis(u64::from(tid));
            insisting.answer_at(Caller { tid }, Ino(5), now, now, EIO);
        }
        assert!(locked(&insisting.0).len() <= MOST);
    }
}
