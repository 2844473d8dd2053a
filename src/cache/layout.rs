//! Where everything is in the cache directory, and making that directory fit for use.
//!
//! The directory is 0700 and ours. A format change will be a new `v2/` beside `v1/`; what this
//! version does not know it leaves alone. Every name below `v1/` is made here from typed values:
//! a key's file name and digest, a checked generation or revision, a random id.
//!
//! Fails with the path in the error: not ours, on a network file system, made for another lock
//! backend, read-only, full.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::durable::{Unfinished, sync_directory};
use super::file_system;
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::key::Key;

/// <https://bford.info/cachedir/>: backup programs skip a directory with this file.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is the cache of srcfs. All of it can be fetched again.\n\
    # For information about cache directory tags see https://bford.info/cachedir/\n";

/// The backend that this version has, as recorded in `v1/lock-backend`.
const LOCK_BACKEND: &str = "kernel";

/// The directories of a cache, below `v1/`.
pub(super) const ROOMS: [&str; 6] = ["locks", "mirrors", "mirrors/git", "staging", "trash", "failures"];

/// Where things are.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    v1: PathBuf,
    id: String,
}

impl Layout {
    /// Makes or checks the cache at `root`.
    pub fn open(root: &Path) -> Result<Layout> {
        // A daemon changes its working directory.
        let root =
            std::path::absolute(root).map_err(|error| Error::io("find the cache directory", root, &error))?;
        let root = root.as_path();
        make_private(root)?;
        file_system::refuse_network(root)?;
        let v1 = root.join("v1");
        for directory in [""].iter().chain(&ROOMS) {
            let directory = v1.join(directory);
            match fs::DirBuilder::new().mode(0o700).create(&directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("create the cache directory", &directory, &error)
                        .hint("choose another place with --cache-dir"));
                }
                _ => {}
            }
        }
        settle(&root.join("CACHEDIR.TAG"), CACHEDIR_TAG)?;
        let backend = settle(&v1.join("lock-backend"), &format!("{LOCK_BACKEND}\n"))?;
        if backend.trim_end() != LOCK_BACKEND {
            let why = format!(
                "it was made for the lock backend {:?}, this srcfs has only {LOCK_BACKEND:?}",
                backend.trim_end()
            );
            return Err(Error::new(Kind::Unsupported, format!("use the cache {}", root.display()), why)
                .hint("choose another --cache-dir, or a srcfs that has that backend"));
        }
        let id = settle(&v1.join("id"), &format!("{}\n", random_id()))?.trim_end().to_owned();
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let path = v1.join("id");
            return Err(Error::new(Kind::Corrupt, format!("read {}", path.display()), "it is not an id")
                .hint("remove that file: a new one is made"));
        }
        Ok(Layout { root: root.to_owned(), v1, id })
    }

    /// The cache at `root` as it is: nothing of it is made, mended or believed.
    pub fn as_it_is(root: &Path) -> Layout {
        let v1 = root.join("v1");
        let id = fs::read_to_string(v1.join("id")).unwrap_or_default();
        Layout { root: root.to_owned(), v1, id: id.trim_end().to_owned() }
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
    pub fn written(&self) -> [PathBuf; 3] {
        [self.root.clone(), self.v1.clone(), self.failures()]
    }

    /// The lock files.
    pub fn locks(&self) -> PathBuf {
        self.v1.join("locks")
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

    /// The records of last failures.
    pub fn failures(&self) -> PathBuf {
        self.v1.join("failures")
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
    fs::read_to_string(file).map_err(|error| Error::io("read", file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cache_is_private_and_tagged_and_keeps_its_id() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("deep/cache");
        let first = Layout::open(&root).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().mode() & 0o777, 0o700);
        assert!(
            fs::read_to_string(root.join("CACHEDIR.TAG"))
                .unwrap()
                .starts_with("Signature: 8a477f597d28d172789f06886806bc55")
        );
        assert_eq!(fs::read_to_string(root.join("v1/lock-backend")).unwrap(), "kernel\n");
        assert_eq!(Layout::open(&root).unwrap().id(), first.id());
        let other = Layout::open(&directory.path().join("other")).unwrap();
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
        Layout::open(&root).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().mode() & 0o777, 0o700);
        assert!(root.join("v2/file").exists());
    }

    #[test]
    fn another_lock_backend_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        Layout::open(directory.path()).unwrap();
        fs::write(directory.path().join("v1/lock-backend"), "lease\n").unwrap();
        let error = Layout::open(directory.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains("lease"), "{error}");
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
        let error = Layout::open(&root).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        assert!(error.to_string().contains(root.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_place_where_no_directory_can_be_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Layout::open(&file.join("cache")).unwrap_err();
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }

    #[test]
    fn many_who_open_a_new_cache_at_once_agree_on_its_id() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Layout::open(directory.path()).unwrap().id().to_owned();
        let ids: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }
}
