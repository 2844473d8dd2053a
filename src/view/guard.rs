//! The guard against runaway walkers: how much one process may cause to be fetched through a mount.
//!
//! Counted are the different things that a process has had looked for or fetched within the window, which
//! slides on a monotonic clock. To ask a host whether a name exists counts as well, or an indexer that
//! probes names would hammer a forge; to ask and then to fetch is one thing. What is refused is not
//! counted, nor is who joins a fetch that runs ([`super::binding`] sees to that). Callers that cannot be
//! seen share one account.
//!
//! It works in memory: it reads no `/proc` and holds its lock across no I/O. What has left the window is
//! dropped whenever something is asked, and with it the processes that have nothing left.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use srcfs_mount::process::{self, Identity};
use srcfs_mount::tree::Caller;

use super::lock;
use crate::config::walkers::Walkers;
use crate::error::{Error, Kind};

/// How many refused names of one process are told; more are only counted out.
const MOST_TOLD: usize = 50;

/// Whoever causes work.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    process: Option<Identity>,
    command: String,
}

impl Cause {
    /// Reads `/proc`.
    pub(super) fn of(caller: Caller) -> Self {
        let process = Identity::of_thread(caller.tid);
        let command = process.map(|identity| process::command(identity.tgid)).unwrap_or_default();
        Cause { process, command }
    }
}

/// As people know it: `1234 rg`.
impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.process {
            Some(identity) => write!(f, "{} {}", identity.tgid, self.command),
            None => f.write_str("a process that cannot be seen"),
        }
    }
}

/// A process that was refused something lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WalkerStatus {
    /// Its process id and command.
    pub who: String,
    /// How many things it caused within the window.
    pub caused: usize,
    /// How many different names it was refused; no more than 50 are counted.
    pub refused: usize,
}

/// A refusal.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: Error,
    /// Whether it is the first one of this name, so that it is to be told.
    pub(super) first: bool,
}

/// The accounts. `T` is what is counted.
pub(super) struct Guard<T> {
    accounts: Mutex<Accounts<T>>,
}

struct Accounts<T> {
    rules: Walkers,
    of: HashMap<Option<Identity>, Account<T>>,
}

struct Account<T> {
    who: String,
    caused: HashMap<T, Instant>,
    refused: HashSet<T>,
}

impl<T: Clone + Eq + Hash> Guard<T> {
    pub(super) fn new(rules: Walkers) -> Self {
        Guard { accounts: Mutex::new(Accounts { rules, of: HashMap::new() }) }
    }

    /// Goes by other rules from now on; what was counted stays so.
    pub(super) fn set(&self, rules: &Walkers) {
        lock(&self.accounts).rules = rules.clone();
    }

    /// Counts that `cause` wants `what`, called `label`, or refuses.
    pub(super) fn admit(&self, cause: &Cause, what: &T, label: &str) -> Result<(), Refused> {
        self.admit_at(Instant::now(), cause, what, label)
    }

    fn admit_at(&self, now: Instant, cause: &Cause, what: &T, label: &str) -> Result<(), Refused> {
        let mut accounts = lock(&self.accounts);
        accounts.forget(now);
        let Accounts { rules, of } = &mut *accounts;
        let Some(limit) = rules.limit else { return Ok(()) };
        if cause.process.is_some() && rules.allowed.contains(&cause.command) {
            return Ok(());
        }
        let account = of.entry(cause.process).or_insert_with(|| Account {
            who: cause.to_string(),
            caused: HashMap::new(),
            refused: HashSet::new(),
        });
        if account.caused.contains_key(what) {
            return Ok(());
        }
        if account.caused.len() < limit as usize {
            account.caused.insert(what.clone(), now);
            account.refused.remove(what);
            return Ok(());
        }
        let first = account.refused.len() < MOST_TOLD && account.refused.insert(what.clone());
        let window = crate::config::duration::Shown(rules.window);
        let error = Error::new(
            Kind::RateLimited,
            format!("fetch {label} for {cause}"),
            format!(
                "this process caused {limit} fetches or questions within {window}, as runaway walkers do"
            ),
        )
        .hint(
            "`srcfs get` the ones that are wanted, try again in a while, raise \
             max_materializations_per_process, or name the process in walkers_allowed",
        );
        Err(Refused { error, first })
    }

