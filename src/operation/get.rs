//! Materializes trees without a mount, one or ten thousand.
//!
//! | file | room |
//! |---|---|
//! | `list` | keys from a file, as they come |
//! | `queue` | which of them is next |
//! | `workers` | who does it, and in which order it is told |
//!
//! What it costs grows with the number of keys and with nothing else: a bounded number of them is in
//! memory, and what was told is forgotten.

use std::io::BufRead;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::barrier::{self, Unanswered};
use super::target::{self, Target};
use super::{Context, Failure, Watch, mounts, who};
use crate::cache::{Fetched, Freshness};
use crate::error::{Error, Kind, Result};
use crate::source::Progress;
use crate::view::name::pinned;
use crate::view::snapshot::agree;
use queue::{Input, Queue};

mod list;
mod queue;
mod workers;

/// One tree that is in the cache now.
#[derive(Clone, Debug, Serialize)]
pub struct Got {
    /// The KEY, or what stands in a list instead of one.
    pub key: String,
    /// The url it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What is in the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<GotTree>,
    /// Why it is not, or why it may be old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// How long it took.
    pub seconds: f64,
}

impl Got {
    /// Whether it is not there because the batch was ended.
    pub fn interrupted(&self) -> bool {
        self.tree.is_none() && self.error.as_ref().is_some_and(|error| error.kind == "interrupted")
    }
}

/// What of it is in the cache.
#[derive(Clone, Debug, Serialize)]
pub struct GotTree {
    /// The revision.
    pub revision: String,
    /// How many files are shown.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether something had to be fetched.
    pub fetched: bool,
    /// Whether the reference moved.
    pub changed: bool,
    /// Bytes that travelled, as far as known.
    pub transferred: u64,
}

/// What came of a batch.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Total {
    /// Trees that came.
    pub fetched: u64,
    /// Trees that were there.
    pub cached: u64,
    /// Keys that failed.
    pub failed: u64,
    /// Bytes that travelled, as far as known.
    pub transferred: u64,
    /// How long all of it took.
    pub seconds: f64,
    /// Whether it was ended before all was done.
    pub interrupted: bool,
    /// Mounts that have not noticed a changed reference yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
    #[serde(skip)]
    changed: bool,
}

impl Total {
    /// Whether every tree is there.
    pub fn complete(&self) -> bool {
        self.failed == 0 && !self.interrupted
    }

    /// How many keys were done.
    pub fn keys(&self) -> u64 {
        self.fetched + self.cached + self.failed
    }

    fn add(&mut self, got: &Got) {
        match &got.tree {
            Some(tree) => {
                *(if tree.fetched { &mut self.fetched } else { &mut self.cached }) += 1;
                self.transferred += tree.transferred;
                self.changed |= tree.changed;
            }
            None if got.interrupted() => {}
            None => self.failed += 1,
        }
    }
}

/// What a batch is to get.
pub enum Keys {
    /// These, of which none comes twice.
    Given(Vec<Target>),
    /// One a line.
    Listed {
        /// Where they are read.
        from: Box<dyn BufRead + Send>,
        /// What that is called in messages.
        name: String,
    },
    /// What a project pins.
    Pinned {
        /// The paths below the mount.
        paths: Vec<String>,
        /// Which lockfiles are missing among them, and why.
        broken: Vec<(String, Error)>,
        /// What they are called in messages.
        name: String,
    },
}

/// Everything that the lockfiles of the project `name` pin. What of it cannot be had fails for itself, and so
/// does a lockfile that cannot be read.
pub fn pinned(context: &Context, name: &str) -> Result<Keys> {
    let what = || format!("get the project {name:?}");
    let Some(project) = context.config.project(name.strip_prefix("projects/").unwrap_or(name)) else {
        return Err(Error::new(Kind::NotFound, what(), "no project is called so")
            .hint("see `srcfs list`, or name it with `srcfs add NAME --project DIR`"));
    };
    let paths = pinned::paths(project).map_err(|error| error.during(what()))?;
    let index = project.pins.at_hand().map_err(|error| error.during(what()))?;
    let broken = index.project.broken.iter();
    let broken = broken.map(|broken| (broken.lockfile.display().to_string(), broken.error.clone())).collect();
    Ok(Keys::Pinned { paths, broken, name: format!("the lockfiles of {}", project.path.display()) })
}

