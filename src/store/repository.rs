//! A bare repository as files: making one, listing its packs, and opening its objects with git2.
//!
//! git2's `Repository` is not used, because it reads the user's and the system's configuration; its
//! object database alone reads nothing but `objects/`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::error::{Error, Kind, Result};

/// What a pack was when it was published, so that a damaged one is recognised before it is used.
///
/// The size finds every truncation. The hash of the index finds every change of the index, and the
/// index has a checksum of every object, which is compared when the object is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PackRecord {
    /// The file name without its extension: `pack-<hex>`.
    pub name: String,
    /// The size of the `.pack`.
    pub pack_bytes: u64,
    /// The SHA-256 of the `.idx`, in hex.
    pub index_sha256: String,
}

/// Makes `directory` a bare repository without templates, hooks or configuration of the user. The
/// directory may exist and may have files; what a repository needs must not be there yet.
pub fn init_bare(directory: &Path) -> Result<()> {
    const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
    for below in ["objects/info", "objects/pack", "refs"] {
        let path = directory.join(below);
        fs::create_dir_all(&path).map_err(|error| Error::io("create", &path, &error))?;
    }
    // HEAD comes last: without it no git takes the directory for a repository.
    for (name, content) in [("config", CONFIG), ("HEAD", "ref: refs/heads/main\n")] {
        let path = directory.join(name);
        let written = fs::File::create_new(&path).and_then(|mut file| file.write_all(content.as_bytes()));
        written.map_err(|error| Error::io("create", &path, &error))?;
    }
    Ok(())
}

/// The records of all packs of a repository, sorted by name. Reads each index once.
pub fn packs(repository: &Path) -> Result<Vec<PackRecord>> {
    let directory = pack_directory(repository);
    let failed = |error: &std::io::Error| Error::io("list", &directory, error);
    let mut records = Vec::new();
    for entry in fs::read_dir(&directory).map_err(|error| failed(&error))? {
        let file_name = entry.map_err(|error| failed(&error))?.file_name();
        // An index is the last file of a pack to appear, so a pack without one is not there yet.
        let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".idx")) else { continue };
        if !is_pack_name(name) {
            continue;
        }
        let pack = directory.join(format!("{name}.pack"));
        let pack_bytes = fs::metadata(&pack).map_err(|error| Error::io("read", &pack, &error))?.len();
        let index = directory.join(&file_name);
        let content = fs::read(&index).map_err(|error| Error::io("read", &index, &error))?;
        records.push(PackRecord { name: name.to_owned(), pack_bytes, index_sha256: sha256(&content) });
    }
    records.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(records)
}

/// Whether it is the name of a pack, and so safe as a path component.
pub(super) fn is_pack_name(name: &str) -> bool {
    name.strip_prefix("pack-")
        .is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub(super) fn pack_directory(repository: &Path) -> PathBuf {
    repository.join("objects/pack")
}

pub(super) fn sha256(content: &[u8]) -> String {
    hex(&sha2::Sha256::digest(content))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The objects of a repository and of those it borrows from (git alternates), through git2.
pub(super) fn open_odb(repository: &Path) -> Result<git2::Odb<'static>> {
    // We compare hashes ourselves, where it matters and faster (SHA-NI).
    git2::opts::strict_hash_verification(false);
    // Every object is read once: a cache of them is only memory.
    git2::opts::enable_caching(false);
    let objects = repository.join("objects");
    // libgit2 takes a missing directory for an empty one.
    fs::metadata(&objects).map_err(|error| Error::io("open", &objects, &error))?;
    let failed = |why: String| Error::new(Kind::Io, format!("open {}", objects.display()), why);
    let path =
        objects.to_str().ok_or_else(|| failed("its path is not UTF-8, which libgit2 needs".to_owned()))?;
    let odb = git2::Odb::new().map_err(|error| failed(error.message().to_owned()))?;
    odb.add_disk_alternate(path).map_err(|error| failed(error.message().to_owned()))?;
    Ok(odb)
}

/// An error if the process has no descriptor left.
pub(super) fn check_descriptors(repository: &Path) -> Result<()> {
    let head = repository.join("HEAD");
    match fs::File::open(&head).map_err(|error| Error::io("open", &head, &error)) {
        Err(error) if error.kind() == Kind::Exhausted => Err(error),
        _ => Ok(()),
    }
}
