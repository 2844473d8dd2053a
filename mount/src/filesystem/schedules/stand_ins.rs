//! A tree with one name and a kernel, both as simple as the tests need them, over schedulable locks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use shuttle::rand::{Rng, thread_rng};

use crate::filesystem::FileSystem;
use crate::ino::Ino;
use crate::kernel::Kernel;
use crate::locked;
use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sync::{Mutex, thread};
use crate::tree::*;

/// One name, `v`, whose content has a number; 0: there is none.
#[derive(Default)]
pub(super) struct World {
    pub(super) version: AtomicU64,
    /// How many snapshots of each version live. Held for no step of a schedule, so std's.
    live: std::sync::Mutex<BTreeMap<u64, i64>>,
}

impl World {
    fn count(&self, version: u64, by: i64) {
        *self.live.lock().unwrap().entry(version).or_default() += by;
    }

    pub(super) fn live(&self) -> i64 {
        let live = self.live.lock().unwrap();
        assert!(live.values().all(|count| *count >= 0), "one was dropped twice: {live:?}");
        live.values().sum()
    }
}

/// The name space with that name.
pub(super) struct TheTree(pub(super) Arc<World>);

impl Tree for TheTree {
    fn entry(&self, path: &Path) -> Entry {
        if path == ".srcfs" {
            return Entry::Directory;
        }
        match self.0.version.load(SeqCst) {
            0 => Entry::Missing,
            version => {
                Entry::View(Arc::new(TheView { version, world: self.0.clone(), opened: OnceLock::new() }))
            }
        }
    }
    fn list(&self, _: &Path) -> Option<Vec<(String, ListedKind)>> {
        Some(Vec::new())
    }
    fn used(&self, _: &Path, _: Caller) {}
}

/// Every other version is not on this machine and has to be fetched.
struct TheView {
    version: u64,
    world: Arc<World>,
    opened: OnceLock<()>,
}

impl TheView {
    fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.opened.set(()).expect("a view is opened once");
        self.world.count(self.version, 1);
        Arc::new(TheSnapshot {
            content: self.version.to_string(),
            version: self.version,
            world: self.world.clone(),
        })
    }
}

impl View for TheView {
    fn id(&self) -> u64 {
        self.version
    }
    fn local(&self) -> Result<Option<Arc<dyn Snapshot>>, Errno> {
        Ok(self.version.is_multiple_of(2).then(|| self.snapshot()))
    }
    fn known(&self) -> Option<Existence> {
        None
    }
    fn exists(&self, _: Caller) -> Result<Existence, Errno> {
        Ok(Existence { modified: None })
    }
    fn open(&self, _: Caller) -> Result<Arc<dyn Snapshot>, Errno> {
        Ok(self.snapshot())
    }
}

/// A directory with one file, `f`, whose content is the version.
struct TheSnapshot {
    version: u64,
    content: String,
    world: Arc<World>,
}

impl Drop for TheSnapshot {
    fn drop(&mut self) {
        self.world.count(self.version, -1);
    }
}

impl Snapshot for TheSnapshot {
    fn len(&self) -> u32 {
        2
    }
    fn modified(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
    fn node(&self, index: u32) -> Option<Node> {
        let kind = if index == 0 { NodeKind::Directory } else { NodeKind::File { executable: false } };
        (index < 2).then_some(Node { kind, size: 1, parent: 0 })
    }
    fn name(&self, _: u32) -> &OsStr {
        OsStr::new("f")
    }
    fn children(&self, index: u32) -> Range<u32> {
        if index == 0 { 1..2 } else { 0..0 }
    }
    fn lookup(&self, directory: u32, name: &OsStr) -> Option<u32> {
        (directory == 0 && name == "f").then_some(1)
    }
    fn read(&self, _: u32, _: u64, _: u32, with: &mut dyn FnMut(&[u8])) -> Result<(), Errno> {
        with(self.content.as_bytes());
        Ok(())
    }
    fn xattr(&self, _: u32, _: &OsStr) -> Option<Vec<u8>> {
        None
    }
    fn xattrs(&self, _: u32) -> Vec<String> {
        Vec::new()
    }
}

/// What the kernel holds: how often it was given each node, and how many processes use it now.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) nodes: HashMap<Ino, (u64, u64)>,
    /// Names that it remembers to be absent; they keep their directory.
    pub(super) misses: HashSet<(Ino, OsString)>,
    /// Lookups under way, each of which holds its directory's lock.
    pub(super) lookups: HashMap<Ino, u32>,
    /// FORGETs that are on their way.
    forgets: Vec<(Ino, u64)>,
}

impl Memory {
    /// Lets go of a node that nobody uses, unless it is a directory in which it knows something.
    pub(super) fn evict(&mut self, ino: Ino) {
        let below = |other: &Ino| other.slot() == ino.slot() && other.index() != 0;
        let known = || self.nodes.keys().any(below) || self.misses.iter().any(|(parent, _)| *parent == ino);
        if ino.index() == 0 && known() {
            return;
        }
        if let Some(&(count, 0)) = self.nodes.get(&ino) {
            self.nodes.remove(&ino);
            self.forgets.push((ino, count));
        }
    }
}

#[derive(Default)]
pub(super) struct TheKernel(pub(super) Mutex<Memory>);

impl TheKernel {
    /// An answer arrived, and who asked uses it.
    pub(super) fn given(&self, ino: Ino) {
        let mut memory = locked(&self.0);
        let (count, users) = memory.nodes.entry(ino).or_default();
        (*count, *users) = (*count + 1, *users + 1);
    }

    pub(super) fn released(&self, ino: Ino) {
        locked(&self.0).nodes.get_mut(&ino).expect("it is held while it is used").1 -= 1;
    }

    /// Any FORGET arrives; and if memory is `scarce`, any of the nodes is given back before, if that is
    /// possible, or all misses are.
    pub(super) fn has_a_moment(&self, fs: &Arc<FileSystem>, scarce: bool) {
        let forget = {
            let mut memory = locked(&self.0);
            let mut known: Vec<Ino> = memory.nodes.keys().copied().collect();
            known.sort();
            if scarce && !known.is_empty() {
                match thread_rng().gen_range(0..8) {
                    0 => memory.misses.clear(),
                    1..4 => memory.evict(known[thread_rng().gen_range(0..known.len())]),
                    _ => {}
                }
            }
            let waiting = memory.forgets.len();
            (waiting > 0).then(|| memory.forgets.swap_remove(thread_rng().gen_range(0..waiting)))
        };
        if let Some((ino, count)) = forget {
            fs.forget(ino, count);
        }
    }
}

impl Kernel for TheKernel {
    fn expire(&self, _: Ino, _: &OsStr) -> io::Result<()> {
        Ok(())
    }
    fn drop_entry(&self, parent: Ino, name: &OsStr) -> io::Result<()> {
        loop {
            let mut memory = locked(&self.0);
            if memory.lookups.get(&parent).is_none_or(|lookups| *lookups == 0) {
                memory.misses.remove(&(parent, name.to_owned()));
                return Ok(());
            }
            drop(memory);
            thread::yield_now();
        }
    }
    fn refresh(&self, _: Ino) -> io::Result<()> {
        Ok(())
    }
    fn prune(&self, nodes: &[Ino]) -> io::Result<bool> {
        for &node in nodes {
            locked(&self.0).evict(node);
        }
        Ok(true)
    }
}
