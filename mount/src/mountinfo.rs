//! The mounts a process sees, from `/proc/<pid>/mountinfo` (proc_pid_mountinfo(5)).
//!
//! This is the one record of mounts that needs no question to any file system, so it is what decides
//! here what is mounted where; nothing is stat-ed. A line that cannot be read is skipped: one odd
//! mount must not hide the others. Mount ids and device numbers are reused by the kernel as soon as
//! they are free; whoever keeps one must compare more than the number (see `mounting::MountId`).
//! It reads `/proc` and calls nothing else.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The file system type of every mount of ours.
pub const FS_TYPE: &str = "fuse.srcfs";

/// A device number, as in mountinfo and maps. Of a FUSE mount it names the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device {
    /// 0 for every file system without a block device.
    pub major: u32,
    /// For FUSE also the name of its directory in `/sys/fs/fuse/connections`.
    pub minor: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its id; reused after the mount is gone.
    pub id: u64,
    /// The id of the mount it is mounted on. Need not be in the table (a root, or outside of a chroot).
    pub parent: u64,
    /// The `st_dev` of its files.
    pub device: Device,
    /// The directory of its file system that is shown.
    pub root: PathBuf,
    /// Where it is mounted, as seen from the root directory of the process.
    pub mount_point: PathBuf,
    /// Options of the mount: `ro,nosuid,...`.
    pub options: String,
    /// The type with its subtype: `fuse.srcfs`.
    pub fs_type: OsString,
    /// What was given as source; for ours `srcfs:<id of the cache>`.
    pub source: OsString,
    /// Options of the file system: `rw,user_id=0,...`.
    pub super_options: String,
}

impl Mount {
    /// Parses one line, without its newline; `None` if it is none.
    fn parse(line: &[u8]) -> Option<Self> {
        // Separated by exactly one space each: a source may be empty.
        let mut fields = line.split(|byte| *byte == b' ');
        let id = number(fields.next()?)?;
        let parent = number(fields.next()?)?;
        let (major, minor) = std::str::from_utf8(fields.next()?).ok()?.split_once(':')?;
        let device = Device { major: major.parse().ok()?, minor: minor.parse().ok()? };
        let root = PathBuf::from(unescape(fields.next()?));
        let mount_point = PathBuf::from(unescape(fields.next()?));
        let options = text(fields.next()?);
        fields.find(|field| *field == b"-")?;
        let fs_type = unescape(fields.next()?);
        let source = unescape(fields.next()?);
        let super_options = text(fields.next()?);
        Some(Mount { id, parent, device, root, mount_point, options, fs_type, source, super_options })
    }

    /// Whether it is a mount of srcfs, whoever's.
    pub fn is_srcfs(&self) -> bool {
        self.fs_type == FS_TYPE
    }

    /// The value of an option of the file system (`user_id`).
    pub fn super_option(&self, name: &str) -> Option<&str> {
        self.super_options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// Of a FUSE mount, the user who mounted it.
    pub fn user_id(&self) -> Option<u32> {
        self.super_option("user_id")?.parse().ok()
    }
}

/// All mounts one process sees.
#[derive(Clone, Debug, Default)]
pub struct Table(Vec<Mount>);

impl Table {
    /// The mounts this thread sees.
    pub fn read() -> io::Result<Self> {
        Source::open()?.read()
    }

    /// The mounts another process sees; they may be in another mount namespace and below another root.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(format!("/proc/{pid}/mountinfo"))?.read_to_end(&mut bytes)?;
        Ok(Self::parse(&bytes))
    }

    /// Parses the content of a mountinfo file.
    pub fn parse(bytes: &[u8]) -> Self {
        Table(bytes.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect())
    }

    /// All of them, in the kernel's order.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }

    /// The mounts of one type, for example [`FS_TYPE`].
    pub fn of_type(&self, fs_type: &str) -> impl Iterator<Item = &Mount> {
        self.iter().filter(move |mount| mount.fs_type == fs_type)
    }

    /// The mount with that id.
    pub fn by_id(&self, id: u64) -> Option<&Mount> {
        self.iter().find(|mount| mount.id == id)
    }

    /// All mounts on `path`, also covered ones and those that a mount further up hides.
    pub fn on(&self, path: &Path) -> impl Iterator<Item = &Mount> {
        self.iter().filter(move |mount| mount.mount_point == path)
    }

    /// The mount that a walk to `path` ends on, if one is mounted just there: the topmost of a stack,
    /// and none that a mount further up hides. `path` is absolute, without symbolic links or dots.
    pub fn topmost(&self, path: &Path) -> Option<&Mount> {
        let here = self.walk(path)?;
        (here.mount_point == path).then_some(here)
    }

    /// The mount that `path` lies in. The same walk as the kernel's: from the root downwards, at each
    /// directory through everything that is mounted there.
    pub fn walk(&self, path: &Path) -> Option<&Mount> {
        let ids: HashSet<u64> = self.iter().map(|mount| mount.id).collect();
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        let mut here: Option<&Mount> = None;
        for directory in above {
            // A chain of mounts is not longer than the table; the bound is against a torn reading.
            for _ in 0..self.0.len() {
                let next = self.on(directory).find(|mount| match here {
                    Some(here) => mount.parent == here.id && mount.id != here.id,
                    None => mount.parent == mount.id || !ids.contains(&mount.parent),
                });
                match next {
                    Some(next) => here = Some(next),
                    None => break,
                }
            }
        }
        here
    }
}

/// The open mountinfo of this thread, to be read again and again with no new descriptor: what must be
/// undone when descriptors run out can still be found.
#[derive(Debug)]
pub struct Source(File);

impl Source {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        // Not `self`: its first thread may have ended, or may be in another mount namespace.
        File::open("/proc/thread-self/mountinfo").map(Source)
    }

    /// The mounts as they are now.
    pub fn read(&mut self) -> io::Result<Table> {
        let mut bytes = Vec::new();
        self.0.rewind()?;
        self.0.read_to_end(&mut bytes)?;
        Ok(Table::parse(&bytes))
    }
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(unescape(field).as_bytes()).into_owned()
}

/// Undoes the kernel's escapes: a backslash and three octal digits, for space, tab, newline,
/// backslash and `#`. Anything else stays as it is.
fn unescape(field: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(plain)
}

#[cfg(test)]
mod tests;
