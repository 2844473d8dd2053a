//! Who holds something of a mount: open files, working and root directories, mappings.
//!
//! The kernel knows that and no daemon does, so `/proc` is searched. The file system of the mount is
//! asked nothing, because its daemon may hang: an open file's mount and inode stand in its fdinfo; a
//! working or root directory is opened with O_PATH, which is no message to its file system, and then
//! has an fdinfo here (for the few file systems where it is one, its path tells that it is not ours); a mapping shows device and inode. That also finds what is held of a mount that
//! is detached and in nobody's mountinfo any more.
//!
//! Other mount namespaces show the same file system under other mount ids, so the mountinfo of each
//! namespace met on the way is read for mounts of the same device. What this process holds itself is
//! left out. Not found: files in flight over a socket, and working directories of threads that do not
//! share them with their process. Nothing fails: a process that may not be read is counted, one that
//! ends meanwhile holds nothing. Calls `mountinfo`, `fdinfo` and `process`.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::fdinfo::FdInfo;
use crate::mountinfo::{Device, Mount, Table};
use crate::process::{self, Stat};

mod maps;

/// How something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Held {
    /// As the working directory.
    Cwd,
    /// As the root directory.
    Root,
    /// By this descriptor.
    Fd(u32),
    /// Mapped into memory, or executed.
    Mapping,
}

/// One thing that one process holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The name of its program.
    pub command: String,
    /// How it holds it.
    pub what: Held,
    /// The inode number of what is held; 0 on kernels before 5.14, but for mappings.
    pub ino: u64,
    /// The path of it as the kernel writes it, if it does. Of a detached mount only what is below it.
    pub path: Option<String>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// In the order of `/proc`; a process may be in it several times.
    pub found: Vec<Holder>,
    /// How many processes this user may not look into. They may hold something too.
    pub unreadable: usize,
}

/// Whose holders are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The id of the mount, as in mountinfo; of a detached mount the one it had.
    pub mount_id: u64,
    /// The device of its files.
    pub device: Device,
}

impl From<&Mount> for Target {
    fn from(mount: &Mount) -> Self {
        Target { mount_id: mount.id, device: mount.device }
    }
}

/// Everything that anybody holds of the mount.
pub fn of(target: Target) -> Holders {
    search(target, true)
}

/// What this process itself holds of the mount, which the others leave out: it may have inherited it.
pub fn own(target: Target) -> Vec<Holder> {
    let mut search = Search::new(target);
    match search.process(std::process::id(), Path::new("/proc/self"), true) {
        Ok(()) => search.holders.found,
        Err(_) => Vec::new(),
    }
}

/// Only what is held as a working or root directory: quick, and enough to know whether a directory
/// may be invalidated.
pub fn directories_of(target: Target) -> Holders {
    search(target, false)
}

fn search(target: Target, everything: bool) -> Holders {
    let mut search = Search::new(target);
    let Ok(entries) = fs::read_dir("/proc") else { return search.holders };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if pid == std::process::id() {
            continue;
        }
        let Some(stat) = Stat::of(pid) else { continue };
        if stat.is_kernel_thread() || stat.has_ended() {
            continue;
        }
        if let Err(error) = search.process(pid, &entry.path(), everything)
            && error.kind() == io::ErrorKind::PermissionDenied
        {
            search.holders.unreadable += 1;
        }
    }
    search.holders
}

/// File systems that are asked even when a directory is opened with O_PATH through `/proc` (their
/// `d_weak_revalidate`), and whose server may not answer.
const SERVERS: [&str; 3] = ["nfs", "nfs4", "9p"];

