//! The file system, without a kernel: requests in, answers out.
//!
//! What an event-loop thread may do here ends at the disk: a request that needs more is parked with its
//! answer ([`Waiters`]) while a thread of a lane works. The rooms below:
//!
//! - `opening`: a view on its way to its snapshot, and who waits for it
//! - `binding`: which view a process gets under a name, and what happens when a name changes
//! - `parking`: views that lost their name while somebody works in them
//! - `retiring`: giving back what only the kernel's caches hold
//! - `housekeeping`: once a second, what nobody asked for
//! - `report`: what is going on
//!
//! Lock order: `names`, then a slot's `opening`, then the tables of `slots`, `namespace` and `waiters`.
//! None is held while a [`Tree`], [`View`](crate::tree::View) or the kernel is called, except that
//! `names` is held while [`Tree::entry`]'s answer is compared, and `later`, which comes before all others,
//! while the tree is asked whether it knows more.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use crate::config::Config;
use crate::counters::Counters;
use crate::ino::Ino;
use crate::insisting::Insisting;
use crate::kernel::Kernel;
use crate::name::{Bounds, Name, STABLE_TTL};
use crate::namespace::{Content, Namespace};
use crate::pool::Lane;
use crate::slot::{Slot, Slots};
use crate::sync::Mutex;
use crate::tree::{Caller, Entry, Errno, ListedKind, NodeKind, Snapshot, Tree};
use crate::waiters::{WaiterId, Waiters};

mod binding;
mod housekeeping;
mod listing;
mod opening;
mod parking;
mod report;
mod retiring;
#[cfg(all(test, feature = "schedules"))]
mod schedules;

pub use report::{Report, ViewReport, WaitingReport};

/// For ever: a snapshot never changes.
pub(crate) const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// What a node looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) ino: Ino,
    pub(crate) kind: NodeKind,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

/// The answer to a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A node, and how long name and attributes may be remembered. One reference was counted.
    Node { attributes: Attributes, entry_ttl: Duration, attribute_ttl: Duration },
    /// Absent for ever.
    Never,
}

/// A mounted tree.
pub(crate) struct FileSystem {
    pub(crate) tree: Arc<dyn Tree>,
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    pub(crate) waiters: Arc<Waiters>,
    insisting: Insisting,
    slots: Slots,
    namespace: Namespace,
    names: Mutex<HashMap<PathBuf, Name>>,
    local: Lane,
    fetch: Lane,
    notifications: Lane,
    barriers: Lane,
    /// Barriers that the next round of the lane answers.
    next_barriers: Mutex<Vec<WaiterId>>,
    /// Requests for what the tree cannot say yet, each with its path.
    later: Mutex<Vec<(WaiterId, PathBuf)>>,
    kernel: OnceLock<Arc<dyn Kernel>>,
    started: SystemTime,
    boot: Mutex<housekeeping::Pulse>,
    /// Until when views may lose their name without an older one that takes it.
    parking: Mutex<Option<Instant>>,
}

impl FileSystem {
    /// A file system that nobody serves yet.
    pub(crate) fn new(tree: Arc<dyn Tree>, config: Config) -> Arc<Self> {
        Arc::new(FileSystem {
            waiters: Arc::new(Waiters::new(config.reply_bound)),
            local: Lane::new("srcfs-local", 4),
            fetch: Lane::new("srcfs-fetch", config.fetch_threads),
            notifications: Lane::new("srcfs-notify", 16),
            barriers: Lane::new("srcfs-barrier", 1),
            next_barriers: Mutex::default(),
            later: Mutex::default(),
            tree,
            config,
            counters: Counters::default(),
            insisting: Insisting::default(),
            slots: Slots::default(),
            namespace: Namespace::new(),
            names: Mutex::default(),
            kernel: OnceLock::new(),
            started: SystemTime::now(),
            boot: Mutex::default(),
            parking: Mutex::default(),
        })
    }

