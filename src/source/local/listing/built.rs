//! Directories that hold what was built or fetched, and no source of their own: left out where no
//! repository says what is ignored.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;

use super::super::beneath::{Below, Root, Sort};

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

/// What marks a directory as a cache: <https://bford.info/cachedir/>.
const CACHE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Whether the directory at `path` is one: by its name, by what lies beside it (`siblings`), or because
/// it says so itself.
pub(super) fn is_built(
    root: &Root,
    path: &Path,
    name: &OsStr,
    siblings: &[(OsString, Option<Sort>)],
) -> bool {
    let beside = |file: &&str| siblings.iter().any(|(sibling, _)| sibling == file);
    if MADE.iter().any(|made| name == *made)
        || BUILT.iter().any(|(built, by)| name == *built && by.iter().any(beside))
    {
        return true;
    }
    // One that cannot be opened is no cache as far as anybody knows.
    let Ok(Some(inside)) = root.directory(path) else { return false };
    is_virtual_environment(&inside) || is_cache(&inside)
}

/// Of Python.
fn is_virtual_environment(inside: &Below) -> bool {
    matches!(inside.look(OsStr::new("pyvenv.cfg")), Ok(Some(_)))
}

fn is_cache(inside: &Below) -> bool {
    let Ok(Some((tag, _))) = inside.file(OsStr::new("CACHEDIR.TAG")) else { return false };
    let mut begin = Vec::new();
    tag.take(CACHE.len() as u64).read_to_end(&mut begin).is_ok() && begin == CACHE
}
