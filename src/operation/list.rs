//! What is configured and what is cached.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::Serialize;

use super::probe::{self, Answer, Ask};
use super::readers::{Reader, Readers};
use super::target::{Target, described};
use super::{Context, Failure, daemon_status, mounts};
use crate::cache::{Kept, State};
use crate::config::Project;
use crate::error::{Error, Kind, Result};
use crate::key::{Key, Reference};
use crate::project::Index;
use crate::view::name;

/// One reference of one resource.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The KEY: the configured name, else the path below the mount.
    pub key: String,
    /// The configured names that show it.
    pub names: Vec<String>,
    /// The path below the mount that needs no name, if a configured host has it.
    pub path: Option<String>,
    /// `git`, `npm`, `local`, ...
    pub kind: &'static str,
    /// Where it comes from, as a url.
    pub url: String,
    /// The reference; empty for the default.
    pub reference: String,
    /// The revision that is cached.
    pub revision: Option<String>,
    /// How many files it has.
    pub files: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// Bytes on disk of the whole mirror, which other references may share.
    pub disk: Option<u64>,
    /// When it was fetched, in seconds since 1970.
    pub fetched: Option<u64>,
    /// When the upstream was asked last, in seconds since 1970.
    pub checked: Option<u64>,
    /// When the mirror was last used, in seconds since 1970.
    pub used: Option<u64>,
    /// The processes that read it now.
    pub readers: Vec<Reader>,
    /// Whether it is kept from being dropped to make room.
    pub kept: bool,
    /// The configured note.
    pub note: Option<String>,
    /// The only paths that it shows; all if empty.
    pub subpaths: Vec<String>,
}

/// One project.
#[derive(Clone, Debug, Serialize)]
pub struct ProjectRow {
    /// Its path below the mount.
    pub key: String,
    /// Its directory.
    pub path: PathBuf,
    /// How many versions its lockfiles pin.
    pub pins: Option<usize>,
    /// What in them is not pinned or was not understood.
    pub notes: Vec<String>,
    /// Why it, or a lockfile of it, cannot be read.
    pub failures: Vec<Failure>,
}

/// What came of a `list`.
#[derive(Clone, Debug, Serialize)]
pub struct ListReport {
    /// In the file's order.
    pub projects: Vec<ProjectRow>,
    /// Configured ones in the file's order, then what else is cached, by name.
    pub resources: Vec<Row>,
    /// Mounts whose readers are not known, and why.
    pub unknown_readers: Vec<String>,
}

/// Lists everything. Never fetches.
pub fn list(context: &Context) -> Result<ListReport> {
    let config = &context.config;
    let daemons = daemon_status::read(&mounts::of_cache(context.cache.id())?);
    let readers = Readers::find(&daemons);
    let kept = context.cache.kept();
    let row = |key: &Key, reference: &Reference, state: Option<&State>| {
        row(context, key, reference, state, &readers, &kept)
    };
    // Two spellings of one source are one key.
    let (mut resources, mut listed) = (Vec::new(), HashSet::new());
    for (index, resource) in config.resources.iter().enumerate() {
        let Some(target) = Target::of_resource(index, config) else { continue };
        let state = context.cache.state(&target.key)?;
        let mut row = row(&target.key, &target.reference, state.as_deref());
        row.key.clone_from(&resource.name);
        row.note.clone_from(&resource.note);
        row.subpaths.clone_from(&resource.subpaths);
        resources.push(row);
        listed.insert((target.key, target.reference));
    }
    let mut cached = Vec::new();
    for state in context.cache.mirrors()? {
        let Ok(key) = state.key() else { continue };
        if state.generation.is_none() {
            continue;
        }
        for text in state.references.keys() {
            let Ok(reference) = key.reference(text) else { continue };
            if listed.insert((key.clone(), reference.clone())) {
                cached.push(row(&key, &reference, Some(&state)));
            }
        }
    }
    for Kept { key, reference, .. } in &kept {
        if listed.insert((key.clone(), reference.clone())) {
            cached.push(row(key, reference, context.cache.state(key)?.as_deref()));
        }
    }
    cached.sort_by(|one, other| one.key.cmp(&other.key));
    resources.extend(cached);
    let unknown_readers = daemons
        .iter()
        .filter_map(|daemon| {
            let why = daemon.status.as_ref().err()?;
            Some(format!("{}: {why}", daemon.mounted.mount_point.display()))
        })
        .collect();
    let projects = config.projects.iter().zip(pins(&config.projects));
    let projects = projects.map(|(of, pins)| project(of, pins)).collect();
    Ok(ListReport { projects, resources, unknown_readers })
}

