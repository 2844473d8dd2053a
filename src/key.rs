//! Typed names: [`Key`] (a resource), [`Reference`] (what stands after `@`), [`GitUrl`], [`Directory`].
//!
//! Everything that a user, a path in the mount or a file can name is parsed into one of these types
//! first. Nothing else of the text reaches a path, a process or the network, so what the grammar
//! refuses costs nothing.

use std::fmt;

use crate::error::{Error, Kind as ErrorKind, Result};

mod address;
mod directory;
mod git_url;
mod package;
mod reference;
mod wanted;

pub(crate) use address::is_private;
pub use directory::Directory;
pub use git_url::{GitUrl, Transport};
pub use package::Package;
pub use reference::Reference;
pub(crate) use wanted::{npm_range, npm_version, part_of};

/// The kind of a resource: the first component of its path in the mount and in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A git repository.
    Git,
    /// A package of npm.
    Npm,
    /// A crate.
    Crates,
    /// A project of the Python package index.
    Pypi,
    /// A directory of this machine.
    Local,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Git, Kind::Npm, Kind::Crates, Kind::Pypi, Kind::Local];

    /// Its name, as in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Git => "git",
            Kind::Npm => "npm",
            Kind::Crates => "crates",
            Kind::Pypi => "pypi",
            Kind::Local => "local",
        }
    }

    /// Whether resources of it are somewhere else, so that nobody can be asked for them offline.
    pub fn needs_network(self) -> bool {
        self != Kind::Local
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What stands after `@` of a resource of it; empty means the default.
    pub fn reference(self, text: &str) -> Result<Reference> {
        match self {
            Kind::Git => Reference::parse(text),
            kind @ (Kind::Npm | Kind::Crates | Kind::Pypi) => wanted::parse(kind, text),
            Kind::Local if text.is_empty() => Ok(Reference::Default),
            Kind::Local => Err(Error::new(
                ErrorKind::Invalid,
                format!("read the reference {text:?}"),
                "a directory has one state, the present one",
            )
            .hint("leave the reference out")),
        }
    }
}

/// Where a resource comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A git repository.
    Git(GitUrl),
    /// A package of a registry.
    Package(Package),
    /// A directory of this machine.
    Local(Directory),
}

/// One thing with source: its kind and normalised source. Two names of one source have equal keys
/// and so share mirror and locks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Origin);

impl Key {
    /// The key of a git repository.
    pub fn git(url: GitUrl) -> Self {
        Key(Origin::Git(url))
    }

    /// The key of a package.
    pub fn package(package: Package) -> Self {
        Key(Origin::Package(package))
    }

    /// The key of a directory.
    pub fn local(directory: Directory) -> Self {
        Key(Origin::Local(directory))
    }

    /// The key of that kind and source, as records have them.
    ///
    /// Fails with [`ErrorKind::Unsupported`] for a kind that this version does not know, and with
    /// [`ErrorKind::Invalid`] for a source that it does not understand.
    pub fn parse(kind: &str, source: &str) -> Result<Self> {
        match Kind::parse(kind) {
            Some(Kind::Git) => GitUrl::parse(source).map(Key::git),
            Some(Kind::Local) => Directory::parse(source).map(Key::local),
            Some(kind @ (Kind::Npm | Kind::Crates | Kind::Pypi)) => {
                let package = Package::parse(source)?;
                if package.kind() != kind {
                    let what = format!("read the name of {source}");
                    return Err(Error::new(ErrorKind::Invalid, what, format!("it is no {}", kind.as_str())));
                }
                Ok(Key::package(package))
            }
            None => {
                let what = format!("read the name of {source}");
                Err(Error::new(ErrorKind::Unsupported, what, format!("the kind {kind:?} is not known")))
            }
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Origin::Git(_) => Kind::Git,
            Origin::Package(package) => package.kind(),
            Origin::Local(_) => Kind::Local,
        }
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.0
    }

