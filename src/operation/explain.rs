//! Why something failed, and what to do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::daemon_status::ErrorStatus;
use super::target::{self, Place, Target, described};
use super::{Context, Failure, cite, daemon_status, mounts, unix_now};
use crate::cache::Snapshot;
use crate::error::{Error, Result};
use crate::project::{Ecosystem, Project};
use crate::view::name::Name;
use crate::view::snapshot::agree;

mod elsewhere;

/// What is known about a path or a key.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// What was asked for.
    pub about: String,
    /// The last failure, if there is one.
    pub failure: Option<Failure>,
    /// How long ago it was, in seconds; none for what the grammar says.
    pub age: Option<u64>,
    /// The cached revision, if it is cached.
    pub revision: Option<String>,
    /// In a sentence, if nothing failed; of a project also what else it pins.
    pub state: Option<String>,
    /// Of a project, what of its lockfiles is not pinned or was not understood.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Explanation {
    /// That says nothing yet.
    fn of(text: &str) -> Explanation {
        let about = text.to_owned();
        Explanation { about, failure: None, age: None, revision: None, state: None, notes: Vec::new() }
    }
}

/// What is to be said of the project whose directory, or one of whose directories, stands at `inside`.
fn project(text: &str, inside: &str, context: &Context) -> Option<Explanation> {
    let name = inside.strip_prefix("projects/")?.split('/').next()?;
    let is_directory = matches!(Name::parse(inside, &context.config), Ok(Name::Directory));
    let project = context.config.project(name).filter(|_| is_directory)?;
    let explanation = Explanation::of(text);
    Some(match super::list::pins(std::slice::from_ref(project)).pop()? {
        Err(error) => Explanation { failure: Some(Failure::from(&error)), ..explanation },
        Ok(index) => {
            let Project { notes, broken, .. } = &index.project;
            let mut broken = broken.iter().map(|broken| &broken.error);
            let failure = broken.next().map(Failure::from);
            let notes =
                broken.map(ToString::to_string).chain(notes.iter().map(ToString::to_string)).collect();
            let state = Some(format!("the project {} {}", project.path.display(), pinned(&index.project)));
            Explanation { failure, state, notes, ..explanation }
        }
    })
}

/// How much the lockfiles of a project pin, and which they are.
fn pinned(project: &Project) -> String {
    let mut lockfiles: BTreeSet<&Path> =
        project.pins.iter().flat_map(|pin| &pin.lockfiles).map(PathBuf::as_path).collect();
    lockfiles.extend(project.notes.iter().map(|note| note.lockfile.as_path()));
    // What is noted of it is no pin.
    lockfiles.remove(Path::new(".npmrc"));
    lockfiles.extend(project.locals.iter().map(|local| local.lockfile.as_path()));
    let lockfiles: Vec<String> = lockfiles.iter().map(|file| file.display().to_string()).collect();
    let count = |ecosystem| project.pins.iter().filter(|pin| pin.ecosystem == ecosystem).count();
    let counts = Ecosystem::ALL.into_iter().map(|ecosystem| (count(ecosystem), ecosystem.kind()));
    let counts: Vec<String> =
        counts.filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} of {kind}")).collect();
    match (counts.is_empty(), lockfiles.is_empty()) {
        (true, true) => "pins nothing: it has no lockfile that can be read".to_owned(),
        (true, false) => format!("pins nothing: {} name no version", lockfiles.join(", ")),
        _ => format!("pins exact versions, {}, by {}", counts.join(", "), lockfiles.join(", ")),
    }
}

