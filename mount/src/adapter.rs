//! fuser's requests and replies, and nothing else: the one file that names fuser.
//!
//! - `open`, `opendir`, `flush` and `access` are answered ENOSYS once; from then on the kernel opens,
//!   closes and re-reads without a message and keeps pages and listings.
//! - A panic in a handler is EIO for its request: fuser sends that when the reply is dropped, and the
//!   thread is kept by `catch_unwind`.
//! - Who may ask is the kernel's business (`default_permissions`, `allow_other`), so fuser's own check
//!   is off, except for "root besides the owner", which the kernel does not know.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fuser::{
    FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyXattr, Request, SessionACL,
};

use crate::filesystem::{Attributes, FOREVER, FileSystem, Found};
use crate::ino::Ino;
use crate::kernel::Device;
use crate::tree::{Caller, Errno, NodeKind};

/// Flags the mount cannot do without its promises becoming slower, and asks for where the kernel has them.
const WANTED: [InitFlags; 10] = [
    InitFlags::FUSE_ASYNC_READ,
    // Without it one slow lookup freezes its siblings.
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_NO_OPEN_SUPPORT,
    InitFlags::FUSE_NO_OPENDIR_SUPPORT,
    InitFlags::FUSE_MAX_PAGES,
    // A directory of the name space whose modification time moved is listed anew.
    InitFlags::FUSE_AUTO_INVAL_DATA,
    InitFlags::FUSE_HAS_EXPIRE_ONLY,
];
/// The largest read asked for at once; the kernel lowers it to what it allows.
const LARGEST_REQUEST: u32 = 1 << 20;

struct Adapter {
    fs: Arc<FileSystem>,
    expires: Arc<std::sync::atomic::AtomicBool>,
}

/// A session with the kernel that has been begun: INIT was answered.
pub(crate) struct Session {
    session: fuser::Session<Adapter>,
}

impl Session {
    /// Answers the kernel's INIT on `device` and starts what a mount does by itself.
    pub(crate) fn begin(fs: &Arc<FileSystem>, device: OwnedFd) -> io::Result<Self> {
        let notifications = device.try_clone()?;
        let expires = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut config = fuser::Config::default();
        let acl = if fs.config.only_root_besides { SessionACL::RootAndOwner } else { SessionACL::All };
        config.n_threads = Some(fs.config.threads.max(2));
        // A thread with a device of its own does not contend for the queue; it needs to open the node,
        // which an ordinary user whose mount came from fusermount3 may not be allowed to.
        config.clone_fd = std::fs::File::options().read(true).write(true).open("/dev/fuse").is_ok();
        let adapter = Adapter { fs: fs.clone(), expires: expires.clone() };
        let session = fuser::Session::from_fd(adapter, device, acl, config)?;
        let expires = expires.load(std::sync::atomic::Ordering::Relaxed);
        fs.attach(Arc::new(Device::new(notifications, expires, fs.config.prune)));
        Ok(Session { session })
    }

    /// The device, to be kept beside the session.
    pub(crate) fn device(&self) -> io::Result<OwnedFd> {
        self.session.as_fd().try_clone_to_owned()
    }

    /// Serves until the file system is unmounted and the last handle on it is closed.
    pub(crate) fn serve(self) -> io::Result<()> {
        self.session.run()
    }
}

fn caller(request: &Request) -> Caller {
    Caller { tid: request.pid() }
}

fn errno(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.0)
}

