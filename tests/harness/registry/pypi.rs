//! PyPI: the simple API, as JSON and as HTML, and its files.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::packing::{self, PUBLISHED};
use super::{Hashes, Shared, files_in};

/// A project, to publish files of it. What is said after a file is about that file.
pub struct Pypi<'r> {
    shared: &'r Shared,
    name: String,
}

#[derive(Default)]
pub(super) struct Project {
    /// In the order in which they were uploaded.
    files: Vec<Uploaded>,
}

struct Uploaded {
    version: String,
    /// What the index says of it.
    entry: Value,
    archive: Vec<u8>,
}

impl<'r> Pypi<'r> {
    pub(super) fn new(shared: &'r Shared, name: &str) -> Self {
        Pypi { shared, name: name.to_owned() }
    }

    /// Uploads an sdist (`.tar.gz`) of these files, below `<name>-<version>/`. A `PKG-INFO` is added.
    pub fn sdist<C: AsRef<[u8]>>(self, version: &str, files: &[(&str, C)]) -> Self {
        let top = format!("{}-{version}", self.stem());
        let files = packing::below(&format!("{top}/"), files, ("PKG-INFO", self.about(version)));
        self.archive(version, &format!("{top}.tar.gz"), packing::tgz(&files))
    }

    /// Uploads an sdist of these files as a `.zip`.
    pub fn sdist_zip<C: AsRef<[u8]>>(self, version: &str, files: &[(&str, C)]) -> Self {
        let top = format!("{}-{version}", self.stem());
        let files = packing::below(&format!("{top}/"), files, ("PKG-INFO", self.about(version)));
        self.archive(version, &format!("{top}.zip"), packing::zip(&files))
    }

    /// Uploads a wheel of these files with its tags: `py3-none-any`,
    /// `cp311-cp311-manylinux_2_17_x86_64`. What every wheel has in its `.dist-info` is added.
    pub fn wheel<C: AsRef<[u8]>>(self, version: &str, tags: &str, files: &[(&str, C)]) -> Self {
        let stem = format!("{}-{version}", self.stem());
        let metadata = format!("{stem}.dist-info/METADATA");
        let mut all = packing::below("", files, (&metadata, self.about(version)));
        let pure = tags.ends_with("-none-any");
        let wheel = format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {pure}\nTag: {tags}\n");
        all.push((format!("{stem}.dist-info/WHEEL"), wheel.into_bytes()));
        let record = format!("{stem}.dist-info/RECORD");
        let lines: String = all.iter().map(|(name, _)| format!("{name},,\n")).collect();
        all.push((record.clone(), format!("{lines}{record},,\n").into_bytes()));
        self.archive(version, &format!("{stem}-{tags}.whl"), packing::zip(&all))
    }

    /// Uploads a file of this name that is these bytes.
    pub fn archive(self, version: &str, filename: &str, archive: Vec<u8>) -> Self {
        let entry = json!({
            "filename": filename,
            "url": format!("{{registry}}/pypi/files/{}/{filename}", normalised(&self.name)),
            "hashes": { "sha256": packing::sha256(&archive) },
            "requires-python": ">=3.7",
            "size": archive.len(),
            "upload-time": PUBLISHED.replace(".000Z", ".000000Z"),
            "yanked": false,
        });
        let uploaded = Uploaded { version: version.to_owned(), entry, archive };
        self.edit(|project| {
            project.files.retain(|other| other.entry["filename"] != filename);
            project.files.push(uploaded);
        })
    }

    /// The file is yanked; the reason may be empty.
    pub fn yanked(self, reason: &str) -> Self {
        let yanked = if reason.is_empty() { true.into() } else { reason.into() };
        self.metadata(|entry| entry["yanked"] = yanked)
    }

    /// When the file was uploaded (`2020-01-01T00:00:00.000000Z`); none: the index does not say.
    pub fn published(self, time: Option<&str>) -> Self {
        self.metadata(|entry| match time {
            Some(time) => entry["upload-time"] = time.into(),
            None => drop(entry.as_object_mut().unwrap().remove("upload-time")),
        })
    }

