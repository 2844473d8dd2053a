//! Locks, atomics and threads of this crate: those of std, or, under the feature `schedules`, those of
//! shuttle, which runs a test under thousands of schedules chosen by itself.
//!
//! The feature is for tests alone (`cargo test -p srcfs-mount --features schedules --lib schedules`):
//! with it these types work only inside of such a test, where time does not pass and no wait ends at
//! its bound. What decides who lives, who waits and who is told takes its types from here; what only
//! serves the device may use std directly. An `Arc` needs no scheduling and is std's in both.

#[cfg(not(feature = "schedules"))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, OnceLock, RwLock, atomic, mpsc},
    thread,
};

#[cfg(feature = "schedules")]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, atomic, mpsc},
    thread,
};

/// One of std, before whose use other threads may come. The value is made without waiting.
#[cfg(feature = "schedules")]
#[derive(Default)]
pub(crate) struct OnceLock<T>(std::sync::OnceLock<T>);

#[cfg(feature = "schedules")]
impl<T> OnceLock<T> {
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        thread::sleep(std::time::Duration::ZERO);
        self.0.get_or_init(make)
    }

    pub(crate) fn get(&self) -> Option<&T> {
        thread::sleep(std::time::Duration::ZERO);
        self.0.get()
    }
}

/// Runs `check` under many schedules: half of them random, half by PCT, which finds what needs a few
/// unlikely switches. As many as `SRCFS_SCHEDULES` says, else `usual`; the seed is fixed.
#[cfg(all(test, feature = "schedules"))]
#[allow(clippy::disallowed_methods, reason = "a test's own setting")]
pub(crate) fn explore(usual: usize, check: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    let wanted = std::env::var("SRCFS_SCHEDULES").ok().map(|text| text.parse().expect("a number"));
    let half = wanted.unwrap_or(usual).div_ceil(2);
    let mut config = shuttle::Config::new();
    config.stack_size = 0x8_0000;
    config.silence_warnings = true;
    // A schedule is pages long, and the same seed finds it again.
    config.failure_persistence = shuttle::FailurePersistence::None;
    let check = std::sync::Arc::new(check);
    let again = check.clone();
    shuttle::Runner::new(RandomScheduler::new_from_seed(7, half), config.clone()).run(move || check());
    shuttle::Runner::new(PctScheduler::new_from_seed(7, 3, half), config).run(move || again());
}
