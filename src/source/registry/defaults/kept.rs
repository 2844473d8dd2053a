//! What a client said, kept in a file for the next process: to ask takes a third of a second.
//!
//! It holds for the file that was asked, told by its path, size and times. Whatever is wrong with what is
//! kept, the client is asked again.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Error, Result};
use crate::source::memory;

/// One answer, kept or to be kept.
pub(super) struct Kept {
    file: PathBuf,
    program: PathBuf,
    stamp: Option<Stamp>,
}

/// What differs when a program was replaced.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
}

#[derive(Serialize, Deserialize)]
struct Record {
    program: PathBuf,
    stamp: Stamp,
    registry: String,
}

impl Kept {
    pub(super) fn new(directory: &Path, client: &str, program: &Path) -> Kept {
        let stamp = |file: Metadata| Stamp { size: file.size(), modified: (file.mtime(), file.mtime_nsec()) };
        Kept {
            file: directory.join(format!("{client}.default")),
            program: program.to_owned(),
            stamp: std::fs::metadata(program).ok().map(stamp),
        }
    }

    pub(super) fn read(&self) -> Option<Url> {
        let record: Record = serde_json::from_slice(&memory::load(&self.file)?).ok()?;
        let is_same = record.program == self.program && Some(record.stamp) == self.stamp;
        if is_same { Url::parse(&record.registry).ok() } else { None }
    }

    /// Keeps `registry`, or leaves it: the next process asks again.
    pub(super) fn write(self, registry: &Url) {
        let Kept { file, program, stamp } = self;
        let Some(stamp) = stamp else { return };
        let record = Record { program, stamp, registry: registry.to_string() };
        if let Err(error) = replace(&file, &record) {
            log::debug!("what a client said is not kept: {error}");
        }
    }
}

fn replace(file: &Path, record: &Record) -> Result<()> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(directory).map_err(|error| Error::io("make", directory, &error))?;
    // Memory does not fail; and an empty file is no answer.
    memory::store(file, serde_json::to_vec(record).unwrap_or_default())
}
