//! Adds a named resource to the configuration.

use std::path::Path;

use serde::Serialize;

use super::barrier::{self, Unanswered};
use super::target::Target;
use super::{Context, Watch, get, mounts};
use crate::cache::Freshness;
use crate::config::edit;
use crate::error::{Error, Kind, Result};

/// What to add, as it was written.
#[derive(Clone, Debug)]
pub struct Addition<'a> {
    /// The name.
    pub name: &'a str,
    /// The url of the repository.
    pub url: &'a str,
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
    /// The url as it stands in the file.
    pub url: String,
    /// The file.
    pub file: std::path::PathBuf,
    /// The revision that it shows, if that was checked.
    pub revision: Option<String>,
    /// Mounts that have not noticed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

/// Adds a resource to `file`. With `check` only if the repository, the reference and the subpaths
/// exist; that fetches the tree if there are subpaths to look for.
pub fn add(
    context: &Context,
    file: &Path,
    addition: &Addition<'_>,
    check: bool,
    watch: Watch<'_>,
) -> Result<AddReport> {
    let Addition { name, url, reference, subpaths, note } = *addition;
    let resource = context.config.new_resource(name, url, reference, subpaths, note)?;
    let target = Target {
        text: name.to_owned(),
        key: resource.key(),
        reference: resource.reference.clone(),
        subpaths: resource.subpaths.clone(),
        resource: None,
    };
    let revision = match check {
        true => Some(exists(context, &target, watch).map_err(|error| not_added(name, error))?),
        false => None,
    };
    edit::add(file, &resource)?;
    Ok(AddReport {
        name: resource.name.clone(),
        url: resource.git.to_string(),
        file: file.to_owned(),
        revision,
        unanswered: barrier::raise(&mounts::of_cache(context.cache.id())?),
    })
}

/// The revision of `target`, whose repository, reference and subpaths exist.
fn exists(context: &Context, target: &Target, watch: Watch<'_>) -> Result<String> {
    if !target.subpaths.is_empty() {
        let fetched = get::materialize(context, target, Freshness::Now, "add", watch)?;
        fetched.snapshot.table().narrowed(&target.subpaths)?;
        return Ok(fetched.snapshot.revision().to_string());
    }
    let progress = watch(&target.text);
    let resolved =
        context.cache.resolve(&*context.source, &target.key, &target.reference, Freshness::Now, &progress)?;
    Ok(resolved.revision.to_string())
}

fn not_added(name: &str, error: Error) -> Error {
    let unsure = error.kind().passes() || error.kind() == Kind::Offline;
    let error = error.during(format!("check {name:?}, which was not added"));
    match (unsure, error.advice()) {
        (true, None) => error.hint("try again, or add it unseen with --no-check"),
        _ => error,
    }
}
