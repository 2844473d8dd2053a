//! A name space and snapshots in memory, and mounts of them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::{Duration, Instant, SystemTime};

use srcfs_mount::mounting::{self, MountOptions, MountRequest};
use srcfs_mount::tree::*;
use srcfs_mount::{Config, Monitor, Report, Session};

pub const COMMITTED: Duration = Duration::from_secs(1_700_000_000);

/// A file, link or directory of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    File(Vec<u8>, bool),
    Link(Vec<u8>),
}

struct MemoryNode {
    name: OsString,
    node: Node,
    children: Range<u32>,
    content: Vec<u8>,
}

/// A snapshot in memory, from its files' paths. A file called `panic` panics when it is read.
pub struct MemorySnapshot {
    nodes: Vec<MemoryNode>,
}

#[derive(Default)]
struct Directory {
    entries: BTreeMap<OsString, Item>,
}
enum Item {
    Directory(Directory),
    Leaf(Content),
}

impl MemorySnapshot {
    pub fn new(files: &BTreeMap<PathBuf, Content>) -> Arc<Self> {
        let mut root = Directory::default();
        for (path, content) in files {
            let mut at = &mut root;
            for component in path.parent().unwrap().components() {
                let next = at.entries.entry(component.as_os_str().to_owned());
                let Item::Directory(next) = next.or_insert_with(|| Item::Directory(Directory::default()))
                else {
                    panic!("{} lies below a file", path.display())
                };
                at = next;
            }
            at.entries.insert(path.file_name().unwrap().to_owned(), Item::Leaf(content.clone()));
        }
        let node = |kind, size, parent| Node { kind, size, parent };
        let mut nodes = vec![MemoryNode {
            name: OsString::new(),
            node: node(NodeKind::Directory, 0, 0),
            children: 0..0,
            content: Vec::new(),
        }];
        let mut queue = std::collections::VecDeque::from([(0_u32, root)]);
        while let Some((index, directory)) = queue.pop_front() {
            let first = nodes.len() as u32;
            nodes[index as usize].children = first..first + directory.entries.len() as u32;
            for (name, item) in directory.entries {
                let (kind, content) = match &item {
                    Item::Directory(_) => (NodeKind::Directory, Vec::new()),
                    Item::Leaf(Content::File(bytes, executable)) => {
                        (NodeKind::File { executable: *executable }, bytes.clone())
                    }
                    Item::Leaf(Content::Link(target)) => (NodeKind::Symlink, target.clone()),
                };
                if let Item::Directory(directory) = item {
                    queue.push_back((nodes.len() as u32, directory));
                }
                let node = node(kind, content.len() as u64, index);
                nodes.push(MemoryNode { name, node, children: 0..0, content });
            }
        }
        Arc::new(MemorySnapshot { nodes })
    }
}

impl Snapshot for MemorySnapshot {
    fn len(&self) -> u32 {
        self.nodes.len() as u32
    }
    fn modified(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + COMMITTED
    }
    fn node(&self, index: u32) -> Option<Node> {
        self.nodes.get(index as usize).map(|node| node.node)
    }
    fn name(&self, index: u32) -> &OsStr {
        &self.nodes[index as usize].name
    }
    fn children(&self, index: u32) -> Range<u32> {
        self.nodes[index as usize].children.clone()
    }
    fn lookup(&self, directory: u32, name: &OsStr) -> Option<u32> {
        self.children(directory).find(|&child| self.name(child) == name)
    }
    fn read(&self, index: u32, offset: u64, size: u32, with: &mut dyn FnMut(&[u8])) -> Result<(), Errno> {
        assert_ne!(self.name(index), OsStr::new("panic"), "on purpose");
        let content = &self.nodes[index as usize].content;
        let start = (offset as usize).min(content.len());
        with(&content[start..(start + size as usize).min(content.len())]);
        Ok(())
    }
    fn xattr(&self, index: u32, name: &OsStr) -> Option<Vec<u8>> {
        (name == "user.index").then(|| index.to_string().into_bytes())
    }
    fn xattrs(&self, _: u32) -> Vec<String> {
        vec!["user.index".to_owned()]
    }
}

/// A gate that a view waits at until it is opened.
#[derive(Default)]
pub struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    pub waiting: AtomicU64,
}

impl Gate {
    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
    pub fn pass(&self) {
        self.waiting.fetch_add(1, SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.changed.wait_while(open, |open| !*open).unwrap());
    }
}

