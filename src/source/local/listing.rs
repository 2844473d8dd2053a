//! Which files of a directory are shown.
//!
//! In a work tree of git: what git lists, tracked files and untracked ones that are not ignored, with
//! those of its submodules and of repositories inside it. Elsewhere: everything but what version control
//! and builds keep there ([`built`]). In both, nothing that matches one of the resource's own globs.
//! Never anything called `.git`, and nothing behind the border of another file system: a mount inside it
//! may be ours.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::beneath::{Root, Sort, failed};
use crate::error::{Error, Kind, Result};
use crate::key::Directory;
use crate::source::Progress;
use crate::source::git::Git;

/// Deeper than any tree that is shown.
const DEEPEST: usize = 512;
/// How deep repositories may lie in one another.
const MOST_NESTED: usize = 16;

/// What is listed, relative to the directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files and symbolic links, and what may have become something else by now.
    pub(super) files: BTreeSet<PathBuf>,
    /// Directories that are shown although they may be empty.
    pub(super) directories: BTreeSet<PathBuf>,
}

/// Lists what is shown of `directory`, which is open as `root`.
pub(super) fn of(directory: &Directory, root: &Root, git: &Git, progress: &Progress) -> Result<Listing> {
    let mut lister =
        Lister { directory, root, git, progress, ignored: globs(directory)?, listing: Listing::default() };
    match work_tree(directory.path()) {
        Some(top) => lister.repository(&top, Path::new(""), MOST_NESTED)?,
        None => lister.walk(Path::new(""), DEEPEST)?,
    }
    Ok(lister.listing)
}

/// The top of the work tree that `path` lies in, if it lies in one.
fn work_tree(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|above| is_repository(above)).map(Path::to_owned)
}

/// Whether it is the top of a work tree: git takes a directory for one by these, or by a file that names
/// another place.
fn is_repository(path: &Path) -> bool {
    let git = path.join(".git");
    git.is_file() || (git.join("HEAD").is_file() && git.join("objects").is_dir())
}

struct Lister<'a> {
    directory: &'a Directory,
    root: &'a Root,
    git: &'a Git,
    progress: &'a Progress,
    ignored: Gitignore,
    listing: Listing,
}

impl Lister<'_> {
    /// Lists what git does of the repository whose work tree is `top`, below our directory `prefix`.
    fn repository(&mut self, top: &Path, prefix: &Path, nesting: usize) -> Result<()> {
        let place = self.directory.path().join(prefix);
        // Our directory may be the whole work tree, or lie in it.
        let inside = place.strip_prefix(top).unwrap_or(Path::new(""));
        for listed in self.git.work_tree_files(top, inside, self.progress)? {
            // A directory with a slash at its end is a repository of its own.
            let listed = listed.strip_suffix(b"/").unwrap_or(&listed);
            let listed = Path::new(OsStr::from_bytes(listed));
            let Ok(relative) = listed.strip_prefix(inside) else { continue };
            let path = prefix.join(relative);
            if !self.is_shown(&path) {
                continue;
            }
            match self.is_directory(&path) {
                false => {
                    self.listing.files.insert(path);
                }
                // A submodule or another repository inside this one.
                true if nesting > 0 && is_repository(&self.directory.path().join(&path)) => {
                    let top = self.directory.path().join(&path);
                    self.listing.directories.insert(path.clone());
                    self.repository(&top, &path, nesting - 1)?;
                }
                // A submodule that was not fetched.
                true => {
                    self.listing.directories.insert(path);
                }
            }
        }
        Ok(())
    }

    fn is_directory(&self, path: &Path) -> bool {
        let found = self.directory.path().join(path).symlink_metadata();
        found.is_ok_and(|found| found.is_dir())
    }

    /// Lists everything below `relative` but what is built.
    fn walk(&mut self, relative: &Path, depth: usize) -> Result<()> {
        if self.progress.is_cancelled() {
            let what = format!("list {}", self.directory);
            return Err(Error::new(Kind::Interrupted, what, "nobody waits for it any more"));
        }
        let place = self.directory.path().join(relative);
        if depth == 0 {
            let what = format!("list {}", place.display());
            return Err(Error::new(Kind::TooLarge, what, format!("it lies more than {DEEPEST} deep")));
        }
        let Some(open) = self.root.directory(relative)? else { return Ok(()) };
        let Some(again) = self.root.directory(relative)? else { return Ok(()) };
        let names = open.names().map_err(|errno| failed("list", &place, errno))?;
        for name in &names {
            let path = relative.join(name);
            let looked = again.look(name).map_err(|errno| failed("look at", &place.join(name), errno))?;
            let Some((sort, _)) = looked else { continue };
            if !self.is_shown(&path) {
                continue;
            }
            match sort {
                Sort::Directory if built(&place.join(name), name, &names) => {}
                Sort::Directory => {
                    if is_repository(&place.join(name)) {
                        self.listing.directories.insert(path.clone());
                        self.repository(&place.join(name), &path, MOST_NESTED)?;
                        continue;
                    }
                    self.listing.directories.insert(path.clone());
                    self.walk(&path, depth - 1)?;
                }
                _ => {
                    self.listing.files.insert(path);
                }
            }
        }
        Ok(())
    }

    /// Whether neither a glob nor its name keeps `path` out.
    fn is_shown(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        if let Some(why) = crate::store::name_refusal(name.as_bytes()) {
            if name != ".git" {
                log::warn!("{} is left out: {why}", self.directory.path().join(path).display());
            }
            return false;
        }
        if self.ignored.is_empty() {
            return true;
        }
        let is_directory = self.is_directory(path);
        !self.ignored.matched_path_or_any_parents(path, is_directory).is_ignore()
    }
}

