//! Decides what becomes of each resource of btca, one after the other.
//!
//! What was decided to be added counts for those that follow, as if it were configured. Nothing is changed
//! here; what is wrong with a resource is told with it and stops no other.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Seen;
use std::path::{Path, PathBuf};

use super::btca::{Entry, Wanted, What};
use super::{Imported, Outcome, Wish, naming};
use crate::config::{Config, NewOrigin, Resource, check_name, check_note};
use crate::error::{Error, Failure, Kind, Result};
use crate::key::Kind as KeyKind;
use crate::operation::{Context, Watch, add};
use crate::redact::redact;

pub(super) struct Judge<'a> {
    context: &'a Context,
    wish: &'a Wish<'a>,
    /// As it would be with what was added so far.
    config: Config,
    /// By their names there: the file and the line.
    seen: HashMap<String, (PathBuf, usize)>,
    additions: Vec<Resource>,
}

/// Why a resource is not added, and what that makes of it.
struct Refusal(Outcome, Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal(Outcome::Failed, error)
    }
}

impl<'a> Judge<'a> {
    pub(super) fn new(context: &'a Context, wish: &'a Wish<'a>, config: Config) -> Self {
        Judge { context, wish, config, seen: HashMap::new(), additions: Vec::new() }
    }

    /// What is to be added.
    pub(super) fn additions(self) -> Vec<Resource> {
        self.additions
    }

    /// What becomes of `entry` of the file `from`.
    pub(super) fn judge(&mut self, from: &Path, entry: &Entry, watch: Watch<'_>) -> Imported {
        let Entry { name, line, wanted } = entry.clone();
        let mut imported = Imported {
            name: name.as_deref().map_or_else(|| format!("(line {line})"), shown),
            outcome: Outcome::Failed,
            from: from.to_owned(),
            line,
            url: None,
            reference: String::new(),
            subpaths: Vec::new(),
            revision: None,
            remarks: Vec::new(),
            left_out: Vec::new(),
            error: None,
        };
        let verdict = match &name {
            Some(name) => match self.taken(name, from, line) {
                Ok(true) => Ok(Outcome::Overridden),
                Ok(false) => self.weigh(name, wanted, &mut imported, watch),
                Err(error) => Err(error.into()),
            },
            None => wanted.map(|_| Outcome::Failed).map_err(Refusal::from),
        };
        match verdict {
            Ok(outcome) => imported.outcome = outcome,
            Err(Refusal(outcome, error)) => {
                imported.outcome = outcome;
                imported.error = Some(short(Failure::from(&error)));
            }
        }
        imported
    }

    /// Whether a file that wins has `name`; an error if this one has it twice.
    fn taken(&mut self, name: &str, from: &Path, line: usize) -> Result<bool> {
        match self.seen.entry(name.to_owned()) {
            Seen::Vacant(place) => {
                place.insert((from.to_owned(), line));
                Ok(false)
            }
            Seen::Occupied(other) if other.get().0 != from => Ok(true),
            Seen::Occupied(other) => {
                let why = format!("the name stands in line {} already", other.get().1);
                let what = format!("import {:?} of line {line}", shown(name));
                Err(Error::new(Kind::Invalid, what, why).hint("keep one of them there"))
            }
        }
    }

