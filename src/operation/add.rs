//! Adds a named resource to the configuration.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::barrier::{self, Unanswered};
use super::target::Target;
use super::{Context, Failure, Watch, get, mounts};
use crate::cache::Freshness;
use crate::config::{NewOrigin, Project, Resource, edit};
use crate::error::{Error, Kind, Result};
use crate::key::Origin;
use crate::source::{Resolved, local};

/// What to add, as it was written.
#[derive(Clone, Debug)]
pub struct Addition<'a> {
    /// The name.
    pub name: &'a str,
    /// What it is.
    pub origin: NewOrigin<'a>,
    /// The reference, if not the default.
    pub reference: Option<&'a str>,
    /// The only paths to show.
    pub subpaths: &'a [&'a str],
    /// What its users should know.
    pub note: Option<&'a str>,
}

/// What was added.
#[derive(Clone, Debug, Serialize)]
pub struct AddReport {
    /// The name.
    pub name: String,
    /// Where it comes from, as a url.
    pub url: String,
    /// The file.
    pub file: std::path::PathBuf,
    /// The revision that it shows, if that was checked.
    pub revision: Option<String>,
    /// The version that it shows, if that was checked and it is a package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Mounts that have not noticed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

/// What project was added.
#[derive(Clone, Debug, Serialize)]
pub struct AddedProject {
    /// The name: it is shown as `projects/<name>`.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// The configuration file.
    pub file: PathBuf,
    /// How many versions its lockfiles pin.
    pub pins: usize,
    /// What in them is not pinned or was not understood.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The lockfiles that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Failure>,
    /// Mounts that have not noticed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

/// Adds a resource to `file`. With `check` only if what it is, the reference and the subpaths exist; that fetches the tree if there are subpaths to look for.
pub fn add(
    context: &Context,
    file: &Path,
    addition: &Addition<'_>,
    check: bool,
    watch: Watch<'_>,
) -> Result<AddReport> {
    let Addition { name, origin, reference, subpaths, note } = *addition;
    let resource = context.config.new_resource(name, origin, reference, subpaths, note)?;
    check_place(context, &resource)?;
    let shown = match check {
        true => Some(exists(context, &resource, "add", watch).map_err(|error| not_added(name, error))?),
        false => None,
    };
    edit::add(file, &resource)?;
    let is_package = matches!(resource.key.origin(), Origin::Package(_));
    Ok(AddReport {
        name: resource.name.clone(),
        url: resource.key.source().to_owned(),
        file: file.to_owned(),
        revision: shown.as_ref().map(|shown| shown.revision.to_string()),
        version: shown.filter(|_| is_package).and_then(|shown| shown.full_name),
        unanswered: barrier::raise(&mounts::of_cache(context.cache.id())?),
    })
}

/// Adds the project in `directory` to `file`, if its lockfiles can be read.
pub fn add_project(context: &Context, file: &Path, name: &str, directory: &Path) -> Result<AddedProject> {
    let project = Project::new(name, directory)?;
    local::check_place(directory, context.cache.directory())?;
    let pins = project.pins.refresh().map_err(|error| not_added(name, error))?;
    if pins.project.pins.is_empty() && pins.project.broken.is_empty() {
        let what = format!("add the project in {}", directory.display());
        let why = "there is no lockfile in it that pins anything";
        return Err(Error::new(Kind::Invalid, what, why).hint(
            "give the directory of a Cargo.lock, package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, yarn.lock, \
             uv.lock, poetry.lock, Pipfile.lock or requirements.txt",
        ));
    }
    edit::add_project(file, &project)?;
    Ok(AddedProject {
        name: name.to_owned(),
        path: directory.to_owned(),
        file: file.to_owned(),
        pins: pins.project.pins.len(),
        notes: pins.project.notes.iter().map(ToString::to_string).collect(),
        broken: pins.project.broken.iter().map(|broken| Failure::from(&broken.error)).collect(),
        unanswered: barrier::raise(&mounts::of_cache(context.cache.id())?),
    })
}

/// The absolute path of an existing directory, as the configuration keeps it: without links, so that it
/// is one resource by whatever way it was named.
pub fn real_directory(path: &Path) -> Result<PathBuf> {
    let failed = |why: String, kind| {
        Error::new(kind, format!("add the directory {}", path.display()), why).hint("give one that exists")
    };
    match path.canonicalize() {
        Ok(real) if real.is_dir() => Ok(real),
        Ok(_) => Err(failed("it is no directory".to_owned(), Kind::Invalid)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(failed("it does not exist".to_owned(), Kind::NotFound))
        }
        Err(error) => Err(failed(error.to_string(), Kind::Io)),
    }
}

/// Refuses a directory that is no place for sources.
pub(super) fn check_place(context: &Context, resource: &Resource) -> Result<()> {
    match resource.key.origin() {
        Origin::Local(directory) => local::check_place(directory.path(), context.cache.directory()),
        Origin::Git(_) | Origin::Package(_) => Ok(()),
    }
}

/// What `resource` shows; an error unless its source, its reference and its subpaths exist.
pub(super) fn exists(
    context: &Context,
    resource: &Resource,
    verb: &'static str,
    watch: Watch<'_>,
) -> Result<Resolved> {
    let target = Target {
        text: resource.name.clone(),
        key: resource.key.clone(),
        reference: resource.reference.clone(),
        subpaths: resource.subpaths.clone(),
        resource: None,
        hashes: Vec::new(),
        elsewhere: None,
    };
    if !target.subpaths.is_empty() {
        let fetched = get::materialize(context, &target, Freshness::Now, verb, watch)?;
        fetched.snapshot.table().narrowed(&target.subpaths)?;
        return Ok(fetched.snapshot.resolved().clone());
    }
    let progress = watch(&target.text);
    context.cache.resolve(&*context.source, &target.key, &target.reference, Freshness::Now, &progress)
}

fn not_added(name: &str, error: Error) -> Error {
    let unsure = error.kind().passes() || error.kind() == Kind::Offline;
    let error = error.during(format!("check {name:?}, which was not added"));
    match (unsure, error.advice()) {
        (true, None) => error.hint("try again, or add it unseen with --no-check"),
        _ => error,
    }
}
