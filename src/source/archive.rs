//! Published archives as git trees: npm tarballs, crates, Python sdists and wheels.
//!
//! [`Archive::unpack`] reads an archive whose hash the caller has compared already, and leaves in a
//! workplace a repository with its files as blobs and trees in one pack. It shows what the archive's
//! own client would unpack, or nothing: where clients read one archive in different ways, or an entry
//! would do harm, the archive is refused with a sentence that names the entry. Links that a client
//! leaves out are left out and listed. No name from an archive ever reaches the disk, a process or
//! the network.
//!
//! An archive is read once, as a stream where its format allows; a file goes from there into the pack
//! in pieces. In memory are the names, so these are bounded ([`Limits`]), as are depth and the bytes
//! that a small archive may become. The parts:
//!
//! | module | what |
//! |---|---|
//! | `compression` | which format it is, by its first bytes |
//! | `tar`, `zip` | the formats: a stream of entries |
//! | `path` | names: no entry leads out of the tree |
//! | `rules` | what each ecosystem's client does with an entry |
//! | `tree` | what all entries together make |
//! | `allowance` | bombs, and the wish to stop |
//!
//! Fails with `Kind::Unsupported` for what is refused, `Kind::Corrupt` for what is damaged or cut
//! short, `Kind::TooLarge` beyond a limit, `Kind::Interrupted`, and whatever the disk says. It may call
//! `store`, which writes the pack.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::time::{Duration, SystemTime};

use self::allowance::Allowance;
use self::compression::Format;
use self::entry::{Entry, EntryKind};
use self::rules::Verdict;
use self::tree::{Leaf, Tree};
use crate::error::{Error, Kind, Result};
use crate::source::{Progress, Workplace};
use crate::store::{ObjectId, PackWriter};

mod allowance;
mod compression;
mod entry;
mod failure;
mod path;
mod rules;
mod tar;
mod tree;
mod zip;

pub use rules::Rules;

/// The latest time that is shown, in the year 2106: clocks of 32 bits end there.
const LATEST: i64 = u32::MAX as i64;

/// Longer than any file in which a package tells about itself.
const LONGEST_METADATA: u64 = 1 << 20;

/// What an archive may not exceed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Unpacked bytes, headers included, that any archive may have. Cargo has the same.
    pub unpacked: u64,
    /// Beyond that, how many times its own size an archive may become. Cargo has the same.
    pub ratio: u64,
    /// Entries, and files and directories that they make.
    pub entries: u32,
    /// Directories inside one another; a stack frame each. The table of a snapshot has the same limit.
    pub depth: u16,
    /// Bytes of all names and targets together.
    pub name_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { unpacked: 512 << 20, ratio: 20, entries: 1_000_000, depth: 256, name_bytes: 64 << 20 }
    }
}

/// An archive that is to be shown.
#[derive(Clone, Debug)]
pub struct Archive {
    /// What it is called in errors: `npm/react@18.2.0`.
    pub title: String,
    /// Whose archive it is.
    pub rules: Rules,
    /// What it may not exceed.
    pub limits: Limits,
}

/// What [`Archive::unpack`] left in its workplace.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// The root tree.
    pub tree: ObjectId,
    /// The time of the newest entry, between 1970 and 2106; 1970 if no entry has one.
    pub modified: SystemTime,
    /// What is left out, in the order of the archive.
    pub skipped: Vec<Skipped>,
    /// The file in which the package tells about itself ([`Rules`] knows its name), if it is there and not
    /// longer than a mebibyte.
    pub metadata: Option<Vec<u8>>,
}

/// An entry that is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name as the archive has it.
    pub name: Vec<u8>,
    /// Why, in a sentence without a full stop.
    pub why: String,
}