/// A view in memory.
pub struct MemoryView {
    id: u64,
    pub snapshot: Weak<MemorySnapshot>,
    held: Mutex<Option<Arc<MemorySnapshot>>>,
    /// What opening it waits for; without one it is cached.
    gate: Option<Arc<Gate>>,
    known: bool,
    absent: AtomicBool,
    pub opened: AtomicU64,
}

impl View for MemoryView {
    fn id(&self) -> u64 {
        self.id
    }
    fn local(&self) -> Result<Option<Arc<dyn Snapshot>>, Errno> {
        if self.gate.is_some() {
            return Ok(None);
        }
        self.get().map(Some)
    }
    fn known(&self) -> Option<Existence> {
        self.known.then_some(Existence { modified: None })
    }
    fn exists(&self, _: Caller) -> Result<Existence, Errno> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        if self.absent.load(SeqCst) { Err(Errno(libc::ENOENT)) } else { Ok(Existence { modified: None }) }
    }
    fn open(&self, _: Caller) -> Result<Arc<dyn Snapshot>, Errno> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        self.get()
    }
}

impl MemoryView {
    /// Hands the snapshot over: from then on only the mount holds it.
    fn get(&self) -> Result<Arc<dyn Snapshot>, Errno> {
        self.opened.fetch_add(1, SeqCst);
        let snapshot = self.held.lock().unwrap().take().or_else(|| self.snapshot.upgrade());
        snapshot.map(|snapshot| snapshot as Arc<dyn Snapshot>).ok_or(Errno(libc::EIO))
    }
}

/// A name space in memory: views by their path; everything above them is a directory.
#[derive(Default)]
pub struct MemoryTree {
    views: Mutex<HashMap<PathBuf, Arc<MemoryView>>>,
    next: AtomicU64,
    /// What the next listing of a directory waits for.
    slow_listing: Mutex<Option<(PathBuf, Arc<Gate>)>>,
}

impl MemoryTree {
    fn add(&self, path: &str, view: MemoryView) -> Arc<MemoryView> {
        let view = Arc::new(view);
        self.views.lock().unwrap().insert(PathBuf::from(path), view.clone());
        view
    }

    fn view(&self, snapshot: Arc<MemorySnapshot>, gate: Option<Arc<Gate>>) -> MemoryView {
        MemoryView {
            id: self.next.fetch_add(1, SeqCst),
            snapshot: Arc::downgrade(&snapshot),
            held: Mutex::new(Some(snapshot)),
            known: gate.is_none(),
            gate,
            absent: AtomicBool::new(false),
            opened: AtomicU64::new(0),
        }
    }

    /// Binds `path` to a snapshot, in place of what it was bound to.
    pub fn bind(&self, path: &str, snapshot: Arc<MemorySnapshot>) -> Arc<MemoryView> {
        self.add(path, self.view(snapshot, None))
    }

    /// Binds `path` to a snapshot that comes when `gate` opens.
    pub fn bind_slow(&self, path: &str, snapshot: Arc<MemorySnapshot>, gate: &Arc<Gate>) -> Arc<MemoryView> {
        self.add(path, self.view(snapshot, Some(gate.clone())))
    }

    /// Binds `path` to something that exists and cannot be had.
    pub fn bind_broken(&self, path: &str) {
        self.bind(path, MemorySnapshot::new(&BTreeMap::new())).held.lock().unwrap().take();
    }

    /// Binds `path` to something that turns out not to exist.
    pub fn bind_absent(&self, path: &str) {
        let view = self.view(MemorySnapshot::new(&BTreeMap::new()), None);
        self.add(path, MemoryView { known: false, absent: AtomicBool::new(true), ..view });
    }

    /// Has the next listing of `path` wait at `gate`.
    pub fn list_slowly(&self, path: &str, gate: &Arc<Gate>) {
        *self.slow_listing.lock().unwrap() = Some((path.into(), gate.clone()));
    }

    pub fn remove(&self, path: &str) {
        self.views.lock().unwrap().remove(Path::new(path));
    }
}

impl Tree for MemoryTree {
    fn entry(&self, path: &Path) -> Entry {
        let views = self.views.lock().unwrap();
        if let Some(view) = views.get(path) {
            return Entry::View(view.clone());
        }
        match path.to_str() {
            Some(".srcfs") => Entry::Directory,
            Some("count") => Entry::File(Arc::from(format!("{}\n", views.len()).into_bytes())),
            Some(name) if name.starts_with(".srcfs/sync-") => Entry::Barrier,
            _ if views.keys().any(|view| view.starts_with(path)) => Entry::Directory,
            _ => Entry::Missing,
        }
    }

