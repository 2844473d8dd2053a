//! What the mount shows, as traits: a name space ([`Tree`]) in which some names are views
//! ([`View`]), each of which opens into one immutable snapshot ([`Snapshot`]).
//!
//! The mount calls down into these traits and is never called back by them. Which calls may wait is
//! part of the contract, because an event-loop thread that waits stops the whole mount:
//!
//! | call | runs on | may wait |
//! |---|---|---|
//! | everything else of [`Tree`] | event-loop threads | never: memory, a stat, one small file |
//! | [`Tree::take_notice`] | the thread of the barriers | a second |
//! | [`View::local`] | the pool's local threads | for the disk, never for the network or a lock |
//! | [`View::exists`], [`View::open`] | the pool's fetch threads | yes |
//! | everything of [`Snapshot`] | event-loop threads | for the disk |

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// An error number as the kernel knows it (positive, for example `libc::ENOENT`).
///
/// The sentence behind it stays with whoever implements the traits; the kernel takes only this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", std::io::Error::from_raw_os_error(self.0))
    }
}

/// Who asks, as far as the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The asking thread's id in the daemon's pid namespace; 0 if it cannot be seen from there.
    pub tid: u32,
}

/// What a path of the name space is.
#[derive(Clone)]
pub enum Entry {
    /// Nothing, by the grammar or by what is known. Answered without a cached miss.
    Missing,
    /// Something that cannot be told: why, for whoever asks. Nothing of it is remembered.
    Refused(Errno),
    /// A directory of the name space; its names come from [`Tree::list`].
    Directory,
    /// A small file with this content. Each new content gets a new inode number.
    File(Arc<[u8]>),
    /// The newest binding of a view.
    View(Arc<dyn View>),
    /// A name that is looked up for its effect: the mount takes notice of every changed view, then
    /// answers "no such file", uncached.
    Barrier,
    /// Not known yet, because something slow is being read. Who asks for it waits, as for everything slow;
    /// when `Monitor::look_again` says that more is known, the tree is asked again.
    Later,
}

/// The kind of a listed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListedKind {
    /// A directory of the name space or a view.
    Directory,
    /// A file of the name space.
    File,
}

/// The name space: which names exist above the views. Paths are relative to the root of the mount,
/// the root itself is the empty path.
pub trait Tree: Send + Sync + 'static {
    /// What stands at `path`. For a view, the newest binding; two answers with one [`View::id`] are
    /// the same binding.
    fn entry(&self, path: &Path) -> Entry;

    /// The names in the directory `path`, sorted, without `.` and `..`; empty if it is none. `None` is what
    /// [`Entry::Later`] is.
    fn list(&self, path: &Path) -> Option<Vec<(String, ListedKind)>>;

    /// Called in each barrier before the names are asked for: the place to look at what takes longer than
    /// an entry may. It must return within a second or so, whatever hangs.
    fn take_notice(&self) {}

    /// Called when the view `path` was opened, or asked for by its name, at most once in `Config::note_use`
    /// for one view: the place to note its last use. `caller` caused it.
    fn used(&self, path: &Path, caller: Caller);
}

/// What the kernel needs to know of a name before its content is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Existence {
    /// The modification time of the view's root, if known already.
    pub modified: Option<SystemTime>,
}

/// One binding of a name to a snapshot, perhaps one that must be fetched first. Immutable: when the
/// name is to show something else, [`Tree::entry`] answers another `View` with another id.
pub trait View: Send + Sync + 'static {
    /// Names this binding among all of the process; never used again for another.
    fn id(&self) -> u64;

    /// Opens the snapshot if that needs neither network nor lock: `None` if it must be fetched.
    fn local(&self) -> Result<Option<Arc<dyn Snapshot>>, Errno>;

    /// What is known of the name without asking anybody, if that it exists is (configured or cached).
    fn known(&self) -> Option<Existence>;

    /// Decides whether the name exists, asking the network if need be. `caller` is who waits.
    fn exists(&self, caller: Caller) -> Result<Existence, Errno>;

    /// Materializes the snapshot, joining whoever does it already. `caller` is who waits.
    fn open(&self, caller: Caller) -> Result<Arc<dyn Snapshot>, Errno>;

    /// Called when `caller` was answered ETIMEDOUT, because it had waited as long as a request may
    /// wait, while the work goes on: the place to note why.
    fn kept_waiting(&self, caller: Caller) {
        let _ = caller;
    }
}

/// The kind of a node of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory; its children are the nodes of [`Snapshot::children`].
    Directory,
    /// A regular file.
    File {
        /// Shown as 0555 instead of 0444.
        executable: bool,
    },
    /// A symbolic link; its target is read with [`Snapshot::read`].
    Symlink,
}

/// The attributes of a node of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Size in bytes: of a file its content, of a symbolic link its target, of a directory 0.
    pub size: u64,
    /// The parent's index; the root's own index for the root.
    pub parent: u32,
}

/// One immutable tree. Nodes are numbered densely from 0, the root; every directory's children are a
/// contiguous range, sorted by name (bytewise), and every child has a greater index than its parent.
/// What it is built on stays on disk for as long as this value lives: it is the pin.
#[allow(clippy::len_without_is_empty, reason = "there is always the root")]
pub trait Snapshot: Send + Sync + 'static {
    /// The number of nodes, the root included; at least 1.
    fn len(&self) -> u32;

    /// The modification time of every node.
    fn modified(&self) -> SystemTime;

    /// The attributes of a node; `None` beyond [`Snapshot::len`].
    fn node(&self, index: u32) -> Option<Node>;

    /// The name of a node in its parent; empty for the root.
    fn name(&self, index: u32) -> &OsStr;

    /// The children of a directory; empty for anything else.
    fn children(&self, index: u32) -> std::ops::Range<u32>;

    /// The child of that name.
    fn lookup(&self, directory: u32, name: &OsStr) -> Option<u32>;

    /// Calls `with` with up to `size` bytes from `offset`: less only at the end of the content.
    /// `with` is called at most once, with no lock held that another read needs.
    fn read(&self, index: u32, offset: u64, size: u32, with: &mut dyn FnMut(&[u8])) -> Result<(), Errno>;

    /// The value of an extended attribute of a node.
    fn xattr(&self, index: u32, name: &OsStr) -> Option<Vec<u8>>;

    /// The names of a node's extended attributes.
    fn xattrs(&self, index: u32) -> Vec<String>;
}