    /// Who was refused something and would be still.
    pub(super) fn walkers(&self) -> Vec<WalkerStatus> {
        let mut accounts = lock(&self.accounts);
        accounts.forget(Instant::now());
        let refused = accounts.of.values().filter(|account| !account.refused.is_empty());
        let status = |account: &Account<T>| WalkerStatus {
            who: account.who.clone(),
            caused: account.caused.len(),
            refused: account.refused.len(),
        };
        refused.map(status).collect()
    }
}

impl<T> Accounts<T> {
    fn forget(&mut self, now: Instant) {
        let window: Duration = self.rules.window;
        self.of.retain(|_, account| {
            account.caused.retain(|_, at| now.saturating_duration_since(*at) < window);
            !account.caused.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(tgid: u32, start: u64, command: &str) -> Cause {
        Cause { process: Some(Identity { tgid, start }), command: command.to_owned() }
    }

    fn guard(limit: u32) -> Guard<u32> {
        let allowed = vec!["good".to_owned()];
        Guard::new(Walkers { limit: Some(limit), window: Duration::from_secs(60), allowed })
    }

    #[test]
    fn a_process_has_so_many_different_things_and_no_other_pays_for_it() {
        let (guard, walker, now) = (guard(2), cause(7, 1, "rg"), Instant::now());
        let ask = |cause: &Cause, what: u32| guard.admit_at(now, cause, &what, "x");
        for what in [1, 1, 2, 1, 2] {
            ask(&walker, what).unwrap();
        }
        let refused = ask(&walker, 3).unwrap_err();
        assert!(refused.first && refused.error.to_string().contains("7 rg"), "{refused:?}");
        assert_eq!(refused.error.kind().errno(), libc::EAGAIN);
        assert!(!ask(&walker, 3).unwrap_err().first, "a name is told once");
        ask(&walker, 1).unwrap();
        ask(&cause(7, 2, "rg"), 3).unwrap();
        ask(&cause(8, 1, "rg"), 3).unwrap();
        let told = guard.walkers();
        assert_eq!(told, [WalkerStatus { who: "7 rg".to_owned(), caused: 2, refused: 1 }]);
    }

    #[test]
    fn who_cannot_be_seen_shares_one_account_and_who_is_allowed_has_none() {
        let (guard, now) = (guard(2), Instant::now());
        let unseen = || Cause { process: None, command: String::new() };
        for what in [1, 2] {
            guard.admit_at(now, &unseen(), &what, "x").unwrap();
        }
        assert!(guard.admit_at(now, &unseen(), &3, "x").is_err());
        for what in 0..100 {
            guard.admit_at(now, &cause(7, 1, "good"), &what, "x").unwrap();
        }
        guard.set(&Walkers { limit: None, ..Walkers::default() });
        guard.admit_at(now, &unseen(), &3, "x").unwrap();
    }

    #[test]
    fn the_window_slides_and_what_left_it_takes_no_memory() {
        let (guard, walker, start) = (guard(2), cause(7, 1, "rg"), Instant::now());
        let ask = |second, what: u32| {
            guard.admit_at(start + Duration::from_secs(second), &walker, &what, "x").is_ok()
        };
        assert!(ask(0, 1) && ask(30, 2));
        assert!(!ask(59, 3), "a refusal is not counted");
        assert!(ask(60, 3), "the first has left");
        assert!(!ask(89, 4));
        assert!(ask(90, 4));
        let later = start + Duration::from_secs(1000);
        for tgid in 100..1100 {
            let at = later + Duration::from_secs(u64::from(tgid));
            guard.admit_at(at, &cause(tgid, 1, "sh"), &1, "x").unwrap();
        }
        assert!(lock(&guard.accounts).of.len() <= 60);
    }
}
