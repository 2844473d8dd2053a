//! READDIR and READDIRPLUS.
//!
//! A snapshot's directory is a range of nodes, so a position in it is a number and a listing can be
//! resumed, rewound and sought anywhere. Position 0 is before `.`, 1 before `..`, 2 before the first
//! child.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Attributes, FOREVER, FileSystem, Found, attributes_of, listed_kind};
use crate::ino::Ino;
use crate::namespace::{self, Content};
use crate::slot::Slot;
use crate::tree::{Caller, Entry, Errno, NodeKind, Snapshot};

/// One entry of a listing.
pub(crate) struct Item {
    pub(crate) name: OsString,
    /// Where the listing goes on after this entry.
    pub(crate) next: u64,
    pub(crate) attributes: Attributes,
    /// How long name and attributes may be remembered.
    pub(crate) ttl: Duration,
}

/// A directory's entries from some position on.
pub(crate) enum Listing {
    /// Of a view.
    View { slot: Arc<Slot>, snapshot: Arc<dyn Snapshot>, directory: u32, position: u64 },
    /// Of the name space.
    Names { directory: Ino, path: std::path::PathBuf, names: Vec<namespace::Listed>, position: u64 },
}

impl FileSystem {
    /// The entries of a directory from `position` on.
    pub(crate) fn readdir(
        self: &Arc<Self>,
        ino: Ino,
        position: u64,
        caller: Caller,
        answer: impl FnOnce(Result<Listing, Errno>) + Send + 'static,
    ) {
        let (this, asked) = (self.clone(), Instant::now());
        let answer = move |result: Result<Listing, Errno>| {
            answer(result.map_err(|error| this.insisting.answer(caller, ino, asked, error)));
        };
        if ino.slot() == 0 {
            return self.list_names(ino, position, caller, answer);
        }
        let Some(slot) = self.slots.get(ino.slot()) else { return answer(Err(Errno(libc::ESTALE))) };
        let directory = ino.index();
        slot.touch();
        if let Some(snapshot) = slot.snapshot() {
            return answer(Ok(Listing::View { slot, snapshot, directory, position }));
        }
        self.when_open(slot, caller, move |result| {
            // readdir(3) of glibc takes ENOENT for the end of a directory that was removed: what failed
            // would be shown as empty.
            let result = result.map_err(|error| match error {
                Errno(libc::ENOENT) => Errno(libc::EIO),
                other => other,
            });
            answer(result.map(|(slot, snapshot)| Listing::View { slot, snapshot, directory, position }));
        });
    }

    fn list_names(
        self: &Arc<Self>,
        directory: Ino,
        position: u64,
        caller: Caller,
        answer: impl FnOnce(Result<Listing, Errno>) + Send + 'static,
    ) {
        if self.namespace.content(directory.index()).is_some_and(|content| content != Content::Directory) {
            return answer(Err(Errno(libc::ENOTDIR)));
        }
        let Some(path) = self.namespace.path(directory.index()) else {
            return answer(Err(Errno(libc::ESTALE)));
        };
        let Some(names) = self.names_in(&path) else {
            let this = self.clone();
            return self.when_more_is_known(path, caller, move |known| match known {
                Ok(()) => this.list_names(directory, position, caller, answer),
                Err(error) => answer(Err(error)),
            });
        };
        self.namespace.note_listed(directory.index());
        let (names, _) = self.namespace.list(directory.index(), names);
        answer(Ok(Listing::Names { directory, path, names, position }));
    }

    /// Counts the reference that a READDIRPLUS entry is about to hand out, and makes the entry one that
    /// can be looked up. `None`: the entry is gone, or has no node of its own.
    pub(crate) fn hand_out(
        self: &Arc<Self>,
        listing: &Listing,
        item: &mut Item,
        caller: Caller,
    ) -> Option<()> {
        if item.name == "." || item.name == ".." {
            return Some(());
        }
        match listing {
            Listing::View { slot, .. } => slot.references.take(item.attributes.ino.index()),
            Listing::Names { path, .. } => {
                let (attributes, ttl) = self.hand_out_name(&path.join(&item.name), caller)?;
                (item.attributes, item.ttl) = (attributes, ttl);
            }
        }
        Some(())
    }

    fn hand_out_name(self: &Arc<Self>, path: &Path, caller: Caller) -> Option<(Attributes, Duration)> {
        let found = match self.lookup_parked(path) {
            Some(found) => found.ok()?,
            None => match self.tree.entry(path) {
                Entry::Directory => self.found_virtual(path, Content::Directory),
                Entry::File(content) => self.found_virtual(path, Content::File(content)),
                Entry::View(view) => self.lookup_view(path, &view, caller).ok()?.0,
                Entry::Missing | Entry::Refused(_) | Entry::Barrier | Entry::Later => return None,
            },
        };
        match found {
            // One TTL serves name and attributes here, and the reply is sent elsewhere: a name that may
            // change meanwhile must not be remembered.
            Found::Node { attributes, .. } => Some((attributes, Duration::ZERO)),
            Found::Never => None,
        }
    }

    /// Takes back a reference that was counted for an entry which then did not fit.
    pub(crate) fn take_back(self: &Arc<Self>, item: &Item) {
        if item.name != "." && item.name != ".." {
            self.forget(item.attributes.ino, 1);
        }
    }
}

impl Listing {
    /// The next entry, and the position after it.
    pub(crate) fn next(&mut self) -> Option<Item> {
        let item = match self {
            Listing::View { slot, snapshot, directory, position } => {
                in_view(slot, &**snapshot, *directory, *position)
            }
            Listing::Names { directory, names, position, .. } => in_names(*directory, names, *position),
        }?;
        match self {
            Listing::View { position, .. } | Listing::Names { position, .. } => *position = item.next,
        }
        Some(item)
    }
}

fn dot(ino: Ino, position: u64) -> Item {
    let name = OsStr::new(if position == 0 { "." } else { ".." }).to_owned();
    let kind = NodeKind::Directory;
    let attributes = Attributes { ino, kind, size: 0, modified: std::time::SystemTime::UNIX_EPOCH };
    Item { name, next: position + 1, attributes, ttl: Duration::ZERO }
}

fn in_view(slot: &Slot, snapshot: &dyn Snapshot, directory: u32, position: u64) -> Option<Item> {
    if position < 2 {
        // The number of `..` above the root of a view is of no use to anybody; the kernel fills in its own.
        let parent = snapshot.node(directory)?.parent;
        return Some(dot(slot.ino(if position == 0 { directory } else { parent }), position));
    }
    let children = snapshot.children(directory);
    let index = u32::try_from(position - 2).ok()?.checked_add(children.start)?;
    if index >= children.end {
        return None;
    }
    let attributes = attributes_of(slot, snapshot, index)?;
    Some(Item { name: snapshot.name(index).to_owned(), next: position + 1, attributes, ttl: FOREVER })
}

fn in_names(directory: Ino, names: &[namespace::Listed], position: u64) -> Option<Item> {
    if position < 2 {
        return Some(dot(directory, position));
    }
    // Cookies begin at 3 and name the entry they stand with: the next one is the first above.
    let listed = names.iter().find(|listed| listed.cookie > position)?;
    // Without a lookup the number is only a hint; the root's is one that cannot mislead.
    let attributes = Attributes {
        ino: Ino::ROOT,
        kind: listed_kind(listed.kind),
        size: 0,
        modified: std::time::SystemTime::UNIX_EPOCH,
    };
    let name = OsStr::from_bytes(listed.name.as_bytes()).to_owned();
    Some(Item { name, next: listed.cookie, attributes, ttl: Duration::ZERO })
}
