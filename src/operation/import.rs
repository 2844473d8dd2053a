//! Brings the resources of btca into the configuration.
//!
//! First each is judged alone: it can be added, is there already, another has its name, or why it cannot
//! be. Then all that can be are added in one edit, which is made as a whole or not at all. Nobody is asked
//! whether they exist, unless that is wished.
//!
//! Of several files the first that has a name wins it, as btca's project file wins over the user's.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::barrier::{self, Unanswered};
use super::{Context, Failure, Watch, mounts};
use crate::config::{Config, check_name, edit, nearest};
use crate::error::{Error, Kind, Result};
use btca::Entry;
use judge::Judge;

mod btca;
mod files;
mod judge;
mod naming;
mod subpaths;

/// What is wished.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The files, those that win first; those that btca would read here, if there are none.
    pub files: &'a [PathBuf],
    /// Names of btca, and what is to be called otherwise here.
    pub renames: &'a [(String, String)],
    /// Ask whether they exist.
    pub check: bool,
    /// Change nothing.
    pub dry_run: bool,
}

/// What became of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was added; of a dry run: it would be.
    Added,
    /// It is configured already, and is the same.
    Present,
    /// A file that wins has its name.
    Overridden,
    /// Something else is configured by its name, or in its place.
    Conflict,
    /// It cannot be brought over.
    Failed,
}

/// One resource of btca.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// Its name here, or the one that it should have.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The file that has it.
    pub from: PathBuf,
    /// Where in that.
    pub line: usize,
    /// Where it comes from, as a url.
    pub url: Option<String>,
    /// The reference; empty for the default.
    pub reference: String,
    /// The only paths that it shows; all if empty.
    pub subpaths: Vec<String>,
    /// The revision that it shows, if that was checked.
    pub revision: Option<String>,
    /// What was understood in another way than it stands there.
    pub remarks: Vec<String>,
    /// What of it did not come along, and why.
    pub left_out: Vec<String>,
    /// Why it was not added.
    pub error: Option<Failure>,
}

/// What came of an import.
#[derive(Clone, Debug, Serialize)]
pub struct ImportReport {
    /// The configuration.
    pub file: PathBuf,
    /// The files that were read.
    pub from: Vec<PathBuf>,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// Whether what was added is known to exist.
    pub checked: bool,
    /// In the order of the files.
    pub resources: Vec<Imported>,
    /// Mounts that have not noticed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

impl ImportReport {
    /// How many had that outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.resources.iter().filter(|imported| imported.outcome == outcome).count()
    }

    /// Whether all of it came over.
    pub fn complete(&self) -> bool {
        let whole = |imported: &Imported| {
            imported.left_out.is_empty() && !matches!(imported.outcome, Outcome::Conflict | Outcome::Failed)
        };
        self.resources.iter().all(whole)
    }
}

/// Imports into `file`.
pub fn import(context: &Context, file: &Path, wish: &Wish<'_>, watch: Watch<'_>) -> Result<ImportReport> {
    let from = match wish.files {
        [] => files::find(&context.environment)?,
        given => given.to_vec(),
    };
    let entries = entries(&from)?;
    known(wish.renames, &entries)?;
    let mut config = context.config.clone();
    let (resources, unanswered) = loop {
        let mut judge = Judge::new(context, wish, config.clone());
        let judged = entries.iter().map(|(from, entry)| judge.judge(from, entry, watch)).collect();
        let additions = judge.additions();
        if wish.dry_run || additions.is_empty() {
            break (judged, Vec::new());
        }
        match edit::add_all(file, &additions) {
            Ok(_) => break (judged, barrier::raise(&mounts::of_cache(context.cache.id())?)),
            // Somebody else may have added to it meanwhile. Then that is what counts.
            Err(error) => {
                let now = Config::load(file)?;
                if now.resources == config.resources {
                    return Err(error);
                }
                config = now;
            }
        }
    };
    let (dry_run, checked) = (wish.dry_run, wish.check);
    Ok(ImportReport { file: file.to_owned(), from, dry_run, checked, resources, unanswered })
}

fn entries(from: &[PathBuf]) -> Result<Vec<(PathBuf, Entry)>> {
    let mut all = Vec::new();
    for file in from {
        let text = files::read(file)?;
        let entries = btca::parse(&text).map_err(|error| error.during(file.display()))?;
        all.extend(entries.into_iter().map(|entry| (file.clone(), entry)));
    }
    Ok(all)
}

/// Refuses a new name for what is not there.
fn known(renames: &[(String, String)], entries: &[(PathBuf, Entry)]) -> Result<()> {
    let names: Vec<&str> = entries.iter().filter_map(|(_, entry)| entry.name.as_deref()).collect();
    for (name, other) in renames {
        if !names.contains(&name.as_str()) {
            let error =
                Error::new(Kind::Invalid, format!("rename {name:?}"), "no resource there is called so");
            return Err(match nearest(name, &names) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint("see `srcfs import --dry-run` for their names"),
            });
        }
        check_name(other)?;
    }
    Ok(())
}
