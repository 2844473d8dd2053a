//! Makes a [`Table`] of the trees in a repository.
//!
//! Breadth-first with the table itself as the queue, so depth costs no stack. Every tree object is
//! compared with its hash. What a hostile tree could do is refused with the path in the error: bad
//! names (`store::names`), two entries of one name, unknown modes, objects that are not of the type
//! that the entry says; and what would not end or not fit is `Kind::TooLarge`. Sizes come from the
//! headers of the objects, on all processors, because that is most of the work.

use std::path::Path;

use git2::ObjectType;

use super::{Kind, Node, Table};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::store::tree_entries::{Entry, Malformed, entries};
use crate::store::{ObjectId, names, repository, submodules};

/// The longest target of a symbolic link: PATH_MAX of Linux without its NUL.
const LONGEST_TARGET: u64 = 4095;

/// What a tree may not exceed. The defaults are several times what the largest known repositories
/// have, and small enough that a tree made to exhaust the machine is refused in a few seconds.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Files and directories. The default of 4 million keeps a table below 300 MB.
    pub nodes: u32,
    /// Directories inside one another. PATH_MAX holds at most 2,048 of them with names of one byte.
    pub depth: u32,
    /// Bytes of one tree object, that is of one directory.
    pub tree_bytes: usize,
    /// Bytes of all names together; below 4 GiB.
    pub name_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { nodes: 4_000_000, depth: 256, tree_bytes: 64 << 20, name_bytes: 256 << 20 }
    }
}

impl Table {
    /// Reads the tree (an id in hex) and everything below it from the repository, which may borrow
    /// objects from another one. Fails with `Kind::Unsupported` for a tree that cannot be shown
    /// safely, `Kind::TooLarge` beyond a limit, `Kind::Corrupt` for objects that are missing or not
    /// what their id says.
    pub fn build(repository: &Path, tree: &str, limits: &Limits) -> Result<Table> {
        let what = || format!("read the tree {tree}");
        if tree.len() == 64 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                what(),
                "the repository names its objects with SHA-256, and srcfs reads only SHA-1 ones",
            ));
        }
        let root = ObjectId::parse(tree)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, what(), "it is not the id of an object"))?;
        let built = build(repository, root, limits);
        if built.is_err() {
            // libgit2 says "not found" when it has no descriptor left to open a pack with.
            repository::check_descriptors(repository)?;
        }
        built
    }
}

fn build(repository: &Path, root: ObjectId, limits: &Limits) -> Result<Table> {
    let odb = repository::open_odb(repository)?;
    let mut builder = Builder { odb: &odb, table: Table::with_root(root), limits };
    builder.directories()?;
    let mut table = builder.table;
    measure(repository, &mut table)?;
    attach_urls(&odb, &mut table)?;
    Ok(table.finish())
}

struct Builder<'a> {
    odb: &'a git2::Odb<'static>,
    table: Table,
    limits: &'a Limits,
}

