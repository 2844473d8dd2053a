//! What all entries of an archive together make.
//!
//! A later file replaces an earlier one of the same name, as it would on a disk: every client writes
//! one entry after the other. What would be two things under one name (a file and a directory, a file
//! and a link) is refused, because what came of it depends on the client. Names that differ in case are
//! different names.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use super::{Limits, failure};
use crate::error::{Error, Result};
use crate::store::{Kind, ObjectId, PackWriter, TreeEntry};

/// What is no directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    File { object: ObjectId, executable: bool },
    Symlink { object: ObjectId },
}

enum Node {
    Leaf(Leaf),
    Directory(Directory),
}

#[derive(Default)]
struct Directory {
    children: BTreeMap<Box<[u8]>, Node>,
}

/// A tree that grows. It recurses, so its depth is bounded.
pub(super) struct Tree {
    root: Directory,
    nodes: u32,
    most_nodes: u32,
    depth: u16,
}

/// Why something cannot be put into a tree.
#[derive(Debug)]
pub(super) enum Conflict {
    Refused(String),
    TooLarge(String),
}

impl Conflict {
    pub(super) fn into_error(self, name: &[u8]) -> Error {
        match self {
            Conflict::Refused(why) => failure::refused(name, why),
            Conflict::TooLarge(why) => failure::too_large(name, why),
        }
    }
}

impl Tree {
    pub(super) fn new(limits: &Limits) -> Self {
        Tree { root: Directory::default(), nodes: 0, most_nodes: limits.entries, depth: limits.depth }
    }

    /// Puts a leaf, or for `None` a directory, at a path, with the directories above it.
    pub(super) fn insert(&mut self, path: &[&[u8]], leaf: Option<Leaf>) -> Result<(), Conflict> {
        let above = match (leaf, path.split_last()) {
            (Some(leaf), Some((name, above))) => Some((leaf, name, above)),
            _ => None,
        };
        let directories = above.map_or(path, |(.., above)| above);
        if directories.len() > usize::from(self.depth) {
            return Err(Conflict::TooLarge(format!("it lies more than {} directories deep", self.depth)));
        }
        let (mut directory, mut made) = (&mut self.root, 0);
        for &name in directories {
            let child = match directory.children.entry(name.into()) {
                Place::Occupied(place) => place.into_mut(),
                Place::Vacant(place) => {
                    made += 1;
                    place.insert(Node::Directory(Directory::default()))
                }
            };
            directory = match child {
                Node::Directory(child) => child,
                Node::Leaf(_) => return Err(two_things("a file or link and a directory", name)),
            };
        }
        if let Some((leaf, &name, _)) = above {
            match directory.children.entry(name.into()) {
                Place::Occupied(mut place) => match (place.get(), leaf) {
                    (Node::Leaf(Leaf::File { .. }), Leaf::File { .. }) => {
                        place.insert(Node::Leaf(leaf));
                    }
                    (Node::Leaf(old), new) if *old == new => {}
                    (Node::Directory(_), _) => {
                        return Err(two_things("a directory and a file or link", name));
                    }
                    _ => return Err(two_things("a link and something else", name)),
                },
                Place::Vacant(place) => {
                    made += 1;
                    place.insert(Node::Leaf(leaf));
                }
            }
        }
        self.nodes += made;
        if self.nodes > self.most_nodes {
            let why = format!("there are more than {} files and directories", self.most_nodes);
            return Err(Conflict::TooLarge(why));
        }
        Ok(())
    }

    /// The file at a path.
    pub(super) fn file(&self, path: &[&[u8]]) -> Option<Leaf> {
        let (name, above) = path.split_last()?;
        let mut directory = &self.root;
        for &part in above {
            directory = match directory.children.get(part)? {
                Node::Directory(child) => child,
                Node::Leaf(_) => return None,
            };
        }
        match directory.children.get(*name)? {
            Node::Leaf(file @ Leaf::File { .. }) => Some(*file),
            _ => None,
        }
    }

    /// If there is nothing but one directory, its content is the tree.
    pub(super) fn strip_common_directory(&mut self) {
        if self.root.children.len() > 1 {
            return;
        }
        match self.root.children.pop_first() {
            Some((_, Node::Directory(only))) => self.root = only,
            Some((name, leaf)) => {
                self.root.children.insert(name, leaf);
            }
            None => {}
        }
    }

    /// Writes all of it; returns the root tree. Directories without files are written, too.
    pub(super) fn write(&self, pack: &mut PackWriter) -> Result<ObjectId> {
        self.root.write(pack)
    }
}

impl Directory {
    fn write(&self, pack: &mut PackWriter) -> Result<ObjectId> {
        let mut entries = Vec::with_capacity(self.children.len());
        for (name, node) in &self.children {
            let (kind, object) = match node {
                Node::Directory(directory) => (Kind::Directory, directory.write(pack)?),
                Node::Leaf(Leaf::File { object, executable }) => {
                    (Kind::File { executable: *executable }, *object)
                }
                Node::Leaf(Leaf::Symlink { object }) => (Kind::Symlink, *object),
            };
            entries.push(TreeEntry { name: name.to_vec(), kind, object });
        }
        pack.tree(entries)
    }
}

fn two_things(what: &str, name: &[u8]) -> Conflict {
    Conflict::Refused(format!("{} would be {what}", failure::shown(name)))
}