    /// Gives the file system its kernel. Before that nothing is told to anybody.
    pub(crate) fn attach(&self, kernel: Arc<dyn Kernel>) {
        // A second kernel would be a second mount of one session, which there is not.
        let _ = self.kernel.set(kernel);
    }

    fn bounds(&self) -> Bounds {
        Bounds { quiet: self.config.quiet, max_drain: self.config.max_drain }
    }

    /// LOOKUP. `answer` is called once, perhaps later and on another thread.
    pub(crate) fn lookup(
        self: &Arc<Self>,
        parent: Ino,
        name: &OsStr,
        caller: Caller,
        answer: impl FnOnce(Result<Found, Errno>) + Send + 'static,
    ) {
        if parent.slot() == 0 {
            return self.lookup_name(parent.index(), name, caller, answer);
        }
        let Some(slot) = self.slots.get(parent.slot()) else { return answer(Err(Errno(libc::ESTALE))) };
        let directory = parent.index();
        if let Some(snapshot) = slot.snapshot() {
            return answer(look_up_in(&slot, &*snapshot, directory, name));
        }
        let name = name.to_owned();
        self.when_open(slot, caller, move |result| {
            answer(result.and_then(|(slot, snapshot)| look_up_in(&slot, &*snapshot, directory, &name)));
        });
    }

    fn lookup_name(
        self: &Arc<Self>,
        parent: u32,
        name: &OsStr,
        caller: Caller,
        answer: impl FnOnce(Result<Found, Errno>) + Send + 'static,
    ) {
        let Some(directory) = self.namespace.path(parent) else { return answer(Err(Errno(libc::ESTALE))) };
        let path = directory.join(name);
        if let Some(found) = self.lookup_parked(&path) {
            return answer(found);
        }
        match self.tree.entry(&path) {
            Entry::Missing => {
                self.unbind(&path);
                answer(Err(Errno(libc::ENOENT)));
            }
            Entry::Refused(error) => {
                self.unbind(&path);
                answer(Err(error));
            }
            Entry::Directory => {
                self.unbind(&path);
                answer(Ok(self.found_virtual(&path, Content::Directory)));
            }
            Entry::File(content) => answer(Ok(self.found_virtual(&path, Content::File(content)))),
            Entry::View(view) => match self.lookup_view(&path, &view, caller) {
                Ok((found, on_its_way)) => {
                    answer(Ok(found));
                    drop(on_its_way);
                }
                Err(error) => answer(Err(error)),
            },
            Entry::Barrier => self.barrier(caller, move |noticed| {
                answer(Err(noticed.err().unwrap_or(Errno(libc::ENOENT))));
            }),
            Entry::Later => answer(Ok(self.found_virtual(&path, Content::Later))),
        }
    }

    /// What the root of a view looks like; for one that is not open, only that it is there.
    fn found_view(&self, slot: &Slot, entry_ttl: Duration) -> Found {
        slot.references.take(0);
        match slot.snapshot().and_then(|snapshot| attributes_of(slot, &*snapshot, 0)) {
            Some(attributes) => Found::Node { attributes, entry_ttl, attribute_ttl: FOREVER },
            None => {
                let attributes = self.unopened(slot, None);
                Found::Node { attributes, entry_ttl: Duration::ZERO, attribute_ttl: Duration::ZERO }
            }
        }
    }

    fn unopened(&self, slot: &Slot, modified: Option<SystemTime>) -> Attributes {
        let modified = modified.unwrap_or(self.started);
        Attributes { ino: slot.ino(0), kind: NodeKind::Directory, size: 0, modified }
    }

