//! Which exact versions a project's lockfiles pin.
//!
//! [`read`] finds the lockfiles at the top of a directory and parses them; nothing is fetched, no
//! tool is run. Lockfiles are a stranger's text: sizes and depths are bounded, every name passes its
//! grammar (what does not is a [`Note`]), symlinks are followed only beneath the directory. May call
//! `error`, `redact`, `npmrc`, the table of mounts and parsers, nothing else of the crate. Fails if the directory cannot be
//! read; a lockfile that cannot, or is not of its format at all, is [`Broken`] and hides no other.

mod cargo;
mod file;
mod found;
mod grammar;
mod join;
mod latest;
mod names;
mod npm;
mod own;
mod pin;
mod pnpm;
mod python;
mod registries;
mod requirements;
mod syntax;
mod yarn;

pub use file::{MAX_FILE, Stamp};
pub use latest::{Index, Latest, Round};
pub use own::{Clients, Named, Own};
pub use pin::{Ecosystem, Local, Location, Note, Origin, Pin, Reach};
pub use registries::Registries;

use crate::error::{Error, Kind, Result};
use file::Root;
use found::Found;
use serde_json::Value;
use std::path::{Path, PathBuf};
use syntax::{json, last_yaml, toml, yaml};

/// What the lockfiles of one directory say.
#[derive(Clone, Debug)]
pub struct Project {
    /// The exact versions, in order of ecosystem, name and version.
    pub pins: Vec<Pin>,
    /// What lies on this disk.
    pub locals: Vec<Local>,
    /// What is not pinned or was not understood.
    pub notes: Vec<Note>,
    /// The lockfiles that were not read, whose pins are missing here.
    pub broken: Vec<Broken>,
    /// Where its own configuration says that packages come from.
    pub registries: Registries,
    /// What was read, to see cheaply whether it still holds.
    pub stamp: Stamp,
}

/// A lockfile that was not read. It hides nothing of the others, but what it pins is not known: a name
/// that is not found in its ecosystem may be in it.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The lockfile, relative to the project.
    pub lockfile: PathBuf,
    /// Whose packages it names.
    pub ecosystem: Ecosystem,
    /// Why, and what to do; names the file.
    pub error: Error,
}

/// The lockfiles in the order in which they are read, with the ecosystem and the tool that writes it.
const LOCKS: [(&str, Ecosystem, &str); 8] = [
    ("Cargo.lock", Ecosystem::Crates, "cargo"),
    ("npm-shrinkwrap.json", Ecosystem::Npm, "npm"),
    ("package-lock.json", Ecosystem::Npm, "npm"),
    ("pnpm-lock.yaml", Ecosystem::Npm, "pnpm"),
    ("yarn.lock", Ecosystem::Npm, "yarn"),
    ("uv.lock", Ecosystem::Pypi, "uv"),
    ("poetry.lock", Ecosystem::Pypi, "poetry"),
    ("Pipfile.lock", Ecosystem::Pypi, "pipenv"),
];

