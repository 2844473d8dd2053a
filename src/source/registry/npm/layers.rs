//! Which files and variables npm reads, and whose word counts first: the environment, the project, the
//! user, the machine, npm's own package.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::defaults;
use super::super::files::{Files, path};
use super::expand::expand;
use crate::config::variables::Variables;
use crate::error::Result;
use crate::npmrc;

/// The settings of one place.
pub(super) struct Layer {
    /// What a message calls it: a file, or the environment.
    origin: String,
    /// Where a relative path begins.
    pub(super) base: PathBuf,
    settings: BTreeMap<String, npmrc::Setting>,
}

/// A setting and where it stands. It may be a secret.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) values: &'a [String],
    pub(super) layer: &'a Layer,
    line: usize,
}

impl Found<'_> {
    /// Where it stands.
    pub(super) fn origin(&self, key: &str) -> String {
        match self.line {
            0 => format!("{key} in {}", self.layer.origin),
            line => format!("{key} in {}, line {line}", self.layer.origin),
        }
    }

    /// The value, unless it says that there is none.
    pub(super) fn text(&self) -> Option<&str> {
        let text = self.values.last()?.as_str();
        (!matches!(text, "" | "null" | "false" | "undefined")).then_some(text)
    }
}

/// All layers; the first that has a key decides.
pub(super) struct Layers(Vec<Layer>);

impl Layers {
    pub(super) fn read(variables: &Variables, project: Option<&Path>, files: &mut Files) -> Result<Layers> {
        let home = variables.home();
        let mut layers = Layers(vec![environment(variables)]);
        // Each may say where the next is.
        let project = project.map(|directory| project_file(directory, files));
        let user = |layers: &Layers| layers.path("userconfig", home.as_deref());
        let early = user(&layers).or_else(|| home.as_ref().map(|home| home.join(".npmrc")));
        if let Some(file) = project.filter(|file| Some(file) != early.as_ref()) {
            layers.file(&file, variables, files)?;
        }
        if let Some(file) = user(&layers).or_else(|| home.as_ref().map(|home| home.join(".npmrc"))) {
            layers.file(&file, variables, files)?;
        }
        let package = defaults::find("npm", variables).and_then(|npm| package_of(&npm));
        let own = package.map(|package| package.join("npmrc"));
        // npm's own package says where the machine's file is on some systems, but it counts last.
        let mut last = Layers(Vec::new());
        if let Some(file) = own {
            last.file(&file, variables, files)?;
        }
        let named = |key: &str| layers.path(key, home.as_deref()).or_else(|| last.path(key, home.as_deref()));
        let prefix = || named("prefix").or_else(|| prefix(variables));
        let global = named("globalconfig").or_else(|| Some(prefix()?.join("etc/npmrc")));
        if let Some(file) = global {
            layers.file(&file, variables, files)?;
        }
        layers.0.append(&mut last.0);
        Ok(layers)
    }

    fn file(&mut self, file: &Path, variables: &Variables, files: &mut Files) -> Result<()> {
        let Some(text) = files.read_lossy(file)? else { return Ok(()) };
        let expanded = npmrc::parse(&text).into_iter().map(|(key, mut setting)| {
            for value in &mut setting.values {
                *value = expand(value.trim(), variables);
            }
            (expand(&key, variables), setting)
        });
        self.0.push(Layer {
            origin: file.display().to_string(),
            base: file.parent().unwrap_or(Path::new("/")).to_owned(),
            settings: expanded.collect(),
        });
        Ok(())
    }

    pub(super) fn get(&self, key: &str) -> Option<Found<'_>> {
        self.0.iter().find_map(|layer| {
            let setting = layer.settings.get(key)?;
            Some(Found { values: &setting.values, layer, line: setting.line })
        })
    }

    /// Every key that is set anywhere.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|layer| layer.settings.keys().map(String::as_str))
    }

    /// The value of `key` as a path. npm takes a relative one from where it was started; here it is from
    /// where it stands, because a daemon was started nowhere in particular.
    pub(super) fn path(&self, key: &str, home: Option<&Path>) -> Option<PathBuf> {
        let found = self.get(key)?;
        Some(path(found.text()?, &found.layer.base, home))
    }
}

fn environment(variables: &Variables) -> Layer {
    const PREFIX: &str = "npm_config_";
    let mut settings = BTreeMap::new();
    for (name, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
        let Some((start, key)) = name.split_at_checked(PREFIX.len()) else { continue };
        if !start.eq_ignore_ascii_case(PREFIX) || key.is_empty() {
            continue;
        }
        let key = if key.starts_with("//") {
            key.to_owned()
        } else {
            // An underscore at the beginning is part of the name (`_auth`).
            let rest = key.char_indices().nth(1).map_or(key.len(), |(at, _)| at);
            format!("{}{}", &key[..rest], key[rest..].replace('_', "-")).to_lowercase()
        };
        let value = expand(value.trim(), variables);
        let values = value.split("\n\n").map(str::to_owned).collect();
        settings.insert(expand(&key, variables), npmrc::Setting { values, line: 0 });
    }
    Layer { origin: "the environment".to_owned(), base: PathBuf::from("/"), settings }
}

/// The `.npmrc` of the package that `directory` belongs to, as npm finds it, but for workspaces.
fn project_file(directory: &Path, files: &mut Files) -> PathBuf {
    let mut is_top = |directory: &&Path| {
        files.exists(&directory.join("package.json")) || files.exists(&directory.join("node_modules"))
    };
    let top = directory.ancestors().find(|directory| is_top(directory)).unwrap_or(directory);
    top.join(".npmrc")
}

/// The package of npm itself: `…/npm` of the `…/npm/bin/npm-cli.js` that `npm` is a link to.
fn package_of(npm: &Path) -> Option<PathBuf> {
    let script = real(npm)?;
    (script.file_name()? == "npm-cli.js").then(|| script.ancestors().nth(2).map(Path::to_owned))?
}

/// Where npm installs what is for all: beside the node that runs it, unless somebody says otherwise.
fn prefix(variables: &Variables) -> Option<PathBuf> {
    if let Some(prefix) = variables.absolute("PREFIX") {
        return Some(prefix);
    }
    let node = real(&defaults::find("node", variables)?)?;
    let prefix = node.ancestors().nth(2)?;
    Some(match variables.absolute("DESTDIR") {
        Some(root) => root.join(prefix.strip_prefix("/").unwrap_or(prefix)),
        None => prefix.to_owned(),
    })
}

/// `path` with all links followed.
fn real(path: &Path) -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "npm looks beside the file itself; nothing is deleted here")]
    std::fs::canonicalize(path).ok()
}
