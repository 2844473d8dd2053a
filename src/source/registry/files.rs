//! Reads files of configuration, and notices that one of them changed, came or went.
//!
//! What counts is what the file was when it was opened, so a change while it is read is noticed the next
//! time. A file that is not there is no error; one that cannot be read is, because to go on without it could
//! mean to ask another registry than the one that was meant. What holds logins only may be gone without.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};

/// A file larger than this is not a configuration.
const LARGEST: u64 = 1 << 20;

/// Every file that was looked for, and what was found there.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// What differs when a file is another or has other contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Files {
    /// The text of `path`; none if there is no such file.
    pub(super) fn read(&mut self, path: &Path) -> Result<Option<String>> {
        let bytes = self.bytes(path)?;
        bytes.map(|bytes| text(path, bytes)).transpose()
    }

    /// The same with the character for what cannot be read in place of what is not UTF-8, as node reads files.
    pub(super) fn read_lossy(&mut self, path: &Path) -> Result<Option<String>> {
        let bytes = self.bytes(path)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn bytes(&mut self, path: &Path) -> Result<Option<Vec<u8>>> {
        let what = "read the configuration";
        // Not to wait for the other side of a FIFO.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                self.0.push((path.to_owned(), None));
                return Ok(None);
            }
            Err(error) => {
                // It is looked at again when it becomes readable.
                self.exists(path);
                let error = Error::io(what, path, &error);
                return Err(error.hint("make it readable, or take it out of the way"));
            }
        };
        let metadata = file.metadata().map_err(|error| Error::io(what, path, &error))?;
        let is_null = metadata.file_type().is_char_device() && path == Path::new("/dev/null");
        self.0.push((path.to_owned(), Some(Stamp::of(&metadata))));
        if is_null {
            return Ok(Some(Vec::new()));
        }
        if !metadata.is_file() {
            return Err(invalid(path, "it is not a file").hint("write a file there, or take it away"));
        }
        contents(path, &file).map(Some)
    }

    /// Notes that it counts whether there is `path`, whatever it holds.
    pub(super) fn exists(&mut self, path: &Path) -> bool {
        let there = std::fs::metadata(path).ok();
        self.0.push((path.to_owned(), there.as_ref().map(Stamp::of)));
        there.is_some()
    }

    /// Whether every file is still what it was.
    pub(super) fn are_unchanged(&self) -> bool {
        self.0.iter().all(|(path, stamp)| {
            let now = std::fs::metadata(path).ok().as_ref().map(Stamp::of);
            now == *stamp
        })
    }
}

fn contents(path: &Path, file: &File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read the configuration", path, &error))?;
    if bytes.len() as u64 > LARGEST {
        let why = format!("it is larger than {LARGEST} bytes");
        return Err(invalid(path, why).hint("a configuration is smaller: see what was written there"));
    }
    Ok(bytes)
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        invalid(path, format!("line {line} is not UTF-8")).hint("save the file as UTF-8")
    })
}

/// What is wrong in the file `path`.
pub(super) fn invalid(path: &Path, why: impl Into<String>) -> Error {
    Error::new(Kind::Config, format!("read the configuration {}", path.display()), why)
}

/// `text` as a path: from `home` if it begins with `~/`, else from `base`.
pub(super) fn path(text: impl AsRef<OsStr>, base: &Path, home: Option<&Path>) -> PathBuf {
    let path = Path::new(text.as_ref());
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => base.join(path),
    }
}