    /// A node of the name space, with the reference that its lookup hands out.
    fn found_virtual(&self, path: &Path, content: Content) -> Found {
        let (entry_ttl, attribute_ttl) = match content {
            Content::Directory => (STABLE_TTL, STABLE_TTL),
            // So that its attributes are asked for, which is what waits.
            Content::Later => (Duration::ZERO, Duration::ZERO),
            // Each content is a node of its own for ever, so it is the name that must be asked for.
            Content::File(_) | Content::Link(_) => (Duration::ZERO, FOREVER),
        };
        let ino = self.namespace.take(path, content.clone());
        Found::Node { attributes: self.virtual_node(ino, &content), entry_ttl, attribute_ttl }
    }

    fn virtual_node(&self, ino: Ino, content: &Content) -> Attributes {
        let (kind, size) = content.kind();
        Attributes { ino, kind, size, modified: self.namespace.modified(ino.index()) }
    }

    /// GETATTR, with how long the answer may be remembered. For the root of a view that nobody has
    /// opened yet this is where its existence is decided, because this request holds no directory's lock.
    pub(crate) fn getattr(
        self: &Arc<Self>,
        ino: Ino,
        caller: Caller,
        answer: impl FnOnce(Result<(Attributes, Duration), Errno>) + Send + 'static,
    ) {
        if ino.slot() == 0 {
            return match self.namespace.content(ino.index()) {
                Some(Content::Later) => self.when_decided(ino, caller, move |error| answer(Err(error))),
                _ => answer(self.virtual_attributes(ino)),
            };
        }
        let Some(slot) = self.slots.get(ino.slot()) else { return answer(Err(Errno(libc::ESTALE))) };
        if let Some(snapshot) = slot.snapshot() {
            let attributes = attributes_of(&slot, &*snapshot, ino.index());
            return answer(attributes.map(|found| (found, FOREVER)).ok_or(Errno(libc::ESTALE)));
        }
        let this = self.clone();
        self.when_known(slot, caller, move |result| {
            answer(result.map(|(slot, existence)| {
                match slot.snapshot().and_then(|snapshot| attributes_of(&slot, &*snapshot, 0)) {
                    Some(attributes) => (attributes, FOREVER),
                    None => (this.unopened(&slot, existence.modified), Duration::ZERO),
                }
            }));
        });
    }

    /// What a node that stands for what is not known yet is answered, as soon as that is known: never
    /// attributes, because it is another node that has them. ESTALE has the kernel look its name up again.
    fn when_decided(self: &Arc<Self>, ino: Ino, caller: Caller, answer: impl FnOnce(Errno) + Send + 'static) {
        let Some(path) = self.namespace.path(ino.index()) else { return answer(Errno(libc::ESTALE)) };
        let this = self.clone();
        self.when_more_is_known(path.clone(), caller, move |known| match known {
            Ok(()) if matches!(this.tree.entry(&path), Entry::Missing) => answer(Errno(libc::ENOENT)),
            Ok(()) => answer(Errno(libc::ESTALE)),
            Err(error) => answer(error),
        });
    }

    fn virtual_attributes(&self, ino: Ino) -> Result<(Attributes, Duration), Errno> {
        let content = self.namespace.content(ino.index()).ok_or(Errno(libc::ESTALE))?;
        if content != Content::Directory {
            return Ok((self.virtual_node(ino, &content), FOREVER));
        }
        let path = self.namespace.path(ino.index()).ok_or(Errno(libc::ESTALE))?;
        // The listing decides the modification time, and that whether a cached listing is still good.
        if let Some(names) = self.names_in(&path) {
            self.namespace.list(ino.index(), names);
        }
        Ok((self.virtual_node(ino, &content), STABLE_TTL))
    }

