//! When something changed, in a clock that can be compared with the start of a process.
//!
//! The kernel says when a process started in ticks since boot (`starttime` of proc_pid_stat(5)). So a
//! change is noted in the same clock and unit, with the id of the boot: no setting of the wall clock
//! moves it, and ticks of another boot are known to mean nothing.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The moment of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// `/proc/sys/kernel/random/boot_id`; empty if it could not be read.
    pub boot_id: String,
    /// CLOCK_BOOTTIME in the clock ticks of this machine (USER_HZ).
    pub ticks: u64,
    /// The wall clock, in seconds since 1970: for messages.
    pub unix: u64,
}

impl Changed {
    /// Now.
    pub fn now() -> Self {
        Changed { boot_id: boot_id(), ticks: ticks(), unix: unix_now() }
    }

    /// Waits, at most one tick, until the clock has left the tick of this change: a process that
    /// starts afterwards has a later start time, which tells it from one that started before.
    pub fn wait_until_past(&self) {
        let tick = Duration::from_secs(1) / u32::try_from(ticks_per_second()).unwrap_or(100);
        // Bounded, in case the clock of another boot or namespace was noted.
        for _ in 0..10 {
            if self.boot_id != boot_id() || ticks() != self.ticks {
                return;
            }
            std::thread::sleep(tick / 5);
        }
    }
}

/// The id of this boot; empty if it cannot be read.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    ticks.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// CLOCK_BOOTTIME in clock ticks; 0 on a kernel without that clock.
pub fn ticks() -> u64 {
    let Ok(now) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return 0 };
    let nanoseconds = u64::try_from(now.tv_nsec()).unwrap_or(0);
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    seconds * ticks_per_second() + nanoseconds * ticks_per_second() / 1_000_000_000
}

/// A clock that nobody sets and that stands still while this host is suspended: CLOCK_MONOTONIC. Of use
/// only to who is the same [`observer`].
pub(super) fn steady() -> Duration {
    let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return Duration::ZERO };
    let nanoseconds = u32::try_from(now.tv_nsec()).unwrap_or(0);
    Duration::new(u64::try_from(now.tv_sec()).unwrap_or(0), nanoseconds)
}

/// What all processes have in common that share a [`steady`] clock: the boot and the time namespace.
/// Safe as a file name.
pub(super) fn observer() -> &'static str {
    static OBSERVER: OnceLock<String> = OnceLock::new();
    OBSERVER.get_or_init(|| {
        let namespace = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
        let mut text = format!("{}-{}", boot_id(), namespace.display());
        text.retain(|c| c.is_ascii_alphanumeric() || c == '-');
        text
    })
}

/// The wall clock in seconds since 1970; 0 before that.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_started_after_the_wait_is_later_than_the_change() {
        let changed = Changed::now();
        changed.wait_until_past();
        // A thread's start time is the same clock and unit as a process's.
        let started = std::thread::spawn(|| {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let after_name = stat.rsplit_once(") ").unwrap().1;
            after_name.split(' ').nth(19).unwrap().parse::<u64>().unwrap()
        });
        assert!(started.join().unwrap() > changed.ticks);
    }
}
