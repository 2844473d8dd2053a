//! Typed names: [`Key`] (a resource), [`Reference`] (what stands after `@`), [`GitUrl`].
//!
//! Everything that a user, a path in the mount or a file can name is parsed into one of these types
//! first. Nothing else of the text reaches a path, a process or the network, so what the grammar
//! refuses costs nothing.

use std::fmt;

use crate::error::{Error, Kind as ErrorKind, Result};

mod git_url;
mod reference;

pub use git_url::{GitUrl, Transport};
pub use reference::Reference;

/// The kind of a resource: the first component of its path in the mount and in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A git repository.
    Git,
}

impl Kind {
    /// Its name, as in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Git => "git",
        }
    }
}

/// One thing with source: its kind and normalised source. Two names of one source have equal keys
/// and so share mirror and locks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    kind: Kind,
    url: GitUrl,
}

impl Key {
    /// The key of a git repository.
    pub fn git(url: GitUrl) -> Self {
        Key { kind: Kind::Git, url }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The url it is fetched from.
    pub fn url(&self) -> &GitUrl {
        &self.url
    }

    /// Its place below a directory of mirrors: one path component, at most 200 bytes, the same for
    /// equal keys and different for different ones. Readable, and never `.`, `..` or hidden.
    pub fn file_name(&self) -> String {
        const LONGEST: usize = 200;
        let mut name = String::new();
        for byte in self.url.identity().bytes() {
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
        hash.update(self.kind.as_str());
        hash.update([0]);
        hash.update(self.url.identity());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.url.identity())
    }
}

/// Refuses text that no name may hold: control characters, and characters that make a name look
/// like another one (bidirectional overrides, zero-width characters).
pub(crate) fn refuse_invisible(what: &str, text: &str) -> Result<()> {
    let bad = text.chars().find(|c| {
        c.is_control()
            || matches!(*c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
    });
    match bad {
        Some(c) => Err(Error::new(
            ErrorKind::Invalid,
            format!("read {what} {text:?}"),
            format!("it holds the invisible character U+{:04X}", c as u32),
        )),
        None => Ok(()),
    }
}
