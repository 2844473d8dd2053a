//! How processes that share a cache keep out of each other's way: which locks, and the times of leases.
//!
//! The times depend on each other, so they are one value that can only be made valid: whoever holds a
//! lease must have said so several times before anybody may think that it is dead. Fails with
//! `Kind::Config`, with the range and the default in the message.

use std::fmt;
use std::time::Duration;

use super::document::{DurationField, Fields};
use super::duration::Shown;
use super::problem::Problems;
use crate::error::{Error, Kind, Result};

/// What the locks of a cache are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Locks of the kernel: free the moment their holder is gone. For one machine.
    Kernel,
    /// Files that say who holds them and that it lives: free some time after their holder is gone. For
    /// hosts that share a cache over a network file system.
    Lease,
}

impl Backend {
    /// All of them, as they are written.
    pub const NAMES: [&str; 2] = ["kernel", "lease"];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Kernel => "kernel",
            Backend::Lease => "lease",
        }
    }

    /// The backend of that name.
    pub fn parse(name: &str) -> Option<Backend> {
        [Backend::Kernel, Backend::Lease].into_iter().find(|backend| backend.as_str() == name)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const LEASE_KEYS: &[&str] = &["stale", "heartbeat", "pin_stale"];

/// What the configuration says about locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locking {
    /// Which backend; none for what the cache was made with, or what suits its file system.
    pub backend: Option<Backend>,
    /// The times of leases, wherever they are used.
    pub lease: LeaseTimes,
}

/// How long a sign of life counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    stale: Duration,
    heartbeat: Duration,
    pin_stale: Duration,
}

/// The range of one time, and what it is unless it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub least: Duration,
    /// The most.
    pub most: Duration,
    /// If nothing is given.
    pub default: Duration,
}

impl Range {
    fn check(self, name: &str, value: Duration) -> Result<Duration> {
        if (self.least..=self.most).contains(&value) {
            return Ok(value);
        }
        let what = format!("use {name} = {:?}", Shown(value).to_string());
        Err(Error::new(Kind::Config, what, "it is out of range").hint(format!(
            "give a time from {:?} to {:?}; the default is {:?}",
            Shown(self.least).to_string(),
            Shown(self.most).to_string(),
            Shown(self.default).to_string()
        )))
    }
}

impl LeaseTimes {
    /// For how long a lock must have been seen unchanged before it may be taken over.
    pub const STALE: Range = Range {
        least: Duration::from_millis(300),
        most: Duration::from_secs(3600),
        default: Duration::from_secs(30),
    };

    /// How often a holder says that it lives: three times within `stale` at least.
    pub fn heartbeat_range(stale: Duration) -> Range {
        let least = Duration::from_millis(50);
        Range { least, most: (stale / 3).max(least), default: (stale / 6).max(least) }
    }

    /// For how long a process must have been seen without a sign of life before its pins count no more.
    pub fn pin_stale_range(stale: Duration) -> Range {
        let default = Duration::from_secs(600).max(stale);
        Range { least: stale, most: Duration::from_secs(30 * 86_400), default }
    }

    /// Checked against their ranges; what is not given is its default.
    pub fn new(
        stale: Duration,
        heartbeat: Option<Duration>,
        pin_stale: Option<Duration>,
    ) -> Result<LeaseTimes> {
        let stale = LeaseTimes::STALE.check("stale", stale)?;
        let heartbeats = LeaseTimes::heartbeat_range(stale);
        let heartbeat = heartbeats.check("heartbeat", heartbeat.unwrap_or(heartbeats.default))?;
        let pins = LeaseTimes::pin_stale_range(stale);
        let pin_stale = pins.check("pin_stale", pin_stale.unwrap_or(pins.default))?;
        Ok(LeaseTimes { stale, heartbeat, pin_stale })
    }

    /// After which time without a sign of life a lock may be taken over.
    pub fn stale(&self) -> Duration {
        self.stale
    }

    /// How often a sign of life is given.
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// How long a wait must be allowed to last so that it outlives a dead holder.
    pub fn takeover(&self) -> Duration {
        self.stale + self.heartbeat * 2
    }

    /// After which time without a sign of life of its process a pin counts no more.
    pub fn pin_stale(&self) -> Duration {
        self.pin_stale
    }
}

impl Default for LeaseTimes {
    /// 30 s, 5 s, 10 minutes.
    fn default() -> Self {
        let stale = LeaseTimes::STALE.default;
        LeaseTimes {
            stale,
            heartbeat: LeaseTimes::heartbeat_range(stale).default,
            pin_stale: LeaseTimes::pin_stale_range(stale).default,
        }
    }
}

/// Reads `lock` and `[lease]`; notes what is wrong with them.
pub(super) fn read(file: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Locking {
    let backend = file.text("lock", problems).and_then(|name| {
        let backend = Backend::parse(name.text);
        if backend.is_none() {
            let [kernel, lease] = Backend::NAMES;
            let why = format!("there are no locks of the kind {:?}", name.text);
            problems.add(&name.at, why, format!("write lock = {kernel:?} or lock = {lease:?}"));
        }
        backend
    });
    let Some(fields) = file.table("lease", LEASE_KEYS, problems) else {
        return Locking { backend, ..Locking::default() };
    };
    let mut read = |key, Range { least, most, default }| {
        fields.duration(&DurationField { key, least, most, default }, problems)
    };
    let stale = read("stale", LeaseTimes::STALE);
    let heartbeat = read("heartbeat", LeaseTimes::heartbeat_range(stale));
    let pin_stale = read("pin_stale", LeaseTimes::pin_stale_range(stale));
    // Each is in its range, so they are valid together; what was not has been noted.
    let lease = LeaseTimes::new(stale, Some(heartbeat), Some(pin_stale)).unwrap_or_default();
    Locking { backend, lease }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_defaults_are_valid_and_follow_from_stale() {
        let times = LeaseTimes::new(LeaseTimes::STALE.default, None, None).unwrap();
        assert_eq!(times, LeaseTimes::default());
        assert_eq!(times.heartbeat(), Duration::from_secs(5));
        let quick = LeaseTimes::new(600 * MS, None, None).unwrap();
        assert_eq!((quick.heartbeat(), quick.pin_stale()), (100 * MS, Duration::from_secs(600)));
    }

    #[test]
    fn times_out_of_range_are_refused_with_range_and_default() {
        for (stale, heartbeat, pin_stale, named) in [
            (Duration::ZERO, None, None, "from \"300ms\" to \"1h\"; the default is \"30s\""),
            (Duration::from_secs(4000), None, None, "stale"),
            (900 * MS, Some(Duration::ZERO), None, "from \"50ms\" to \"300ms\"; the default is \"150ms\""),
            (900 * MS, Some(900 * MS), None, "heartbeat"),
            (900 * MS, Some(301 * MS), None, "heartbeat"),
            (900 * MS, None, Some(899 * MS), "from \"900ms\" to \"30d\"; the default is \"10m\""),
        ] {
            let error = LeaseTimes::new(stale, heartbeat, pin_stale).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