/// What each of `projects` pins now. A directory that hangs whoever touches it is asked for by a child first,
/// because a process with a thread that hangs cannot end.
pub(super) fn pins(projects: &[Project]) -> Vec<Result<Arc<Index>>> {
    // What is read first.
    let paths: Vec<PathBuf> = projects.iter().map(|project| project.path.join("package.json")).collect();
    let answers = probe::ask(Ask::LookUp, &paths);
    let pins = |(project, answer): (&Project, Answer)| match answer {
        Answer::Silent => {
            let what = format!("read the lockfiles in {}", project.path.display());
            let error = Error::new(Kind::TimedOut, what, "the directory does not answer");
            Err(error.hint("see whether it lies on a server that is away"))
        }
        _ => project.pins.refresh(),
    };
    projects.iter().zip(answers).map(pins).collect()
}

fn project(project: &Project, pins: Result<Arc<Index>>) -> ProjectRow {
    let (key, path) = (format!("projects/{}", project.name), project.path.clone());
    match pins {
        Ok(index) => ProjectRow {
            key,
            path,
            pins: Some(index.project.pins.len()),
            notes: index.project.notes.iter().map(ToString::to_string).collect(),
            failures: index.project.broken.iter().map(|broken| Failure::from(&broken.error)).collect(),
        },
        Err(error) => {
            ProjectRow { key, path, pins: None, notes: Vec::new(), failures: vec![Failure::from(&error)] }
        }
    }
}

fn row(
    context: &Context,
    key: &Key,
    reference: &Reference,
    state: Option<&State>,
    readers: &Readers,
    kept: &[Kept],
) -> Row {
    let config = &context.config;
    let path = name::path_of(key, reference, config);
    let names = config
        .resources
        .iter()
        .filter(|resource| resource.key == *key && resource.reference == *reference)
        .map(|resource| resource.name.clone())
        .collect();
    let state = state.filter(|state| state.generation.is_some());
    let found = state.and_then(|state| state.find(reference));
    let revision = found.as_ref().map(|(resolved, _, _)| resolved.revision.to_string());
    let key_text = key.to_string();
    let readers = match &revision {
        Some(revision) => readers.of(false, |view| view.key == key_text && view.revision == *revision),
        None => Vec::new(),
    };
    Row {
        key: path.clone().unwrap_or_else(|| described(key, reference)),
        names,
        path,
        kind: key.kind().as_str(),
        url: key.source().to_owned(),
        reference: reference.to_string(),
        revision,
        files: found.as_ref().map(|(_, snapshot, _)| snapshot.files),
        bytes: found.as_ref().map(|(_, snapshot, _)| snapshot.bytes),
        disk: state.map(State::bytes_on_disk),
        fetched: found.as_ref().map(|(_, snapshot, _)| snapshot.fetched),
        checked: found.as_ref().map(|(_, _, checked)| *checked),
        used: state
            .and_then(|_| context.cache.last_used(key))
            .and_then(|used| Some(used.duration_since(UNIX_EPOCH).ok()?.as_secs())),
        readers,
        kept: kept.iter().any(|kept| kept.key == *key && kept.reference == *reference),
        note: None,
        subpaths: Vec::new(),
    }
}