/// Reads every lockfile at the top of `dir`.
pub fn read(dir: &Path) -> Result<Project> {
    let mut root = Root::open(dir)?;
    let mut found = Found::default();
    let mut broken = Vec::new();
    let manifests = Manifests {
        package: manifest(&mut root, "package.json", json),
        pyproject: manifest(&mut root, "pyproject.toml", toml),
        pipfile: manifest(&mut root, "Pipfile", toml),
        cargo: manifest(&mut root, "Cargo.toml", toml),
        yarn: manifest(&mut root, registries::YARNRC, yaml),
    };
    let mut shrinkwrap = false;
    for (name, ecosystem, tool) in LOCKS {
        let lockfile = Path::new(name);
        // npm itself reads the shrinkwrap alone where both exist.
        if name == "package-lock.json" && shrinkwrap {
            root.pass(lockfile);
            continue;
        }
        let result = root.read(lockfile).and_then(|text| {
            let Some(text) = text else { return Ok(()) };
            shrinkwrap |= name == "npm-shrinkwrap.json";
            found.begin(lockfile);
            parse(name, &text, &manifests, &mut found).map_err(|why| not_one(dir, lockfile, tool, &why))
        });
        if let Err(error) = result {
            shrinkwrap |= name == "npm-shrinkwrap.json";
            broken.push(Broken { lockfile: lockfile.to_owned(), ecosystem, error });
        }
    }
    let top = root.requirements()?;
    for (lockfile, error) in requirements::read(&mut root, top, &mut found) {
        let error = error.unwrap_or_else(|why| not_one(dir, &lockfile, "pip", &why));
        broken.push(Broken { lockfile, ecosystem: Ecosystem::Pypi, error });
    }
    let Found { mut pins, locals, mut notes, berry, .. } = found;
    let mut registries = match root.read(Path::new(registries::FILE)) {
        Ok(text) => {
            let (registries, more) = Registries::read(&text.unwrap_or_default());
            notes.extend(more);
            registries
        }
        Err(error) => {
            log::warn!("{error}");
            Registries::default()
        }
    };
    registries.berry = berry;
    for pin in &mut pins {
        pin.hashes.sort();
        pin.hashes.dedup();
    }
    pins.sort_by(|a, b| (a.ecosystem, &a.name).cmp(&(b.ecosystem, &b.name)).then_with(|| names::older(a, b)));
    Ok(Project { pins: join::join(pins), locals, notes, broken, registries, stamp: root.stamp })
}

fn not_one(dir: &Path, lockfile: &Path, tool: &str, why: &str) -> Error {
    let what = format!("read {}", dir.join(lockfile).display());
    let why = format!("it is not what {tool} writes: {}", pin::shown(why));
    let hint = match why.contains(syntax::CONFLICT) {
        true => format!("finish the merge, then let {tool} write it again"),
        false => format!("let {tool} write it again"),
    };
    Error::new(Kind::Config, what, why).hint(hint)
}

/// What the root asks for, where its lockfile does not say.
struct Manifests {
    package: Value,
    pyproject: Value,
    pipfile: Value,
    cargo: Value,
    yarn: Value,
}

fn parse(name: &str, text: &str, manifests: &Manifests, found: &mut Found) -> Result<(), String> {
    syntax::sound(text)?;
    if name == "yarn.lock" && !text.starts_with("__metadata:") && !text.contains("\n__metadata:") {
        return yarn::classic(text, &manifests.package, found);
    }
    let lock = match name {
        "Cargo.lock" | "uv.lock" | "poetry.lock" => toml(text)?,
        "pnpm-lock.yaml" => last_yaml(text, "lockfileVersion")?,
        "yarn.lock" => yaml(text)?,
        _ => json(text)?,
    };
    if !lock.is_object() {
        return Err("a table is expected at its top".to_owned());
    }
    match name {
        "Cargo.lock" => cargo::parse(&lock, &manifests.cargo, found),
        "npm-shrinkwrap.json" | "package-lock.json" => npm::parse(&lock, &manifests.package, found),
        "pnpm-lock.yaml" => pnpm::parse(&lock, found),
        "yarn.lock" => yarn::berry(&lock, &manifests.package, &manifests.yarn, found),
        "uv.lock" => python::uv(&lock, found),
        "poetry.lock" => python::poetry(&lock, &manifests.pyproject, found),
        _ => python::pipfile(&lock, &manifests.pipfile, found),
    }
}

/// A manifest only says what the root asks for: one that cannot be read says nothing.
fn manifest(root: &mut Root, name: &str, parse: fn(&str) -> syntax::Parsed) -> Value {
    let text = root.read(Path::new(name)).ok().flatten();
    let text = text.filter(|text| syntax::sound(text).is_ok());
    text.and_then(|text| parse(&text).ok()).unwrap_or(Value::Null)
}
