//! The daemon: one process that serves one mount, in the foreground; and starting it in the background.
//!
//! Foreground is the real mode. The background mode is this program again with `--foreground`, which
//! announces on its standard output that the mount answers, or why it does not; then it lets go of the
//! terminal. It ends when the mount is gone and the last handle on it is closed, or within
//! a few seconds of the first SIGTERM or SIGINT, or at the second one at once.
//!
//! The daemon never touches its own mount: what must look into it is done by a child with a bound.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use srcfs_mount::mounting::{self, Access, MountOptions, MountRequest};
use srcfs_mount::{Config as MountConfig, Session};

use crate::cache::{self, Cache};
use crate::config::Config;
use crate::config::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::operation::probe::{self, Ask};
use crate::view::status::About;
use crate::view::{Shared, SourceTree};

mod announce;
pub mod background;
mod signals;
pub mod unmounting;

pub use announce::Announcement;

/// What a daemon needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to mount; made if it is missing.
    pub directory: PathBuf,
    /// How to mount.
    pub mount: MountOptions,
    /// The cache.
    pub cache: PathBuf,
    /// The configuration file; read again whenever it changes.
    pub config: PathBuf,
    /// Whether somebody waits for an [`Announcement`] on standard output.
    pub announce: bool,
}

/// Why there is no mount.
#[derive(Debug)]
pub enum Failed {
    /// The kernel or the machine did not let us mount.
    Mount(mounting::MountError),
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Other(error)
    }
}

impl From<mounting::MountError> for Failed {
    fn from(error: mounting::MountError) -> Self {
        Failed::Mount(error)
    }
}

/// Mounts and serves until the end. `ready` is called when the mount answers.
pub fn run(
    options: &Options,
    environment: &Environment,
    ready: impl FnOnce(&Path),
) -> std::result::Result<(), Failed> {
    // Before any thread exists: they inherit that these signals are the signal thread's.
    let signals = signals::Signals::block()?;
    raise_descriptor_limit();
    // It was started as /proc/self/exe, and `ps` and `kill` call it by that. What fails is its name alone.
    let _ = nix::sys::prctl::set_name(c"srcfs");
    let mut config = Config::load(&options.config)?;
    let directory = mount_point(&options.directory)?;
    keep_apart(&directory, &options.cache)?;
    let cache_options =
        cache::Options { locking: config.locking, quota: config.quota.clone(), ..cache::Options::default() };
    let cache = Cache::open(&options.cache, cache_options)?;
    let source = Arc::new(crate::operation::sources(&mut config, &cache, environment));
    let about = About { directory: directory.clone(), started: SystemTime::now() };
    let mount_config = mount_config(&config, options.mount, &directory);
    let tree = SourceTree::new(cache.clone(), source, config, Some(options.config.clone()), about)?;
    // A daemon outlives the directory it was started in.
    std::env::set_current_dir("/").map_err(|error| Error::io("go to", "/", &error))?;

    let fs_name = format!("srcfs:{}", cache.id());
    let request = MountRequest { directory: &directory, source: &fs_name, options: options.mount };
    let mounted = mounting::mount(&request)?;
    mount_config.set_mount(mounted.id);
    let session = match Session::begin(tree.clone(), mounted.device, mount_config) {
        Ok(session) => session,
        Err(error) => {
            // Nobody serves it, so it would be left behind dead.
            let _ = mounting::unmount(&mounted.directory, Some(&mounted.id), true);
            return Err(Error::io("begin the session of", &mounted.directory, &error)
                .hint("is the kernel older than Linux 4.20?")
                .into());
        }
    };
    tree.attach(session.monitor());
    tidy(tree.shared().clone());
    signals.handle(session.monitor(), mounted.directory.clone(), mounted.id)?;
    log::info!("serving {} from {}", mounted.directory.display(), options.cache.display());
    ready(&mounted.directory);
    announce::to_service_manager(environment);
    if options.announce {
        announce::ready(&mounted.directory);
    }
    let served = session.serve().map_err(|error| Error::io("serve", &mounted.directory, &error));
    cache.give_up();
    served?;
    log::info!("{} is gone", mounted.directory.display());
    Ok(())
}