impl Builder<'_> {
    fn directories(&mut self) -> Result<()> {
        let (mut depth, mut next_level) = (0, 1);
        let mut index = 0;
        while index < self.table.len() {
            if index == next_level {
                depth += 1;
                next_level = self.table.len();
            }
            self.table.begin_children();
            if self.table.kinds[index as usize] == Kind::Directory {
                if depth > self.limits.depth {
                    let why = format!("it lies more than {} directories deep", self.limits.depth);
                    return Err(too_large(&self.table, index, b"", why));
                }
                self.directory(index)?;
            }
            index += 1;
        }
        Ok(())
    }

    fn directory(&mut self, index: u32) -> Result<()> {
        let tree = tree(self.odb, &self.table, self.limits, index)?;
        let mut found: Vec<Entry<'_>> = Vec::new();
        for entry in entries(tree.data()) {
            let entry = entry.map_err(|Malformed { name, why }| refused(&self.table, index, name, why))?;
            if let Some(why) = names::refusal(entry.name) {
                return Err(refused(&self.table, index, entry.name, why));
            }
            if entry.name.len() > names::LONGEST {
                let why = format!("its name is longer than {} bytes", names::LONGEST);
                return Err(too_large(&self.table, index, entry.name, why));
            }
            found.push(entry);
        }
        found.sort_unstable_by(|a, b| a.name.cmp(b.name));
        if let Some(twins) = found.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(refused(&self.table, index, twins[0].name, "there are two entries of this name"));
        }
        if self.table.len() as usize + found.len() > self.limits.nodes as usize {
            let why = format!("the tree has more than {} files and directories", self.limits.nodes);
            return Err(too_large(&self.table, index, b"", why));
        }
        let name_bytes: usize = found.iter().map(|entry| entry.name.len()).sum();
        if self.table.names.len() + name_bytes > self.limits.name_bytes as usize {
            let why = format!("its names take more than {} bytes", self.limits.name_bytes);
            return Err(too_large(&self.table, index, b"", why));
        }
        for Entry { kind, name, object } in found {
            self.table.push(name, Node { kind, size: 0, object, parent: index });
        }
        Ok(())
    }
}

/// The tree object of a directory, compared with its hash.
fn tree<'a>(
    odb: &'a git2::Odb<'_>,
    table: &Table,
    limits: &Limits,
    index: u32,
) -> Result<git2::OdbObject<'a>> {
    let id = table.objects[index as usize];
    let (size, kind) = header(odb, table, index)?;
    if kind != ObjectType::Tree {
        return Err(refused(table, index, b"", format!("its object {id} is no tree, but a {kind}")));
    }
    if size > limits.tree_bytes {
        let why = format!("its tree object has {size} bytes, more than {}", limits.tree_bytes);
        return Err(too_large(table, index, b"", why));
    }
    let tree = odb.read(oid(id)?).map_err(|error| unreadable(table, index, id, &error))?;
    if tree.kind() != ObjectType::Tree || ObjectId::of("tree", tree.data()) != id {
        return Err(corrupt(table, index, format!("the object {id} is not what its id says")));
    }
    Ok(tree)
}

/// Fills in the sizes of files and links.
fn measure(repository: &Path, table: &mut Table) -> Result<()> {
    /// Below this many nodes a thread takes longer to start than it saves.
    const WORTH_A_THREAD: usize = 2_000;
    let processors = std::thread::available_parallelism().map_or(1, |number| number.get()).min(8);
    let nodes = table.kinds.len();
    let chunk = nodes.div_ceil(processors).max(WORTH_A_THREAD);
    let shared: &Table = table;
    let measured: Vec<Result<Vec<(u64, Kind)>>> = std::thread::scope(|scope| {
        let starts = (0..nodes).step_by(chunk);
        let workers = starts.map(|start| {
            let range = start..nodes.min(start + chunk);
            std::thread::Builder::new().spawn_scoped(scope, move || {
                let odb = repository::open_odb(repository)?;
                range.map(|at| measure_one(&odb, shared, at as u32)).collect()
            })
        });
        let workers: Vec<_> = workers.collect();
        let failed = |kind, why: String| Error::new(kind, "read the sizes of the files", why);
        let joined = workers.into_iter().map(|worker| {
            let worker = worker.map_err(|error| failed(ErrorKind::Exhausted, error.to_string()))?;
            worker.join().unwrap_or_else(|_| Err(failed(ErrorKind::Io, "a thread panicked".to_owned())))
        });
        joined.collect()
    });
    let measured = measured.into_iter().collect::<Result<Vec<_>>>()?;
    (table.sizes, table.kinds) = measured.into_iter().flatten().unzip();
    Ok(())
}

