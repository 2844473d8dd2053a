//! What the verbs do: each operation takes typed input and answers a report that can be printed as
//! text or as JSON. It prints nothing itself and knows nothing of the command line.
//!
//! An operation works the same with no daemon, one or four: it shares the cache and its locks with
//! them, tells them of a change by a look-up in their mounts ([`barrier`]) and reads what they know
//! from there ([`daemon_status`]). Every such look happens in a child process with a bound
//! ([`probe`]), because a daemon that hangs must not hang a verb.
//!
//! Calls cache, source, config and the kernel-facing leaves of `srcfs_mount`. A failure of one key is
//! part of the report; only what stops the whole operation is an error.

use std::sync::Arc;

use crate::cache::{self, Cache, Freshness};
use crate::config::Config;
use crate::config::environment::Environment;
pub use crate::error::Failure;
use crate::error::Result;
use crate::error::failure::snake_case;
use crate::key::{Key, Reference};
use crate::project::Own;
use crate::source::git::{Git, GitOptions};
use crate::source::http::{self, Http, documents::Documents};
use crate::source::local::Local;
use crate::source::package::{PackageOptions, Packages};
use crate::source::registry::{Defaults, Registries};
use crate::source::{Progress, Source, Sources};

pub mod add;
pub mod agent_guide;
pub mod barrier;
pub mod check;
pub mod cite;
pub mod clear;
pub mod daemon_status;
pub mod doctor;
pub mod explain;
pub mod gc;
pub mod get;
pub mod import;
pub mod keep;
pub mod list;
pub mod mounts;
pub mod path;
pub mod probe;
pub mod readers;
pub mod remove;
pub mod status;
pub mod target;
pub mod update;

/// What an operation works with.
pub struct Context {
    /// The configuration.
    pub config: Config,
    /// The cache.
    pub cache: Arc<Cache>,
    /// Where repositories come from.
    pub source: Box<dyn Source>,
    /// Where things are, unless they were given.
    pub environment: Environment,
}

impl Context {
    /// Opens the cache and prepares the source as the configuration says.
    pub fn open(mut config: Config, cache: &std::path::Path, environment: Environment) -> Result<Context> {
        let (locking, quota) = (config.locking, config.quota.clone());
        let cache = Cache::open(cache, cache::Options { locking, quota, ..Default::default() })?;
        let source = Box::new(sources(&mut config, &cache, &environment));
        Ok(Context { config, cache, source, environment })
    }

    /// The references of `key` that are cached.
    fn cached(&self, key: &Key) -> Result<Vec<Reference>> {
        let state = self.cache.state(key)?;
        let texts = state.iter().flat_map(|state| state.references.keys());
        Ok(texts.filter_map(|text| key.reference(text).ok()).collect())
    }

    /// How fresh an answer about `key` has to be that is not explicitly asked for now.
    fn freshness(&self, key: &Key) -> Freshness {
        self.config.refresh_of(key.kind()).map_or(Freshness::Cached, Freshness::NotOlderThan)
    }
}

/// All sources, as the configuration lets them be used; it learns which registries are the user's own. They remember
/// what saves them work in `cache`.
pub fn sources(config: &mut Config, cache: &Cache, environment: &Environment) -> Sources {
    let git = git(config);
    let proxies = environment.proxies.clone();
    // What a project's own files say counts in that project, and a mount is for all of them.
    let defaults = Arc::new(Defaults::kept_in(cache.memory_of_sources()));
    let registries = Arc::new(Registries::new(environment.variables.clone(), None, defaults));
    config.own = Own::told_by(registries.clone());
    let packages = Packages::new(
        Http::new(http::Settings { proxies, ..http::Settings::default() }),
        Documents::new(cache.memory_of_sources()),
        registries,
        PackageOptions { offline: config.offline, weak_hashes: config.weak_hashes },
    );
    let local = Local::new(git.clone(), cache.directory(), cache.memory_of_sources());
    Sources { git, packages, local }
}

/// The user's git, as the configuration lets it be used.
fn git(config: &Config) -> Git {
    let known = config.clone();
    Git::new(GitOptions {
        allowed: Arc::new(move |url| known.allows(url)),
        offline: config.offline,
        ..GitOptions::default()
    })
}

/// Who asks, for the holder's line of a lock and for `status`.
fn who(verb: &str) -> String {
    format!("srcfs {verb}, process {}", std::process::id())
}

/// Where to watch a fetch: called before each with the key's text.
pub type Watch<'w> = &'w mut dyn FnMut(&str) -> Arc<Progress>;

impl From<cache::Failure> for Failure {
    fn from(noted: cache::Failure) -> Self {
        Failure { kind: snake_case(&noted.kind), what: noted.what, why: noted.why, hint: noted.hint }
    }
}

/// Now, in seconds since 1970.
fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
