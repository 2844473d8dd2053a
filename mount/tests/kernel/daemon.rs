//! The smallest daemon that can be mounted: a root with one file, `program`, which is /bin/sleep. It
//! speaks the protocol itself (linux/fuse.h, 7.31), and can be made to hang.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use srcfs_mount::mounting::MountId;

use crate::stage::try_mount;

/// The inode numbers it shows.
pub const ROOT: u64 = 7;
pub const PROGRAM: u64 = 42;

pub struct Daemon {
    pub id: MountId,
    ended: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Mounts on `directory` and serves it.
    pub fn start(directory: &Path) -> Self {
        let mounted = try_mount(directory).unwrap();
        Self::serve(mounted.device, mounted.id)
    }

    pub fn serve(device: OwnedFd, id: MountId) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let hangs = Arc::new(AtomicBool::new(false));
        let flags = (ended.clone(), hangs.clone());
        let thread = std::thread::spawn(move || {
            let content = std::fs::read("/bin/sleep").unwrap();
            let mut request = vec![0; 1 << 20];
            while !flags.0.load(Ordering::SeqCst) {
                let mut wanted = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
                if poll(&mut wanted, PollTimeout::from(20u8)).unwrap() == 0 {
                    continue;
                }
                match nix::unistd::read(&device, &mut request) {
                    Ok(length) => {
                        if !flags.1.load(Ordering::SeqCst)
                            && let Some(reply) = answer(&request[..length], &content)
                        {
                            // It may have been interrupted meanwhile.
                            let _ = nix::unistd::write(&device, &reply);
                        }
                    }
                    Err(nix::Error::ENODEV) => return,
                    Err(_) => {}
                }
            }
        });
        Daemon { id, ended, hangs, thread: Some(thread) }
    }

    /// From now on it takes requests and answers none.
    pub fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }
}

impl Drop for Daemon {
    /// Closes the device: what waits gets an error, and the mount is dead.
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn answer(request: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let u32_at = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().unwrap());
    let (opcode, unique, node) = (u32_at(4), u64_at(8), u64_at(16));
    let result: Result<Vec<u8>, i32> = match opcode {
        // FORGET, INTERRUPT, BATCH_FORGET have no answer.
        2 | 36 | 42 => return None,
        // INIT: version, readahead, flags (PARALLEL_DIROPS, or one waiting lookup stops all others).
        26 => {
            let mut out = Vec::new();
            for word in [7u32, 31, 65536, 1 << 18, 0, 65536, 1] {
                out.extend(word.to_le_bytes());
            }
            out.resize(64, 0);
            Ok(out)
        }
        // LOOKUP
        1 if request[40..].starts_with(b"program\0") => {
            let mut out = Vec::new();
            for word in [2u64, 0, 3600, 3600, 0] {
                out.extend(word.to_le_bytes());
            }
            out.extend(attributes(2, content.len()));
            Ok(out)
        }
        1 => Err(libc::ENOENT),
        // GETATTR
        3 => {
            let mut out = 3600u64.to_le_bytes().to_vec();
            out.extend([0; 8]);
            out.extend(attributes(node, content.len()));
            Ok(out)
        }
        // OPEN, OPENDIR
        14 | 27 => Ok(vec![0; 16]),
        // READ
        15 => {
            let from = (u64_at(48) as usize).min(content.len());
            let to = (from + u32_at(56) as usize).min(content.len());
            Ok(content[from..to].to_vec())
        }
        // STATFS
        17 => Ok(vec![0; 80]),
        // RELEASE, FLUSH, READDIR (at its end), RELEASEDIR
        18 | 25 | 28 | 29 => Ok(Vec::new()),
        _ => Err(libc::ENOSYS),
    };
    let (error, body) = match result {
        Ok(body) => (0, body),
        Err(error) => (-error, Vec::new()),
    };
    let mut reply = (16 + body.len() as u32).to_le_bytes().to_vec();
    reply.extend(error.to_le_bytes());
    reply.extend(unique.to_le_bytes());
    reply.extend(body);
    Some(reply)
}

fn attributes(node: u64, size: usize) -> Vec<u8> {
    let (ino, size, mode) = match node {
        1 => (ROOT, 0, libc::S_IFDIR | 0o555),
        _ => (PROGRAM, size as u64, libc::S_IFREG | 0o555),
    };
    let mut out = Vec::new();
    for word in [ino, size, size.div_ceil(512), 0, 0, 0] {
        out.extend(word.to_le_bytes());
    }
    for word in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        out.extend(word.to_le_bytes());
    }
    out
}