impl Adapter {
    fn attributes(&self, from: &Attributes) -> FileAttr {
        let (kind, perm) = match from.kind {
            NodeKind::Directory => (FileType::Directory, 0o555),
            NodeKind::File { executable: true } => (FileType::RegularFile, 0o555),
            NodeKind::File { executable: false } => (FileType::RegularFile, 0o444),
            NodeKind::Symlink => (FileType::Symlink, 0o777),
        };
        FileAttr {
            ino: INodeNo(from.ino.0),
            size: from.size,
            blocks: from.size.div_ceil(512),
            atime: from.modified,
            mtime: from.modified,
            ctime: from.modified,
            crtime: from.modified,
            kind,
            perm,
            // For a directory: unknown. Two and more would promise find(1) a number of subdirectories.
            nlink: 1,
            uid: self.fs.config.owner.0,
            gid: self.fs.config.owner.1,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    /// The entry with node 0: absent, and the kernel may remember that.
    fn absent(&self) -> FileAttr {
        let modified = std::time::SystemTime::UNIX_EPOCH;
        let kind = NodeKind::File { executable: false };
        self.attributes(&Attributes { ino: Ino(0), kind, size: 0, modified })
    }

    fn guard(&self, handler: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(handler)).is_err() {
            log::error!("a request handler panicked; its caller got an input/output error");
        }
    }

    fn reply_entry(&self, reply: ReplyEntry, found: Result<Found, Errno>) {
        match found {
            Ok(Found::Node { attributes, entry_ttl, attribute_ttl }) => {
                let attributes = self.attributes(&attributes);
                reply.entry_with_ttls(&attribute_ttl, &entry_ttl, &attributes, Generation(0));
            }
            Ok(Found::Never) => reply.entry_with_ttls(&FOREVER, &FOREVER, &self.absent(), Generation(0)),
            Err(error) => reply.error(errno(error)),
        }
    }

    /// The same adapter for an answer that comes later, from another thread.
    fn later(&self) -> Adapter {
        Adapter { fs: self.fs.clone(), expires: self.expires.clone() }
    }
}

fn reply_xattr(reply: ReplyXattr, size: u32, value: &[u8]) {
    match u32::try_from(value.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(value),
        _ => reply.error(fuser::Errno::ERANGE),
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for wanted in WANTED {
            if config.add_capabilities(wanted).is_err() {
                log::debug!("this kernel lacks {wanted:?}");
            }
        }
        let expires = config.capabilities().contains(InitFlags::FUSE_HAS_EXPIRE_ONLY);
        self.expires.store(expires, std::sync::atomic::Ordering::Relaxed);
        // Each setter answers with the nearest value the kernel allows, which is then what we want.
        if let Err(most) = config.set_max_readahead(LARGEST_REQUEST) {
            let _ = config.set_max_readahead(most);
        }
        let _ = config.set_max_write(LARGEST_REQUEST);
        let _ = config.set_max_background(64);
        let _ = config.set_congestion_threshold(48);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.fs.counters.lookup.one();
        if Ino(parent.0).slot() != 0 {
            self.fs.counters.lookup_in_view.one();
        }
        self.guard(|| {
            let this = self.later();
            self.fs.lookup(Ino(parent.0), name, caller(request), move |found| this.reply_entry(reply, found));
        });
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.fs.counters.forget.one();
        self.guard(|| self.fs.forget(Ino(ino.0), count));
    }

    fn getattr(&self, request: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.fs.counters.getattr.one();
        if Ino(ino.0).slot() != 0 {
            self.fs.counters.getattr_in_view.one();
        }
        self.guard(|| {
            let this = self.later();
            self.fs.getattr(Ino(ino.0), caller(request), move |result| match result {
                Ok((attributes, ttl)) => reply.attr(&ttl, &this.attributes(&attributes)),
                Err(error) => reply.error(errno(error)),
            });
        });
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        self.fs.counters.readlink.one();
        self.guard(|| {
            let mut reply = Some(reply);
            let result = self.fs.readlink(Ino(ino.0), &mut |target| {
                if let Some(reply) = reply.take() {
                    reply.data(target);
                }
            });
            answer_failure(reply, result);
        });
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.fs.counters.open.one();
        reply.error(fuser::Errno::ENOSYS);
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.fs.counters.opendir.one();
        reply.error(fuser::Errno::ENOSYS);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.fs.counters.read.one();
        self.guard(|| {
            let mut reply = Some(reply);
            let result = self.fs.read(Ino(ino.0), offset, size, &mut |bytes| {
                if let Some(reply) = reply.take() {
                    reply.data(bytes);
                }
            });
            answer_failure(reply, result);
        });
    }

    fn readdir(&self, request: &Request, ino: INodeNo, _: FileHandle, from: u64, mut reply: ReplyDirectory) {
        self.fs.counters.readdir.one();
        self.guard(|| {
            self.fs.readdir(Ino(ino.0), from, caller(request), move |listing| match listing {
                Ok(mut listing) => {
                    while let Some(item) = listing.next() {
                        let ino = INodeNo(item.attributes.ino.0);
                        if reply.add(ino, item.next, file_type(item.attributes.kind), &item.name) {
                            break;
                        }
                    }
                    reply.ok();
                }
                Err(error) => reply.error(errno(error)),
            });
        });
    }

    fn readdirplus(
        &self,
        request: &Request,
        ino: INodeNo,
        _: FileHandle,
        from: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        self.fs.counters.readdirplus.one();
        let caller = caller(request);
        self.guard(|| {
            let this = self.later();
            self.fs.readdir(Ino(ino.0), from, caller, move |listing| {
                let mut listing = match listing {
                    Ok(listing) => listing,
                    Err(error) => return reply.error(errno(error)),
                };
                while let Some(mut item) = listing.next() {
                    if this.fs.hand_out(&listing, &mut item, caller).is_none() {
                        continue;
                    }
                    let attributes = this.attributes(&item.attributes);
                    let full = reply.add(
                        attributes.ino,
                        item.next,
                        &item.name,
                        &item.ttl,
                        &attributes,
                        Generation(0),
                    );
                    if full {
                        this.fs.take_back(&item);
                        break;
                    }
                }
                reply.ok();
            });
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.fs.counters.other.one();
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        self.fs.counters.getxattr.one();
        self.guard(|| match self.fs.getxattr(Ino(ino.0), name) {
            Ok(value) => reply_xattr(reply, size, &value),
            Err(error) => reply.error(errno(error)),
        });
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.fs.counters.listxattr.one();
        self.guard(|| reply_xattr(reply, size, &self.fs.listxattr(Ino(ino.0))));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.fs.counters.other.one();
        reply.error(fuser::Errno::ENOSYS);
    }

    /// Every `isatty` asks; fuser's own answer is a warning in the log.
    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: fuser::IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: fuser::ReplyIoctl,
    ) {
        self.fs.counters.other.one();
        reply.error(fuser::Errno::ENOTTY);
    }

    fn access(&self, _: &Request, _: INodeNo, _: fuser::AccessFlags, reply: ReplyEmpty) {
        self.fs.counters.other.one();
        reply.error(fuser::Errno::ENOSYS);
    }
}

fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::Directory => FileType::Directory,
        NodeKind::File { .. } => FileType::RegularFile,
        NodeKind::Symlink => FileType::Symlink,
    }
}

/// Sends the error of a read that did not come to its data.
fn answer_failure(reply: Option<ReplyData>, result: Result<(), Errno>) {
    match (reply, result) {
        (Some(reply), Err(error)) => reply.error(errno(error)),
        (Some(reply), Ok(())) => reply.data(&[]),
        // The data is on its way already; there is only one answer to a request.
        (None, _) => {}
    }
}
