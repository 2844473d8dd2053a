//! Where everything is in the cache directory, and making that directory fit for use.
//!
//! The directory is 0700 and ours. A format change will be a new `v2/` beside `v1/`; what this
//! version does not know it leaves alone. Every name below `v1/` is made here from typed values:
//! a key's file name and digest, a checked generation or revision, a random id.
//!
//! What its locks are is decided when it is made, and recorded: all who use it must use the same.
//!
//! Fails with the path in the error: not ours, made for another lock backend, read-only, full.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::durable::{Unfinished, sync_directory};
use super::file_system;
use super::key_lock::Locks;
use super::lease::{ALIVE, Lease, SEEN};
use crate::config::locking::{Backend, LeaseTimes, Locking};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::Key;

/// <https://bford.info/cachedir/>: backup programs skip a directory with this file.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is the cache of srcfs. All of it can be fetched again.\n\
    # For information about cache directory tags see https://bford.info/cachedir/\n";

/// The directories of a cache, below `v1/`.
pub(super) const ROOMS: [&str; 12] = [
    "locks",
    "mirrors",
    "mirrors/git",
    "mirrors/npm",
    "mirrors/crates",
    "mirrors/pypi",
    "mirrors/local",
    "staging",
    "trash",
    "failures",
    "kept",
    "sources",
];

/// Where things are.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    v1: PathBuf,
    id: String,
    locks: Locks,
    lease: Option<Arc<Lease>>,
}

impl Layout {
    /// Makes or checks the cache at `root`.
    pub fn open(root: &Path, locking: &Locking) -> Result<Layout> {
        // A daemon changes its working directory.
        let root =
            std::path::absolute(root).map_err(|error| Error::io("find the cache directory", root, &error))?;
        let root = root.as_path();
        make_private(root)?;
        let v1 = root.join("v1");
        make_directory(&v1)?;
        for directory in ROOMS {
            make_directory(&v1.join(directory))?;
        }
        settle(&root.join("CACHEDIR.TAG"), CACHEDIR_TAG)?;
        let network = file_system::network(root)?;
        let choose = |recorded: Option<&str>| file_system::choose(root, network, recorded, locking.backend);
        let suits = choose(recorded_backend(root)?.as_deref())?;
        // Somebody else may have been faster, and have chosen otherwise.
        let recorded = settle(&v1.join(BACKEND), &format!("{suits}\n"))?;
        let backend = choose(Some(&recorded))?;
        let lease = match backend {
            Backend::Kernel => None,
            Backend::Lease => {
                for directory in [ALIVE, SEEN] {
                    make_directory(&v1.join(directory))?;
                }
                Some(Arc::new(Lease::new(&v1, locking.lease)))
            }
        };
        let locks = Locks::new(v1.join("locks"), lease.clone());
        let id = settle(&v1.join("id"), &format!("{}\n", random_id()))?.trim_end().to_owned();
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let path = v1.join("id");
            return Err(Error::new(Kind::Corrupt, format!("read {}", path.display()), "it is not an id")
                .hint("remove that file: a new one is made"));
        }
        Ok(Layout { root: root.to_owned(), v1, id, locks, lease })
    }

    /// The cache at `root` as it is: nothing of it is made, mended or believed.
    pub fn as_it_is(root: &Path) -> Layout {
        let v1 = root.join("v1");
        let id = fs::read_to_string(v1.join("id")).unwrap_or_default();
        let recorded = fs::read_to_string(v1.join(BACKEND)).unwrap_or_default();
        let has_leases = recorded.trim_end() == Backend::Lease.to_string();
        let lease = has_leases.then(|| Arc::new(Lease::new(&v1, LeaseTimes::default())));
        let locks = Locks::new(v1.join("locks"), lease.clone());
        Layout { root: root.to_owned(), v1, id: id.trim_end().to_owned(), locks, lease }
    }

    /// The cache directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What tells this cache from every other.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Everything of this version.
    pub fn v1(&self) -> &Path {
        &self.v1
    }

    /// The directories, beside mirrors and generations, in which files are replaced or settled.
    pub fn written(&self) -> Vec<PathBuf> {
        let mut written = vec![self.root.clone(), self.v1.clone(), self.failures()];
        let of_keys = fs::read_dir(self.kept()).into_iter().flatten().flatten();
        written.extend(of_keys.map(|entry| entry.path()));
        if self.lease.is_some() {
            written.push(self.v1.join(SEEN));
        }
        written
    }

    /// The locks.
    pub fn locks(&self) -> &Locks {
        &self.locks
    }

    /// What the leases of this process share, if the cache has leases.
    pub fn lease(&self) -> Option<&Arc<Lease>> {
        self.lease.as_ref()
    }

    /// The directories in which sources prepare, and their leases.
    pub fn staging(&self) -> PathBuf {
        self.v1.join("staging")
    }

    /// What is being deleted.
    pub fn trash(&self) -> PathBuf {
        self.v1.join("trash")
    }

    /// The mirrors of all kinds, one directory a kind.
    pub fn mirrors(&self) -> PathBuf {
        self.v1.join("mirrors")
    }

    /// The mirror of a key: its state and its generations.
    pub fn mirror(&self, key: &Key) -> PathBuf {
        self.mirrors().join(key.kind().as_str()).join(key.file_name())
    }

    /// What is kept from being dropped to make room: a directory for each key of which something is.
    pub fn kept(&self) -> PathBuf {
        self.v1.join("kept")
    }

    /// Locked by whoever makes room; modified when it was last looked whether that is needed.
    pub fn collection(&self) -> PathBuf {
        self.v1.join("gc")
    }

    /// What sources remember.
    pub fn sources(&self) -> PathBuf {
        self.v1.join("sources")
    }

    /// The records of last failures.
    pub fn failures(&self) -> PathBuf {
        self.v1.join("failures")
    }
}

