//! A [`Table`] as one file, loaded in one go.
//!
//! ```text
//! magic "srcfstab", version u32, nodes u32, bytes of all names u32, number of urls u32
//! kind of each node            u8      0 directory 1 file 2 executable 3 link 4 submodule
//! number of children of each   u32
//! length of each name          u8
//! size of each                 u64
//! object id of each            20 bytes
//! all names, without separators
//! urls: node u32, length u32, text; nodes ascending
//! ```
//!
//! All numbers are little-endian. The record of a file has its size and SHA-256. Loading compares
//! both, and then still checks every invariant of a table, so that no file whatsoever makes a later
//! lookup panic or a walk endless: whoever could replace the file could replace the record as well.
//! Any mismatch is `Kind::Corrupt`. A new layout gets a new version, and an unknown one is corrupt
//! too: a table can always be built again.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Kind, Table};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::store::{ObjectId, names, repository};

const MAGIC: &[u8; 8] = b"srcfstab";
const VERSION: u32 = 1;

/// What the file of a table was when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableRecord {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

impl Table {
    /// Writes the table to a new file and to the disk.
    pub fn save(&self, file: &Path) -> Result<TableRecord> {
        let failed = |error: io::Error| Error::io("write", file, &error);
        let created = File::create_new(file).map_err(failed)?;
        let mut out = Hashing { inner: BufWriter::new(created), hash: Sha256::new(), bytes: 0 };
        self.write(&mut out).and_then(|()| out.inner.flush()).map_err(failed)?;
        out.inner.get_ref().sync_all().map_err(failed)?;
        Ok(TableRecord { bytes: out.bytes, sha256: repository::hex(&out.hash.finalize()) })
    }

    /// Reads the table that `record` is about. `Kind::Corrupt` if the file is missing or not the one.
    pub fn load(file: &Path, record: &TableRecord) -> Result<Table> {
        let corrupt = |why: &str| Error::new(ErrorKind::Corrupt, format!("load {}", file.display()), why);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => corrupt("the file is missing"),
            io::ErrorKind::UnexpectedEof => corrupt("the file is cut short"),
            _ => Error::io("load", file, &error),
        };
        let opened = File::open(file).map_err(failed)?;
        if opened.metadata().map_err(failed)?.len() != record.bytes {
            return Err(corrupt("its size is not that of its record"));
        }
        let source = Hashing { inner: opened, hash: Sha256::new(), bytes: 0 };
        let mut sections = Sections { source, left: record.bytes };
        let table = read(&mut sections).map_err(failed)?;
        // The hash says more than a detail that is wrong because of it.
        if table.is_ok() && sections.left == 0 {
            let hash = repository::hex(&sections.source.hash.finalize());
            if hash != record.sha256 {
                return Err(corrupt("its content is not that of its record"));
            }
        }
        match table {
            Ok(_) if sections.left != 0 => Err(corrupt("there is something behind its end")),
            Ok(table) => Ok(table),
            Err(why) => Err(corrupt(why)),
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(MAGIC)?;
        for number in [VERSION, self.len(), self.names.len() as u32, self.urls.len() as u32] {
            out.write_all(&number.to_le_bytes())?;
        }
        let kinds: Vec<u8> = self.kinds.iter().map(|&kind| code(kind)).collect();
        out.write_all(&kinds)?;
        for ends in self.first_child.windows(2) {
            out.write_all(&(ends[1] - ends[0]).to_le_bytes())?;
        }
        for ends in self.name_start.windows(2) {
            // `build` and `load` let no name pass that is longer than 255 bytes.
            out.write_all(&[(ends[1] - ends[0]) as u8])?;
        }
        for size in &self.sizes {
            out.write_all(&size.to_le_bytes())?;
        }
        for object in &self.objects {
            out.write_all(&object.0)?;
        }
        out.write_all(&self.names)?;
        for (node, url) in &self.urls {
            out.write_all(&node.to_le_bytes())?;
            out.write_all(&(url.len() as u32).to_le_bytes())?;
            out.write_all(url.as_bytes())?;
        }
        Ok(())
    }
}

