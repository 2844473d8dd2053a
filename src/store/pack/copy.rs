//! Some of the objects of several packs, copied into one new pack.
//!
//! Entries are copied as they lie, compressed, and only where a delta's base lies is written anew. What
//! a delta is made of comes along, wanted or not. Of an object that several packs have, the first one's
//! entry is taken, for whatever is made of it too; so what an entry is made of always lies in the same
//! pack or in an earlier one, and stands before it in the new pack, or is named by its id.
//!
//! Nothing damaged is copied: each entry is compared with its CRC-32 when it is read, and when the new
//! pack is written, each object in it is decoded and compared with its id. It does not go through
//! libgit2's indexer, which maps the file that it writes: on a disk that fills up that is a SIGBUS.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{self, Base, Header};
use super::written::Written;
use super::{Below, Failure, Pack};
use crate::error::{Error, Kind, Result};
use crate::store::ObjectId;
use crate::store::repository::{self, PackRecord, hex, pack_directory};

/// Objects of some packs, and what they are made of.
pub struct Selection {
    repository: PathBuf,
    packs: Vec<Source>,
    objects: u32,
    bytes: u64,
}

struct Source {
    pack: Arc<Pack>,
    /// By the number of the entry.
    ids: Vec<ObjectId>,
    chosen: Vec<bool>,
}

/// An entry of one of the packs.
type Place = (usize, u32);

impl Selection {
    /// Finds `wanted` in the packs of a repository, which are compared with their records first.
    /// `Kind::Corrupt` if an object is missing or a pack is not what its record says.
    pub fn of(
        repository: &Path,
        packs: &[PackRecord],
        wanted: impl IntoIterator<Item = ObjectId>,
    ) -> Result<Selection> {
        let open = |record: &PackRecord| {
            let pack = Pack::open(repository, record)?;
            let ids = pack.index.ids();
            Ok(Source { chosen: vec![false; ids.len()], ids, pack })
        };
        let packs = packs.iter().map(open).collect::<Result<Vec<_>>>()?;
        // What surrounds the entries: heads and tails of pack and index.
        let mut selection = Selection { repository: repository.to_owned(), packs, objects: 0, bytes: 1104 };
        for object in wanted {
            selection.choose(&object)?;
        }
        Ok(selection)
    }

