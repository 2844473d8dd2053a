//! Locks and maps that order the threads of one process: those of std and dashmap, or, under the feature
//! `schedules`, those of shuttle, which runs a test under thousands of schedules chosen by itself.
//!
//! The feature is for tests alone (`cargo test -p srcfs --features schedules --lib schedules`): with it
//! these types work only inside of such a test, where time does not pass and no wait ends at its bound.
//! Only what is tested so takes its types from here; everything else uses std. An `Arc` needs no
//! scheduling and is std's in both.

#[cfg(feature = "schedules")]
mod map;

#[cfg(not(feature = "schedules"))]
pub(crate) use {
    dashmap::{DashMap, Entry},
    std::sync::{Condvar, Mutex, MutexGuard},
};

#[cfg(feature = "schedules")]
pub(crate) use {
    map::{DashMap, Entry},
    shuttle::sync::{Condvar, Mutex, MutexGuard},
};

/// Runs `check` under many schedules: half of them random, half by PCT, which finds what needs a few
/// unlikely switches. As many as `SRCFS_SCHEDULES` says, else `usual`; the seed is fixed.
#[cfg(all(test, feature = "schedules"))]
#[allow(clippy::disallowed_methods, reason = "a test's own setting")]
pub(crate) fn explore(usual: usize, check: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    let wanted = std::env::var("SRCFS_SCHEDULES").ok().map(|text| text.parse().expect("a number"));
    let half = wanted.unwrap_or(usual).div_ceil(2);
    let mut config = shuttle::Config::new();
    config.stack_size = 0x2_0000;
    config.silence_warnings = true;
    // A schedule is pages long, and the same seed finds it again.
    config.failure_persistence = shuttle::FailurePersistence::None;
    let check = std::sync::Arc::new(check);
    let again = check.clone();
    shuttle::Runner::new(RandomScheduler::new_from_seed(7, half), config.clone()).run(move || check());
    shuttle::Runner::new(PctScheduler::new_from_seed(7, 3, half), config).run(move || again());
}
