//! Removes a named resource from the configuration, and its mirror if nobody else wants it; or a project.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::barrier::{self, Unanswered};
use super::clear::{self, ClearReport};
use super::target::{Place, Target};
use super::{Context, mounts};
use crate::config::{Config, edit};
use crate::error::{Error, Kind, Result};
use crate::key::Kind as KeyKind;
use crate::view::name;

/// What was removed.
#[derive(Clone, Debug, Serialize)]
pub struct RemoveReport {
    /// The name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Other names of the same source, and what else of it is wanted, for which its mirror stays.
    pub kept_for: Vec<String>,
    /// What came of clearing the mirror, if that was done.
    pub cleared: Option<ClearReport>,
    /// Mounts that have not noticed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

/// Removes the resource or the project `name` from `file`.
pub fn remove(context: &Context, file: &Path, name: &str, keep_cache: bool) -> Result<RemoveReport> {
    let resource = context.config.resource(name);
    let project = name.strip_prefix("projects/").or(resource.is_none().then_some(name));
    if let Some(project) = project.filter(|project| context.config.project(project).is_some()) {
        edit::remove_project(file, project)?;
        // What it pinned is other names' as well, and goes when nobody uses it.
        return Ok(RemoveReport {
            name: format!("projects/{project}"),
            file: file.to_owned(),
            kept_for: Vec::new(),
            cleared: None,
            unanswered: barrier::raise(&mounts::of_cache(context.cache.id())?),
        });
    }
    let Some(target) = resource.and_then(|(index, _)| Target::of_resource(index, &context.config)) else {
        let error = Error::new(Kind::NotFound, format!("remove {name:?}"), "no resource is called so");
        let directory = format!("local/{name}");
        let mounts = mounts::all()?;
        let shown = Place::of(name, &context.config, &mounts).ok().map(|place| place.inside);
        let meant =
            [Some(directory), shown].into_iter().flatten().find(|name| is_name(name, &context.config));
        return Err(error.hint(match meant {
            Some(name) => format!("did you mean {name}?"),
            None => "see `srcfs list` for the configured names".to_owned(),
        }));
    };
    // The name first: a mirror without a name is only waste, a name whose mirror went is fetched again.
    let config = edit::remove(file, name)?;
    let mut kept_for: Vec<String> =
        name::names_of(&target.key, &config).into_iter().map(str::to_owned).collect();
    if kept_for.is_empty() && !keep_cache {
        kept_for = others(context, &target)?;
    }
    let clearing = !keep_cache && kept_for.is_empty();
    let (cleared, unanswered) = match clearing {
        true => {
            let mut report = clear::clear(context, &[target])?;
            let unanswered = std::mem::take(&mut report.unanswered);
            (Some(report), unanswered)
        }
        false => (None, barrier::raise(&mounts::of_cache(context.cache.id())?)),
    };
    Ok(RemoveReport { name: name.to_owned(), file: file.to_owned(), kept_for, cleared, unanswered })
}

/// Whether it can be removed.
fn is_name(name: &str, config: &Config) -> bool {
    let project = name.strip_prefix("projects/").and_then(|project| config.project(project));
    config.resource(name).is_some() || project.is_some()
}

/// What somebody keeps of the same mirror; and of a package the other versions, each of which somebody
/// fetched for itself, while the references of a repository share their objects.
fn others(context: &Context, target: &Target) -> Result<Vec<String>> {
    let mut references = BTreeSet::new();
    if matches!(target.key.kind(), KeyKind::Npm | KeyKind::Crates | KeyKind::Pypi) {
        references.extend(context.cached(&target.key)?);
        references.remove(&target.reference);
    }
    references.extend(context.cache.kept_of(&target.key)?);
    let text = |reference| Target::of_cached(target.key.clone(), reference, &context.config).text;
    Ok(references.into_iter().map(text).collect())
}
