//! Temporary: the smallest store that the cache can be compiled and tested against.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::error::{Error, Kind as ErrorKind, Result};

fn corrupt(what: &Path, why: impl ToString) -> Error {
    Error::new(ErrorKind::Corrupt, format!("read {}", what.display()), why.to_string())
}
fn git(what: &Path, error: &git2::Error) -> Error {
    Error::new(ErrorKind::Io, format!("read {}", what.display()), error.message())
}
fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Default)]
pub struct Limits {}

#[derive(Clone, Copy, Debug)]
pub struct ObjectId(pub [u8; 20]);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
pub struct Table {
    nodes: BTreeMap<String, (String, u64)>,
}

pub struct Node {
    pub size: u64,
    pub object: ObjectId,
}

impl Table {
    pub fn build(repository: &Path, tree: &str, _limits: &Limits) -> Result<Table> {
        let open = git2::Repository::open_bare(repository).map_err(|e| git(repository, &e))?;
        let mut nodes = BTreeMap::new();
        let mut todo = vec![(String::new(), git2::Oid::from_str(tree).map_err(|e| git(repository, &e))?)];
        let odb = open.odb().map_err(|e| git(repository, &e))?;
        while let Some((path, id)) = todo.pop() {
            nodes.insert(path.clone(), (id.to_string(), 0));
            for entry in open.find_tree(id).map_err(|e| git(repository, &e))?.iter() {
                let path = format!("{path}/{}", String::from_utf8_lossy(entry.name_bytes()));
                match entry.kind() {
                    Some(git2::ObjectType::Tree) => todo.push((path, entry.id())),
                    _ => {
                        let (size, _) = odb.read_header(entry.id()).map_err(|e| git(repository, &e))?;
                        nodes.insert(path, (entry.id().to_string(), size as u64));
                    }
                }
            }
        }
        Ok(Table { nodes })
    }
    pub fn save(&self, file: &Path) -> Result<TableRecord> {
        let bytes = serde_json::to_vec(self).map_err(|e| corrupt(file, e))?;
        std::fs::write(file, &bytes).map_err(|e| Error::io("write", file, &e))?;
        Ok(TableRecord { bytes: bytes.len() as u64, sha256: sha256(&bytes) })
    }
    pub fn load(file: &Path, record: &TableRecord) -> Result<Table> {
        let bytes = std::fs::read(file).map_err(|e| corrupt(file, e))?;
        if bytes.len() as u64 != record.bytes || sha256(&bytes) != record.sha256 {
            return Err(corrupt(file, "it is not what its record says"));
        }
        serde_json::from_slice(&bytes).map_err(|e| corrupt(file, e))
    }
    pub fn find(&self, path: &str) -> Option<u32> {
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        self.nodes.keys().position(|name| *name == path).map(|at| at as u32)
    }
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u32 {
        self.nodes.len() as u32
    }
    pub fn node(&self, index: u32) -> Option<Node> {
        let (id, size) = self.nodes.values().nth(index as usize)?;
        let id = git2::Oid::from_str(id).ok()?;
        Some(Node { size: *size, object: ObjectId(id.as_bytes().try_into().ok()?) })
    }
    pub fn files(&self) -> u64 {
        self.nodes.len() as u64
    }
    pub fn bytes(&self) -> u64 {
        self.nodes.values().map(|(_, size)| size).sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackRecord {
    pub name: String,
    pub pack_bytes: u64,
    pub index_sha256: String,
}

fn record(directory: &Path, name: &str) -> Result<PackRecord> {
    let pack = directory.join(format!("{name}.pack"));
    let index = directory.join(format!("{name}.idx"));
    let bytes = std::fs::read(&index).map_err(|e| corrupt(&index, e))?;
    let pack_bytes = std::fs::metadata(&pack).map_err(|e| corrupt(&pack, e))?.len();
    Ok(PackRecord { name: name.to_owned(), pack_bytes, index_sha256: sha256(&bytes) })
}

pub fn packs(repository: &Path) -> Result<Vec<PackRecord>> {
    let directory = repository.join("objects/pack");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(|e| Error::io("list", &directory, &e))? {
        let name = entry.map_err(|e| Error::io("list", &directory, &e))?.file_name();
        if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".idx")) {
            found.push(record(&directory, name)?);
        }
    }
    Ok(found)
}

pub struct Objects(Mutex<git2::Repository>);

impl Objects {
    pub fn open(repository: &Path, packs: &[PackRecord]) -> Result<Objects> {
        for pack in packs {
            if record(&repository.join("objects/pack"), &pack.name)? != *pack {
                return Err(corrupt(repository, "a pack is not what its record says"));
            }
        }
        let open = git2::Repository::open_bare(repository).map_err(|e| corrupt(repository, e.message()))?;
        Ok(Objects(Mutex::new(open)))
    }
    pub fn read(&self, object: &ObjectId, offset: u64, size: u32, with: &mut dyn FnMut(&[u8])) -> Result<()> {
        let open = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let missing = |e: git2::Error| Error::new(ErrorKind::Corrupt, "read a blob", e.message());
        let id = git2::Oid::from_bytes(&object.0).map_err(missing)?;
        let blob = open.find_blob(id).map_err(missing)?;
        let start = (offset as usize).min(blob.content().len());
        let end = (start + size as usize).min(blob.content().len());
        with(&blob.content()[start..end]);
        Ok(())
    }
}

pub fn init_bare(directory: &Path) -> Result<()> {
    git2::Repository::init_bare(directory).map(drop).map_err(|e| git(directory, &e))
}