    fn weigh(
        &mut self,
        theirs: &str,
        wanted: Result<Wanted>,
        imported: &mut Imported,
        watch: Watch<'_>,
    ) -> Result<Outcome, Refusal> {
        let wanted = wanted?;
        let renamed = self.wish.renames.iter().find(|(name, _)| name == theirs);
        let name = renamed.map_or(theirs, |(_, other)| other);
        check_name(name).map_err(|error| match naming::suggestion(theirs) {
            Some(other) => error.hint(format!("call it otherwise: {}", naming::rename(theirs, &other))),
            None => error.hint("call it otherwise: --rename NAME=OTHER"),
        })?;
        imported.remarks = wanted.remarks;
        let note = wanted.note.as_deref().and_then(|note| plain(note, &mut imported.left_out));
        let (path, reference);
        let origin = match &wanted.what {
            What::Git(url) => {
                reference = wanted.reference.as_deref().map(branch);
                NewOrigin::Git(url)
            }
            What::Npm(package) => {
                reference = wanted.reference;
                NewOrigin::Package(KeyKind::Npm, package)
            }
            What::Local(text) => {
                reference = None;
                path = directory(text)?;
                NewOrigin::Path { path: &path, ignore: &[] }
            }
        };
        let subpaths: Vec<&str> = wanted.subpaths.iter().map(String::as_str).collect();
        let resource =
            self.config.parse_resource(name, origin, reference.as_deref(), &subpaths, note.as_deref())?;
        imported.name.clone_from(&resource.name);
        imported.url = Some(resource.key.source().to_owned());
        imported.reference = resource.reference.to_string();
        imported.subpaths.clone_from(&resource.subpaths);

        let named = |other: &&Resource| other.name_in_file() == resource.name_in_file();
        if let Some(other) = self.config.resources.iter().find(named) {
            if *other == resource {
                return Ok(Outcome::Present);
            }
            let what = format!("import {:?}", resource.name);
            let why =
                format!("that name is configured already, with another {}", differences(other, &resource));
            let other = format!("{}-btca", resource.name_in_file());
            let hint = format!("call it otherwise: {}", naming::rename(theirs, &other));
            return Err(Refusal(Outcome::Conflict, Error::new(Kind::Invalid, what, why).hint(hint)));
        }
        self.config.check_new(&resource).map_err(|error| {
            let other = resource.name_in_file().replace('/', "-");
            let hint = match other == resource.name_in_file() {
                true => format!("call it otherwise: {}", naming::rename(theirs, &format!("{other}-btca"))),
                false => format!("call it otherwise: {}", naming::rename(theirs, &other)),
            };
            Refusal(Outcome::Conflict, error.hint(hint))
        })?;
        add::check_place(self.context, &resource)?;
        if self.wish.check {
            let found = add::exists(self.context, &resource, "import", watch)?;
            imported.revision = Some(found.revision.to_string());
        }
        self.config.resources.push(resource.clone());
        self.additions.push(resource);
        Ok(Outcome::Added)
    }
}

/// A branch as a reference: one that is called `heads/x` is not the branch `x`.
fn branch(name: &str) -> String {
    let marked = ["heads/", "tags/"].iter().any(|mark| name.starts_with(mark));
    if marked { format!("heads/{name}") } else { name.to_owned() }
}

fn directory(text: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    if !path.is_absolute() {
        let what = format!("read the directory {:?}", shown(text));
        return Err(Error::new(Kind::Invalid, what, "it is not absolute").hint("write the whole path there"));
    }
    add::real_directory(path)
}

/// A note as srcfs takes it; none, and a word about it, if that cannot be.
fn plain(note: &str, left_out: &mut Vec<String>) -> Option<String> {
    let plain = note.replace("\r\n", "\n").replace('\r', "\n").replace('\t', " ");
    let plain = plain.trim();
    match check_note(plain) {
        Ok(()) => Some(plain.to_owned()),
        Err(error) => {
            left_out.push(format!("its note: {}", error.why()));
            None
        }
    }
}

fn differences(one: &Resource, other: &Resource) -> String {
    let all = [
        ("source", one.key != other.key),
        ("ref", one.reference != other.reference),
        ("set of subpaths", one.subpaths != other.subpaths),
        ("note", one.note != other.note),
    ];
    all.iter().filter(|(_, differ)| *differ).map(|(what, _)| *what).collect::<Vec<_>>().join(" and ")
}

/// What the file says, for reading: short, and without credentials.
fn shown(text: &str) -> String {
    redact(text).chars().take(120).collect()
}

/// A megabyte may stand there where a name was expected.
fn short(failure: Failure) -> Failure {
    let cut = |text: String| text.chars().take(500).collect();
    let Failure { kind, what, why, hint } = failure;
    Failure { kind, what: cut(what), why: cut(why), hint: hint.map(cut) }
}