    /// READ: calls `with` once with the bytes.
    pub(crate) fn read(
        &self,
        ino: Ino,
        offset: u64,
        size: u32,
        with: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Errno> {
        if ino.slot() == 0 {
            let Some(Content::File(content)) = self.namespace.content(ino.index()) else {
                return Err(Errno(libc::EISDIR));
            };
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let end = start.saturating_add(size as usize).min(content.len());
            with(&content[start..end]);
            return Ok(());
        }
        let snapshot = self.open_snapshot(ino)?;
        match snapshot.node(ino.index()).map(|node| node.kind) {
            Some(NodeKind::File { .. }) => snapshot.read(ino.index(), offset, size, with),
            Some(NodeKind::Directory) => Err(Errno(libc::EISDIR)),
            _ => Err(Errno(libc::EINVAL)),
        }
    }

    /// READLINK: calls `with` once with the target.
    pub(crate) fn readlink(&self, ino: Ino, with: &mut dyn FnMut(&[u8])) -> Result<(), Errno> {
        if ino.slot() == 0 {
            let Some(Content::Link(target)) = self.namespace.content(ino.index()) else {
                return Err(Errno(libc::EINVAL));
            };
            with(&target);
            return Ok(());
        }
        let snapshot = self.open_snapshot(ino)?;
        match snapshot.node(ino.index()) {
            Some(node) if node.kind == NodeKind::Symlink => {
                snapshot.read(ino.index(), 0, u32::try_from(node.size).unwrap_or(u32::MAX), with)
            }
            _ => Err(Errno(libc::EINVAL)),
        }
    }

    /// GETXATTR. Never ENOSYS, which would turn all extended attributes off for good.
    pub(crate) fn getxattr(&self, ino: Ino, name: &OsStr) -> Result<Vec<u8>, Errno> {
        if ino.slot() == 0 {
            return Err(Errno(libc::ENODATA));
        }
        let snapshot = self.open_snapshot(ino).map_err(|_| Errno(libc::ENODATA))?;
        snapshot.xattr(ino.index(), name).ok_or(Errno(libc::ENODATA))
    }

    /// LISTXATTR: the names, each ended by a NUL.
    pub(crate) fn listxattr(&self, ino: Ino) -> Vec<u8> {
        match self.open_snapshot(ino) {
            Ok(snapshot) if ino.slot() != 0 => snapshot
                .xattrs(ino.index())
                .into_iter()
                .flat_map(|name| name.into_bytes().into_iter().chain([0]))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn open_snapshot(&self, ino: Ino) -> Result<Arc<dyn Snapshot>, Errno> {
        let slot = self.slots.get(ino.slot()).ok_or(Errno(libc::ESTALE))?;
        slot.touch();
        slot.snapshot().ok_or(Errno(libc::ESTALE))
    }

    /// FORGET
    pub(crate) fn forget(self: &Arc<Self>, ino: Ino, count: u64) {
        if ino.slot() == 0 {
            return self.namespace.forget(ino.index(), count);
        }
        let Some(slot) = self.slots.get(ino.slot()) else { return };
        if slot.references.give_back(ino.index(), count) == 0 {
            self.forgotten(slot);
        }
    }
}

fn look_up_in(slot: &Slot, snapshot: &dyn Snapshot, directory: u32, name: &OsStr) -> Result<Found, Errno> {
    slot.touch();
    match snapshot.lookup(directory, name) {
        Some(index) => {
            let attributes = attributes_of(slot, snapshot, index).ok_or(Errno(libc::EIO))?;
            slot.references.take(index);
            Ok(Found::Node { attributes, entry_ttl: FOREVER, attribute_ttl: FOREVER })
        }
        None if slot.misses.note(directory, name) => Ok(Found::Never),
        None => Err(Errno(libc::ENOENT)),
    }
}

/// The attributes of a node of an open view.
fn attributes_of(slot: &Slot, snapshot: &dyn Snapshot, index: u32) -> Option<Attributes> {
    let node = snapshot.node(index)?;
    Some(Attributes { ino: slot.ino(index), kind: node.kind, size: node.size, modified: snapshot.modified() })
}

/// The kind that a listed name of the name space appears as.
fn listed_kind(kind: ListedKind) -> NodeKind {
    match kind {
        ListedKind::Directory => NodeKind::Directory,
        ListedKind::File => NodeKind::File { executable: false },
    }
}
