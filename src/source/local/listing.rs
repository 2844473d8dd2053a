//! Which files of a directory are shown.
//!
//! In a work tree of git: what git lists, tracked files and untracked ones that are not ignored, with
//! those of its submodules and of repositories inside it. If git cannot list it, that is an error: to
//! show everything instead would show what the user ignores, such as secrets. Elsewhere: everything but
//! what version control and builds keep there (`built`). In both, nothing that matches one of the
//! resource's own globs, never anything called `.git`, and nothing behind a border ([`super::borders`]).
//!
//! What may not be listed is noted by its name, and makes the whole an error when everything has been
//! looked at ([`super::scan`]).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use nix::errno::Errno;

use super::beneath::{Below, Root, Sort, failed};
use super::borders::Borders;
use crate::error::{Error, Kind, Result};
use crate::key::Directory;
use crate::source::Progress;
use crate::source::git::{Git, WorkTree, WorkTreeEntry};

mod built;

/// Deeper than any tree that is shown.
const DEEPEST: usize = 512;
/// How deep repositories may lie in one another.
const MOST_NESTED: usize = 16;

/// What is listed, relative to the directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files and symbolic links, and what may have become something else by now; each once, those of one
    /// directory beside each other.
    pub(super) files: Vec<PathBuf>,
    /// Directories that are shown although they may be empty.
    pub(super) directories: Vec<PathBuf>,
    /// What may not be listed.
    pub(super) unreadable: Vec<PathBuf>,
}

/// Lists what is shown of `directory`, which is open as `root`.
pub(super) fn of(
    directory: &Directory,
    root: &Root,
    borders: &Borders,
    git: &Git,
    progress: &Progress,
) -> Result<Listing> {
    let (ignored, listing) = (globs(directory)?, Listing::default());
    let mut lister = Lister { root, borders, git, progress, ignored, listing };
    lister.list()?;
    let Listing { mut files, mut directories, mut unreadable } = lister.listing;
    let by_directory = |path: &PathBuf| {
        let bytes = path.as_os_str().as_bytes();
        bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0)
    };
    files.sort_unstable_by(|a, b| {
        let (at_a, at_b) = (by_directory(a), by_directory(b));
        let (a, b) = (a.as_os_str().as_bytes(), b.as_os_str().as_bytes());
        (&a[..at_a], &a[at_a..]).cmp(&(&b[..at_b], &b[at_b..]))
    });
    files.dedup();
    directories.sort_unstable();
    unreadable.sort_unstable();
    unreadable.dedup();
    Ok(Listing { files, directories, unreadable })
}

/// Whether `path` is the top of a work tree: git takes a directory for one by these, or by a file or a
/// link that names another place.
fn is_repository(path: &Path) -> bool {
    let git = path.join(".git");
    let is = |path: PathBuf| path.symlink_metadata().is_ok();
    match git.symlink_metadata() {
        Ok(found) if found.is_dir() => is(git.join("HEAD")) && is(git.join("objects")),
        Ok(found) => found.is_file() || found.is_symlink(),
        Err(_) => false,
    }
}

struct Lister<'a> {
    root: &'a Root,
    borders: &'a Borders,
    git: &'a Git,
    progress: &'a Progress,
    ignored: Gitignore,
    listing: Listing,
}

