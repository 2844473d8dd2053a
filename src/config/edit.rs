//! Changes the configuration file: adds and removes named resources and projects.
//!
//! A change leaves every byte alone that it is not about: comments, order, spelling. It is checked
//! by reading the result before anything is written, and appears at once (a file beside it, synced
//! and renamed) or not at all; an existing file keeps its mode and, where that is allowed, its owner.
//! Two edits at once are kept in order by a lock on a file beside it, which is never removed; what
//! another program wrote meanwhile is not overwritten, but ends the edit with `Kind::Stale`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use toml_edit::{Array, ArrayOfTables, Document, DocumentMut, Item, Table, Value};

use super::{Config, Project, Resource, problem, read};
use crate::error::{Error, Kind, Result};
use crate::key::{Origin, Reference};

/// How long to wait for another edit. One takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longer chains of symbolic links are a loop; the kernel's own limit.
const MOST_LINKS: usize = 40;

/// Adds `resource` at the end of the named ones and answers the configuration as it is then. The
/// file and its directories are made if they are missing.
pub fn add(file: &Path, resource: &Resource) -> Result<Config> {
    add_all(file, std::slice::from_ref(resource))
}

/// Adds all `resources`, in their order, or none of them.
pub fn add_all(file: &Path, resources: &[Resource]) -> Result<Config> {
    change(file, |text, config| {
        let mut document = parse(file, text)?;
        let list = document.entry("resource").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        for resource in resources {
            let what = || format!("add {:?} to {}", resource.name, file.display());
            config.check_new(resource).map_err(|error| error.during(what()))?;
            match list {
                Item::ArrayOfTables(tables) => tables.push(as_table(resource)),
                Item::Value(Value::Array(array)) => array.push(as_table(resource).into_inline_table()),
                _ => {
                    return Err(Error::new(Kind::Config, what(), "`resource` there is no list")
                        .hint("write [[resource]] above its keys"));
                }
            }
        }
        Ok(document.to_string())
    })
}

/// Removes the resource `name`, with the comment that stands directly above it, and answers the
/// configuration as it is then.
pub fn remove(file: &Path, name: &str) -> Result<Config> {
    change(file, |text, config| {
        let Some((index, _)) = config.resource(name) else {
            let what = format!("remove {name:?} from {}", file.display());
            return Err(Error::new(Kind::NotFound, what, "no resource there is called so")
                .hint("see `srcfs list` for the configured names"));
        };
        without(file, text, "resource", index)
    })
}

/// Adds `project` at the end of the projects and answers the configuration as it is then.
pub fn add_project(file: &Path, project: &Project) -> Result<Config> {
    change(file, |text, config| {
        let what = || format!("add the project {:?} to {}", project.name, file.display());
        if let Some(other) = config.project(&project.name) {
            let why = format!("a project of that name is there, in {}", other.path.display());
            return Err(
                Error::new(Kind::Config, what(), why).hint("choose another name, or remove that one first")
            );
        }
        let mut document = parse(file, text)?;
        let mut table = Table::new();
        table["name"] = toml_edit::value(&project.name);
        table["path"] = toml_edit::value(project.path.to_string_lossy().as_ref());
        let list = document.entry("project").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        match list {
            Item::ArrayOfTables(tables) => tables.push(table),
            Item::Value(Value::Array(array)) => array.push(table.into_inline_table()),
            _ => {
                return Err(Error::new(Kind::Config, what(), "`project` there is no list")
                    .hint("write [[project]] above its keys"));
            }
        }
        Ok(document.to_string())
    })
}

/// Removes the project `name` as [`remove`] does a resource.
pub fn remove_project(file: &Path, name: &str) -> Result<Config> {
    change(file, |text, config| {
        let Some(index) = config.projects.iter().position(|project| project.name == name) else {
            let what = format!("remove {name:?} from {}", file.display());
            return Err(Error::new(Kind::NotFound, what, "no project there is called so")
                .hint("see `srcfs list` for the configured names"));
        };
        without(file, text, "project", index)
    })
}

/// The text without the table `index` of `list`.
fn without(file: &Path, text: &str, list: &str, index: usize) -> Result<String> {
    let document = Document::parse(text).map_err(|error| not_toml(file, &error))?;
    match document.get(list) {
        Some(Item::ArrayOfTables(tables)) => {
            let place = tables.get(index).and_then(|table| place(text, table));
            let Some(place) = place else {
                let what = format!("remove the {list} {} from {}", index + 1, file.display());
                return Err(Error::new(Kind::Config, what, "its place in the file is not clear")
                    .hint("remove it with an editor"));
            };
            Ok(format!("{}{}", &text[..place.start], &text[place.end..]))
        }
        _ => {
            let mut document = parse(file, text)?;
            if let Some(array) = document.get_mut(list).and_then(Item::as_array_mut) {
                array.remove(index);
            }
            Ok(document.to_string())
        }
    }
}

