//! The nodes of the name space: directories above the views, and small files whose content changes.
//!
//! Nodes exist from their first lookup to the kernel's last FORGET. A file gets a new node with each
//! new content, so the kernel may cache every content for ever. A directory's listing changes; its
//! names keep the position (cookie) they first had, so that a listing under way neither repeats nor
//! loses a name that stays, and its modification time moves with each change, by which the kernel knows
//! that its cached listing is old.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::ino::Ino;
use crate::locked;
use crate::sync::Mutex;
use crate::tree::{ListedKind, NodeKind};

/// One name of a directory, with the position after which the next one follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) cookie: u64,
    pub(crate) name: String,
    pub(crate) kind: ListedKind,
}

struct VirtualNode {
    path: PathBuf,
    content: Content,
    references: u64,
    listing: Vec<Listed>,
    /// Whether the kernel was ever given its names, which it may then remember.
    listed: bool,
    last_cookie: u64,
    modified: SystemTime,
}

/// What a node of the name space holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Names.
    Directory,
    /// Bytes.
    File(Arc<[u8]>),
    /// A target.
    Link(Arc<[u8]>),
    /// Nobody knows yet.
    Later,
}

impl Content {
    /// What it looks like, and its size.
    pub(crate) fn kind(&self) -> (NodeKind, u64) {
        match self {
            Content::Directory | Content::Later => (NodeKind::Directory, 0),
            Content::File(bytes) => (NodeKind::File { executable: false }, bytes.len() as u64),
            Content::Link(target) => (NodeKind::Symlink, target.len() as u64),
        }
    }
}

/// All nodes of slot 0.
pub(crate) struct Namespace {
    nodes: Mutex<Nodes>,
}

#[derive(Default)]
struct Nodes {
    by_index: HashMap<u32, VirtualNode>,
    by_path: HashMap<PathBuf, u32>,
    last: u32,
}

impl Nodes {
    fn add(&mut self, path: PathBuf, content: Content, references: u64) -> u32 {
        // 2^32 status files are never read within one mount's life at any rate that matters; should the
        // number come round all the same, a number in use is skipped.
        loop {
            self.last = self.last.checked_add(1).unwrap_or(2);
            if !self.by_index.contains_key(&self.last) {
                break;
            }
        }
        let modified = SystemTime::now();
        let node = VirtualNode {
            path: path.clone(),
            content,
            references,
            listing: Vec::new(),
            listed: false,
            last_cookie: 2,
            modified,
        };
        self.by_index.insert(self.last, node);
        self.by_path.insert(path, self.last);
        self.last
    }
}

impl Namespace {
    /// The name space with nothing but its root, which is never forgotten.
    pub(crate) fn new() -> Self {
        let mut nodes = Nodes::default();
        nodes.add(PathBuf::new(), Content::Directory, 1);
        Namespace { nodes: Mutex::new(nodes) }
    }

    /// The node at `path` with this content, with one more reference.
    pub(crate) fn take(&self, path: &Path, content: Content) -> Ino {
        let mut nodes = locked(&self.nodes);
        let known = nodes.by_path.get(path).copied();
        if let Some(index) = known
            && let Some(node) = nodes.by_index.get_mut(&index)
            && node.content == content
        {
            node.references += 1;
            return Ino::new(0, index);
        }
        Ino::new(0, nodes.add(path.to_owned(), content, 1))
    }

    /// Takes back `count` references.
    pub(crate) fn forget(&self, index: u32, count: u64) {
        let mut nodes = locked(&self.nodes);
        let Some(node) = nodes.by_index.get_mut(&index) else { return };
        if Ino::new(0, index) == Ino::ROOT {
            return;
        }
        node.references = node.references.saturating_sub(count);
        if node.references == 0
            && let Some(node) = nodes.by_index.remove(&index)
            && nodes.by_path.get(&node.path) == Some(&index)
        {
            nodes.by_path.remove(&node.path);
        }
    }

    /// The path of a node.
    pub(crate) fn path(&self, index: u32) -> Option<PathBuf> {
        locked(&self.nodes).by_index.get(&index).map(|node| node.path.clone())
    }

    /// The node at `path`, if the kernel knows one.
    pub(crate) fn known(&self, path: &Path) -> Option<Ino> {
        locked(&self.nodes).by_path.get(path).map(|&index| Ino::new(0, index))
    }