    /// Which hashes the index names.
    pub fn hashes(self, hashes: Hashes) -> Self {
        self.metadata(|entry| match hashes {
            Hashes::Strong => {}
            Hashes::Weak => entry["hashes"] = json!({ "md5": "d41d8cd98f00b204e9800998ecf8427e" }),
            Hashes::None => entry["hashes"] = json!({}),
        })
    }

    /// The index says that the file is at this base (`http://127.0.0.2:1234`), by the same path.
    pub fn elsewhere(self, base: &str) -> Self {
        self.metadata(|entry| {
            entry["url"] = entry["url"].as_str().unwrap().replace("{registry}", base).into()
        })
    }

    /// Hands out these bytes in place of the file whose hash the index names.
    pub fn forged(self, archive: Vec<u8>) -> Self {
        self.edit(|project| project.files.last_mut().unwrap().archive = archive)
    }

    /// Changes what the index says of the file. `{registry}` stands for the server.
    pub fn metadata(self, change: impl FnOnce(&mut Value)) -> Self {
        self.edit(|project| change(&mut project.files.last_mut().unwrap().entry))
    }

    /// Takes a version away: all its files.
    pub fn unpublished(self, version: &str) -> Self {
        self.edit(|project| project.files.retain(|other| other.version != version))
    }

    /// The bytes of a file, as they are handed out.
    pub fn bytes(&self, filename: &str) -> Vec<u8> {
        self.shared.state().pypi[&normalised(&self.name)].archive(filename).unwrap().to_vec()
    }

    /// The name in file names.
    fn stem(&self) -> String {
        normalised(&self.name).replace('-', "_")
    }

    fn about(&self, version: &str) -> String {
        format!("Metadata-Version: 2.1\nName: {}\nVersion: {version}\nLicense: MIT\n", self.name)
    }

    fn edit(self, change: impl FnOnce(&mut Project)) -> Self {
        change(self.shared.state().pypi.entry(normalised(&self.name)).or_default());
        self
    }
}

impl Project {
    pub(super) fn recorded(directory: &Path) -> Self {
        let mut files = files_in(directory);
        let document: Value = serde_json::from_slice(&files["simple.json"]).unwrap();
        // Only one version of a project is recorded.
        let version = document["versions"][0].as_str().unwrap();
        let file = |entry: &Value| {
            let archive = files.remove(entry["filename"].as_str().unwrap()).unwrap();
            Uploaded { version: version.to_owned(), entry: entry.clone(), archive }
        };
        Project { files: document["files"].as_array().unwrap().iter().map(file).collect() }
    }

    pub(super) fn json(&self, name: &str) -> Value {
        let mut versions: Vec<_> = self.files.iter().map(|file| &file.version).collect();
        versions.dedup();
        let files: Vec<_> = self.files.iter().map(|file| &file.entry).collect();
        json!({ "meta": { "api-version": "1.1" }, "name": name, "versions": versions, "files": files })
    }

    pub(super) fn html(&self, name: &str) -> String {
        let mut page = "<!DOCTYPE html>\n<html>\n  <head>\n    \
            <meta name=\"pypi:repository-version\" content=\"1.1\">\n"
            .to_owned();
        let _ = writeln!(page, "    <title>Links for {name}</title>\n  </head>\n  <body>");
        for Uploaded { entry, .. } in &self.files {
            let text = |field: &str| entry[field].as_str().map(escaped);
            let hashes = entry["hashes"].as_object().into_iter().flatten().next();
            let hash = hashes.map(|(name, hash)| format!("#{name}={}", hash.as_str().unwrap()));
            let _ = write!(page, "    <a href=\"{}{}\"", text("url").unwrap(), hash.unwrap_or_default());
            if let Some(python) = text("requires-python") {
                let _ = write!(page, " data-requires-python=\"{python}\"");
            }
            if entry["yanked"] != false {
                let _ = write!(page, " data-yanked=\"{}\"", text("yanked").unwrap_or_default());
            }
            let _ = writeln!(page, ">{}</a><br />", text("filename").unwrap());
        }
        page + "  </body>\n</html>\n"
    }

    pub(super) fn archive(&self, filename: &str) -> Option<&[u8]> {
        self.files.iter().find(|file| file.entry["filename"] == filename).map(|file| file.archive.as_slice())
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The name by which the index knows a project.
pub(super) fn normalised(name: &str) -> String {
    let parts: Vec<_> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_lowercase()
}
