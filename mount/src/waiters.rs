//! Requests that wait for a slow answer: each has a bound, and each ends when its caller is told to.
//!
//! fuser answers the kernel's interrupt requests with ENOSYS, after which a caller inside a request
//! ignores even SIGKILL until it is answered. So the callers are looked at instead: from 100 ms on,
//! every 100 ms, a pending signal that would end or interrupt the caller answers its request with
//! EINTR. What it waited for goes on for the others.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::locked;
use crate::process;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Condvar, Mutex, thread};
use crate::tree::{Caller, Errno};

/// How often waiting callers are looked at.
const EVERY: Duration = Duration::from_millis(100);

/// Answers a request, once: with success when what it waited for is there.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), Errno>) + Send>;

struct Waiter {
    caller: Caller,
    since: Instant,
    answer: Answer,
}

/// Names a waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WaiterId(u64);

/// All waiting requests of a mount.
pub(crate) struct Waiters {
    bound: Duration,
    next: AtomicU64,
    waiting: Mutex<Table>,
    changed: Condvar,
}

#[derive(Default)]
struct Table {
    requests: HashMap<WaiterId, Waiter>,
    closed: bool,
}

impl Waiters {
    /// No request waits longer than `bound`.
    pub(crate) fn new(bound: Duration) -> Self {
        Waiters { bound, next: AtomicU64::new(0), waiting: Mutex::default(), changed: Condvar::new() }
    }

    /// Registers a request. It will be answered exactly once: by [`Waiters::finish`], at its bound, at
    /// a signal, or when the mount closes.
    pub(crate) fn enter(&self, caller: Caller, answer: Answer) -> WaiterId {
        let id = WaiterId(self.next.fetch_add(1, Relaxed));
        let mut table = locked(&self.waiting);
        if table.closed {
            drop(table);
            answer(Err(Errno(libc::EINTR)));
            return id;
        }
        table.requests.insert(id, Waiter { caller, since: Instant::now(), answer });
        self.changed.notify_all();
        id
    }

    /// Answers a request, unless it was answered already.
    pub(crate) fn finish(&self, id: WaiterId, result: Result<(), Errno>) {
        let waiter = locked(&self.waiting).requests.remove(&id);
        if let Some(waiter) = waiter {
            (waiter.answer)(result);
        }
    }

    /// Whether a request still waits.
    pub(crate) fn waits(&self, id: WaiterId) -> bool {
        locked(&self.waiting).requests.contains_key(&id)
    }

    /// Who waits, and for how long.
    pub(crate) fn list(&self) -> Vec<(Caller, Duration)> {
        locked(&self.waiting).requests.values().map(|w| (w.caller, w.since.elapsed())).collect()
    }

    /// Answers everything with EINTR and whatever comes later too.
    pub(crate) fn close(&self) {
        let all = {
            let mut table = locked(&self.waiting);
            table.closed = true;
            self.changed.notify_all();
            std::mem::take(&mut table.requests)
        };
        for waiter in all.into_values() {
            (waiter.answer)(Err(Errno(libc::EINTR)));
        }
    }

    /// Looks at the waiting callers until the mount closes. Runs on a thread of its own.
    pub(crate) fn watch(self: Arc<Self>) {
        loop {
            let callers: Vec<(WaiterId, Caller, Duration)> = {
                let mut table = locked(&self.waiting);
                while table.requests.is_empty() && !table.closed {
                    table = self.changed.wait(table).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                if table.closed {
                    return;
                }
                table.requests.iter().map(|(id, w)| (*id, w.caller, w.since.elapsed())).collect()
            };
            for (id, caller, waited) in callers {
                let error = if waited >= self.bound {
                    Errno(libc::ETIMEDOUT)
                } else if waited >= EVERY && process::caught_or_fatal_signal_pending(caller.tid) {
                    Errno(libc::EINTR)
                } else {
                    continue;
                };
                // One answer that fails must not leave all others waiting.
                if catch_unwind(AssertUnwindSafe(|| self.finish(id, Err(error)))).is_err() {
                    log::error!("an answer panicked; its caller got an input/output error");
                }
            }
            thread::sleep(EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn enter(waiters: &Waiters) -> (WaiterId, mpsc::Receiver<Result<(), Errno>>) {
        let (send, receive) = mpsc::channel();
        let id = waiters.enter(Caller { tid: 0 }, Box::new(move |result| send.send(result).unwrap()));
        (id, receive)
    }

    #[test]
    fn a_request_is_answered_once() {
        let waiters = Waiters::new(Duration::from_secs(60));
        let (id, answers) = enter(&waiters);
        waiters.finish(id, Ok(()));
        waiters.finish(id, Err(Errno(libc::EIO)));
        assert_eq!(answers.iter().collect::<Vec<_>>(), [Ok(())]);
    }

    #[test]
    fn a_request_ends_at_its_bound() {
        let waiters = Arc::new(Waiters::new(Duration::ZERO));
        let (id, answers) = enter(&waiters);
        let watch = std::thread::spawn({
            let waiters = waiters.clone();
            move || waiters.watch()
        });
        assert_eq!(answers.recv().unwrap(), Err(Errno(libc::ETIMEDOUT)));
        assert!(!waiters.waits(id));
        waiters.close();
        watch.join().unwrap();
    }

    #[test]
    fn an_answer_that_panics_leaves_the_others_their_bound() {
        let waiters = Arc::new(Waiters::new(Duration::ZERO));
        waiters.enter(Caller { tid: 0 }, Box::new(|_| panic!("on purpose")));
        let watch = std::thread::spawn({
            let waiters = waiters.clone();
            move || waiters.watch()
        });
        while !waiters.list().is_empty() {
            std::thread::yield_now();
        }
        let (_, answers) = enter(&waiters);
        assert_eq!(answers.recv_timeout(Duration::from_secs(30)), Ok(Err(Errno(libc::ETIMEDOUT))));
        waiters.close();
        watch.join().unwrap();
    }

    #[test]
    fn closing_answers_everybody_and_whoever_comes_later() {
        let waiters = Waiters::new(Duration::from_secs(60));
        let (_, first) = enter(&waiters);
        waiters.close();
        let (_, later) = enter(&waiters);
        assert_eq!(first.recv().unwrap(), Err(Errno(libc::EINTR)));
        assert_eq!(later.recv().unwrap(), Err(Errno(libc::EINTR)));
    }
}