    /// What a node holds; none if the kernel does not know it any more.
    pub(crate) fn content(&self, index: u32) -> Option<Content> {
        locked(&self.nodes).by_index.get(&index).map(|node| node.content.clone())
    }

    /// When a node last changed.
    pub(crate) fn modified(&self, index: u32) -> SystemTime {
        locked(&self.nodes).by_index.get(&index).map_or(SystemTime::UNIX_EPOCH, |node| node.modified)
    }

    /// Brings a directory's listing up to `names` and returns it; true if it changed.
    pub(crate) fn list(&self, index: u32, names: Vec<(String, ListedKind)>) -> (Vec<Listed>, bool) {
        let mut nodes = locked(&self.nodes);
        let Some(node) = nodes.by_index.get_mut(&index) else { return (Vec::new(), false) };
        let known: HashMap<(&str, ListedKind), u64> =
            node.listing.iter().map(|listed| ((listed.name.as_str(), listed.kind), listed.cookie)).collect();
        let mut last = node.last_cookie;
        let mut listing: Vec<Listed> = names
            .iter()
            .map(|(name, kind)| {
                let cookie = known.get(&(name.as_str(), *kind)).copied().unwrap_or_else(|| {
                    last += 1;
                    last
                });
                Listed { cookie, name: name.clone(), kind: *kind }
            })
            .collect();
        listing.sort_by_key(|listed| listed.cookie);
        let changed = listing != node.listing;
        if changed {
            node.last_cookie = last;
            // Coarse clocks may stand still between two changes; the time must not.
            let now = SystemTime::now();
            node.modified = now.max(node.modified + std::time::Duration::from_nanos(1));
            node.listing.clone_from(&listing);
        }
        (listing, changed)
    }

    /// The kernel is about to be given the names of a directory.
    pub(crate) fn note_listed(&self, index: u32) {
        if let Some(node) = locked(&self.nodes).by_index.get_mut(&index) {
            node.listed = true;
        }
    }

    /// The directories whose names the kernel may remember. One that was only looked up is none of them:
    /// there are as many of those as somebody thinks of names.
    pub(crate) fn listed_directories(&self) -> Vec<(Ino, PathBuf)> {
        let nodes = locked(&self.nodes);
        let directories = nodes.by_index.iter().filter(|(_, node)| node.listed);
        directories.map(|(&index, node)| (Ino::new(0, index), node.path.clone())).collect()
    }

    /// How many nodes the kernel knows.
    pub(crate) fn len(&self) -> usize {
        locked(&self.nodes).by_index.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<(String, ListedKind)> {
        all.iter().map(|name| ((*name).to_owned(), ListedKind::Directory)).collect()
    }

    #[test]
    fn a_name_that_stays_keeps_its_place_in_a_listing() {
        let space = Namespace::new();
        let (before, changed) = space.list(1, names(&["b", "d"]));
        assert!(changed);
        let modified = space.modified(1);
        let (after, changed) = space.list(1, names(&["a", "b", "d"]));
        assert!(changed && space.modified(1) > modified);
        assert_eq!(after[..2], before[..], "old names first, as before");
        assert_eq!(after[2].name, "a");
        let (same, changed) = space.list(1, names(&["a", "b", "d"]));
        assert!(!changed && same == after);
    }

    #[test]
    fn a_directory_that_was_only_looked_up_has_no_listing_to_be_kept_up() {
        let space = Namespace::new();
        let directory = space.take(Path::new("d"), Content::Directory);
        assert!(space.listed_directories().is_empty());
        space.note_listed(directory.index());
        assert_eq!(space.listed_directories(), [(directory, PathBuf::from("d"))]);
    }

    #[test]
    fn a_new_content_is_a_new_node_and_the_old_one_stays_until_forgotten() {
        let space = Namespace::new();
        let content = |text: &[u8]| Content::File(Arc::from(text));
        let old = space.take(Path::new("status"), content(b"1"));
        let new = space.take(Path::new("status"), content(b"2"));
        assert_ne!(old, new);
        assert_eq!(space.take(Path::new("status"), content(b"2")), new);
        assert_eq!(space.content(old.index()), Some(content(b"1")));
        space.forget(old.index(), 1);
        assert!(space.content(old.index()).is_none());
        assert_eq!(space.known(Path::new("status")), Some(new));
        space.forget(new.index(), 2);
        assert_eq!(space.len(), 1, "the root is left");
    }
}