/// The resource's own globs.
fn globs(directory: &Directory) -> Result<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    for glob in directory.ignore() {
        builder.add_line(None, glob).map_err(|error| {
            Error::new(Kind::Config, format!("read the glob {glob:?} of {directory}"), error.to_string())
                .hint("write it as in a .gitignore file, like *.log or target/")
        })?;
    }
    builder.build().map_err(|error| {
        Error::new(Kind::Config, format!("read the globs of {directory}"), error.to_string())
    })
}

/// Directories that hold what tools made or fetched, whatever lies beside them.
const MADE: &[&str] = &[
    ".bzr",
    ".direnv",
    ".eggs",
    ".gradle",
    ".hg",
    ".jj",
    ".mypy_cache",
    ".next",
    ".nox",
    ".nuxt",
    ".parcel-cache",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".terraform",
    ".tox",
    ".turbo",
    "__pycache__",
    "bower_components",
    "node_modules",
];

/// Directories that hold what is built if this lies beside them.
const BUILT: &[(&str, &[&str])] = &[
    ("target", &["Cargo.toml", "pom.xml", "build.sbt"]),
    ("build", &["build.gradle", "build.gradle.kts", "CMakeLists.txt", "setup.py", "pyproject.toml"]),
    ("dist", &["package.json", "setup.py", "pyproject.toml"]),
    ("_build", &["mix.exs", "dune-project", "rebar.config"]),
    ("vendor", &["composer.json", "Gemfile"]),
    ("dist-newstyle", &["cabal.project"]),
    (".stack-work", &["stack.yaml"]),
    ("zig-out", &["build.zig"]),
    (".zig-cache", &["build.zig"]),
];

/// Whether the directory at `path` holds what was built or fetched, and no source of its own: by its
/// name, by what lies beside it (`siblings`), or because it says so itself.
fn built(path: &Path, name: &OsStr, siblings: &[OsString]) -> bool {
    let beside = |file: &&str| siblings.iter().any(|sibling| sibling == file);
    MADE.iter().any(|made| name == *made)
        || BUILT.iter().any(|(built, by)| name == *built && by.iter().any(beside))
        // A virtual environment of Python.
        || path.join("pyvenv.cfg").is_file()
        || is_cache(path)
}

/// Whether a directory is marked as a cache: <https://bford.info/cachedir/>.
fn is_cache(path: &Path) -> bool {
    let signature = b"Signature: 8a477f597d28d172789f06886806bc55";
    let tag = path.join("CACHEDIR.TAG");
    // Not opened if it is anything but a small file: it might be a FIFO.
    let plausible = tag.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() < 1 << 16);
    plausible && std::fs::read(tag).is_ok_and(|content| content.starts_with(signature))
}
