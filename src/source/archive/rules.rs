//! What the client of each ecosystem does with an entry.
//!
//! Read from cargo's unpacking of registry sources, npm's pacote with node-tar, and pip's unpacking with
//! Python's tarfile and zipfile. Two differences are meant: all of them drop the leading slash or `..`
//! of some names and skip devices in some ways, and here such an archive is refused; and npm gives
//! `.gitignore` another name when it unpacks, which is not done here, because what was published is shown.

use super::compression::{self, Format};
use super::entry::{Entry, EntryKind};
use super::{failure, path};
use crate::error::Result;

/// The longest target of a symbolic link that a mount can show, PATH_MAX without its NUL.
const LONGEST_TARGET: usize = 4095;

/// Whose archive it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// An npm tarball. The first part of every name is taken off, whatever it is; links and empty
    /// directories are left out.
    Npm,
    /// A crate: everything lies in the one directory `top`, `<name>-<version>`. Links are refused.
    Crate {
        /// That directory.
        top: String,
    },
    /// A Python sdist, tar or zip. If everything lies in one directory, that is taken off. Links that
    /// stay inside are shown.
    Sdist,
    /// A Python wheel, a zip. Nothing is taken off; empty directories are left out.
    Wheel,
}

/// What becomes of an entry.
#[derive(Debug)]
pub(super) enum Verdict<'a> {
    /// It is shown under these names; none is the root itself.
    Show(Vec<&'a [u8]>),
    /// It is left out, and that is told.
    Skip(String),
    /// It says nothing.
    Ignore,
}

impl Rules {
    /// Fails for a format that the client does not take.
    pub(super) fn check(&self, format: Format) -> Result<()> {
        let (takes, what) = match self {
            Rules::Npm => (matches!(format, Format::Gzip | Format::Tar), "an npm package is a tar"),
            Rules::Crate { .. } => (format == Format::Gzip, "a crate is a tar in gzip"),
            Rules::Sdist => (true, ""),
            Rules::Wheel => (format == Format::Zip, "a wheel is a zip"),
        };
        match format {
            Format::Bzip2 | Format::Xz | Format::Other => Err(compression::unknown(format)),
            _ if takes => Ok(()),
            _ => Err(failure::refused_archive(format!("{what}, and this is another format"))),
        }
    }

    /// Whether what follows the first member of a gzip file belongs to it. For cargo it does not.
    pub(super) fn reads_all_members(&self) -> bool {
        !matches!(self, Rules::Crate { .. })
    }

    /// Whether the size of a directory means that so many bytes follow. Old packers wrote one that
    /// means nothing; node and Python know that, cargo's tar does not.
    pub(super) fn directory_sizes_count(&self) -> bool {
        matches!(self, Rules::Crate { .. })
    }

    /// Whether one directory around everything is taken off at the end.
    pub(super) fn strips_common_directory(&self) -> bool {
        matches!(self, Rules::Sdist)
    }

    /// Whether a file of this name tells about the package.
    pub(super) fn is_metadata(&self, parts: &[&[u8]]) -> bool {
        match (self, parts) {
            (Rules::Npm, [b"package.json"]) | (Rules::Crate { .. }, [b"Cargo.toml"]) => true,
            // The directory around everything is taken off at the end.
            (Rules::Sdist, [b"PKG-INFO"] | [_, b"PKG-INFO"]) => true,
            (Rules::Wheel, [directory, b"METADATA"]) => directory.ends_with(b".dist-info"),
            _ => false,
        }
    }

    /// What becomes of an entry; else why the archive is refused.
    pub(super) fn judge<'a>(&self, entry: &'a Entry) -> Result<Verdict<'a>, String> {
        let mut parts = path::parts(&entry.name)?;
        if let EntryKind::Special(what) = entry.kind {
            return Err(format!("it is {what}"));
        }
        if let Rules::Crate { top } = self
            && parts.first() != Some(&top.as_bytes())
        {
            return Err(format!("it does not lie in {top}/, as all of that crate must"));
        }
        // Above all else, because it is said even of entries that are left out.
        if let Some(why) = path::unshowable(&parts) {
            return Ok(Verdict::Skip(why.to_owned()));
        }
        if let Some(verdict) = self.judge_link(entry, &parts)? {
            return Ok(verdict);
        }
        match self {
            Rules::Npm => {
                // As node-tar counts: in `./a/b` the dot is the first.
                let counts_dot = entry.name.starts_with(b"./");
                if !counts_dot && !parts.is_empty() {
                    parts.remove(0);
                }
            }
            Rules::Crate { .. } => {
                if parts.last() == Some(&b".cargo-ok".as_slice()) {
                    return Ok(Verdict::Skip(
                        "cargo keeps that name for itself and leaves it out".to_owned(),
                    ));
                }
                parts.remove(0);
            }
            Rules::Sdist | Rules::Wheel => {}
        }
        let is_directory = matches!(entry.kind, EntryKind::Directory);
        match self {
            Rules::Npm | Rules::Wheel if is_directory => Ok(Verdict::Ignore),
            _ if is_directory || !parts.is_empty() => Ok(Verdict::Show(parts)),
            Rules::Npm => {
                Ok(Verdict::Skip("npm takes off the first part of a name, and it has one".to_owned()))
            }
            _ => Err("it has the name of the root".to_owned()),
        }
    }

    /// What becomes of an entry because it is a link; `None` if it is none or to be shown.
    fn judge_link<'a>(&self, entry: &Entry, parts: &[&[u8]]) -> Result<Option<Verdict<'a>>, String> {
        let skip = |why: String| Ok(Some(Verdict::Skip(why)));
        let (sort, target) = match &entry.kind {
            EntryKind::Symlink { target } => ("symbolic", target),
            EntryKind::HardLink { target } => ("hard", target),
            _ => return Ok(None),
        };
        let shown = failure::shown(target);
        match self {
            Rules::Crate { .. } => Err(format!("it is a {sort} link, which no crate may have")),
            Rules::Npm => skip(format!("npm unpacks no links; this {sort} one leads to {shown}")),
            Rules::Sdist | Rules::Wheel if target.is_empty() || target.contains(&0) => {
                Err(format!("it is a {sort} link to {shown}"))
            }
            Rules::Sdist | Rules::Wheel if sort == "hard" => Ok(None),
            Rules::Sdist | Rules::Wheel => {
                let from = parts.split_last().map_or([].as_slice(), |(_, from)| from);
                if !path::stays_inside(from, target) {
                    return skip(format!("it is a symbolic link out of the package, to {shown}"));
                }
                if target.len() > LONGEST_TARGET {
                    return skip("it is a symbolic link whose target is too long".to_owned());
                }
                Ok(None)
            }
        }
    }
}