/// Whether to open `path`, as a link in `/proc` gives it, may wait for a server. What seems to lie on the
/// root of all may be of a detached mount, whose paths begin there, and is not taken for a server's.
fn asks_a_server(table: &Table, path: &Path) -> bool {
    let above = table.iter().filter(|mount| path.starts_with(&mount.mount_point));
    // Of several on one mount point the last one is on top, and is what max_by_key returns.
    above.max_by_key(|mount| mount.mount_point.components().count()).is_some_and(|mount| {
        mount.mount_point != Path::new("/") && SERVERS.iter().any(|&server| mount.fs_type == server)
    })
}

struct Search {
    device: Device,
    /// The ids of the mount, and of its copies in other namespaces.
    ids: HashSet<u64>,
    namespaces: HashMap<OsString, Table>,
    holders: Holders,
}

impl Search {
    fn new(target: Target) -> Search {
        Search {
            device: target.device,
            ids: HashSet::from([target.mount_id]),
            namespaces: HashMap::new(),
            holders: Holders::default(),
        }
    }

    /// Ends at the first thing that cannot be read: the right to look at one is the right to all.
    fn process(&mut self, pid: u32, directory: &Path, everything: bool) -> io::Result<()> {
        let namespace = fs::read_link(directory.join("ns/mnt"))?.into_os_string();
        let table = match self.namespaces.entry(namespace) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let table = new.insert(Table::of_process(pid)?);
                let ours = table.iter().filter(|mount| mount.device == self.device);
                self.ids.extend(ours.map(|mount| mount.id));
                table
            }
        };
        let directories = [("cwd", Held::Cwd), ("root", Held::Root)].map(|(name, what)| {
            let link = directory.join(name);
            let asks_a_server = fs::read_link(&link).is_ok_and(|path| asks_a_server(table, &path));
            (!asks_a_server).then_some((link, what))
        });
        for (link, what) in directories.into_iter().flatten() {
            let handle = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&link)?;
            self.note(pid, what, FdInfo::of(&handle)?, &link);
        }
        if !everything {
            return Ok(());
        }
        for entry in fs::read_dir(directory.join("fdinfo"))? {
            let entry = entry?;
            let name = entry.file_name();
            // It may be closed by now.
            let Ok(Some(info)) = FdInfo::read(&entry.path()) else { continue };
            if let Some(descriptor) = name.to_str().and_then(|name| name.parse().ok()) {
                self.note(pid, Held::Fd(descriptor), info, &directory.join("fd").join(&name));
            }
        }
        self.mappings(pid, &fs::read(directory.join("maps"))?);
        Ok(())
    }

    fn note(&mut self, pid: u32, what: Held, info: FdInfo, link: &Path) {
        if self.ids.contains(&info.mount_id) {
            let path = fs::read_link(link).ok();
            self.add(pid, what, info.ino, path);
        }
    }

    fn mappings(&mut self, pid: u32, bytes: &[u8]) {
        let mut seen = BTreeSet::new();
        for mapping in maps::parse(bytes) {
            // A program is several mappings of one file.
            if mapping.device == self.device && seen.insert(mapping.ino) {
                self.add(pid, Held::Mapping, mapping.ino, mapping.path);
            }
        }
    }

    fn add(&mut self, pid: u32, what: Held, ino: u64, path: Option<PathBuf>) {
        let path = path.map(|path| path.to_string_lossy().into_owned());
        self.holders.found.push(Holder { pid, command: process::command(pid), what, ino, path });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_a_server_is_not_opened() {
        let table = Table::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
              2 1 0:50 / /home rw - nfs4 server:/home rw\n\
              3 2 0:51 / /home/me/src ro - fuse.srcfs srcfs:1 ro\n",
        );
        assert!(asks_a_server(&table, Path::new("/home/me")));
        assert!(!asks_a_server(&table, Path::new("/home/me/src/git")), "ours, on a directory of a server");
        assert!(!asks_a_server(&table, Path::new("/git/v")), "perhaps of a detached mount");
        let diskless = Table::parse(b"1 0 0:50 / / rw - nfs server:/ rw\n");
        assert!(!asks_a_server(&diskless, Path::new("/git/v")));
    }
}
