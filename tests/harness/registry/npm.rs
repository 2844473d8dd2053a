//! npm: packuments and their archives.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::packing::{self, PUBLISHED};
use super::{Hashes, Shared, files_in};

/// What of a version stands in an abbreviated packument.
const ABBREVIATED: [&str; 16] = [
    "name",
    "version",
    "dependencies",
    "optionalDependencies",
    "devDependencies",
    "peerDependencies",
    "bundleDependencies",
    "bin",
    "directories",
    "dist",
    "engines",
    "cpu",
    "os",
    "deprecated",
    "hasInstallScript",
    "funding",
];

/// A package, to publish versions of it. What is said after a version is about that version.
pub struct Npm<'r> {
    shared: &'r Shared,
    name: String,
}

#[derive(Default)]
pub(super) struct Package {
    /// Of the packument, beside what is computed.
    document: Map<String, Value>,
    tags: BTreeMap<String, String>,
    /// In the order in which they were published.
    versions: Vec<Version>,
}

struct Version {
    version: String,
    manifest: Value,
    published: Option<String>,
    file: String,
    archive: Vec<u8>,
}

impl<'r> Npm<'r> {
    pub(super) fn new(shared: &'r Shared, name: &str) -> Self {
        Npm { shared, name: name.to_owned() }
    }

    /// Publishes a version of these files, below `package/`. A `package.json` is added if there is none.
    pub fn version<C: AsRef<[u8]>>(self, version: &str, files: &[(&str, C)]) -> Self {
        let manifest = json!({ "name": self.name, "version": version, "license": "MIT" });
        let files = packing::below("package/", files, ("package.json", format!("{manifest:#}\n")));
        self.archive(version, packing::tgz(&files))
    }

    /// Publishes a version whose archive is these bytes.
    pub fn archive(self, version: &str, archive: Vec<u8>) -> Self {
        // A version may be named to do harm; the server's own paths stay what they are.
        let base = self.name.rsplit('/').next().unwrap_or_default();
        let file = format!("{base}-{}.tgz", version.replace('/', "_"));
        let manifest = json!({
            "name": self.name,
            "version": version,
            "license": "MIT",
            "_id": format!("{}@{version}", self.name),
            "dist": {
                "integrity": packing::integrity(&archive),
                "shasum": packing::sha1(&archive),
                "tarball": format!("{{registry}}/npm/{}/-/{file}", self.name),
            },
        });
        self.edit(|package| {
            package.versions.retain(|other| other.version != version);
            let (version, published) = (version.to_owned(), Some(PUBLISHED.to_owned()));
            package.versions.push(Version { version, manifest, published, file, archive });
        })
    }

    /// Sets a dist-tag. Without `latest` the newest version that is no prerelease has it.
    pub fn tag(self, tag: &str, version: &str) -> Self {
        self.edit(|package| drop(package.tags.insert(tag.to_owned(), version.to_owned())))
    }

    /// The version is deprecated, and why.
    pub fn deprecated(self, why: &str) -> Self {
        self.metadata(|manifest| manifest["deprecated"] = why.into())
    }

    /// When the version was published (`2020-01-01T00:00:00.000Z`); none: the packument does not say.
    pub fn published(self, time: Option<&str>) -> Self {
        self.last(|version| version.published = time.map(str::to_owned))
    }

    /// Which hashes the metadata names.
    pub fn hashes(self, hashes: Hashes) -> Self {
        self.metadata(|manifest| {
            let dist = manifest["dist"].as_object_mut().unwrap();
            if hashes != Hashes::Strong {
                dist.remove("integrity");
            }
            if hashes == Hashes::None {
                dist.remove("shasum");
            }
        })
    }

    /// The metadata says that the archive is at this base (`http://127.0.0.2:1234`), by the same path.
    pub fn elsewhere(self, base: &str) -> Self {
        self.metadata(|manifest| {
            let here = manifest["dist"]["tarball"].as_str().unwrap();
            manifest["dist"]["tarball"] = here.replace("{registry}", base).into();
        })
    }

