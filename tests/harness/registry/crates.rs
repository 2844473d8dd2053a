//! crates: the sparse index and its archives.

use std::path::Path;

use serde_json::{Value, json};

use super::packing::{self, PUBLISHED};
use super::{Hashes, Shared, files_in};

/// A crate, to publish versions of it. What is said after a version is about that version.
pub struct Crate<'r> {
    shared: &'r Shared,
    name: String,
}

#[derive(Default)]
pub(super) struct Package {
    /// In the order in which they were published.
    versions: Vec<Version>,
}

struct Version {
    /// Its line of the index.
    line: Value,
    archive: Vec<u8>,
}

impl<'r> Crate<'r> {
    pub(super) fn new(shared: &'r Shared, name: &str) -> Self {
        Crate { shared, name: name.to_owned() }
    }

    /// Publishes a version of these files, below `<name>-<version>/`. A `Cargo.toml` and a library are
    /// added if there are none.
    pub fn version<C: AsRef<[u8]>>(self, version: &str, files: &[(&str, C)]) -> Self {
        let top = format!("{}-{version}/", self.name);
        let manifest = format!(
            "[package]\nname = \"{}\"\nversion = \"{version}\"\nedition = \"2021\"\nlicense = \"MIT\"\n",
            self.name
        );
        let mut all = packing::below(&top, files, ("Cargo.toml", manifest));
        if !files.iter().any(|(name, _)| name.starts_with("src/")) {
            all.push((format!("{top}src/lib.rs"), format!("//! {version}\n").into_bytes()));
        }
        self.archive(version, packing::tgz(&all))
    }

    /// Publishes a version whose archive is these bytes.
    pub fn archive(self, version: &str, archive: Vec<u8>) -> Self {
        let line = json!({
            "name": self.name,
            "vers": version,
            "deps": [],
            "cksum": packing::sha256(&archive),
            "features": {},
            "yanked": false,
            "pubtime": PUBLISHED.replace(".000", ""),
        });
        self.edit(|package| {
            package.versions.retain(|other| other.line["vers"] != version);
            package.versions.push(Version { line, archive });
        })
    }

    /// The version is yanked.
    pub fn yanked(self) -> Self {
        self.metadata(|line| line["yanked"] = true.into())
    }

    /// When the version was published (`2020-01-01T00:00:00Z`); none: the index does not say.
    pub fn published(self, time: Option<&str>) -> Self {
        self.metadata(|line| match time {
            Some(time) => line["pubtime"] = time.into(),
            None => drop(line.as_object_mut().unwrap().remove("pubtime")),
        })
    }

    /// Which hashes the index names: the one there is, or else none.
    pub fn hashes(self, hashes: Hashes) -> Self {
        self.metadata(|line| {
            if hashes != Hashes::Strong {
                line.as_object_mut().unwrap().remove("cksum");
            }
        })
    }

    /// Hands out these bytes in place of the archive whose hash the index names.
    pub fn forged(self, archive: Vec<u8>) -> Self {
        self.edit(|package| package.versions.last_mut().unwrap().archive = archive)
    }

    /// Changes the line of the version in the index.
    pub fn metadata(self, change: impl FnOnce(&mut Value)) -> Self {
        self.edit(|package| change(&mut package.versions.last_mut().unwrap().line))
    }

    /// Takes a version away: its line and its archive.
    pub fn unpublished(self, version: &str) -> Self {
        self.edit(|package| package.versions.retain(|other| other.line["vers"] != version))
    }

    /// The archive of a version, as it is handed out.
    pub fn bytes(&self, version: &str) -> Vec<u8> {
        self.shared.state().crates[&self.name].archive(version).unwrap().to_vec()
    }

    fn edit(self, change: impl FnOnce(&mut Package)) -> Self {
        change(self.shared.state().crates.entry(self.name.clone()).or_default());
        self
    }
}

impl Package {
    pub(super) fn recorded(directory: &Path) -> Self {
        let mut files = files_in(directory);
        let index = String::from_utf8(files.remove("index").unwrap()).unwrap();
        let version = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            let [name, version] = ["name", "vers"].map(|field| line[field].as_str().unwrap());
            let archive = files.remove(&format!("{name}-{version}.crate")).unwrap();
            Version { line, archive }
        };
        Package { versions: index.lines().map(version).collect() }
    }

    /// The file of the index: a line for each version.
    pub(super) fn index(&self) -> String {
        self.versions.iter().map(|one| format!("{}\n", one.line)).collect()
    }

    /// The archive of a path that ends in `<name>-<version>.crate`.
    pub(super) fn file(&self, path: &str) -> Option<&[u8]> {
        let file = path.rsplit('/').next()?;
        let named = |one: &&Version| {
            let [name, version] = ["name", "vers"].map(|field| one.line[field].as_str().unwrap_or_default());
            file == format!("{name}-{version}.crate")
        };
        self.versions.iter().find(named).map(|one| one.archive.as_slice())
    }

    pub(super) fn archive(&self, version: &str) -> Option<&[u8]> {
        self.versions.iter().find(|one| one.line["vers"] == version).map(|one| one.archive.as_slice())
    }
}

/// Where a crate is in the index.
pub(super) fn index_path(name: &str) -> String {
    let name = name.to_lowercase();
    match name.len() {
        length @ (1 | 2) => format!("{length}/{name}"),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    }
}
