//! What the daemon tells the kernel of its own accord: forget a name, forget nodes.
//!
//! Written to the device directly, because fuser has no expire-only invalidation and no prune. The
//! structures are those of `linux/fuse.h`. A notification may wait for a directory's lock, which a
//! lookup in that directory holds while it is answered: so none is ever sent from a request handler.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::ino::Ino;

/// `FUSE_NOTIFY_INVAL_INODE`
const INVAL_INODE: i32 = 2;
/// `FUSE_NOTIFY_INVAL_ENTRY`
const INVAL_ENTRY: i32 = 3;
/// `FUSE_NOTIFY_PRUNE`, since Linux 6.18
const PRUNE: i32 = 9;
/// `FUSE_EXPIRE_ONLY`, since Linux 6.2: the entry is asked for again, nothing below it is dropped
const EXPIRE_ONLY: u32 = 1;
/// Nodes in one prune message; small enough that the message fits into a page.
pub(crate) const PRUNE_BATCH: usize = 256;

/// The kernel's side of a mount, as far as the daemon may tell it something.
pub(crate) trait Kernel: Send + Sync {
    /// Makes the kernel ask again for `name` in `parent` at its next use; what lies below stays cached.
    /// Where the kernel cannot do that, the entry is dropped with all that is unused below it.
    fn expire(&self, parent: Ino, name: &OsStr) -> io::Result<()>;
    /// Drops an entry, positive or negative, with all that is unused below it. A directory that is in
    /// use loses its name: getcwd fails in it.
    fn drop_entry(&self, parent: Ino, name: &OsStr) -> io::Result<()>;
    /// Makes the kernel ask again for a node's attributes and, if it is a directory, its listing.
    fn refresh(&self, node: Ino) -> io::Result<()>;
    /// Gives back those of `nodes` that nobody uses. `false`: this kernel cannot.
    fn prune(&self, nodes: &[Ino]) -> io::Result<bool>;
}

/// The device of a mount.
pub(crate) struct Device {
    device: File,
    expires: bool,
    prunes: AtomicBool,
}

impl Device {
    /// `expires`: the kernel knows expire-only invalidation. `prunes: false` does without pruning even
    /// where the kernel has it.
    pub(crate) fn new(device: OwnedFd, expires: bool, prunes: bool) -> Self {
        Device { device: device.into(), expires, prunes: AtomicBool::new(prunes) }
    }

    fn send(&self, code: i32, parts: &[&[u8]]) -> io::Result<()> {
        let length = 16 + parts.iter().map(|part| part.len()).sum::<usize>();
        // struct fuse_out_header { u32 len; i32 error; u64 unique }: unique 0 marks a notification,
        // whose code stands in `error`.
        let mut header = [0; 16];
        let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        header[..4].copy_from_slice(&length.to_ne_bytes());
        header[4..8].copy_from_slice(&code.to_ne_bytes());
        let mut message = vec![IoSlice::new(&header)];
        message.extend(parts.iter().map(|part| IoSlice::new(part)));
        match (&self.device).write_vectored(&message) {
            Ok(_) => Ok(()),
            // The kernel does not know the node or the name any more: what was wanted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn entry(&self, parent: Ino, name: &OsStr, flags: u32) -> io::Result<()> {
        // struct fuse_notify_inval_entry_out { u64 parent; u32 namelen; u32 flags }, then the name and NUL.
        let mut head = [0; 16];
        let length = u32::try_from(name.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        head[..8].copy_from_slice(&parent.0.to_ne_bytes());
        head[8..12].copy_from_slice(&length.to_ne_bytes());
        head[12..].copy_from_slice(&flags.to_ne_bytes());
        self.send(INVAL_ENTRY, &[&head, name.as_bytes(), &[0]])
    }
}

impl Kernel for Device {
    fn expire(&self, parent: Ino, name: &OsStr) -> io::Result<()> {
        self.entry(parent, name, if self.expires { EXPIRE_ONLY } else { 0 })
    }

    fn drop_entry(&self, parent: Ino, name: &OsStr) -> io::Result<()> {
        self.entry(parent, name, 0)
    }

    fn refresh(&self, node: Ino) -> io::Result<()> {
        // struct fuse_notify_inval_inode_out { u64 ino; i64 off; i64 len }
        let mut message = [0; 24];
        message[..8].copy_from_slice(&node.0.to_ne_bytes());
        self.send(INVAL_INODE, &[&message])
    }

    fn prune(&self, nodes: &[Ino]) -> io::Result<bool> {
        if !self.prunes.load(Relaxed) {
            return Ok(false);
        }
        for batch in nodes.chunks(PRUNE_BATCH) {
            // struct fuse_notify_prune_out { u32 count; u32 padding; u64 spare }, then the node ids.
            let mut head = [0; 16];
            head[..4].copy_from_slice(&(batch.len() as u32).to_ne_bytes());
            let ids: Vec<u8> = batch.iter().flat_map(|node| node.0.to_ne_bytes()).collect();
            match self.send(PRUNE, &[&head, &ids]) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    self.prunes.store(false, Relaxed);
                    return Ok(false);
                }
                result => result?,
            }
        }
        Ok(true)
    }
}
