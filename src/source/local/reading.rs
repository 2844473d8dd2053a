//! One name of a directory: what it is now, and, of a file that is not known to be unchanged, its content.
//!
//! A file is read until it was the same before and after, by the words of the system: what came is then
//! what it held at one moment. A change leaves its time behind, but two in one tick of the kernel's clock
//! leave the same, so a file that was changed just now is read when that tick is over.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use sha1::Digest;

use super::beneath::{Below, Sort, failed};
use super::scan::Entry;
use super::stats::Stat;
use crate::error::{Error, Kind, Result};
use crate::store::{self, LARGEST_BLOB, ObjectId};

/// How often a file is read again because it changed while it was read.
const TRIES: u32 = 6;
/// The longest tick of Linux' clock for times of files, at 100 a second. Twice as long after each try.
const TICK: Duration = Duration::from_millis(10);

/// What is done with the content of a file that has to be read: its id comes back.
pub(super) type Reading<'r> = &'r mut dyn FnMut(u64, &mut dyn Read) -> Result<ObjectId>;

/// The id of a file that is known to be unchanged.
pub(super) type Known<'k> = &'k dyn Fn(&Path, &Stat) -> Option<ObjectId>;

/// What a name is.
pub(super) enum Found {
    /// Nothing that is shown, at least by now.
    Nothing,
    Known(Entry),
    Read(Entry),
    Link(Entry),
}

/// A name in an open directory.
pub(super) struct Named<'a> {
    pub(super) directory: &'a Below,
    pub(super) name: &'a OsStr,
    /// The same, relative to the directory at `root`.
    pub(super) path: &'a Path,
    pub(super) root: &'a Path,
}

impl Named<'_> {
    /// Looks what it is, and reads what is not known.
    pub(super) fn found(&self, is_known: Known<'_>, read: Reading<'_>) -> Result<Found> {
        let looked = self.directory.look(self.name).map_err(|errno| self.failed(errno))?;
        let Some((sort, stat)) = looked else { return Ok(Found::Nothing) };
        let stat = Stat::of(&stat);
        match sort {
            Sort::File => match is_known(self.path, &stat) {
                Some(object) => Ok(Found::Known(file(stat, object))),
                None => self.read(read),
            },
            Sort::Symlink => {
                let target = self.directory.link(self.name).map_err(|errno| self.failed(errno))?;
                let Some(target) = target else { return Ok(Found::Nothing) };
                let bytes = target.as_bytes();
                let object = read(bytes.len() as u64, &mut &*bytes)?;
                Ok(Found::Link(Entry { stat, kind: store::Kind::Symlink, object }))
            }
            Sort::Special => {
                log::info!("{} is left out: it is no file", self.root.join(self.path).display());
                Ok(Found::Nothing)
            }
            Sort::Directory => Ok(Found::Nothing),
        }
    }

    fn read(&self, read: Reading<'_>) -> Result<Found> {
        let what = || format!("read {}", self.root.join(self.path).display());
        let mut pause = TICK;
        for _ in 0..TRIES {
            let opened = self.directory.file(self.name).map_err(|errno| self.failed(errno))?;
            let Some((mut opened, stat)) = opened else { return Ok(Found::Nothing) };
            let stat = Stat::of(&stat);
            if stat.size() > LARGEST_BLOB {
                let why =
                    format!("it has {} bytes, more than the {LARGEST_BLOB} that can be shown", stat.size());
                return Err(Error::new(Kind::TooLarge, what(), why).hint("leave it out with `ignore`"));
            }
            if !stat.changed_within(TICK, SystemTime::now()) {
                let outcome = read(stat.size(), &mut opened);
                let after = nix::sys::stat::fstat(&opened).map_err(|errno| self.failed(errno))?;
                match outcome {
                    // It grew or changed under our eyes: what came is no state that it ever had.
                    Ok(object) if Stat::of(&after) == stat => return Ok(Found::Read(file(stat, object))),
                    Ok(_) => {}
                    Err(error) if error.kind() == Kind::Stale => {}
                    Err(error) => return Err(error.during(what())),
                }
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        Err(Error::new(Kind::Stale, what(), "it changes while it is read")
            .hint("try again when nothing writes there, or leave it out with `ignore`"))
    }

    fn failed(&self, errno: Errno) -> Error {
        failed("read", &self.root.join(self.path), errno)
    }
}

fn file(stat: Stat, object: ObjectId) -> Entry {
    Entry { stat, kind: store::Kind::File { executable: stat.is_executable() }, object }
}

/// The id of a blob of `size` bytes; [`Kind::Stale`] if there are fewer.
pub(super) fn hash(size: u64, reader: &mut dyn Read) -> Result<ObjectId> {
    let mut hash = sha1::Sha1::new();
    hash.update(format!("blob {size}\0"));
    let mut buffer = [0; 64 << 10];
    let (mut reader, mut got) = (reader.take(size), 0);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                hash.update(&buffer[..length]);
                got += length as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::new(Kind::Io, "read a file", error.to_string())),
        }
    }
    match got == size {
        true => Ok(ObjectId(hash.finalize().into())),
        false => Err(Error::new(Kind::Stale, "read a file", "it became shorter while it was read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::local::beneath::Root;
    use std::fs;

    fn read(change: impl Fn(&Path, u32)) -> (Result<Found>, u32) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "content").unwrap();
        let root = Root::open(directory.path()).unwrap();
        let below = root.directory(Path::new("")).unwrap().unwrap();
        let (name, relative) = (OsStr::new("file"), Path::new("file"));
        let named = Named { directory: &below, name, path: relative, root: root.path() };
        let mut times = 0;
        let found = named.found(&|_, _| None, &mut |size, reader| {
            let object = hash(size, reader);
            times += 1;
            change(&path, times);
            object
        });
        (found, times)
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_again_and_given_up_by_name() {
        let (found, times) = read(|_, _| ());
        assert!(matches!(found, Ok(Found::Read(_))));
        assert_eq!(times, 1);
        // As large as before, and perhaps in the tick of the first change.
        let (found, times) = read(|path, times| {
            if times <= 2 {
                fs::write(path, format!("conten{times}")).unwrap();
            }
        });
        let Ok(Found::Read(entry)) = found else { panic!("it held still at last") };
        assert_eq!(entry.object, hash(7, &mut &b"conten2"[..]).unwrap());
        assert_eq!(times, 3);
        let (found, times) = read(|path, times| fs::write(path, "x".repeat(times as usize)).unwrap());
        let Err(error) = found else { panic!("it never held still") };
        assert_eq!((error.kind(), times <= TRIES), (Kind::Stale, true));
        assert!(error.what().ends_with("/file"), "{error}");
        let (found, _) = read(|path, _| fs::remove_file(path).unwrap());
        assert!(matches!(found, Ok(Found::Nothing)));
    }
}
