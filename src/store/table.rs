//! The nodes of one tree: names, kinds, sizes and object ids, dense in memory and in one file.
//!
//! Nodes are numbered breadth-first from 0, the root. So the children of a directory are contiguous,
//! every child has a greater number than its parent, and the ranges of children follow each other
//! without gaps: node numbers, parents and ranges all follow from the number of children alone, which
//! is what the file stores. Children are sorted bytewise by name (not as git sorts them, with a `/`
//! after directories), strictly, so a lookup is a binary search.
//!
//! A node costs 45 bytes and its name. A table never changes once it is made.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::ObjectId;

mod build;
mod file;
mod narrow;

pub use build::Limits;
pub use file::TableRecord;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A directory; its object is a tree.
    Directory,
    /// A regular file; its object is a blob.
    File {
        /// Whether git says that it may be executed.
        executable: bool,
    },
    /// A symbolic link; its object is a blob, the target: 1 to 4,095 bytes. A link whose target the
    /// kernel could not take is a file here, as it is where git has core.symlinks off.
    Symlink,
    /// A commit of another repository: shown as an empty directory. Its object is that commit.
    Submodule,
}

/// One node of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Bytes of the blob; 0 for directories and submodules.
    pub size: u64,
    /// Tree, blob or commit.
    pub object: ObjectId,
    /// The number of the directory it is in; the root is its own parent.
    pub parent: u32,
}

/// The nodes of one tree. See the module.
#[derive(PartialEq, Eq)]
pub struct Table {
    kinds: Vec<Kind>,
    sizes: Vec<u64>,
    objects: Vec<ObjectId>,
    parents: Vec<u32>,
    /// Where the children of each node begin; one more than there are nodes, because they end where
    /// those of the next node begin.
    first_child: Vec<u32>,
    /// All names, one after the other; `name_start` has one more than there are nodes, likewise.
    names: Vec<u8>,
    name_start: Vec<u32>,
    urls: BTreeMap<u32, String>,
    files: u64,
    bytes: u64,
}

impl Table {
    /// The number of nodes, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "there always is a root")]
    pub fn len(&self) -> u32 {
        // A table has less than 2^32 nodes: `push` is asked for one node at a time by callers that
        // count in u32, within `Limits::nodes` or what a file says in a u32.
        self.kinds.len() as u32
    }

    /// A node; `None` beyond [`Table::len`].
    pub fn node(&self, index: u32) -> Option<Node> {
        let at = index as usize;
        let kind = *self.kinds.get(at)?;
        Some(Node { kind, size: self.sizes[at], object: self.objects[at], parent: self.parents[at] })
    }

    /// The name of a node in its directory; empty for the root and beyond [`Table::len`].
    pub fn name(&self, index: u32) -> &OsStr {
        OsStr::from_bytes(self.name_bytes(index))
    }

    /// The children of a directory, sorted by name; empty for anything else.
    pub fn children(&self, index: u32) -> Range<u32> {
        let at = index as usize;
        if at >= self.kinds.len() {
            return 0..0;
        }
        self.first_child[at]..self.first_child[at + 1]
    }

    /// The child of that name.
    pub fn lookup(&self, directory: u32, name: &OsStr) -> Option<u32> {
        let Range { start: mut low, end: mut high } = self.children(directory);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.name_bytes(middle).cmp(name.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// The node at a path relative to the root, its components separated by slashes; the root for "".
    pub fn find(&self, path: &str) -> Option<u32> {
        let mut components = path.split('/').filter(|component| !component.is_empty());
        components.try_fold(0, |node, component| self.lookup(node, OsStr::new(component)))
    }

    /// The path of a node relative to the root; empty for the root.
    pub fn path(&self, index: u32) -> PathBuf {
        let mut components = Vec::new();
        let mut node = index;
        // A parent has a smaller number, so this ends.
        while node != 0 && node < self.len() {
            components.push(self.name_bytes(node));
            node = self.parents[node as usize];
        }
        components.reverse();
        PathBuf::from(OsString::from_vec(components.join(&b'/')))
    }

    /// The url of a submodule as `.gitmodules` has it (perhaps relative to the repository's own url),
    /// without credentials.
    pub fn submodule_url(&self, index: u32) -> Option<&str> {
        self.urls.get(&index).map(String::as_str)
    }

    /// How many files and symbolic links there are.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// The sum of their sizes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn name_bytes(&self, index: u32) -> &[u8] {
        let at = index as usize;
        if at >= self.kinds.len() {
            return &[];
        }
        &self.names[self.name_start[at] as usize..self.name_start[at + 1] as usize]
    }

    /// A table that is being made, with its root alone. Whoever makes it visits the nodes in their
    /// order, calling [`Table::begin_children`] for each (files too) and then [`Table::push`] for its
    /// children in the order of their names, and at the end [`Table::finish`].
    fn with_root(object: ObjectId) -> Self {
        let mut table = Table {
            kinds: Vec::new(),
            sizes: Vec::new(),
            objects: Vec::new(),
            parents: Vec::new(),
            first_child: Vec::new(),
            names: Vec::new(),
            name_start: vec![0],
            urls: BTreeMap::new(),
            files: 0,
            bytes: 0,
        };
        table.push(b"", Node { kind: Kind::Directory, size: 0, object, parent: 0 });
        table
    }

    fn begin_children(&mut self) {
        self.first_child.push(self.len());
    }

    /// The caller has made sure that all names together are below 4 GiB.
    fn push(&mut self, name: &[u8], node: Node) {
        self.kinds.push(node.kind);
        self.sizes.push(node.size);
        self.objects.push(node.object);
        self.parents.push(node.parent);
        self.names.extend_from_slice(name);
        self.name_start.push(self.names.len() as u32);
    }

    fn finish(mut self) -> Self {
        self.begin_children();
        for (kind, size) in self.kinds.iter().zip(&self.sizes) {
            if matches!(kind, Kind::File { .. } | Kind::Symlink) {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(*size);
            }
        }
        self.kinds.shrink_to_fit();
        self.sizes.shrink_to_fit();
        self.objects.shrink_to_fit();
        self.parents.shrink_to_fit();
        self.first_child.shrink_to_fit();
        self.names.shrink_to_fit();
        self.name_start.shrink_to_fit();
        self
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table of {} nodes, {} files, {} bytes", self.len(), self.files, self.bytes)
    }
}
