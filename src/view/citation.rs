//! Citations: where what stands in a tree is shown to people, by its revision and so for ever.
//!
//! The layouts are those of the forges' own "copy permalink" and of a click on a line number there. That
//! typeset files need `?plain=1` is documented by GitHub ("Creating a permanent link to a code snippet") and
//! GitLab ("Repository files"); `?display=source` is what Gitea's and Forgejo's button for it leads to. Where the forge is not known, or shows no
//! such page, a citation names source, revision and path, which no browser opens but everybody can follow.
//! For a directory of this machine that is its absolute path and the id of its tree; for a package its name,
//! version and path, the hash that its registry publishes of the archive, and that registry if it is not the user's own.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use crate::config::{Config, Forge};
use crate::key::{GitUrl, Key, Origin, Transport};
use crate::source::About;
use crate::store::Kind;

/// Lines of a file, counted from 1, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// The first.
    pub first: u64,
    /// The last; not before the first.
    pub last: u64,
}

impl Lines {
    /// With what stands before the first and before the last; the latter only if that is another line.
    fn written(self, first: &str, last: &str) -> String {
        match self.first == self.last {
            true => format!("{first}{}", self.first),
            false => format!("{first}{}{last}{}", self.first, self.last),
        }
    }
}

/// Of one revision, what it is cited by.
#[derive(Clone, Debug)]
pub struct Citation {
    /// The forge, and the address of the repository's own page.
    page: Option<(Forge, String)>,
    source: String,
    /// Of a package its registry, if that is not the user's own.
    registry: Option<String>,
    revision: String,
    /// The published hash of what is an archive.
    hash: Option<String>,
}

/// What of a revision is cited.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// Its path in the tree; empty for the root.
    pub path: &'p Path,
    /// What it is.
    pub kind: Kind,
    /// Which lines of it, if it is a file; none for all of it.
    pub lines: Option<Lines>,
}

impl Citation {
    /// Of a revision of `key`, whose host is what `config` says. Of a package there is something told, or
    /// at least was when it came.
    pub fn new(key: &Key, revision: &str, about: Option<&About>, config: &Config) -> Self {
        // Of all spellings of a package's name that of its registry.
        let spelled = about.map(|about| key.spelled(&about.name));
        let (page, source, registry) = match spelled.as_ref().unwrap_or(key).origin() {
            Origin::Git(url) => (paged(url, config), url.to_string(), None),
            Origin::Package(package) => (None, package.in_kind(), package.registry().map(str::to_owned)),
            // What is left out of it does not matter to whoever looks for a file.
            Origin::Local(directory) => (None, directory.path().display().to_string(), None),
        };
        // What its registry calls it leads everybody there.
        let revision = about.map_or(revision, |about| &about.version).to_owned();
        Citation { page, source, registry, revision, hash: about.map(|about| about.hash.clone()) }
    }

    /// A page of the forge that shows it. `None` where there is none: the host's layout is not known, or it
    /// is a submodule, whose files are another repository's.
    pub fn permalink(&self, place: Place<'_>) -> Option<String> {
        let (forge, page) = self.page.as_ref().filter(|_| place.kind != Kind::Submodule)?;
        let (revision, path) = (&self.revision, escaped(place.path));
        let root = place.path.as_os_str().is_empty();
        let view = if place.kind == Kind::Directory { "tree" } else { "blob" };
        let mut link = match forge {
            Forge::GitHub if root => format!("{page}/tree/{revision}"),
            Forge::GitHub => format!("{page}/{view}/{revision}/{path}"),
            Forge::GitLab if root => format!("{page}/-/tree/{revision}"),
            Forge::GitLab => format!("{page}/-/{view}/{revision}/{path}"),
            Forge::Gitea if root => format!("{page}/src/commit/{revision}"),
            Forge::Gitea => format!("{page}/src/commit/{revision}/{path}"),
            Forge::Bitbucket => format!("{page}/src/{revision}/{path}"),
            Forge::Sourcehut if root => format!("{page}/tree/{revision}"),
            Forge::Sourcehut => format!("{page}/tree/{revision}/item/{path}"),
            Forge::Cgit => format!("{page}/tree/{path}?id={revision}"),
        };
        if let Some(lines) = place.lines {
            // A page on which the file is typeset has no lines.
            let plain = match forge {
                Forge::GitHub | Forge::GitLab => "?plain=1",
                Forge::Gitea => "?display=source",
                Forge::Bitbucket | Forge::Sourcehut | Forge::Cgit => "",
            };
            if is_typeset(place.path) {
                link.push_str(plain);
            }
            link.push_str(&match forge {
                Forge::GitHub | Forge::Gitea => lines.written("#L", "-L"),
                Forge::GitLab | Forge::Sourcehut => lines.written("#L", "-"),
                Forge::Bitbucket => lines.written("#lines-", ":"),
                // It marks one line.
                Forge::Cgit => format!("#n{}", lines.first),
            });
        }
        Some(link)
    }

    /// A permalink, else source, revision and path, of a package also the hash of its archive, and its registry.
    pub fn of(&self, place: Place<'_>) -> String {
        self.permalink(place).unwrap_or_else(|| {
            let lines = place.lines.map_or_else(String::new, |lines| lines.written(":", "-"));
            let hash = self.hash.as_ref().map_or_else(String::new, |hash| format!(" {hash}"));
            let path = match place.path.as_os_str().is_empty() {
                true => String::new(),
                false => format!(":{}", place.path.display()),
            };
            // At the end: what is before an `@` in a url is somebody's name, and is not shown.
            let registry = self.registry.as_ref().map_or_else(String::new, |url| format!(" of {url}"));
            format!("{}@{}{path}{lines}{hash}{registry}", self.source, self.revision)
        })
    }
}

/// The forge that shows the repository at `url`, and where.
fn paged(url: &GitUrl, config: &Config) -> Option<(Forge, String)> {
    let forge = config.forge_of(url)?;
    Some((forge, page(forge, url)?))
}

/// The address of the page of the repository at `url`.
fn page(forge: Forge, url: &GitUrl) -> Option<String> {
    let (_, rest) = url.as_str().split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    let path = path.trim_end_matches('/');
    let path = match forge {
        // Its pages are below the address that is cloned.
        Forge::Cgit => path,
        _ => path.strip_suffix(".git").unwrap_or(path),
    };
    Some(match url.transport() {
        Transport::Https => format!("https://{}/{path}", url.authority()?),
        Transport::Http => format!("http://{}/{path}", url.authority()?),
        // A port is that of ssh.
        Transport::Ssh => format!("https://{}/{path}", url.host()?),
        Transport::File => return None,
    })
}

/// Whether forges show such a file typeset and not as it is written, judging as they do by its name.
fn is_typeset(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    matches!(
        extension.to_ascii_lowercase().as_str(),
        "md" | "markdown"
            | "mdown"
            | "mkd"
            | "mkdn"
            | "rst"
            | "adoc"
            | "asciidoc"
            | "asc"
            | "org"
            | "textile"
            | "creole"
            | "mediawiki"
            | "wiki"
            | "rdoc"
            | "pod"
            | "ipynb"
            | "svg"
            | "csv"
            | "tsv"
            | "geojson"
    )
}

/// A path as it stands in a url: everything but the unreserved characters of RFC 3986 and `/` escaped.
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(byte as char)
            }
            // Writing to a text cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

#[cfg(test)]
mod tests;
