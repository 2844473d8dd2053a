//! A project whose lockfiles say what is shown: what may stand in a `[[project]]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::resource::check_name_segment;
use crate::error::{Error, Kind, Result};
use crate::project::Latest;

/// A project under a name of its own, shown as `projects/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its name: one component.
    pub name: String,
    /// Its directory, absolute.
    pub path: PathBuf,
    /// What it pins.
    pub pins: Arc<Latest>,
}

impl Project {
    /// Fails with [`Kind::Invalid`] for a name that no directory of the mount could have, and for a path that is
    /// not absolute and plain.
    pub fn new(name: &str, path: &Path) -> Result<Self> {
        check_name_segment(name).map_err(|why| {
            Error::new(Kind::Invalid, format!("read the project name {name:?}"), why)
                .hint("use letters, digits and . - _")
        })?;
        // As for a directory of source.
        crate::key::Directory::new(path, [])?;
        let pins = Arc::new(Latest::new(path));
        Ok(Project { name: name.to_owned(), path: path.to_owned(), pins })
    }
}
