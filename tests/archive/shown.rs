//! What a mount would show of an archive: through the table and the blobs, as the cache reads them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use srcfs::error::{Kind, Result};
use srcfs::source::archive::{Archive, Limits, Rules};
use srcfs::source::{Progress, Workplace};
use srcfs::store::{self, Objects, Table};

/// A node that is no directory with something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File(Vec<u8>),
    Executable(Vec<u8>),
    Link(Vec<u8>),
    EmptyDirectory,
}

pub type Nodes = BTreeMap<Vec<u8>, Node>;

#[derive(Debug)]
pub struct Shown {
    pub nodes: Nodes,
    /// Names and reasons.
    pub skipped: Vec<(String, String)>,
    /// Seconds since 1970.
    pub modified: u64,
    pub tree: String,
}

pub fn node(content: &str) -> Node {
    Node::File(content.into())
}

/// The archive by these rules.
pub fn unpack(rules: &Rules, bytes: &[u8]) -> Result<Shown> {
    unpack_within(rules, bytes, &Limits::default())
}

pub fn unpack_within(rules: &Rules, bytes: &[u8], limits: &Limits) -> Result<Shown> {
    let directory = tempfile::tempdir().unwrap();
    let place = Workplace { directory: directory.path(), borrow: None, lease: None };
    let archive = Archive { title: "kind/name@1".to_owned(), rules: rules.clone(), limits: limits.clone() };
    let unpacked = archive.unpack(Cursor::new(bytes), place, &Progress::default())?;
    let skipped = unpacked.skipped.into_iter();
    Ok(Shown {
        nodes: nodes(directory.path(), &unpacked.tree.hex()),
        skipped: skipped
            .map(|skipped| (String::from_utf8_lossy(&skipped.name).into_owned(), skipped.why))
            .collect(),
        modified: unpacked.modified.duration_since(UNIX_EPOCH).unwrap().as_secs(),
        tree: unpacked.tree.hex(),
    })
}

/// Only the names and content.
pub fn names(rules: &Rules, bytes: &[u8]) -> Vec<String> {
    let shown = unpack(rules, bytes).unwrap();
    shown.nodes.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// The kind of error and its sentence.
pub fn refusal(rules: &Rules, bytes: &[u8]) -> (Kind, String) {
    let error = unpack(rules, bytes).expect_err("it was not refused");
    (error.kind(), error.to_string())
}

/// All nodes below a tree of a repository.
pub fn nodes(repository: &Path, tree: &str) -> Nodes {
    let table = Table::build(repository, tree, &store::Limits::default()).unwrap();
    let objects = Objects::open(repository, &store::packs(repository).unwrap()).unwrap();
    let mut nodes = Nodes::new();
    for index in 1..table.len() {
        let node = table.node(index).unwrap();
        let read = || {
            let mut content = Vec::new();
            while (content.len() as u64) < node.size {
                let offset = content.len() as u64;
                objects.read(&node.object, offset, 1 << 20, &mut |bytes| content.extend(bytes)).unwrap();
            }
            content
        };
        let found = match node.kind {
            store::Kind::Directory if !table.children(index).is_empty() => continue,
            store::Kind::Directory => Node::EmptyDirectory,
            store::Kind::File { executable: false } => Node::File(read()),
            store::Kind::File { executable: true } => Node::Executable(read()),
            store::Kind::Symlink => Node::Link(read()),
            store::Kind::Submodule => panic!("an archive has no submodules"),
        };
        nodes.insert(table.path(index).as_os_str().as_bytes().to_vec(), found);
    }
    nodes
}

/// All nodes of a directory on the disk.
pub fn on_disk(root: &Path) -> Nodes {
    use std::os::unix::fs::PermissionsExt;
    let mut nodes = Nodes::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let mut is_empty = true;
        for entry in std::fs::read_dir(&directory).unwrap() {
            is_empty = false;
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                pending.push(path);
            } else if metadata.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                nodes.insert(name, Node::Link(target.as_os_str().as_bytes().to_vec()));
            } else {
                let content = std::fs::read(&path).unwrap();
                let is_executable = metadata.permissions().mode() & 0o111 != 0;
                let node = if is_executable { Node::Executable(content) } else { Node::File(content) };
                nodes.insert(name, node);
            }
        }
        if is_empty && directory != root {
            let name = directory.strip_prefix(root).unwrap().as_os_str();
            nodes.insert(OsStr::as_bytes(name).to_vec(), Node::EmptyDirectory);
        }
    }
    nodes
}
