//! What goes on: mounts and their daemons, the cache, fetches, locks, recent failures.

use std::path::PathBuf;

use serde::Serialize;

use super::daemon_status::{self, Daemon, ErrorStatus, FetchStatus};
use super::readers::{Reader, Readers};
use super::{Context, Failure, mounts};
use crate::error::Result;
use crate::view::status::WalkerStatus;

/// How many failures are told.
const MOST_ERRORS: usize = 10;

/// Everything at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct StatusReport {
    /// All mounts of this cache.
    pub mounts: Vec<MountReport>,
    /// Where other caches are mounted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_mounts: Vec<PathBuf>,
    /// The cache.
    pub cache: CacheReport,
    /// What is being fetched, by daemons.
    pub fetches: Vec<FetchStatus>,
    /// Who holds which lock.
    pub locks: Vec<LockReport>,
    /// Processes that read, but for those that nobody can tell.
    pub readers: Vec<Reader>,
    /// Processes that could not be looked into.
    pub hidden: usize,
    /// The last failures, newest first.
    pub errors: Vec<ErrorStatus>,
}

/// One mount.
#[derive(Clone, Debug, Serialize)]
pub struct MountReport {
    /// Where.
    pub mount_point: PathBuf,
    /// The daemon's process id, if it answers.
    pub pid: Option<u32>,
    /// Since when it runs, in seconds since 1970.
    pub started: Option<u64>,
    /// How many views it holds.
    pub views: Option<usize>,
    /// Views that only older processes see.
    pub draining: Option<usize>,
    /// How many requests wait for a slow answer.
    pub waiting: Option<usize>,
    /// Processes that were refused a fetch, because they caused too many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub walkers: Vec<WalkerStatus>,
    /// What is wrong with a changed configuration, for which the daemon keeps the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_problem: Option<String>,
    /// Why it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent: Option<String>,
}

/// The cache.
#[derive(Clone, Debug, Serialize)]
pub struct CacheReport {
    /// Where.
    pub directory: PathBuf,
    /// Its id, as in the source of its mounts.
    pub id: String,
    /// What its locks are: `kernel` or `lease`.
    pub lock: &'static str,
    /// How many mirrors it has.
    pub mirrors: usize,
    /// How many snapshots they have.
    pub snapshots: usize,
    /// The bytes that it takes on the disk, as `max_size` and `srcfs gc` count them.
    pub bytes: u64,
    /// How many references are kept from being dropped to make room.
    pub kept: usize,
    /// The bytes it may have, by the configuration.
    pub max_size: Option<u64>,
    /// The bytes that are free on its disk, and those that should be; none if that is not known.
    pub free: Option<u64>,
    /// See `free`.
    pub must_be_free: Option<u64>,
}

/// One held lock.
#[derive(Clone, Debug, Serialize)]
pub struct LockReport {
    /// Its key.
    pub key: String,
    /// Who holds it, since when, for what.
    pub holder: String,
}

/// Looks around. Never fetches, and waits for no daemon longer than its bound.
pub fn status(context: &Context) -> Result<StatusReport> {
    let (own, others): (Vec<_>, Vec<_>) =
        mounts::all()?.into_iter().partition(|mounted| mounted.cache == context.cache.id());
    let daemons = daemon_status::read(&own);
    let readers = Readers::find(&daemons);
    let said = |daemon: &Daemon| daemon.status.as_ref().ok().cloned();
    let fetches = daemons.iter().filter_map(said).flat_map(|status| status.fetches).collect();
    let mirrors = context.cache.mirrors()?;
    let living = mirrors.iter().filter(|state| state.generation.is_some());
    let (mut count, mut snapshots) = (0, 0);
    for state in living {
        count += 1;
        snapshots += state.snapshots.len();
    }
    let space = context.cache.free_space().ok();
    Ok(StatusReport {
        mounts: daemons.iter().map(mount_report).collect(),
        other_mounts: others.into_iter().map(|mounted| mounted.mount_point).collect(),
        cache: CacheReport {
            directory: context.cache.directory().to_owned(),
            id: context.cache.id().to_owned(),
            lock: context.cache.backend().as_str(),
            mirrors: count,
            snapshots,
            bytes: context.cache.bytes_on_disk()?,
            kept: context.cache.kept().len(),
            max_size: context.config.quota.max_size,
            free: space.map(|(_, free)| free),
            must_be_free: space.map(|(must, _)| must),
        },
        fetches,
        locks: locks(context),
        readers: readers.of(true, |_| true),
        hidden: readers.hidden,
        errors: errors(context, &daemons),
    })
}

fn mount_report(daemon: &Daemon) -> MountReport {
    let status = daemon.status.as_ref().ok();
    MountReport {
        mount_point: daemon.mounted.mount_point.clone(),
        pid: status.map(|status| status.pid),
        started: status.map(|status| status.started),
        views: status.map(|status| status.views.len()),
        draining: status.map(|status| status.views.iter().filter(|view| !view.newest).count()),
        waiting: status.map(|status| status.waiting.len()),
        walkers: status.map(|status| status.walkers.clone()).unwrap_or_default(),
        configuration_problem: status.and_then(|status| status.configuration_problem.clone()),
        silent: daemon.status.as_ref().err().cloned(),
    }
}

fn locks(context: &Context) -> Vec<LockReport> {
    let holders = context.cache.lock_holders();
    holders.iter().map(|held| LockReport { key: held.key.clone(), holder: held.to_string() }).collect()
}

/// What daemons remember and what the cache keeps, newest first.
fn errors(context: &Context, daemons: &[Daemon]) -> Vec<ErrorStatus> {
    let mut errors: Vec<ErrorStatus> = daemons
        .iter()
        .filter_map(|daemon| daemon.status.as_ref().ok())
        .flat_map(|s| s.errors.clone())
        .collect();
    for failed in context.cache.failures() {
        let errno = format!("{:?}", nix::errno::Errno::from_raw(failed.errno));
        let (at, path, who) = (failed.at, failed.of.clone(), String::new());
        errors.push(ErrorStatus { at, path, who, errno, failure: Failure::from(failed) });
    }
    errors.sort_by_key(|error| std::cmp::Reverse(error.at));
    // A daemon's failure is noted in the cache as well.
    errors.dedup_by(|second, first| second.failure == first.failure);
    errors.truncate(MOST_ERRORS);
    errors
}
