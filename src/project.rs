//! Which exact versions a project's lockfiles pin.
//!
//! [`read`] finds the lockfiles at the top of a directory and parses them; nothing is fetched, no
//! tool is run. Lockfiles are a stranger's text: sizes and depths are bounded, every name passes its
//! grammar (what does not is a [`Note`]), symlinks are followed only beneath the directory. May call
//! `error` and `redact` and parsers, nothing else of the crate. Fails if the directory or a file
//! cannot be read, or a file is not of its format at all.

mod cargo;
mod file;
mod found;
mod grammar;
mod npm;
mod pin;
mod pnpm;
mod python;
mod requirements;
mod yarn;

pub use file::{MAX_FILE, Stamp};
pub use pin::{Ecosystem, Local, Location, Note, Origin, Pin, Reach};

use crate::error::{Error, Kind, Result};
use file::Root;
use found::Found;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// How deep a YAML lockfile may nest; pnpm's has 6 levels. JSON and TOML have their parsers' limits.
const MAX_DEPTH: usize = 64;

/// What the lockfiles of one directory say.
#[derive(Clone, Debug)]
pub struct Project {
    /// The exact versions, in order of ecosystem, name and version.
    pub pins: Vec<Pin>,
    /// What lies on this disk.
    pub locals: Vec<Local>,
    /// What is not pinned or was not understood.
    pub notes: Vec<Note>,
    /// What was read, to see cheaply whether it still holds.
    pub stamp: Stamp,
}

impl Project {
    /// The names to show of an ecosystem, each with its pin: `name` if there is one version;
    /// `name@version` each if there are several, and the one nearest to the root also as `name`.
    pub fn names(&self, ecosystem: Ecosystem) -> BTreeMap<String, &Pin> {
        let mut groups: BTreeMap<&str, Vec<&Pin>> = BTreeMap::new();
        for pin in self.pins.iter().filter(|pin| pin.ecosystem == ecosystem) {
            groups.entry(&pin.name).or_default().push(pin);
        }
        let mut names = BTreeMap::new();
        for (name, pins) in groups {
            if let [only] = pins[..] {
                names.insert(name.to_owned(), only);
                continue;
            }
            for pin in &pins {
                // One version from two sources: the nearer to the root has the name.
                let shown = names.entry(format!("{name}@{}", pin.version)).or_insert(*pin);
                if pin.reach > shown.reach {
                    *shown = *pin;
                }
            }
            let near = pins.iter().filter(|pin| pin.reach > Reach::Transitive);
            // An alias is the root's other wish; of equals the last is the highest version.
            if let Some(pin) = near.max_by_key(|pin| (pin.reach, pin.aliases.is_empty())) {
                names.insert(name.to_owned(), pin);
            }
        }
        names
    }

    /// The pin of a shown name, in any spelling that the registry takes for the same; `name@version`
    /// also where there is but one version, and an alias of npm.
    pub fn find(&self, ecosystem: Ecosystem, name: &str) -> Option<&Pin> {
        let split = name.get(1..).and_then(|rest| rest.find('@')).map(|at| at + 1);
        let (bare, version) = split.map_or((name, None), |at| (&name[..at], Some(&name[at + 1..])));
        let bare = grammar::folded(ecosystem, bare);
        let mut pins: Vec<&Pin> = self.pins.iter().filter(|pin| pin.ecosystem == ecosystem).collect();
        if !pins.iter().any(|pin| grammar::folded(ecosystem, &pin.name) == bare) {
            return pins.into_iter().find(|pin| version.is_none() && pin.aliases.contains(&bare));
        }
        pins.retain(|pin| grammar::folded(ecosystem, &pin.name) == bare);
        match version {
            Some(version) => {
                pins.into_iter().filter(|pin| pin.version == version).max_by_key(|pin| pin.reach)
            }
            None => self.names(ecosystem).get(&pins.first()?.name).copied(),
        }
    }
}