    /// About how many bytes the new pack and its index will have.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn find(&self, object: &ObjectId) -> Option<Place> {
        self.packs.iter().enumerate().find_map(|(number, source)| Some((number, source.pack.find(object)?)))
    }

    fn choose(&mut self, object: &ObjectId) -> Result<()> {
        let missing = |object: &ObjectId| Failure::Damaged("it is missing").of(object, &self.repository);
        let mut next = Some(self.find(object).ok_or_else(|| missing(object))?);
        while let Some((number, entry)) = next {
            let source = &mut self.packs[number];
            if std::mem::replace(&mut source.chosen[entry as usize], true) {
                break;
            }
            let range = source.pack.index.range(entry);
            self.objects += 1;
            // In the index each has an id, a checksum and an offset.
            self.bytes += range.end - range.start + 28;
            let below = source.pack.header(entry).and_then(|header| source.pack.below(entry, &header.base));
            next = match below.map_err(|failure| failure.of(object, &self.repository))? {
                Below::Nothing(_) => None,
                Below::Entry(below) => {
                    let base = source.ids[below as usize];
                    self.find(&base)
                }
            };
        }
        Ok(())
    }

    /// Writes them as one pack into another repository, which has none, and compares each with its id.
    /// Nothing is forced to the disk.
    pub fn write(&self, into: &Path) -> Result<PackRecord> {
        let directory = pack_directory(into);
        let (pack, index) = (directory.join("new.pack"), directory.join("new.idx"));
        let failed = |error: io::Error| Error::io("write", &pack, &error);
        let mut written = Written::begin(&pack, self.objects).map_err(failed)?;
        let mut offsets: HashMap<Place, u64> = HashMap::new();
        for (number, source) in self.packs.iter().enumerate() {
            let chosen = (0_u32..).zip(&source.chosen).filter(|(_, chosen)| **chosen);
            for (entry, _) in chosen {
                let id = source.ids[entry as usize];
                let damaged = |failure: Failure| failure.of(&id, &self.repository);
                let raw = source.pack.read(entry).map_err(damaged)?;
                let header = Header::parse(&raw).map_err(damaged)?;
                let offset = written.offset();
                let base = match header.base {
                    Base::Distance(_) => {
                        let place = self.base_of(source, entry, &header).map_err(damaged)?;
                        let lies = place.and_then(|place| offsets.get(&place));
                        let lies = lies.ok_or_else(|| damaged(Failure::Damaged("it has lost its base")))?;
                        distance(offset - lies)
                    }
                    Base::None(_) | Base::Object(_) => raw[header.prefix..header.length].to_vec(),
                };
                let parts = [&raw[..header.prefix], &base, &raw[header.length..]];
                written.entry(id, &parts).map_err(failed)?;
                offsets.insert((number, entry), offset);
            }
        }
        let name = format!("pack-{}", hex(&written.finish(&index).map_err(failed)?));
        for (from, ending) in [(&pack, "pack"), (&index, "idx")] {
            let to = directory.join(format!("{name}.{ending}"));
            fs::rename(from, &to).map_err(|error| Error::io("write", &to, &error))?;
        }
        let record = repository::packs(into)?.into_iter().find(|record| record.name == name);
        let lost = || Error::new(Kind::Io, format!("write {}", directory.display()), "it has no new pack");
        let record = record.ok_or_else(lost)?;
        verify(into, &record)?;
        Ok(record)
    }

    /// What an entry is made of, as the first pack has it that has it.
    fn base_of(&self, source: &Source, entry: u32, header: &Header) -> Result<Option<Place>, Failure> {
        match source.pack.below(entry, &header.base)? {
            Below::Nothing(_) => Ok(None),
            Below::Entry(below) => Ok(self.find(&source.ids[below as usize])),
        }
    }
}

/// Decodes every object of a pack and compares it with its id.
fn verify(repository: &Path, record: &PackRecord) -> Result<()> {
    let pack = Pack::open(repository, record)?;
    for (entry, id) in (0..).zip(pack.index.ids()) {
        let (sort, content) = pack.object(entry).map_err(|failure| failure.of(&id, repository))?;
        if ObjectId::of(sort.name(), &content) != id {
            return Err(Failure::Damaged("its content is not what its id says").of(&id, repository));
        }
    }
    Ok(())
}

impl Pack {
    /// The header of an entry, without its checksum being compared.
    fn header(&self, entry: u32) -> Result<Header, Failure> {
        let range = self.index.range(entry);
        let mut head = [0; entry::LONGEST as usize];
        let length = (range.end - range.start).min(entry::LONGEST) as usize;
        self.file.read_exact_at(&mut head[..length], range.start).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Failure::Damaged("the pack is cut short"),
            _ => Failure::Io(error),
        })?;
        Header::parse(&head[..length])
    }
}

/// How a delta says that its base begins so many bytes before it.
fn distance(mut distance: u64) -> Vec<u8> {
    let mut bytes = vec![(distance & 0x7f) as u8];
    distance >>= 7;
    while distance > 0 {
        distance -= 1;
        bytes.push(0x80 | (distance & 0x7f) as u8);
        distance >>= 7;
    }
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Base, Header, distance};

    #[test]
    fn distances_are_read_as_they_are_written() {
        for wanted in [1, 127, 128, 129, 16_511, 16_512, 1 << 31, (1 << 50) + 3] {
            let mut entry = vec![6 << 4];
            entry.extend(distance(wanted));
            let Ok(Header { base: Base::Distance(read), prefix, length, .. }) = Header::parse(&entry) else {
                panic!("{wanted} is not read")
            };
            assert_eq!((read, prefix, length), (wanted, 1, entry.len()));
        }
    }
}
