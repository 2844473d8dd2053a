//! Which files and variables cargo reads, and whose word counts first: a variable, the credentials, the
//! project, the directories above it from the nearest on, `CARGO_HOME`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::super::files::{Files, invalid};
use crate::config::variables::Variables;
use crate::error::Result;

/// A file may include others, and those again.
const DEEPEST_INCLUDE: usize = 8;

/// All that is set.
pub(super) struct Layers {
    environment: Vec<(String, String)>,
    /// The files, the first one counts most.
    files: Vec<(PathBuf, Table)>,
}

/// A value and where it stands. It may be a secret.
pub(super) struct Found {
    pub(super) text: String,
    pub(super) origin: String,
    /// Where a relative path begins.
    pub(super) base: PathBuf,
}

impl Layers {
    pub(super) fn read(variables: &Variables, project: Option<&Path>, files: &mut Files) -> Result<Layers> {
        let environment = variables.iter().filter(|(name, _)| name.starts_with("CARGO_"));
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut layers = Layers { environment, files: Vec::new() };
        let home = variables.absolute("CARGO_HOME").or_else(|| Some(variables.home()?.join(".cargo")));
        if let Some(home) = &home {
            layers.either(home, "credentials", files)?;
        }
        let above = project.into_iter().flat_map(Path::ancestors).map(|directory| directory.join(".cargo"));
        for directory in above.filter(|directory| Some(directory) != home.as_ref()) {
            layers.either(&directory, "config", files)?;
        }
        if let Some(home) = &home {
            layers.either(home, "config", files)?;
        }
        Ok(layers)
    }

    /// Reads `name` or `name.toml`. The one without an ending is the older, and cargo takes it if both are.
    fn either(&mut self, directory: &Path, name: &str, files: &mut Files) -> Result<()> {
        let old = directory.join(name);
        if !self.file(&old, 0, files)? {
            self.file(&directory.join(format!("{name}.toml")), 0, files)?;
        }
        Ok(())
    }

    fn file(&mut self, file: &Path, depth: usize, files: &mut Files) -> Result<bool> {
        let Some(text) = files.read(file)? else { return Ok(false) };
        let table: Table = toml::from_str(&text).map_err(|error: toml::de::Error| {
            // Only the message: what stands in the line may be a token.
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            invalid(file, format!("line {line} is not TOML: {}", error.message()))
                .hint("see https://toml.io for how it is written")
        })?;
        let included = included(file, &table)?;
        self.files.push((file.to_owned(), table));
        if !included.is_empty() && depth >= DEEPEST_INCLUDE {
            return Err(invalid(file, format!("files include each other more than {DEEPEST_INCLUDE} times"))
                .hint("take an include away"));
        }
        // The last one counts most.
        for (path, optional) in included.into_iter().rev() {
            if !self.file(&path, depth + 1, files)? && !optional {
                return Err(invalid(file, format!("it includes {}, which is not there", path.display()))
                    .hint("write that file, or take the include away"));
            }
        }
        Ok(true)
    }

    /// The text at `key`. What is no text there is an error.
    pub(super) fn get(&self, key: &[&str]) -> Result<Option<Found>> {
        if let Some((name, value)) = self.variable(key) {
            let origin = format!("{name} in the environment");
            return Ok(Some(Found { text: value.clone(), origin, base: PathBuf::from("/") }));
        }
        for (file, table) in &self.files {
            let Some(value) = lookup(table, key) else { continue };
            let name = key.join(".");
            let Value::String(text) = value else {
                return Err(invalid(file, format!("{name} is no text")).hint("write it in quotes"));
            };
            let origin = format!("{name} in {}", file.display());
            return Ok(Some(Found { text: text.clone(), origin, base: base(file) }));
        }
        Ok(None)
    }

    /// The variable that says what stands at `key`. Cargo has none for sources.
    fn variable(&self, key: &[&str]) -> Option<&(String, String)> {
        let wanted = format!("CARGO_{}", key.join("_")).replace(['-', '.'], "_").to_uppercase();
        self.environment.iter().find(|(name, _)| *name == wanted && key.first() != Some(&"source"))
    }

    /// Where `key` is set, whatever it holds.
    pub(super) fn origin_of(&self, key: &[&str]) -> Option<String> {
        if let Some((name, _)) = self.variable(key) {
            return Some(format!("{name} in the environment"));
        }
        let file = self.files.iter().find(|(_, table)| lookup(table, key).is_some());
        file.map(|(file, _)| format!("{} in {}", key.join("."), file.display()))
    }

    /// The names below `table` in the files, such as those of all registries.
    pub(super) fn names(&self, table: &str) -> BTreeSet<String> {
        let tables = self.files.iter().filter_map(|(_, file)| file.get(table)?.as_table());
        tables.flat_map(|table| table.keys().cloned()).collect()
    }

    /// The names of registries that only variables give an index, in lower case.
    pub(super) fn registries_of_variables(&self) -> impl Iterator<Item = String> {
        let name = |name: &str| {
            name.strip_prefix("CARGO_REGISTRIES_")?.strip_suffix("_INDEX").map(str::to_lowercase)
        };
        self.environment.iter().filter_map(move |(variable, _)| name(variable))
    }
}

fn lookup<'t>(table: &'t Table, key: &[&str]) -> Option<&'t Value> {
    let (last, parents) = key.split_last()?;
    let table = parents.iter().try_fold(table, |table, part| table.get(*part)?.as_table())?;
    table.get(*last)
}

/// Relative paths begin in the directory that holds `.cargo`.
fn base(file: &Path) -> PathBuf {
    file.ancestors().nth(2).unwrap_or(Path::new("/")).to_owned()
}

/// The files that `file` includes, and whether one may be missing.
fn included(file: &Path, table: &Table) -> Result<Vec<(PathBuf, bool)>> {
    let wrong = || {
        invalid(file, "include is neither a path nor a list of them").hint("write include = [\"other.toml\"]")
    };
    let beside = file.parent().unwrap_or(Path::new("/"));
    let one = |value: &Value| match value {
        Value::String(path) => Ok((beside.join(path), false)),
        Value::Table(table) => {
            let path = table.get("path").and_then(Value::as_str).ok_or_else(wrong)?;
            Ok((beside.join(path), table.get("optional").and_then(Value::as_bool).unwrap_or(false)))
        }
        _ => Err(wrong()),
    };
    match table.get("include") {
        None => Ok(Vec::new()),
        Some(Value::Array(all)) => all.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.files.iter().map(|(file, _)| file)).finish()
    }
}