/// Reads every lockfile at the top of `dir`.
pub fn read(dir: &Path) -> Result<Project> {
    let mut root = Root::open(dir)?;
    let mut found = Found::default();
    let json: fn(&str) -> Parsed = |text| serde_json::from_str(text).map_err(|error| error.to_string());
    let package = manifest(&mut root, "package.json", json);
    let pyproject = manifest(&mut root, "pyproject.toml", toml);
    let pipfile = manifest(&mut root, "Pipfile", toml);
    let crates = manifest(&mut root, "Cargo.toml", toml);
    let shrinkwrap = root.read(Path::new("npm-shrinkwrap.json"))?.is_some();
    let locks: [&str; 8] = [
        "Cargo.lock",
        "npm-shrinkwrap.json",
        "package-lock.json",
        "pnpm-lock.yaml",
        "yarn.lock",
        "uv.lock",
        "poetry.lock",
        "Pipfile.lock",
    ];
    for name in locks {
        let path = Path::new(name);
        let Some(text) = root.read(path)? else { continue };
        found.begin(path);
        let wrong = |why: String| {
            let why = format!("it is not the {name} that its tool writes: {}", pin::shown(&why));
            Error::new(Kind::Invalid, format!("read {}", dir.join(name).display()), why)
                .hint("write it again with its own tool")
        };
        let parse = match name {
            "Cargo.lock" | "uv.lock" | "poetry.lock" => toml,
            "pnpm-lock.yaml" | "yarn.lock" => yaml,
            _ => json,
        };
        if name == "yarn.lock" && !text.contains("\n__metadata:") {
            yarn::classic(&text, &package, &mut found).map_err(wrong)?;
            continue;
        }
        let lock = parse(&text).map_err(wrong)?;
        if !lock.is_object() {
            return Err(wrong("a table is expected at its top".to_owned()));
        }
        match name {
            "Cargo.lock" => cargo::parse(&lock, &crates, &mut found),
            // npm itself reads the shrinkwrap alone where both exist.
            "package-lock.json" if shrinkwrap => {}
            "npm-shrinkwrap.json" | "package-lock.json" => npm::parse(&lock, &package, &mut found),
            "pnpm-lock.yaml" => pnpm::parse(&lock, &mut found),
            "yarn.lock" => yarn::berry(&lock, &package, &mut found),
            "uv.lock" => python::uv(&lock, &mut found),
            "poetry.lock" => python::poetry(&lock, &pyproject, &mut found),
            _ => python::pipfile(&lock, &pipfile, &mut found),
        }
    }
    let top = root.requirements()?;
    requirements::read(&mut root, top, &mut found)?;
    let Found { mut pins, locals, notes, .. } = found;
    pins.sort_by(|a, b| (a.ecosystem, &a.name).cmp(&(b.ecosystem, &b.name)).then_with(|| older(a, b)));
    Ok(Project { pins, locals, notes, stamp: root.stamp })
}

fn older(a: &Pin, b: &Pin) -> std::cmp::Ordering {
    use pep508_rs::pep440_rs;
    match a.ecosystem {
        Ecosystem::Pypi => a.version.parse::<pep440_rs::Version>().ok().cmp(&b.version.parse().ok()),
        _ => a.version.parse::<cargo_lock::Version>().ok().cmp(&b.version.parse().ok()),
    }
    .then_with(|| a.origin.cmp(&b.origin))
}

type Parsed = std::result::Result<Value, String>;

/// A manifest only says what the root asks for: one that cannot be read says nothing.
fn manifest(root: &mut Root, name: &str, parse: fn(&str) -> Parsed) -> Value {
    let text = root.read(Path::new(name)).ok().flatten();
    text.and_then(|text| parse(&text).ok()).unwrap_or(Value::Null)
}

fn toml(text: &str) -> Parsed {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1));
        format!("{}{}", line.map_or(String::new(), |line| format!("line {line}: ")), error.message())
    })
}

fn yaml(text: &str) -> Parsed {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    // A lockfile of 30,000 packages has a million events; aliases have no place in one.
    if let Some(budget) = options.budget.as_mut() {
        (budget.max_depth, budget.max_events, budget.max_nodes) = (MAX_DEPTH, 16 << 20, 16 << 20);
        (budget.max_aliases, budget.max_anchors) = (16, 16);
        budget.max_total_scalar_bytes = MAX_FILE as usize;
    }
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}