    /// The same key, with its name spelled as its registry does; itself if `name` is another one.
    pub fn spelled(&self, name: &str) -> Key {
        match &self.0 {
            Origin::Package(package) => match package.spelled(name) {
                Some(spelled) => Key::package(spelled),
                None => self.clone(),
            },
            Origin::Git(_) | Origin::Local(_) => self.clone(),
        }
    }

    /// The url it is fetched from, if it is a git repository.
    pub fn git_url(&self) -> Option<&GitUrl> {
        match &self.0 {
            Origin::Git(url) => Some(url),
            Origin::Package(_) | Origin::Local(_) => None,
        }
    }

    /// Its source as a url, for people and for records: with the kind it leads back to the key.
    pub fn source(&self) -> &str {
        match &self.0 {
            Origin::Git(url) => url.as_str(),
            Origin::Package(package) => package.as_str(),
            Origin::Local(directory) => directory.as_str(),
        }
    }

    /// The key with `what` after an `@`, for people. A registry that is named stands behind that: what is before an `@`
    /// in a url is somebody's name, and is not shown.
    pub fn at(&self, what: impl fmt::Display) -> String {
        match &self.0 {
            Origin::Package(package) => match package.registry() {
                Some(registry) => format!("{}@{what} of {registry}", package.in_kind()),
                None => format!("{package}@{what}"),
            },
            Origin::Git(_) | Origin::Local(_) => format!("{self}@{what}"),
        }
    }

    /// What stands after `@`, as this kind writes it; empty means the default.
    pub fn reference(&self, text: &str) -> Result<Reference> {
        self.kind().reference(text)
    }

    /// The same for what stands in a path; see [`Reference::parse_path`].
    pub fn reference_in_path(&self, text: &str) -> Result<Reference> {
        match self.kind() {
            Kind::Git => Reference::parse_path(text),
            _ => self.reference(&reference::decoded(text)?),
        }
    }

    /// Equal for equal keys of a kind, and different for different ones.
    pub fn identity(&self) -> &str {
        match &self.0 {
            Origin::Git(url) => url.identity(),
            Origin::Package(package) => package.identity(),
            Origin::Local(directory) => directory.as_str(),
        }
    }

    /// Its place below a directory of mirrors: one path component, at most 200 bytes, the same for
    /// equal keys and different for different ones. Readable, and never `.`, `..` or hidden.
    pub fn file_name(&self) -> String {
        const LONGEST: usize = 200;
        let mut name = String::new();
        for byte in self.identity().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte as char),
                b'.' if !name.is_empty() => name.push('.'),
                _ => name.push_str(&format!("%{byte:02X}")),
            }
        }
        if name.len() > LONGEST {
            let digest = self.digest();
            name.truncate(LONGEST - 1 - 32);
            name.push('~');
            name.push_str(&digest[..32]);
        }
        name
    }

    /// A hash of kind and source in hex, for names of lock files.
    pub fn digest(&self) -> String {
        use sha2::Digest;
        let mut hash = sha2::Sha256::new();
        hash.update(self.kind().as_str());
        hash.update([0]);
        hash.update(self.identity());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::Git(url) => write!(f, "{}/{}", self.kind().as_str(), url.identity()),
            Origin::Package(package) => write!(f, "{package}"),
            Origin::Local(directory) => write!(f, "{}:{directory}", self.kind().as_str()),
        }
    }
}

/// Refuses text that no name may hold: control characters, and characters that make a name look
/// like another one (bidirectional overrides, zero-width characters).
pub(crate) fn refuse_invisible(what: &str, text: &str) -> Result<()> {
    let bad = text.chars().find(|c| c.is_control() || is_invisible(*c));
    match bad {
        Some(c) => Err(Error::new(
            ErrorKind::Invalid,
            format!("read {what} {text:?}"),
            format!("it holds the invisible character U+{:04X}", c as u32),
        )),
        None => Ok(()),
    }
}

/// Whether a character that is no control character makes a text look like another one.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
}
