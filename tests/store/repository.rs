//! A bare repository in a temporary directory, whose trees are written as raw bytes: what no git
//! would write can be written, too.

use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};
use srcfs::store::{Limits, Table, init_bare};

/// An entry of a tree: mode, name, object.
pub type Entry<'a> = (&'a str, &'a [u8], Oid);

pub struct Repository {
    directory: tempfile::TempDir,
}

#[allow(dead_code, reason = "each test uses some of it")]
impl Repository {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.git");
        std::fs::create_dir(&path).unwrap();
        init_bare(&path).unwrap();
        Repository { directory }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("r.git")
    }

    /// Opened for each use, because libgit2 shares what is open with the code that is tested.
    fn git(&self) -> git2::Repository {
        git2::Repository::open_bare(self.path()).unwrap()
    }

    /// A place for files beside the repository.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn blob(&self, content: &[u8]) -> Oid {
        self.git().odb().unwrap().write(ObjectType::Blob, content).unwrap()
    }

    /// A tree of these entries in this order, whatever they are.
    pub fn tree(&self, entries: &[Entry<'_>]) -> Oid {
        let mut raw = Vec::new();
        for (mode, name, object) in entries {
            raw.extend_from_slice(mode.as_bytes());
            raw.push(b' ');
            raw.extend_from_slice(name);
            raw.push(0);
            raw.extend_from_slice(object.as_bytes());
        }
        self.raw_tree(&raw)
    }

    pub fn raw_tree(&self, raw: &[u8]) -> Oid {
        self.git().odb().unwrap().write(ObjectType::Tree, raw).unwrap()
    }

    pub fn build(&self, tree: Oid) -> srcfs::error::Result<Table> {
        Table::build(&self.path(), &tree.to_string(), &Limits::default())
    }

    /// Moves all objects into one pack and returns the path of it.
    pub fn pack(&self) -> PathBuf {
        let git = self.git();
        let odb = git.odb().unwrap();
        let mut objects = Vec::new();
        odb.foreach(|oid| {
            objects.push(*oid);
            true
        })
        .unwrap();
        let mut builder = git.packbuilder().unwrap();
        for object in &objects {
            builder.insert_object(*object, None).unwrap();
        }
        let packs = self.path().join("objects/pack");
        builder.write(&packs, 0).unwrap();
        for object in &objects {
            let hex = object.to_string();
            let loose = self.path().join("objects").join(&hex[..2]).join(&hex[2..]);
            let _ = std::fs::remove_file(loose);
        }
        files(&packs).into_iter().find(|path| path.extension().is_some_and(|end| end == "pack")).unwrap()
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}
