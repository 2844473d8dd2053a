//! The git trees that the entries of a directory make: their ids, and writing them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::Result;
use crate::store::{Kind, ObjectId, TreeEntry};

/// A directory with all that is in it.
#[derive(Default)]
pub(super) struct Tree {
    children: BTreeMap<Box<OsStr>, Node>,
}

enum Node {
    Leaf(Kind, ObjectId),
    Directory(Tree),
}

impl Tree {
    /// The directory at `path`, made with those above it.
    ///
    /// What was listed as a file and as a directory, because it changed meanwhile, is a directory.
    fn directory(&mut self, path: &Path) -> &mut Tree {
        let mut tree = self;
        for component in path {
            let node = tree
                .children
                .entry(component.into())
                .and_modify(|node| {
                    if matches!(node, Node::Leaf(..)) {
                        *node = Node::Directory(Tree::default());
                    }
                })
                .or_insert_with(|| Node::Directory(Tree::default()));
            let Node::Directory(next) = node else { unreachable!("a leaf was replaced above") };
            tree = next;
        }
        tree
    }

    /// Adds an empty directory.
    pub(super) fn add_directory(&mut self, path: &Path) {
        self.directory(path);
    }

    /// Adds a file or a symbolic link.
    pub(super) fn add(&mut self, path: &Path, kind: Kind, object: ObjectId) {
        let (Some(name), parent) = (path.file_name(), path.parent().unwrap_or(Path::new(""))) else { return };
        self.directory(parent).children.insert(name.into(), Node::Leaf(kind, object));
    }

    /// Gives each tree to `write`, those inside first; the id of the root.
    pub(super) fn each(&self, write: &mut dyn FnMut(Vec<TreeEntry>) -> Result<ObjectId>) -> Result<ObjectId> {
        let mut entries = Vec::with_capacity(self.children.len());
        for (name, node) in &self.children {
            let (kind, object) = match node {
                Node::Leaf(kind, object) => (*kind, *object),
                Node::Directory(tree) => (Kind::Directory, tree.each(write)?),
            };
            entries.push(TreeEntry { name: name.as_bytes().to_vec(), kind, object });
        }
        write(entries)
    }
}