/// Reads, changes, checks and replaces the file under its lock.
fn change(file: &Path, edit: impl FnOnce(&str, &Config) -> Result<String>) -> Result<Config> {
    let target = follow(file)?;
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| Error::io("make the directory", directory, &error))?;
    let _lock = EditLock::acquire(directory, &target)?;

    let before = read(&target)?;
    let text = before.as_deref().unwrap_or_default();
    let shown = file.display().to_string();
    let config = Config::parse(text).map_err(|problems| problem::as_error(&shown, &problems))?;
    let after = edit(text, &config)?;
    let mut config = Config::parse(&after).map_err(|problems| {
        problem::as_error(&shown, &problems).during("check the changed file, which was not written")
    })?;
    if read(&target)? != before {
        return Err(Error::new(
            Kind::Stale,
            format!("change {shown}"),
            "another program changed it meanwhile",
        )
        .hint("try again"));
    }
    // A file without any content looks as if somebody were about to write it; this one is done.
    replace(&target, directory, if after.is_empty() { "\n" } else { &after })?;
    config.file = Some(file.to_owned());
    Ok(config)
}

fn parse(file: &Path, text: &str) -> Result<DocumentMut> {
    text.parse::<DocumentMut>().map_err(|error| not_toml(file, &error))
}

fn not_toml(file: &Path, error: &toml_edit::TomlError) -> Error {
    Error::new(Kind::Config, format!("read the configuration {}", file.display()), error.message().to_owned())
}

fn as_table(resource: &Resource) -> Table {
    let mut table = Table::new();
    let text = |text: &str| toml_edit::value(text);
    table["name"] = text(resource.name_in_file());
    match resource.key.origin() {
        Origin::Git(url) => table["git"] = text(url.as_str()),
        Origin::Package(package) => table[package.kind().as_str()] = text(package.name()),
        Origin::Local(directory) => {
            table["path"] = text(&directory.path().to_string_lossy());
            if !directory.ignore().is_empty() {
                table["ignore"] = toml_edit::value(directory.ignore().iter().collect::<Array>());
            }
        }
    }
    if resource.reference != Reference::Default {
        table["ref"] = text(&resource.reference.to_string());
    }
    if !resource.subpaths.is_empty() {
        table["subpaths"] = toml_edit::value(resource.subpaths.iter().collect::<Array>());
    }
    if let Some(note) = &resource.note {
        table["note"] = text(note);
    }
    table
}

/// The bytes of `table` in `text`: from the comment directly above its header to the end of its last
/// line, and the empty lines that follow, so that one gap remains.
fn place(text: &str, table: &Table) -> Option<Range<usize>> {
    let values = table.iter().filter_map(|(_, item)| item.span());
    let end = values.map(|span| span.end).chain(table.span().map(|span| span.end)).max()?;
    let mut start = text[..table.span()?.start].rfind('\n').map_or(0, |at| at + 1);
    while start > 0 {
        let above = text[..start - 1].rfind('\n').map_or(0, |at| at + 1);
        if !text[above..start].trim_start().starts_with('#') {
            break;
        }
        start = above;
    }
    let mut end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    while let Some(line) = text[end..].split_inclusive('\n').next().filter(|line| line.trim().is_empty()) {
        end += line.len();
    }
    Some(start..end)
}

/// The file that `file` leads to through symbolic links; it need not exist.
fn follow(file: &Path) -> Result<PathBuf> {
    let mut target = file.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&target) {
            Ok(link) => {
                target.pop();
                target.push(link);
            }
            // Not a link, or nothing there yet.
            Err(_) => return Ok(target),
        }
    }
    Err(Error::new(Kind::Config, format!("change {}", file.display()), "its symbolic links lead in a circle"))
}

fn replace(target: &Path, directory: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| Error::io("write the configuration", target, &error);
    let mut new = tempfile::Builder::new().prefix(".srcfs-config-").tempfile_in(directory).map_err(failed)?;
    new.write_all(text.as_bytes()).map_err(failed)?;
    if let Ok(old) = fs::metadata(target) {
        // Only root may give a file away; anybody else keeps what becomes the editing user's.
        if let Err(error) = fchown(new.as_file(), Some(old.uid()), Some(old.gid())) {
            log::debug!("the configuration changes its owner: {error}");
        }
        new.as_file().set_permissions(old.permissions()).map_err(failed)?;
    }
    new.as_file().sync_all().map_err(failed)?;
    new.persist(target).map_err(|error| failed(error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// The right to edit, until it is dropped.
struct EditLock(File);

impl EditLock {
    fn acquire(directory: &Path, target: &Path) -> Result<EditLock> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".lock");
        let path = directory.join(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path)
            .or_else(|_| File::open(&path))
            .map_err(|error| Error::io("open the lock of the configuration", &path, &error))?;
        let started = Instant::now();
        loop {
            #[allow(clippy::disallowed_methods, reason = "the cache's locks stand above the configuration")]
            let tried = file.try_lock();
            match tried {
                Ok(()) => return Ok(EditLock(file)),
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(
                        Kind::Busy,
                        format!("change {}", target.display()),
                        format!("another edit has held {} for {} s", path.display(), PATIENCE.as_secs()),
                    )
                    .hint("wait for the other srcfs to end"));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(Error::io("lock the configuration by", &path, &error));
                }
            }
        }
    }
}

impl Drop for EditLock {
    fn drop(&mut self) {
        // Explicitly: a child that another thread is starting may hold a copy of the descriptor.
        if let Err(error) = self.0.unlock() {
            log::warn!("cannot release the lock of the configuration: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