    fn list(&self, path: &Path) -> Option<Vec<(String, ListedKind)>> {
        let slow = self.slow_listing.lock().unwrap().take_if(|(slow, _)| slow == path);
        if let Some((_, gate)) = slow {
            gate.pass();
        }
        let views = self.views.lock().unwrap();
        let mut names: Vec<(String, ListedKind)> = views
            .keys()
            .filter_map(|view| view.strip_prefix(path).ok()?.components().next())
            .map(|name| (name.as_os_str().to_str().unwrap().to_owned(), ListedKind::Directory))
            .chain(path.as_os_str().is_empty().then(|| ("count".to_owned(), ListedKind::File)))
            .collect();
        names.sort();
        names.dedup();
        Some(names)
    }

    fn used(&self, _: &Path, _: Caller) {}
}

/// A real mount of a tree in memory.
pub struct Mount {
    pub tree: Arc<MemoryTree>,
    pub monitor: Monitor,
    directory: tempfile::TempDir,
    id: mounting::MountId,
    server: Option<std::thread::JoinHandle<()>>,
}

impl Mount {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let tree = Arc::new(MemoryTree::default());
        let directory = tempfile::tempdir().unwrap();
        let request = MountRequest {
            directory: directory.path(),
            source: "srcfs:test",
            options: MountOptions::default(),
        };
        let mounted = mounting::mount(&request).unwrap_or_else(|error| panic!("{error}"));
        let mut config = Config::default();
        change(&mut config);
        config.set_mount(mounted.id);
        if config.park.is_none() {
            let mount = directory.path().to_owned();
            config.park = Some(Arc::new(move |paths: &[PathBuf]| {
                let paths = paths.iter().map(|path| mount.join(path));
                std::process::Command::new("stat").args(paths).output().unwrap();
            }));
        }
        let session = Session::begin(tree.clone(), mounted.device, config).unwrap();
        let monitor = session.monitor();
        let server = std::thread::spawn(move || session.serve().unwrap());
        Mount { tree, monitor, directory, id: mounted.id, server: Some(server) }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Makes the mount take notice of every change, as the verbs do.
    pub fn barrier(&self) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(".srcfs/sync-{}", NEXT.fetch_add(1, SeqCst));
        let error = std::fs::symlink_metadata(self.path(&name)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        // What starts from here on started in a later tick than the change.
        std::thread::sleep(Duration::from_millis(10));
    }

    pub fn requests(&self, kind: &str) -> u64 {
        self.monitor.report().requests.iter().find(|(name, _)| *name == kind).unwrap().1
    }

    /// Waits until the report satisfies `condition`.
    pub fn wait(&self, what: &str, condition: impl Fn(&Report) -> bool) {
        wait(what, || condition(&self.monitor.report()));
    }

    /// Detaches the mount; the session goes on until the last handle is closed.
    pub fn detach(&self) {
        let _ = mounting::unmount(self.directory.path(), Some(&self.id), true);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.monitor.stop_waiting();
        self.detach();
        if let Some(server) = self.server.take()
            && !std::thread::panicking()
        {
            server.join().unwrap();
        }
    }
}

/// Waits for a condition, with a bound that is only there so that a broken test ends.
pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < until, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A snapshot of `files` files in directories of ten, each of which says `version`.
pub fn versioned(version: &str, files: usize) -> Arc<MemorySnapshot> {
    let content = |n: usize| Content::File(format!("{version} {n}\n").into_bytes(), false);
    let path = |n: usize| PathBuf::from(format!("d{:03}/e/f{n}", n / 10));
    MemorySnapshot::new(&(0..files).map(|n| (path(n), content(n))).collect())
}

pub fn files(all: &[(&str, &str)]) -> BTreeMap<PathBuf, Content> {
    let file = |text: &str| Content::File(text.as_bytes().to_vec(), false);
    all.iter().map(|(path, text)| (PathBuf::from(path), file(text))).collect()
}

/// Everything below a directory: what a walk sees.
pub fn walk(directory: &Path) -> std::io::Result<BTreeMap<PathBuf, Content>> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = BTreeMap::new();
    let mut queue = vec![PathBuf::new()];
    while let Some(relative) = queue.pop() {
        for entry in std::fs::read_dir(directory.join(&relative))? {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                queue.push(path);
            } else if metadata.is_symlink() {
                let target = std::fs::read_link(directory.join(&path))?;
                found.insert(path, Content::Link(target.as_os_str().as_bytes().to_vec()));
            } else {
                let executable = metadata.permissions().mode() & 0o111 != 0;
                found.insert(path.clone(), Content::File(std::fs::read(directory.join(&path))?, executable));
            }
        }
    }
    Ok(found)
}