impl Lister<'_> {
    fn list(&mut self) -> Result<()> {
        let path = self.root.path();
        self.refuse_gits_own()?;
        let top = path.ancestors().find(|above| is_repository(above));
        let Some(top) = top else {
            self.refuse_bare()?;
            return self.walk(Path::new(""), DEEPEST);
        };
        let inside = path.strip_prefix(top).unwrap_or(Path::new(""));
        let listed = self.listed(top, inside)?;
        // What an outer repository leaves out as a whole is no part of it: somebody's home directory may
        // be a repository that ignores everything.
        if listed.entries.is_empty()
            && !inside.as_os_str().is_empty()
            && self.git.work_tree_ignores(top, inside, self.progress)?
        {
            return self.walk(Path::new(""), DEEPEST);
        }
        self.repository(listed, inside, Path::new(""), MOST_NESTED)
    }

    fn listed(&self, top: &Path, inside: &Path) -> Result<WorkTree> {
        self.git.work_tree(top, inside, &self.borders.patterns(top), self.progress)
    }

    /// Adds what git lists of a work tree, whose directory `inside` is our directory `prefix`.
    fn repository(&mut self, listed: WorkTree, inside: &Path, prefix: &Path, nesting: usize) -> Result<()> {
        let ours = |path: &[u8]| {
            let path = Path::new(OsStr::from_bytes(path));
            path.strip_prefix(inside).ok().map(|relative| prefix.join(relative))
        };
        for path in listed.unreadable.iter().filter_map(|path| ours(path)) {
            let is_directory = path.file_name() != Some(OsStr::new(".gitignore"));
            if self.is_shown(&path, is_directory) {
                self.listing.unreadable.push(path);
            }
        }
        for entry in listed.entries {
            match entry {
                WorkTreeEntry::File(path) => {
                    if let Some(path) = ours(&path)
                        && self.is_shown(&path, false)
                    {
                        self.listing.files.push(path);
                    }
                }
                WorkTreeEntry::Repository(path) => {
                    if let Some(path) = ours(&path)
                        && self.is_shown(&path, true)
                    {
                        self.nested(path, nesting)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds a submodule, or another repository inside one. One that was not fetched is an empty directory.
    fn nested(&mut self, path: PathBuf, nesting: usize) -> Result<()> {
        let top = self.root.path().join(&path);
        self.listing.directories.push(path.clone());
        if !is_repository(&top) {
            return Ok(());
        }
        if nesting == 0 {
            let why = format!("it lies in more than {MOST_NESTED} repositories");
            return Err(Error::new(Kind::TooLarge, format!("list {}", top.display()), why)
                .hint("leave it out with `ignore`"));
        }
        let listed = self.listed(&top, Path::new(""))?;
        self.repository(listed, Path::new(""), &path, nesting - 1)
    }

    /// Adds everything below `relative` but what is built.
    fn walk(&mut self, relative: &Path, depth: usize) -> Result<()> {
        if self.progress.is_cancelled() {
            let what = format!("list {}", self.root.path().display());
            return Err(Error::new(Kind::Interrupted, what, "nobody waits for it any more"));
        }
        if depth == 0 {
            let what = format!("list {}", self.root.path().join(relative).display());
            let error = Error::new(Kind::TooLarge, what, format!("it lies more than {DEEPEST} deep"));
            return Err(error.hint("leave it out with `ignore`"));
        }
        match self.root.directory(relative) {
            Ok(Some(open)) => self.walk_open(&open, relative, depth),
            Ok(None) => Ok(()),
            Err(error) => self.may_be_denied(relative, error),
        }
    }

    fn walk_open(&mut self, open: &Below, relative: &Path, depth: usize) -> Result<()> {
        let place = self.root.path().join(relative);
        let error = |verb: &str, path: &Path, errno: Errno| failed(verb, path, errno);
        let names = match open.names() {
            Ok(names) => names,
            Err(errno) => return self.may_be_denied(relative, error("list", &place, errno)),
        };
        for (name, sort) in &names {
            let path = relative.join(name);
            // Before it is looked at: see `borders`.
            if self.borders.keep_out(&place.join(name)) {
                continue;
            }
            let looked = match sort {
                Some(sort) => Ok(Some(*sort)),
                None => open.look(name).map(|looked| looked.map(|(sort, _)| sort)),
            };
            let sort = match looked {
                Ok(Some(sort)) => sort,
                Ok(None) => continue,
                Err(errno) => {
                    self.may_be_denied(&path, error("look at", &place.join(name), errno))?;
                    continue;
                }
            };
            let is_directory = sort == Sort::Directory;
            if !self.is_shown(&path, is_directory) {
                continue;
            }
            if !is_directory {
                self.listing.files.push(path);
            } else if is_repository(&place.join(name)) {
                self.nested(path, MOST_NESTED)?;
            } else if !built::is_built(self.root, &path, name, &names) {
                self.listing.directories.push(path.clone());
                self.walk(&path, depth - 1)?;
            }
        }
        Ok(())
    }

    /// Notes `path` if that is why; any other error is one.
    fn may_be_denied(&mut self, path: &Path, error: Error) -> Result<()> {
        if error.kind() != Kind::Denied {
            return Err(error);
        }
        self.listing.unreadable.push(path.to_owned());
        Ok(())
    }

    /// Whether no border, no glob and no name in it keeps `path` out.
    fn is_shown(&self, path: &Path, is_directory: bool) -> bool {
        let place = || self.root.path().join(path);
        for name in path.as_os_str().as_bytes().split(|byte| *byte == b'/') {
            if let Some(why) = crate::store::name_refusal(name) {
                if name != b".git" {
                    log::warn!("{} is left out: {why}", place().display());
                }
                return false;
            }
        }
        !self.borders.keep_out(&place())
            && (self.ignored.is_empty()
                || !self.ignored.matched_path_or_any_parents(path, is_directory).is_ignore())
    }

    /// What lies in a directory called `.git` is git's own, and git lists none of it.
    fn refuse_gits_own(&self) -> Result<()> {
        let path = self.root.path();
        let Some(own) = path.ancestors().find(|above| above.file_name() == Some(OsStr::new(".git"))) else {
            return Ok(());
        };
        let what = format!("list {}", path.display());
        let error = Error::new(Kind::Invalid, what, "it is, or lies in, a directory of git itself");
        let work_tree = own.parent().unwrap_or(Path::new("/"));
        Err(error.hint(format!("name the work tree: srcfs add NAME --path {}", work_tree.display())))
    }

    /// A bare repository has no files: what lies in it is git's own.
    fn refuse_bare(&self) -> Result<()> {
        let path = self.root.path();
        let has = |name: &str| path.join(name).symlink_metadata().is_ok();
        if !(has("HEAD") && has("objects") && has("refs")) {
            return Ok(());
        }
        let what = format!("list {}", path.display());
        let error = Error::new(Kind::Invalid, what, "it is a git repository without a work tree");
        Err(error.hint(format!("add it as a repository: srcfs add NAME file://{}", path.display())))
    }
}

/// The resource's own globs.
fn globs(directory: &Directory) -> Result<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    for glob in directory.ignore() {
        builder.add_line(None, glob).map_err(|error| {
            Error::new(Kind::Invalid, format!("read the glob {glob:?} of {directory}"), error.to_string())
                .hint("write it as in a .gitignore file, like *.log or target/")
        })?;
    }
    builder.build().map_err(|error| {
        Error::new(Kind::Invalid, format!("read the globs of {directory}"), error.to_string())
    })
}