/// How a batch is done.
pub struct Batch<'a> {
    /// How many are worked on at once.
    pub jobs: NonZeroUsize,
    /// Who watches.
    pub spectator: &'a dyn Spectator,
    /// Whether it is to end now. Asked again and again.
    pub interrupted: &'a dyn Fn() -> bool,
}

/// Who watches the fetches of a batch while they run.
pub trait Spectator: Sync {
    /// One begins.
    fn begins(&self, key: &str) -> Arc<Progress>;
    /// One is over.
    fn ends(&self, progress: &Arc<Progress>);
}

/// Materializes all `keys`; one that fails does not stop the others. Several are prepared at once, but
/// they are committed, and told, in their order.
///
/// Fails if there is no key at all, and with what `tell` fails with.
pub fn get(
    context: &Context,
    keys: Keys,
    batch: &Batch<'_>,
    tell: &mut dyn FnMut(Got) -> Result<()>,
) -> Result<Total> {
    let started = Instant::now();
    let mounts = mounts::all()?;
    let parse = |text: &str| Target::parse_listed(text, &context.config, &mounts);
    let is_project = matches!(keys, Keys::Pinned { .. });
    let (input, most, from) = match keys {
        Keys::Given(targets) => {
            let most = targets.len();
            (Input::Given(targets.into_iter()), most, "the command line".to_owned())
        }
        Keys::Listed { from, name } => (Input::Listed(list::read(from, &name)?), usize::MAX, name),
        Keys::Pinned { paths, broken, name } => {
            let lines = paths.into_iter().map(|path| (name.clone(), Ok(path)));
            let lines = lines.chain(broken.into_iter().map(|(lockfile, error)| (lockfile, Err(error))));
            (Input::Listed(list::of(lines.collect())), usize::MAX, name)
        }
    };
    let queue = Queue::new(input, &parse);
    let mut total = workers::run(context, &queue, batch, batch.jobs.get().min(most), tell)?;
    // Of one alone its worker has done so.
    if total.fetched > 1 {
        context.cache.tend_now();
    }
    total.seconds = started.elapsed().as_secs_f64();
    if is_project && total.keys() == 0 && !total.interrupted {
        return Err(Error::new(Kind::NotFound, format!("get what {from} pin"), "they pin nothing")
            .hint("see `srcfs list` for what is not pinned, and why"));
    }
    if total.keys() == 0 && !total.interrupted {
        return Err(Error::new(Kind::Invalid, format!("read the keys in {from}"), "there is none")
            .hint(format!("write one a line: {}", target::EXAMPLES)));
    }
    if total.changed {
        total.unanswered = barrier::raise(&mounts::of_cache(context.cache.id())?);
    }
    Ok(total)
}

/// The one call by which verbs materialize.
pub(super) fn materialize(
    context: &Context,
    target: &Target,
    freshness: Freshness,
    verb: &str,
    watch: Watch<'_>,
) -> Result<Fetched> {
    let progress = watch(&target.text);
    let (key, reference) = (&target.key, &target.reference);
    let fetched = context.cache.get(&*context.source, key, reference, freshness, &who(verb), &progress)?;
    if fetched.fetched {
        context.cache.tend();
    }
    agree(&target.hashes, fetched.snapshot.about())?;
    Ok(fetched)
}

fn shown(target: &Target, fetched: &Fetched) -> Result<GotTree> {
    agree(&target.hashes, fetched.snapshot.about())?;
    let whole = fetched.snapshot.table();
    let (files, bytes) = match target.subpaths.as_slice() {
        [] => (whole.files(), whole.bytes()),
        subpaths => {
            let narrowed = whole.narrowed(subpaths)?;
            (narrowed.files(), narrowed.bytes())
        }
    };
    Ok(GotTree {
        revision: fetched.snapshot.revision().to_string(),
        files,
        bytes,
        fetched: fetched.fetched,
        changed: fetched.changed,
        transferred: fetched.transferred,
    })
}