/// The file that records the lock backend, below `v1`.
const BACKEND: &str = "lock-backend";

/// What the cache at `root` records as its lock backend; `None` if there is no cache yet.
pub(super) fn recorded_backend(root: &Path) -> Result<Option<String>> {
    let file = root.join("v1").join(BACKEND);
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &file, &error)),
    }
}

fn make_directory(directory: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("create the cache directory", directory, &error)
                .hint("choose another place with --cache-dir"))
        }
        _ => Ok(()),
    }
}

/// A name that nobody else has: 32 hexadecimal digits.
pub(super) fn random_id() -> String {
    let mut bytes = [0_u8; 16];
    let read = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes));
    if read.is_err() {
        // Without /dev (a bare chroot): unique among live processes of this boot.
        let now = super::clock::ticks();
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        return format!("{now:016x}{:08x}{count:08x}", std::process::id());
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn make_private(root: &Path) -> Result<()> {
    let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(root);
    if let Err(error) = created {
        return Err(Error::io("create the cache directory", root, &error)
            .hint("choose another place with --cache-dir"));
    }
    let metadata =
        fs::metadata(root).map_err(|error| Error::io("look at the cache directory", root, &error))?;
    let what = || format!("use the cache directory {}", root.display());
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(Error::new(Kind::Denied, what(), format!("it belongs to user {}", metadata.uid()))
            .hint("choose a directory of your own with --cache-dir"));
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(root, fs::Permissions::from_mode(0o700))
            .map_err(|error| Error::io("close to other users the cache directory", root, &error))?;
    }
    Ok(())
}

/// What stands in a small file that is written once, by whoever comes first.
fn settle(file: &Path, content: &str) -> Result<String> {
    let failed = |error: io::Error| Error::io("write", file, &error);
    match fs::read_to_string(file) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("read", file, &error)),
    }
    let directory = file.parent().unwrap_or(Path::new("."));
    let new = Unfinished::write(file, content.as_bytes()).map_err(failed)?;
    fault!("settle.written")?;
    match new.settle(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => fault!("settle.named")?,
    }
    sync_directory(directory)?;
    // Without hard links it is not there at once: who comes second may see it empty for a moment.
    for _ in 0..100 {
        match fs::read_to_string(file) {
            Ok(text) if text.is_empty() => std::thread::sleep(std::time::Duration::from_millis(5)),
            read => return read.map_err(|error| Error::io("read", file, &error)),
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cache_is_private_and_tagged_and_keeps_its_id() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("deep/cache");
        let first = Layout::open(&root, &Locking::default()).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().mode() & 0o777, 0o700);
        assert!(
            fs::read_to_string(root.join("CACHEDIR.TAG"))
                .unwrap()
                .starts_with("Signature: 8a477f597d28d172789f06886806bc55")
        );
        assert_eq!(fs::read_to_string(root.join("v1/lock-backend")).unwrap(), "kernel\n");
        assert_eq!(Layout::open(&root, &Locking::default()).unwrap().id(), first.id());
        let other = Layout::open(&directory.path().join("other"), &Locking::default()).unwrap();
        assert_ne!(other.id(), first.id());
    }

    #[test]
    fn a_loose_directory_is_tightened_and_what_is_unknown_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("cache");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.join("v2")).unwrap();
        fs::write(root.join("v2/file"), "of a later version").unwrap();
        Layout::open(&root, &Locking::default()).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().mode() & 0o777, 0o700);
        assert!(root.join("v2/file").exists());
    }

    #[test]
    fn a_cache_keeps_the_locks_it_was_made_with_and_who_disagrees_is_refused() {
        let with = |backend| Locking { backend, ..Locking::default() };
        for (made, other) in [(Backend::Kernel, Backend::Lease), (Backend::Lease, Backend::Kernel)] {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            Layout::open(root, &with(Some(made))).unwrap();
            assert_eq!(Backend::from(Layout::open(root, &with(None)).unwrap().locks()), made);
            assert_eq!(Backend::from(Layout::open(root, &with(Some(made))).unwrap().locks()), made);
            let error = Layout::open(root, &with(Some(other))).unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported);
            let text = error.to_string();
            for part in [made.as_str(), other.as_str(), "lock-backend", "--cache-dir"] {
                assert!(text.contains(part), "{text}");
            }
            fs::write(root.join("v1/lock-backend"), "quantum\n").unwrap();
            let error = Layout::open(root, &with(None)).unwrap_err();
            assert!(error.to_string().contains("quantum"), "{error}");
        }
    }

    #[test]
    fn many_who_make_a_cache_with_different_locks_agree_on_one() {
        let directory = tempfile::tempdir().unwrap();
        let open = |number: usize| {
            let backend = if number.is_multiple_of(2) { Backend::Kernel } else { Backend::Lease };
            let locking = Locking { backend: Some(backend), ..Locking::default() };
            Layout::open(directory.path(), &locking).ok().map(|layout| Backend::from(layout.locks()))
        };
        let found: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || open(number))).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|backend| *backend == found[0]));
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("cache");
        fs::create_dir(&root).unwrap();
        std::os::unix::fs::chown(&root, Some(65534), None).unwrap();
        let error = Layout::open(&root, &Locking::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        assert!(error.to_string().contains(root.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_place_where_no_directory_can_be_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Layout::open(&file.join("cache"), &Locking::default()).unwrap_err();
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }

    #[test]
    fn many_who_open_a_new_cache_at_once_agree_on_its_id() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Layout::open(directory.path(), &Locking::default()).unwrap().id().to_owned();
        let ids: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }
}