/// Explains `text`: a KEY, or a path in a mount, also one inside a tree. Asks nobody upstream.
pub fn explain(context: &Context, text: &str) -> Result<Explanation> {
    let all = mounts::all()?;
    let config = &context.config;
    let failed = |error: Error, mounted: Option<&mounts::Mounted>| {
        let error = match mounted.is_some_and(|mounted| mounted.cache != context.cache.id()) {
            true => error.hint("that is a mount of another cache: give its --cache-dir and --config"),
            false => target::hinted(error, context, &all, text),
        };
        Explanation { failure: Some(Failure::from(&error)), ..Explanation::of(text) }
    };
    let place = Place::in_this_tree(text, config, &all).map_or_else(|| Place::of(text, config, &all), Ok);
    let place = match place {
        Ok(place) => place,
        Err(error) => return Ok(failed(error, None)),
    };
    let (target, rest) = match Target::at(&place.inside, text, config) {
        Ok(found) => found,
        Err(error) => {
            return Ok(project(text, &place.inside, context).unwrap_or_else(|| {
                match Name::parse(&place.inside, config) {
                    Ok(Name::Directory) => {
                        let state = "a directory of the mount: it lists what is configured or cached, and asks nobody";
                        Explanation { state: Some(state.to_owned()), ..Explanation::of(text) }
                    }
                    _ if place.is_of_the_mount() => {
                        let state = "it belongs to the mount itself, which tells there about itself";
                        Explanation { state: Some(state.to_owned()), ..Explanation::of(text) }
                    }
                    _ => failed(error, place.mounted),
                }
            }));
        }
    };
    if let Some(mounted) = place.mounted.filter(|mounted| mounted.cache != context.cache.id()) {
        return Ok(elsewhere::explain(mounted, &target, &rest, text));
    }
    let daemons = daemon_status::read(&mounts::of_cache(context.cache.id())?);
    let snapshot = context.cache.peek(&target.key, &target.reference);
    // The cache's note goes with the next success. What daemons remember is history, and counts only
    // where the cache could not be written and has nothing to show.
    let noted = context.cache.failure(&target.key, &target.reference);
    let remembered = || {
        let errors = daemons.iter().filter_map(|daemon| daemon.status.as_ref().ok()).flat_map(|s| &s.errors);
        newest(errors, &target, text).cloned()
    };
    let age = |at: u64| Some(unix_now().saturating_sub(at));
    // What is wrong with what was asked for and not with what is cached.
    let unfit = match &snapshot {
        Ok(Some(snapshot)) => unfit(&target, snapshot),
        _ => None,
    };
    let (failure, age) = match (noted, &snapshot) {
        _ if unfit.is_some() => (unfit.as_ref().map(Failure::from), None),
        (Some(noted), _) => (Some(Failure::from(noted.clone())), age(noted.at)),
        (None, Err(error)) => (Some(Failure::from(error)), None),
        (None, Ok(Some(_))) => (None, None),
        (None, Ok(None)) => match remembered() {
            Some(remembered) => (Some(remembered.failure), age(remembered.at)),
            None => (None, None),
        },
    };
    let failure = failure.map(|failure| target.told(failure, &context.config));
    let snapshot = snapshot.ok().flatten();
    let state = match (&failure, &snapshot) {
        (Some(_), _) => None,
        (None, Some(snapshot)) => Some(inside(&target, snapshot, &rest)),
        (None, None) => Some("it is not cached yet; nothing failed so far".to_owned()),
    };
    let revision = snapshot.map(|snapshot| snapshot.revision().to_string());
    Ok(Explanation { failure, age, revision, state, ..Explanation::of(text) })
}

/// The newest of `errors` that is about `target`, which was asked for by `text`.
fn newest<'e>(
    errors: impl Iterator<Item = &'e ErrorStatus>,
    target: &Target,
    text: &str,
) -> Option<&'e ErrorStatus> {
    let known = described(&target.key, &target.reference);
    let about = errors.filter(|error| [&known, &target.text, text].contains(&error.path.as_str()));
    about.max_by_key(|error| error.at)
}

/// Why a cached tree is not shown under this name, if it is not: a subpath is not in it, or a lockfile pins another
/// hash.
fn unfit(target: &Target, snapshot: &Snapshot) -> Option<Error> {
    let subpath = (!target.subpaths.is_empty()).then(|| snapshot.table().narrowed(&target.subpaths).err());
    subpath.flatten().or_else(|| agree(&target.hashes, snapshot.about()).err())
}

/// What is to be said of `rest` in a cached tree.
fn inside(target: &Target, snapshot: &Snapshot, rest: &str) -> String {
    if rest.is_empty() {
        return "it is cached, and nothing failed".to_owned();
    }
    let real = match cite::tree::real_path(snapshot, rest) {
        Ok(Some(real)) => real,
        Ok(None) => return format!("{rest} does not exist in this revision"),
        Err(error) => return error.to_string(),
    };
    let below = |long: &str, short: &str| long == short || long.starts_with(&format!("{short}/"));
    let visible = |subpath: &String| below(&real, subpath) || below(subpath, &real);
    match target.subpaths.is_empty() || target.subpaths.iter().any(visible) {
        true => format!("{rest} exists in this revision, and nothing failed"),
        false => {
            let shown = target.subpaths.join(", ");
            format!("{rest} exists in this revision, but {} shows only {shown}", target.text)
        }
    }
}
