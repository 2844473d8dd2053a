//! A snapshot of the cache as the mount serves it: narrowed to its subpaths, with its extended
//! attributes.

use std::ffi::OsStr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use srcfs_mount::tree::{self, Errno, NodeKind};

pub(crate) mod package;

use super::binding::What;
use super::citation::{Citation, Place};
use super::{Shared, lock, name};
use crate::cache::Snapshot;
use crate::error::{Error, Kind, Result};
use crate::source::About;
use crate::store::{self, Table};

/// The extended attributes of a view. `.blob` stands on files, the last two on submodules, and on the root
/// of a package what is told of it ([`package`]). None stands on a symbolic link, where the kernel allows no
/// `user.` attribute to be read.
const KEY: &str = "user.srcfs.key";
pub(crate) const REVISION: &str = "user.srcfs.revision";
pub(crate) const URL: &str = "user.srcfs.url";
const CITATION: &str = "user.srcfs.citation";
pub(crate) const BLOB: &str = "user.srcfs.blob";
pub(crate) const SUBMODULE_URL: &str = "user.srcfs.submodule.url";
pub(crate) const SUBMODULE_COMMIT: &str = "user.srcfs.submodule.commit";

/// The node of a view's own directory.
const ROOT: u32 = 0;

/// How many hashes of a lockfile are named in an error.
const MOST_NAMED: usize = 3;