fn mount_config(config: &Config, options: MountOptions, directory: &Path) -> MountConfig {
    let mount = directory.to_owned();
    let mut mount_config = MountConfig::default();
    mount_config.fetch_threads = config.max_fetches as usize;
    mount_config.quiet = config.quiet;
    mount_config.max_drain = config.max_drain;
    mount_config.idle = config.idle;
    // Directories are looked at again when they are used, as often as `refresh` says.
    mount_config.note_use =
        config.refresh.map_or(mount_config.note_use, |age| age.min(mount_config.note_use));
    mount_config.reply_bound = below_the_kernels_bound(config.reply_bound);
    mount_config.only_root_besides = options.access == Access::OwnerAndRoot;
    mount_config.park = Some(Arc::new(move |paths: &[PathBuf]| {
        let paths: Vec<PathBuf> = paths.iter().map(|path| mount.join(path)).collect();
        probe::ask(Ask::LookUp, &paths);
    }));
    mount_config
}

/// The kernel aborts a whole mount over one request that takes longer than its own bound, if the
/// administrator has set one; so ours stays below it.
fn below_the_kernels_bound(bound: Duration) -> Duration {
    let kernels = ["max_request_timeout", "default_request_timeout"].iter().filter_map(|name| {
        let text = std::fs::read_to_string(format!("/proc/sys/fs/fuse/{name}")).ok()?;
        text.trim().parse().ok().filter(|&seconds: &u64| seconds > 0)
    });
    match kernels.min() {
        Some(seconds) if Duration::from_secs(seconds) <= bound => {
            let lower = Duration::from_secs(seconds).mul_f64(0.75);
            log::warn!("the kernel ends requests after {seconds} s: waiting at most {lower:?}");
            lower
        }
        _ => bound,
    }
}

/// The absolute path of the mount point, made if it is missing.
fn mount_point(directory: &Path) -> Result<PathBuf> {
    let absolute = mounting::absolute(directory).map_err(|error| Error::io("find", directory, &error))?;
    // A dead mount of ours is there, though a stat fails; mounting replaces it.
    match std::fs::create_dir_all(&absolute) {
        Ok(()) => Ok(absolute),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::io("make the mount point", &absolute, &error))
        }
        Err(_) => Ok(absolute),
    }
}

/// Refuses a cache in the mount or a mount in the cache: the daemon would wait for itself.
fn keep_apart(mount: &Path, cache: &Path) -> Result<()> {
    let cache = mounting::absolute(cache).map_err(|error| Error::io("find", cache, &error))?;
    let (mount, cache) = (resolved(mount), resolved(&cache));
    if mount.starts_with(&cache) || cache.starts_with(&mount) {
        let what = format!("mount on {} with the cache {}", mount.display(), cache.display());
        return Err(Error::new(Kind::Config, what, "one lies inside the other")
            .hint("choose another mount point or another --cache-dir"));
    }
    Ok(())
}

/// `path` with the symbolic links of its longest existing part followed.
fn resolved(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        #[allow(clippy::disallowed_methods, reason = "two places are compared, nothing is deleted")]
        let real = std::fs::canonicalize(ancestor);
        if let (Ok(real), Ok(rest)) = (real, path.strip_prefix(ancestor)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

/// How often the memory of blobs that nobody goes on with is given back.
const TIDY: Duration = Duration::from_secs(10);
/// After how many of those rounds the cache is looked through again: ten minutes.
const REAP_ROUNDS: u64 = 60;

/// Deletes what processes that were killed have left in the cache, now and every ten minutes; keeps the
/// cache within its quota; gives back memory that is not used. It may take its time, so nobody waits.
fn tidy(shared: Arc<Shared>) {
    let tidying = std::thread::Builder::new().name("srcfs-tidy".to_owned());
    let started = tidying.spawn(move || {
        for round in 0_u64.. {
            if round % REAP_ROUNDS == 0 {
                shared.cache.reap();
            }
            shared.cache.tend();
            shared.move_over();
            std::thread::sleep(TIDY);
            crate::store::Objects::trim();
        }
    });
    if let Err(error) = started {
        log::warn!("what was left in the cache stays for now: {error}");
    }
}

/// As many descriptors as the machine allows: every pinned generation takes one, and every pack.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        log::debug!("the descriptor limit stays at {soft}: {error}");
    }
}
