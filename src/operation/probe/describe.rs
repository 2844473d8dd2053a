//! What a path on disk is, as a process that looks at it now sees it: the child's side.
//!
//! All is asked through the descriptor of the directory that the path lies in, so it is of one snapshot,
//! and the path is told as it really is, whatever links lead to it. The kernel allows no `user.`
//! attribute on a symbolic link, so what is said of one is read from its directory.

use std::fs::{File, FileType};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::source::About;
use crate::store::{Kind, ObjectId};
use crate::view::snapshot::{BLOB, REVISION, SUBMODULE_COMMIT, SUBMODULE_URL, URL, package};

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Its absolute path, in which no component but the last can be a link.
    pub path: PathBuf,
    /// What it is.
    pub sort: Sort,
    /// Url and revision of the view it lies in; none if it lies in no view.
    pub view: Option<(String, String)>,
    /// What is told of the package that the view is of, but for its name.
    pub about: Option<About>,
    /// The blob's id, of a file or a link in a view.
    pub blob: Option<String>,
    /// Commit and url of a submodule, the latter if it is known.
    pub submodule: Option<(String, Option<String>)>,
    /// Where it leads, if it is a link.
    pub target: Option<String>,
    /// How many lines it has, if that was asked for and it is a file in a view.
    pub lines: Option<u64>,
}

/// What stands in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A submodule, shown as an empty directory.
    Submodule,
}

impl From<Kind> for Sort {
    fn from(kind: Kind) -> Sort {
        match kind {
            Kind::File { .. } => Sort::File,
            Kind::Directory => Sort::Directory,
            Kind::Symlink => Sort::Symlink,
            Kind::Submodule => Sort::Submodule,
        }
    }
}

/// Counts lines as editors do: the last one need not be ended.
#[derive(Default)]
pub struct LineCount {
    ended: u64,
    open: bool,
}

impl LineCount {
    /// Goes on with the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.ended += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        if let Some(last) = bytes.last() {
            self.open = *last != b'\n';
        }
    }

    /// How many there were.
    pub fn lines(&self) -> u64 {
        self.ended + u64::from(self.open)
    }
}

/// Looks at `path`; with `lines` it is read to its end if it is a file.
pub(super) fn describe(path: &Path, lines: bool) -> io::Result<Described> {
    let (directory, name) = match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => (parent, Path::new(name)),
        // `.`, `..` or the root: it is opened itself.
        _ => (path, Path::new(".")),
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    // A descriptor by which nothing can be read, so that opening it asks for no right and waits for nobody.
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let directory = File::options().read(true).custom_flags(flags).open(directory)?;
    let here = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let at = here.join(name);
    let kind = std::fs::symlink_metadata(&at)?.file_type();
    if kind.is_dir() {
        // The root of a view has attributes once it was looked into.
        std::fs::read_dir(&at)?.next().transpose()?;
    }
    let said = if kind.is_symlink() { here.join(".") } else { at.clone() };
    let revision = attribute(&said, REVISION)?;
    let url = attribute(&said, URL)?;
    let view = url.zip(revision);
    let about = match &view {
        Some(_) if kind.is_dir() => about(&at)?,
        Some(_) => about(&here.join("."))?,
        None => None,
    };
    let submodule = match kind.is_dir() {
        true => attribute(&at, SUBMODULE_COMMIT)?.zip(Some(attribute(&at, SUBMODULE_URL)?)),
        false => None,
    };
    let lines = (lines && kind.is_file() && view.is_some()).then(|| count(&at)).transpose()?;
    let target = kind.is_symlink().then(|| std::fs::read_link(&at)).transpose()?;
    let blob = match &target {
        Some(target) => Some(ObjectId::of("blob", target.as_os_str().as_bytes()).hex()),
        None => attribute(&at, BLOB)?,
    };
    let mut real = std::fs::read_link(&here)?;
    if name != Path::new(".") {
        real.push(name);
    }
    Ok(Described {
        path: real,
        sort: sort(kind, submodule.is_some())?,
        blob: blob.filter(|_| view.is_some()),
        view,
        about,
        submodule,
        target: target.map(|target| target.to_string_lossy().into_owned()),
        lines,
    })
}

fn sort(kind: FileType, is_submodule: bool) -> io::Result<Sort> {
    match kind {
        _ if is_submodule => Ok(Sort::Submodule),
        kind if kind.is_dir() => Ok(Sort::Directory),
        kind if kind.is_symlink() => Ok(Sort::Symlink),
        kind if kind.is_file() => Ok(Sort::File),
        // In no view.
        _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// What the root of the view in which `directory` lies tells of its package.
fn about(directory: &Path) -> io::Result<Option<About>> {
    let mut at = directory.to_owned();
    // Above the root there are no attributes.
    while attribute(&at, REVISION)?.is_some() {
        if let Some(about) = package::about(|name| attribute(&at, name))? {
            return Ok(Some(about));
        }
        at.push("..");
    }
    Ok(None)
}

/// An extended attribute; `None` if there is none of that name.
fn attribute(path: &Path, name: &str) -> io::Result<Option<String>> {
    use rustix::io::Errno;
    // The largest that the kernel passes.
    let mut value = vec![0_u8; 64 << 10];
    match rustix::fs::lgetxattr(path, name, &mut value) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(String::from_utf8_lossy(&value).into_owned()))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn count(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let (mut count, mut buffer) = (LineCount::default(), vec![0_u8; 128 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(count.lines()),
            read => count.feed(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_need_not_be_ended() {
        for (text, lines) in [("", 0), ("\n", 1), ("a", 1), ("a\n", 1), ("a\nb", 2), ("a\n\nb\n", 3)] {
            let mut count = LineCount::default();
            for piece in text.as_bytes().chunks(1) {
                count.feed(piece);
            }
            count.feed(b"");
            assert_eq!(count.lines(), lines, "{text:?}");
        }
    }

    #[test]
    fn what_lies_in_no_view_is_told_by_its_real_path() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::fs::write(real.join("a/f"), "one\ntwo").unwrap();
        std::os::unix::fs::symlink("a", real.join("link")).unwrap();
        let file = describe(&real.join("link/f"), true).unwrap();
        assert_eq!((file.path, file.sort, file.lines), (real.join("a/f"), Sort::File, None));
        assert_eq!((file.view, file.blob, file.about), (None, None, None));
        let link = describe(&real.join("link"), true).unwrap();
        assert_eq!((link.path, link.sort, link.lines), (real.join("link"), Sort::Symlink, None));
        assert_eq!(link.target.as_deref(), Some("a"));
        let up = describe(&real.join("a/.."), true).unwrap();
        assert_eq!((up.path, up.sort), (real.clone(), Sort::Directory));
        assert_eq!(describe(&real.join("b"), true).unwrap_err().raw_os_error(), Some(libc::ENOENT));
    }
}