/// The size of a node, and what it is shown as.
fn measure_one(odb: &git2::Odb<'_>, table: &Table, index: u32) -> Result<(u64, Kind)> {
    let kind = table.kinds[index as usize];
    if matches!(kind, Kind::Directory | Kind::Submodule) {
        return Ok((0, kind));
    }
    let (size, object_kind) = header(odb, table, index)?;
    if object_kind != ObjectType::Blob {
        let id = table.objects[index as usize];
        return Err(refused(table, index, b"", format!("its object {id} is no blob, but a {object_kind}")));
    }
    let size = size as u64;
    let is_possible = (1..=LONGEST_TARGET).contains(&size);
    let kind = if kind == Kind::Symlink && !is_possible { Kind::File { executable: false } } else { kind };
    Ok((size, kind))
}

fn attach_urls(odb: &git2::Odb<'_>, table: &mut Table) -> Result<()> {
    let submodules: Vec<u32> =
        (0..table.len()).filter(|&index| table.kinds[index as usize] == Kind::Submodule).collect();
    if submodules.is_empty() {
        return Ok(());
    }
    // Not `lookup`: the ranges of children are complete only now, and it must be a file of the root.
    let Some(index) = (1..table.len())
        .take_while(|&index| table.parents[index as usize] == 0)
        .find(|&index| table.name_bytes(index) == b".gitmodules")
    else {
        return Ok(());
    };
    let at = index as usize;
    if !matches!(table.kinds[at], Kind::File { .. }) || table.sizes[at] > submodules::LARGEST {
        return Ok(());
    }
    let id = table.objects[at];
    let text = odb.read(oid(id)?).map_err(|error| unreadable(table, index, id, &error))?;
    if ObjectId::of("blob", text.data()) != id {
        return Err(corrupt(table, index, format!("the object {id} is not what its id says")));
    }
    let urls = submodules::urls(text.data());
    for index in submodules {
        if let Some(url) = urls.get(table.path(index).as_os_str().as_encoded_bytes()) {
            table.urls.insert(index, url.clone());
        }
    }
    Ok(())
}

fn header(odb: &git2::Odb<'_>, table: &Table, index: u32) -> Result<(usize, ObjectType)> {
    let id = table.objects[index as usize];
    odb.read_header(oid(id)?).map_err(|error| unreadable(table, index, id, &error))
}

fn oid(id: ObjectId) -> Result<git2::Oid> {
    git2::Oid::from_bytes(&id.0)
        .map_err(|error| Error::new(ErrorKind::Corrupt, format!("read the object {id}"), error.message()))
}

/// How a node, or an entry in it, is called in an error.
fn shown(table: &Table, index: u32, entry: &[u8]) -> String {
    // Joined as text: an entry called "/etc" would replace a path that it is joined to.
    let mut path = table.path(index).to_string_lossy().into_owned();
    if !path.is_empty() && !entry.is_empty() {
        path.push('/');
    }
    path.push_str(&String::from_utf8_lossy(entry));
    if path.is_empty() {
        return "read the tree's root".to_owned();
    }
    // A hostile path may be megabytes long; its end says most.
    let tail = path.char_indices().rev().nth(300).map_or(0, |(at, _)| at);
    format!("read {}{:?} in the tree", if tail > 0 { "..." } else { "" }, &path[tail..])
}

fn refused(table: &Table, index: u32, entry: &[u8], why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, shown(table, index, entry), why)
        .hint("srcfs does not show such a tree, because it could harm what reads it")
}

fn too_large(table: &Table, index: u32, entry: &[u8], why: String) -> Error {
    Error::new(ErrorKind::TooLarge, shown(table, index, entry), why)
}

fn corrupt(table: &Table, index: u32, why: String) -> Error {
    Error::new(ErrorKind::Corrupt, shown(table, index, b""), why)
}

fn unreadable(table: &Table, index: u32, id: ObjectId, error: &git2::Error) -> Error {
    let why = match error.code() {
        git2::ErrorCode::NotFound => format!("the object {id} is missing"),
        _ => format!("the object {id} cannot be read: {}", error.message()),
    };
    corrupt(table, index, why)
}
