//! Which files and variables pip reads, and whose word counts.
//!
//! Two orders play together, as in pip: of one option in one section the last file counts (machine, user,
//! virtual environment, `PIP_CONFIG_FILE`); then `[global]` gives way to the sections of commands, and all
//! of them to `PIP_…`. An empty value says nothing, but hides what other files say in the same section.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::files::{Files, invalid, path};
use super::ini;
use crate::config::variables::Variables;
use crate::error::Result;

/// The sections that count, the first one most. What is fetched is what `pip download` fetches.
const SECTIONS: [&str; 4] = [ENVIRONMENT, "download", "install", "global"];
/// No section can be called so.
const ENVIRONMENT: &str = "]";

/// All values, by section and name.
pub(super) struct Layers(BTreeMap<(String, String), Value>);

struct Value {
    text: String,
    origin: String,
    base: PathBuf,
}

/// A value and where it stands. It may be a secret.
pub(super) struct Found<'a> {
    pub(super) text: &'a str,
    pub(super) origin: String,
    /// Where a relative path begins.
    pub(super) base: &'a Path,
}

impl Layers {
    pub(super) fn read(etc: &Path, variables: &Variables, files: &mut Files) -> Result<Layers> {
        let mut layers = Layers(BTreeMap::new());
        for file in places(etc, variables, files) {
            layers.file(&file, files)?;
        }
        for (name, value) in variables.iter() {
            if let Some(option) = name.strip_prefix("PIP_") {
                let key = (ENVIRONMENT.to_owned(), normal(option));
                let origin = format!("{name} in the environment");
                layers.0.insert(key, Value { text: value.to_owned(), origin, base: PathBuf::from("/") });
            }
        }
        Ok(layers)
    }

    fn file(&mut self, file: &Path, files: &mut Files) -> Result<()> {
        let Some(text) = files.read(file)? else { return Ok(()) };
        let sections = ini::parse(&text).map_err(|wrong| {
            invalid(file, format!("line {} cannot be read: {}", wrong.line, wrong.why))
                .hint("correct the line; `python3 -m pip config list` says whether pip can read it")
        })?;
        for (section, values) in sections {
            for (name, value) in values {
                let origin = format!("{name} in {}, line {}", file.display(), value.line);
                let base = file.parent().unwrap_or(Path::new("/")).to_owned();
                let value = Value { text: value.text, origin, base };
                self.0.insert((section.clone(), normal(&name)), value);
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<Found<'_>> {
        SECTIONS.iter().find_map(|section| {
            let value = self.0.get(&((*section).to_owned(), name.to_owned()))?;
            let text = value.text.trim();
            let found = Found { text, origin: value.origin.clone(), base: &value.base };
            (!text.is_empty()).then_some(found)
        })
    }
}

/// The files in the order in which they are read: a later one counts more.
fn places(etc: &Path, variables: &Variables, files: &mut Files) -> Vec<PathBuf> {
    let home = variables.home();
    let named = variables.set("PIP_CONFIG_FILE").map(|file| path(file, Path::new("/"), home.as_deref()));
    if named.as_deref() == Some(Path::new("/dev/null")) {
        return Vec::new();
    }
    let machine = match variables.set("XDG_CONFIG_DIRS") {
        Some(directories) => std::env::split_paths(directories).collect(),
        None => vec![etc.join("xdg")],
    };
    let mut places: Vec<PathBuf> =
        machine.into_iter().map(|directory| directory.join("pip/pip.conf")).collect();
    places.push(etc.join("pip.conf"));
    // It takes the place of the user's own files.
    if !named.as_ref().is_some_and(|named| files.exists(named)) {
        places.extend(home.as_ref().map(|home| home.join(".pip/pip.conf")));
        let config = variables.absolute("XDG_CONFIG_HOME").or_else(|| Some(home?.join(".config")));
        places.extend(config.map(|config| config.join("pip/pip.conf")));
    }
    places.extend(variables.absolute("VIRTUAL_ENV").map(|environment| environment.join("pip.conf")));
    places.extend(named);
    places
}

/// The name of an option however it is spelled: `INDEX_URL`, `--index-url`, `index_url`.
fn normal(name: &str) -> String {
    let name = name.to_lowercase().replace('_', "-");
    name.strip_prefix("--").map(str::to_owned).unwrap_or(name)
}
