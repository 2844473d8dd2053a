//! What a lockfile pins: one exact version of one package, and where it comes from.
//!
//! Invariants: a [`Pin`]'s name has passed its ecosystem's grammar and its version is a version (or
//! a full commit id), so both may stand in a path. What did not pass is a [`Note`]. A [`Location`]
//! never shows its credentials by `Display` or `Debug`. Calls nothing but `redact`.

use std::fmt;
use std::path::PathBuf;

/// The family of lockfiles that a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    /// `package-lock.json`, `npm-shrinkwrap.json`, `pnpm-lock.yaml`, `yarn.lock`.
    Npm,
    /// `Cargo.lock`.
    Crates,
    /// `uv.lock`, `poetry.lock`, `Pipfile.lock`, `requirements*.txt`.
    Pypi,
}

impl Ecosystem {
    /// All of them, in order.
    pub const ALL: [Ecosystem; 3] = [Ecosystem::Npm, Ecosystem::Crates, Ecosystem::Pypi];

    /// The kind of the view under which its packages are shown.
    pub fn kind(self) -> &'static str {
        match self {
            Ecosystem::Npm => "npm",
            Ecosystem::Crates => "crates",
            Ecosystem::Pypi => "pypi",
        }
    }
}

/// The url that a lockfile gives. Shown without credentials and without query; whole only by
/// [`Location::reveal`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(String);

impl Location {
    /// `url`, as it is written.
    pub fn new(url: impl Into<String>) -> Self {
        Location(url.into())
    }

    /// The url as the lockfile has it, which may contain a password: for the connection only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Where the bytes of a pin come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A registry; `None` is the default one of the ecosystem, which a lockfile of npm, uv or Pipenv
    /// spells out.
    Registry {
        /// The url under which the registry answers, without the package.
        index: Option<Location>,
    },
    /// A commit of a repository.
    Git {
        /// What `git fetch` takes.
        url: Location,
        /// The whole id, 40 or 64 hex digits, in lower case.
        commit: String,
        /// The directory of the package in the repository, if it is not the top.
        subdirectory: Option<String>,
    },
    /// An archive at an address of its own.
    Archive {
        /// Where it is.
        url: Location,
    },
}

/// How near to the project's root a package is. Ordered: the nearer is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// A dependency of dependencies, or the lockfile does not say.
    Transitive,
    /// A member of the workspace names it.
    Member,
    /// The root names it.
    Root,
}

/// One exact version of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Whose grammar the name follows.
    pub ecosystem: Ecosystem,
    /// The name as its registry spells it (of PyPI: normalised); never an alias.
    pub name: String,
    /// The exact version; the commit id where a git dependency of an old npm lockfile has none.
    pub version: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The published hashes, any of which an archive may have: SRI (`sha512-...`) for npm,
    /// `sha256:<hex>` for the others. Empty if the lockfile has none.
    pub hashes: Vec<String>,
    /// Who asks for it.
    pub reach: Reach,
    /// For development only, as far as the lockfile or its manifest says (`Cargo.lock` does not).
    pub dev: bool,
    /// An optional dependency, as far as the lockfile or its manifest says.
    pub optional: bool,
    /// The other names under which npm's `npm:` aliases install it.
    pub aliases: Vec<String>,
    /// The lockfiles that pin it, relative to the project.
    pub lockfiles: Vec<PathBuf>,
}

/// A package that stands in the lockfile but lies on this disk: no pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Whose grammar the name follows.
    pub ecosystem: Ecosystem,
    /// Its name, as written.
    pub name: String,
    /// Where it lies, as the lockfile says, if it does. Unchecked: not a path to open.
    pub path: Option<String>,
    /// The lockfile, relative to the project.
    pub lockfile: PathBuf,
}

/// Something in a lockfile that is not pinned or was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The lockfile, relative to the project.
    pub lockfile: PathBuf,
    /// The line, where the format lets it be known.
    pub line: Option<usize>,
    /// The package it is about, if it is about one, made printable.
    pub package: Option<(Ecosystem, String)>,
    /// What it is about, made printable.
    pub what: String,
    /// Why there is no pin.
    pub why: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.lockfile.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: {}; {}", self.what, self.why, self.hint)
    }
}

/// `text` of a lockfile as a message may show it: no credentials, no control characters, not long.
pub(super) fn shown(text: &str) -> String {
    let text = crate::redact::redact(text);
    let text = match (text.contains("://"), text.find('?')) {
        (true, Some(query)) => format!("{}?***", &text[..query]),
        _ => text,
    };
    let mut out = String::new();
    for c in text.chars() {
        if out.len() > 200 {
            out.push_str("...");
            break;
        }
        // Bidi and zero-width characters deceive the reader of a message as controls do.
        let odd = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if odd { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}