impl Archive {
    /// Turns `archive` into objects in a new repository in the workplace. On failure what is there is
    /// the caller's to remove.
    pub fn unpack(
        &self,
        archive: impl Read + Seek,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<Unpacked> {
        self.objects(archive, place, progress).map_err(|error| error.during(format!("unpack {}", self.title)))
    }

    fn objects(
        &self,
        mut archive: impl Read + Seek,
        place: Workplace<'_>,
        progress: &Progress,
    ) -> Result<Unpacked> {
        let failed = |error: std::io::Error| failure::of_stream(&error);
        let size = archive.seek(SeekFrom::End(0)).map_err(failed)?;
        archive.rewind().map_err(failed)?;
        let mut archive = BufReader::with_capacity(64 << 10, archive);
        let format = compression::format_of(&mut archive)?;
        self.rules.check(format)?;

        let mut allowance = Allowance::new(&self.limits, size, progress);
        let mut import = Import {
            archive: self,
            pack: PackWriter::new(place.directory, place.borrow)?,
            tree: Tree::new(&self.limits),
            skipped: Vec::new(),
            metadata: None,
            newest: None,
            entries: 0,
            name_bytes: 0,
        };
        let mut visit = |entry: &Entry, content: &mut dyn Read| import.entry(entry, content);
        match format {
            Format::Zip => zip::read(&mut archive, &self.limits, &mut allowance, &mut visit)?,
            Format::Gzip | Format::Tar => {
                let members = self.rules.reads_all_members();
                let mut stream = compression::stream(archive, format, members, &mut allowance);
                tar::read(&mut stream, self.rules.directory_sizes_count(), &mut visit)?;
            }
            Format::Bzip2 | Format::Xz | Format::Other => return Err(compression::unknown(format)),
        }
        import.finish()
    }
}

/// An archive half way into a pack.
struct Import<'a> {
    archive: &'a Archive,
    pack: PackWriter,
    tree: Tree,
    skipped: Vec<Skipped>,
    /// At which depth it was found, and what it holds.
    metadata: Option<(usize, Vec<u8>)>,
    newest: Option<i64>,
    entries: u32,
    name_bytes: u64,
}

impl Import<'_> {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let limits = &self.archive.limits;
        self.entries += 1;
        if self.entries > limits.entries {
            return Err(failure::too_large(&entry.name, format!("it is not the last of {}", limits.entries)));
        }
        self.name_bytes += (entry.name.len() + entry.target().len()) as u64;
        if self.name_bytes > limits.name_bytes {
            let why = format!("all names together have more than {} bytes", limits.name_bytes);
            return Err(failure::too_large(&entry.name, why));
        }
        let refused = |why: String| failure::refused(&entry.name, why);
        let path = match self.archive.rules.judge(entry).map_err(refused)? {
            Verdict::Show(path) => path,
            Verdict::Ignore => return Ok(()),
            Verdict::Skip(why) => return self.skip(entry, why),
        };
        let leaf = match &entry.kind {
            EntryKind::Directory => None,
            EntryKind::File { executable } => {
                // The one that is nearest to the root is the package's own.
                let nearer = self.metadata.as_ref().is_none_or(|(depth, _)| path.len() <= *depth);
                let tells = self.archive.rules.is_metadata(&path) && entry.size <= LONGEST_METADATA && nearer;
                let object = match tells {
                    true => {
                        let mut whole = Vec::new();
                        let mut copied = Copied { from: content, to: &mut whole };
                        let object = self.pack.blob_from(entry.size, &mut copied)?;
                        self.metadata = Some((path.len(), whole));
                        object
                    }
                    false => self.pack.blob_from(entry.size, content)?,
                };
                Some(Leaf::File { object, executable: *executable })
            }
            EntryKind::Symlink { target } => Some(Leaf::Symlink { object: self.pack.blob(target)? }),
            EntryKind::HardLink { target } => {
                let found = path::parts(target).ok().and_then(|parts| self.tree.file(&parts));
                let Some(file) = found else {
                    let why = format!(
                        "it is a hard link to {}, which is no file before it in the archive",
                        failure::shown(target)
                    );
                    return self.skip(entry, why);
                };
                Some(file)
            }
            EntryKind::Special(what) => return Err(refused(format!("it is {what}"))),
        };
        self.tree.insert(&path, leaf).map_err(|error| error.into_error(&entry.name))?;
        self.newest = self.newest.max(entry.modified);
        Ok(())
    }

    fn skip(&mut self, entry: &Entry, why: String) -> Result<()> {
        self.skipped.push(Skipped { name: entry.name.clone(), why });
        Ok(())
    }

    fn finish(mut self) -> Result<Unpacked> {
        if self.entries == 0 {
            return Err(Error::new(Kind::Corrupt, failure::ARCHIVE, "it has no entries"));
        }
        if self.archive.rules.strips_common_directory() {
            self.tree.strip_common_directory();
        }
        let tree = self.tree.write(&mut self.pack)?;
        let seconds = self.newest.unwrap_or(0).clamp(0, LATEST) as u64;
        self.pack.finish()?;
        Ok(Unpacked {
            tree,
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            skipped: self.skipped,
            metadata: self.metadata.map(|(_, content)| content),
        })
    }
}

/// Keeps what is read through it.
struct Copied<'a> {
    from: &'a mut dyn Read,
    to: &'a mut Vec<u8>,
}

impl Read for Copied<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.to.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}