/// Fails with `Corrupt` if none of the archives that were published as that version has one of these hashes, of
/// which the same algorithm's count; none is no demand. A lockfile names the archives that its own client would
/// install, which of a Python project are others than the one that is shown.
pub fn agree(hashes: &[String], about: Option<&About>) -> Result<()> {
    let Some(about) = about else { return Ok(()) };
    let algorithm = about.hash.split(['-', ':']).next().unwrap_or_default();
    let mut same = hashes.iter().filter(|hash| hash.split(['-', ':']).next() == Some(algorithm)).peekable();
    if same.peek().is_none() || same.any(|hash| *hash == about.hash || about.others.contains(hash)) {
        return Ok(());
    }
    let (first, rest) = hashes.split_at(hashes.len().min(MOST_NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let (published, pinned) = (&about.hash, first.join(", "));
    let published = match about.others.is_empty() {
        true => format!("the registry publishes {published}"),
        false => format!("the registry publishes {published} and {} others", about.others.len()),
    };
    let why = format!("{published}, and the lockfile pins {pinned}{more}");
    Err(Error::new(Kind::Corrupt, format!("compare {} {}", about.name, about.version), why)
        .hint("one of them was changed: find out which before anything of it is used"))
}

/// A snapshot being shown. While it lives its generation is pinned. The same snapshot may come to lie in
/// another generation (see `move_over`); nothing that is shown changes then.
pub struct Shown {
    shared: Arc<Shared>,
    what: What,
    label: String,
    failed: Arc<Failed>,
    snapshot: RwLock<Snapshot>,
    table: Arc<Table>,
}

/// What is known of reads that failed.
#[derive(Default)]
struct Failed {
    /// The last sentence about one, so that each is told once.
    last: Mutex<String>,
    /// Whether one is being told of.
    telling: AtomicBool,
    /// Whether the generation was taken out of use.
    distrusted: AtomicBool,
}

/// The telling of one failed read; the next may be told of when this is dropped.
struct Telling(Arc<Failed>);

impl Telling {
    /// `None` while another one is told of.
    fn begin(failed: &Arc<Failed>) -> Option<Telling> {
        (!failed.telling.swap(true, SeqCst)).then(|| Telling(failed.clone()))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.telling.store(false, SeqCst);
    }
}

impl Shown {
    /// Shows what `what` asks for of a snapshot; `label` is its name below the mount.
    ///
    /// Fails with `NotFound` if a subpath does not exist in it.
    pub fn new(shared: Arc<Shared>, label: &str, snapshot: &Snapshot, what: &What) -> Result<Self> {
        let table = if what.subpaths.is_empty() {
            snapshot.table().clone()
        } else {
            let narrowed = snapshot.table().narrowed(&what.subpaths);
            Arc::new(narrowed.map_err(|error| error.during(format!("show {}", what.key)))?)
        };
        agree(&what.hashes, snapshot.about()).map_err(|error| error.during(format!("show {}", what.key)))?;
        let (label, what, failed) = (label.to_owned(), what.clone(), Arc::default());
        let snapshot = RwLock::new(snapshot.clone());
        Ok(Shown { shared, what, label, failed, snapshot, table })
    }

    fn snapshot(&self) -> Snapshot {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of the generation in which the snapshot lay, if it was moved to another one; which that
    /// is. Reads that are under way end where they began.
    pub(super) fn move_over(&self) -> Result<Option<String>> {
        let Some(moved) = self.shared.cache.move_over(&self.snapshot())? else { return Ok(None) };
        let generation = moved.generation().to_owned();
        let mut snapshot = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *snapshot, moved);
        drop(snapshot);
        // It was the old one, if any.
        self.failed.distrusted.store(false, SeqCst);
        // The last pin goes with it, and that looks at the disk.
        drop(old);
        Ok(Some(generation))
    }

    /// Its KEY. Of all spellings of a package that of its registry, which is also listed.
    fn key(&self) -> String {
        let is_package = self.label.split('/').next() == Some(self.what.key.kind().as_str());
        let snapshot = self.snapshot();
        let own = snapshot
            .about()
            .filter(|_| is_package)
            .and_then(|_| name::path_of(snapshot.key(), &self.what.reference, &self.shared.config()));
        own.unwrap_or_else(|| self.label.clone())
    }

    /// Tells of a read that failed, and takes a mirror that is not what it was out of use. That may
    /// take a while and a read is answered on a thread of the mount, so it is done on another one: one
    /// at a time, because a damaged mirror may have very many files that cannot be read. What fails
    /// meanwhile is told of when it is read again.
    fn failed(&self, snapshot: Snapshot, error: Error) {
        let mut last = lock(&self.failed.last);
        if *last == error.to_string() {
            return;
        }
        let Some(telling) = Telling::begin(&self.failed) else { return };
        *last = error.to_string();
        let shared = self.shared.clone();
        let (what, label) = (self.what.clone(), self.label.clone());
        let started = std::thread::Builder::new().name("srcfs-distrust".to_owned()).spawn(move || {
            shared.report(&what, &label, "a reader", &error);
            let distrusted = &telling.0.distrusted;
            if error.kind() == Kind::Corrupt && !distrusted.load(SeqCst) {
                match shared.cache.distrust(&snapshot, &error) {
                    Ok(()) => {
                        distrusted.store(true, SeqCst);
                        shared.cached.outdate();
                    }
                    Err(second) => log::error!("{second}"),
                }
            }
        });
        if let Err(error) = started {
            // The next read tries again.
            last.clear();
            log::error!("{}: a read failed, and no thread can be started: {error}", self.label);
        }
    }
}

impl tree::Snapshot for Shown {
    fn len(&self) -> u32 {
        self.table.len()
    }

    fn modified(&self) -> SystemTime {
        self.snapshot().modified()
    }

    fn node(&self, index: u32) -> Option<tree::Node> {
        let node = self.table.node(index)?;
        let kind = match node.kind {
            store::Kind::Directory | store::Kind::Submodule => NodeKind::Directory,
            store::Kind::File { executable } => NodeKind::File { executable },
            store::Kind::Symlink => NodeKind::Symlink,
        };
        Some(tree::Node { kind, size: node.size, parent: node.parent })
    }

    fn name(&self, index: u32) -> &OsStr {
        self.table.name(index)
    }

    fn children(&self, index: u32) -> Range<u32> {
        self.table.children(index)
    }

    fn lookup(&self, directory: u32, name: &OsStr) -> Option<u32> {
        self.table.lookup(directory, name)
    }

    fn read(&self, index: u32, offset: u64, size: u32, with: &mut dyn FnMut(&[u8])) -> Result<(), Errno> {
        let node = self.table.node(index).ok_or(Errno(libc::ESTALE))?;
        let snapshot = self.snapshot();
        let outcome = snapshot.objects().read(&node.object, offset, size, with);
        outcome.map_err(|error| {
            let errno = Errno(error.kind().errno());
            let path = self.table.path(index);
            self.failed(snapshot, error.during(format_args!("read {} of {}", path.display(), self.label)));
            errno
        })
    }

    fn xattr(&self, index: u32, name: &OsStr) -> Option<Vec<u8>> {
        let node = self.table.node(index)?;
        let value = match name.to_str()? {
            KEY => self.key(),
            REVISION => self.snapshot().revision().to_string(),
            URL => self.snapshot().url().to_owned(),
            CITATION => {
                let path = self.table.path(index);
                let revision = self.snapshot().revision().to_string();
                // Made anew each time: the configuration may say by now what the host is.
                let snapshot = self.snapshot();
                let config = self.shared.config();
                let citation = Citation::new(&self.what.key, &revision, snapshot.about(), &config);
                citation.of(Place { path: &path, kind: node.kind, lines: None })
            }
            BLOB if matches!(node.kind, store::Kind::File { .. }) => node.object.hex(),
            SUBMODULE_COMMIT if node.kind == store::Kind::Submodule => node.object.hex(),
            SUBMODULE_URL => self.table.submodule_url(index)?.to_owned(),
            name if index == ROOT => package::value(self.snapshot().about()?, name)?,
            _ => return None,
        };
        Some(value.into_bytes())
    }

    fn xattrs(&self, index: u32) -> Vec<String> {
        let mut names = vec![KEY, REVISION, URL, CITATION];
        match self.table.node(index).map(|node| node.kind) {
            Some(store::Kind::File { .. }) => names.push(BLOB),
            // What is listed is read next, and that fails.
            Some(store::Kind::Symlink) => names.clear(),
            Some(store::Kind::Submodule) => {
                names.push(SUBMODULE_COMMIT);
                if self.table.submodule_url(index).is_some() {
                    names.push(SUBMODULE_URL);
                }
            }
            _ => {}
        }
        if let (ROOT, Some(about)) = (index, self.snapshot().about()) {
            names.extend(package::names(about));
        }
        names.into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_read_is_told_of_at_a_time_and_a_panic_does_not_end_that() {
        let failed = Arc::default();
        let telling = Telling::begin(&failed);
        assert!(telling.is_some() && Telling::begin(&failed).is_none());
        let panicked = std::thread::spawn(move || {
            let _telling = telling;
            panic!("while telling");
        });
        assert!(panicked.join().is_err());
        assert!(Telling::begin(&failed).is_some());
    }
}