/// The table in a file, or what is wrong with it; the outer error is that of reading.
fn read(from: &mut Sections<impl Read>) -> io::Result<Result<Table, &'static str>> {
    if from.bytes(MAGIC.len())? != MAGIC {
        return Ok(Err("it is not a table"));
    }
    let header = from.u32s(4)?;
    let [version, nodes, name_bytes, urls] = header[..] else { return Ok(Err("it has no header")) };
    if version != VERSION {
        return Ok(Err("it is of another version"));
    }
    if nodes == 0 {
        return Ok(Err("it has no root"));
    }
    let nodes = nodes as usize;
    let kinds = from.bytes(nodes)?;
    let counts = from.u32s(nodes)?;
    let lengths = from.bytes(nodes)?;
    let sizes = from.bytes(nodes.saturating_mul(8))?;
    let objects = from.bytes(nodes.saturating_mul(20))?;
    let all_names = from.bytes(name_bytes as usize)?;

    let mut table = Table {
        kinds: Vec::with_capacity(nodes),
        sizes: sizes.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect(),
        objects: objects.as_chunks().0.iter().map(|&bytes| ObjectId(bytes)).collect(),
        parents: vec![0; nodes],
        first_child: Vec::with_capacity(nodes + 1),
        names: all_names,
        name_start: Vec::with_capacity(nodes + 1),
        urls: Default::default(),
        files: 0,
        bytes: 0,
    };
    drop((sizes, objects));
    for code in kinds {
        let Some(kind) = kind(code) else { return Ok(Err("a node is of an unknown kind")) };
        table.kinds.push(kind);
    }
    let mut start = 0u64;
    for length in std::iter::once(0).chain(lengths) {
        start += u64::from(length);
        table.name_start.push(start as u32);
    }
    if start != u64::from(name_bytes) {
        return Ok(Err("the lengths of the names are not that of all names"));
    }
    if let Err(why) = shape(&mut table, &counts).and_then(|()| check_nodes(&table)) {
        return Ok(Err(why));
    }
    let mut last = 0;
    for _ in 0..urls {
        let [node, length] = from.u32s(2)?[..] else { return Ok(Err("a url is cut short")) };
        let text = String::from_utf8(from.bytes(length as usize)?);
        let (Ok(url), Some(Kind::Submodule)) = (text, table.kinds.get(node as usize)) else {
            return Ok(Err("a url is not one of a submodule"));
        };
        if node <= last {
            return Ok(Err("the urls are not in order"));
        }
        last = node;
        table.urls.insert(node, url);
    }
    Ok(Ok(table.finish()))
}

/// Numbers the children and gives them their parents. Afterwards every node but the root is the child
/// of exactly one directory of a smaller number.
fn shape(table: &mut Table, counts: &[u32]) -> Result<(), &'static str> {
    let mut next = 1usize;
    for (at, &count) in counts.iter().enumerate() {
        if at >= next {
            return Err("a node is in no directory");
        }
        if count > 0 && table.kinds[at] != Kind::Directory {
            return Err("something that is no directory has children");
        }
        let end = next + count as usize;
        let Some(children) = table.parents.get_mut(next..end) else {
            return Err("there are more children than nodes");
        };
        children.fill(at as u32);
        table.first_child.push(next as u32);
        next = end;
    }
    // `finish` adds the end of the last range, which is the number of nodes.
    if next == counts.len() { Ok(()) } else { Err("a node is in no directory") }
}

fn check_nodes(table: &Table) -> Result<(), &'static str> {
    if table.kinds[0] != Kind::Directory || !table.name_bytes(0).is_empty() {
        return Err("its root is no directory without a name");
    }
    for index in 1..table.len() {
        let (name, at) = (table.name_bytes(index), index as usize);
        if names::refusal(name).is_some() {
            return Err("a name is not allowed");
        }
        if table.parents[at] == table.parents[at - 1] && index > 1 && table.name_bytes(index - 1) >= name {
            return Err("the names are not in order");
        }
        // The kernel's sizes are signed.
        if table.sizes[at] > i64::MAX as u64 {
            return Err("a size is impossible");
        }
    }
    Ok(())
}

fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Directory => 0,
        Kind::File { executable: false } => 1,
        Kind::File { executable: true } => 2,
        Kind::Symlink => 3,
        Kind::Submodule => 4,
    }
}

fn kind(code: u8) -> Option<Kind> {
    Some(match code {
        0 => Kind::Directory,
        1 => Kind::File { executable: false },
        2 => Kind::File { executable: true },
        3 => Kind::Symlink,
        4 => Kind::Submodule,
        _ => return None,
    })
}

/// The parts of a file, never asked for more than it has: a count in a damaged file costs no memory.
struct Sections<R> {
    source: Hashing<R>,
    left: u64,
}

impl<R: Read> Sections<R> {
    fn bytes(&mut self, number: usize) -> io::Result<Vec<u8>> {
        self.left = self.left.checked_sub(number as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut section = vec![0; number];
        self.source.read_exact(&mut section)?;
        Ok(section)
    }

    fn u32s(&mut self, number: usize) -> io::Result<Vec<u32>> {
        let section = self.bytes(number.saturating_mul(4))?;
        Ok(section.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect())
    }
}

/// Hashes and counts what passes.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let number = self.inner.read(buffer)?;
        self.hash.update(&buffer[..number]);
        Ok(number)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let number = self.inner.write(buffer)?;
        self.hash.update(&buffer[..number]);
        self.bytes += number as u64;
        Ok(number)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