    /// Hands out these bytes in place of the archive whose hashes the metadata names.
    pub fn forged(self, archive: Vec<u8>) -> Self {
        self.last(|version| version.archive = archive)
    }

    /// Changes what the packument says of the version. `{registry}` stands for the server.
    pub fn metadata(self, change: impl FnOnce(&mut Value)) -> Self {
        self.last(|version| change(&mut version.manifest))
    }

    /// Changes what the packument says of the package: `description`, `repository`.
    pub fn document(self, change: impl FnOnce(&mut Map<String, Value>)) -> Self {
        self.edit(|package| change(&mut package.document))
    }

    /// Takes a version away: its metadata and its archive. Its time stays in the packument, as at npm.
    pub fn unpublished(self, version: &str) -> Self {
        self.edit(|package| {
            package.versions.retain(|other| other.version != version);
            package.tags.retain(|_, tagged| tagged != version);
            let time = package.document.entry("time").or_insert_with(|| json!({}));
            time[version] = PUBLISHED.into();
        })
    }

    /// The archive of a version, as it is handed out.
    pub fn bytes(&self, version: &str) -> Vec<u8> {
        let state = self.shared.state();
        let mut versions = state.npm[&self.name].versions.iter();
        versions.find(|one| one.version == version).unwrap().archive.clone()
    }

    fn last(self, change: impl FnOnce(&mut Version)) -> Self {
        self.edit(|package| change(package.versions.last_mut().expect("a version was published")))
    }

    fn edit(self, change: impl FnOnce(&mut Package)) -> Self {
        change(self.shared.state().npm.entry(self.name.clone()).or_default());
        self
    }
}

impl Package {
    pub(super) fn recorded(directory: &Path) -> Self {
        let mut files = files_in(directory);
        let mut document: Map<String, Value> = serde_json::from_slice(&files["packument.json"]).unwrap();
        let times = document.remove("time").unwrap_or_default();
        let tags = serde_json::from_value(document.remove("dist-tags").unwrap()).unwrap();
        let Some(Value::Object(manifests)) = document.remove("versions") else { panic!("no versions") };
        let version = |(version, manifest): (String, Value)| {
            let file = manifest["dist"]["tarball"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let archive = files.remove(&file).unwrap();
            let published = times[&version].as_str().map(str::to_owned);
            Version { version, manifest, published, file, archive }
        };
        let versions = manifests.into_iter().map(version).collect();
        Package { document, tags, versions }
    }

    /// The packument of the package called `name`.
    pub(super) fn packument(&self, name: &str, abbreviated: bool) -> Value {
        let mut tags = self.tags.clone();
        let latest = self.versions.iter().rfind(|one| !one.version.contains('-')).or(self.versions.last());
        if let Some(latest) = latest {
            tags.entry("latest".to_owned()).or_insert_with(|| latest.version.clone());
        }
        let manifest = |one: &Version| {
            let mut manifest = one.manifest.clone();
            if abbreviated {
                let fields = manifest.as_object_mut().unwrap();
                fields.retain(|field, _| ABBREVIATED.contains(&field.as_str()));
            }
            (one.version.clone(), manifest)
        };
        let versions: Map<String, Value> = self.versions.iter().map(manifest).collect();
        let mut document = json!({ "name": name, "dist-tags": tags, "versions": versions });
        if abbreviated {
            document["modified"] = PUBLISHED.into();
            return document;
        }
        document["_id"] = name.into();
        for (field, value) in &self.document {
            document[field] = value.clone();
        }
        for one in &self.versions {
            if let Some(time) = &one.published {
                document["time"]["modified"] = PUBLISHED.into();
                document["time"][&one.version] = time.as_str().into();
            }
        }
        document
    }

    pub(super) fn archive(&self, file: &str) -> Option<&[u8]> {
        self.versions.iter().find(|one| one.file == file).map(|one| one.archive.as_slice())
    }
}
