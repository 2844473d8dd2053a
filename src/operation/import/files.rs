//! Where the configurations of btca are, and what stands in them.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::environment::Environment;
use crate::error::{Error, Kind, Result};

/// The name of a project's file, and of the user's.
const NAME: &str = "btca.config.jsonc";
/// The user's file before it was called so. btca reads it only where there is no other.
const EARLIER: &str = "btca.json";
/// The directory of the user's file, below the home.
const DIRECTORY: &str = ".config/btca";

/// A file larger than this is not a configuration.
const LARGEST: u64 = 1024 * 1024;

/// The files that btca would read here, those that win first: the project's, which may lie in a parent of
/// the working directory, and the user's.
pub(super) fn find(environment: &Environment) -> Result<Vec<PathBuf>> {
    // A working directory that is gone has no project.
    let here = std::env::current_dir().ok();
    let project = here.as_deref().and_then(|here| first(here.ancestors().map(|place| place.join(NAME))));
    let directory = environment.home_directory().map(|home| home.join(DIRECTORY));
    let user = directory.as_deref().and_then(|place| first([place.join(NAME), place.join(EARLIER)]));
    let mut found: Vec<(PathBuf, (u64, u64))> = Vec::new();
    for (path, identity) in project.into_iter().chain(user) {
        if found.iter().all(|(_, other)| *other != identity) {
            found.push((path, identity));
        }
    }
    if !found.is_empty() {
        return Ok(found.into_iter().map(|(path, _)| path).collect());
    }
    let places = match &directory {
        Some(directory) => {
            format!("there is no {NAME} here or in a parent directory, nor in {}", directory.display())
        }
        None => format!("there is no {NAME} here or in a parent directory, and HOME is not set"),
    };
    Err(Error::new(Kind::NotFound, "find the configuration of btca", places).hint("give the file"))
}

/// The first of `paths` that is a file, and which one.
fn first(paths: impl IntoIterator<Item = PathBuf>) -> Option<(PathBuf, (u64, u64))> {
    paths.into_iter().find_map(|path| {
        let metadata = fs::metadata(&path).ok()?;
        metadata.is_file().then(|| (path, (metadata.dev(), metadata.ino())))
    })
}

/// The text of `file`.
pub(super) fn read(file: &Path) -> Result<String> {
    let failed = |error: std::io::Error| {
        let absent = error.kind() == std::io::ErrorKind::NotFound;
        match absent {
            true => Error::new(Kind::NotFound, format!("read {}", file.display()), "it does not exist"),
            false => Error::io("read", file, &error),
        }
    };
    let mut bytes = Vec::new();
    File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::new(
            Kind::TooLarge,
            format!("read {}", file.display()),
            "it is larger than 1 MiB",
        ));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::new(Kind::Invalid, format!("read {}", file.display()), "it is not UTF-8"))
}
