//! Where trees come from: one module a kind, behind one trait.
//!
//! A source turns a reference into a revision ([`Source::resolve`]) and brings the objects of one
//! revision into a private staging directory ([`Source::prepare`]). It knows nothing of the cache's
//! layout, takes no lock, and cannot reach anything published: it sees only the directory it is
//! given and, read-only, the objects it may borrow from.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use crate::error::Result;
use crate::key::{Key, Origin, Reference};

mod about;
pub mod archive;
pub mod git;
pub mod http;
pub mod local;
mod memory;
pub mod package;
pub mod registry;

pub use about::{About, LeftOut};

/// What a reference resolves to. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(String);

impl Revision {
    /// A revision from its canonical text: a full commit id in lower case, the id of a directory's tree, or
    /// a version with its published hash.
    pub fn new(text: impl Into<String>) -> Self {
        Revision(text.into())
    }

    /// Its canonical text. Safe as a path component.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The answer to "what is this reference now".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The revision it names now.
    pub revision: Revision,
    /// The remote's full name of it (`refs/tags/v1`), if it was named and not an id; of a package its version.
    pub full_name: Option<String>,
    /// Whether it can name another revision tomorrow (a branch, a tag, the default).
    pub moving: bool,
}

/// What [`Source::prepare`] left in its staging directory.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The revision it is, as fetched: the same that was asked for. Of what moves and is not asked for
    /// by name, a directory, it may be a later one.
    pub revision: Revision,
    /// The object id (hex) of its root tree.
    pub tree: String,
    /// The time of the revision itself (a commit's committer time).
    pub modified: SystemTime,
    /// Bytes that came over the network or the file system, as far as known.
    pub transferred: u64,
    /// By what [`Source::unchanged`] sees that it is still what its source holds. Nobody else looks
    /// at it.
    pub stamp: Option<String>,
    /// What is told of it, if it is a package.
    pub about: Option<About>,
}

/// Progress and the wish to stop, shared between who waits and who works.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    objects: AtomicU64,
    total_objects: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Bytes received so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
    /// Objects received so far, and how many are expected (0: not known yet).
    pub fn objects(&self) -> (u64, u64) {
        (self.objects.load(Ordering::Relaxed), self.total_objects.load(Ordering::Relaxed))
    }
    /// Notes what has been received so far.
    pub fn set(&self, bytes: u64, objects: u64, total_objects: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.objects.store(objects, Ordering::Relaxed);
        self.total_objects.store(total_objects, Ordering::Relaxed);
    }
    /// Asks the worker to stop; it ends with `Kind::Interrupted`.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Where [`Source::prepare`] works: all that it is given of the cache. Neither the cache nor any of its
/// locks can be reached from here.
#[derive(Clone, Copy, Debug)]
pub struct Workplace<'a> {
    /// An existing, empty, private directory. On success it is a bare git repository that holds
    /// every object of the revision's tree that `borrow` does not hold, in packs and nowhere else.
    /// If there is a `borrow`, its `shallow` lists at least what that of `borrow` lists.
    pub directory: &'a Path,
    /// A bare repository whose objects need not come again (git alternates), if there is one. It is
    /// published: to be read, never written. No type can forbid that to code of this process, but what
    /// is changed there is noticed before anybody reads it: packs are compared with their records when
    /// they are opened, a table with its hash, and what no record names is never looked at.
    pub borrow: Option<&'a Path>,
    /// The lock file that says that `directory` is in use. It is free only when every process that
    /// holds this descriptor is gone, so a child that writes to `directory` inherits it.
    pub lease: Option<BorrowedFd<'a>>,
}

/// All sources, as one: each key is of the kind of one of them.
pub struct Sources {
    /// Repositories.
    pub git: git::Git,
    /// Packages.
    pub packages: package::Packages,
    /// Directories.
    pub local: local::Local,
}

impl Sources {
    fn of(&self, key: &Key) -> &dyn Source {
        match key.origin() {
            Origin::Git(_) => &self.git,
            Origin::Package(_) => &self.packages,
            Origin::Local(_) => &self.local,
        }
    }
}

impl Source for Sources {
    fn resolve(
        &self,
        key: &Key,
        reference: &Reference,
        known: &[Revision],
        progress: &Progress,
    ) -> Result<Resolved> {
        self.of(key).resolve(key, reference, known, progress)
    }

    fn prepare(
        &self,
        key: &Key,
        resolved: &Resolved,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<Prepared> {
        self.of(key).prepare(key, resolved, place, progress)
    }

    fn unchanged(&self, key: &Key, prepared: &Prepared) -> Result<bool> {
        self.of(key).unchanged(key, prepared)
    }
}

/// One kind of source.
pub trait Source: Send + Sync {
    /// Asks what `reference` of `key` is now. `known` are revisions that are cached: an abbreviated
    /// id may mean one of them.
    fn resolve(
        &self,
        key: &Key,
        reference: &Reference,
        known: &[Revision],
        progress: &Progress,
    ) -> Result<Resolved>;

    /// Brings `resolved` into the workplace. Whatever it leaves there on failure is the caller's to
    /// remove; it writes nowhere else.
    fn prepare(
        &self,
        key: &Key,
        resolved: &Resolved,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<Prepared>;

    /// Whether what was prepared is still what the source holds. If it is not, it is resolved and
    /// prepared again. Asked under the commit lock, so it is local and quick: no network, no reading of
    /// contents. What is named by its hash cannot change, which is the answer here.
    fn unchanged(&self, _key: &Key, _prepared: &Prepared) -> Result<bool> {
        Ok(true)
    }
}
