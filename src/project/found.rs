//! What the parsers find: the one place where an entry becomes a pin, a local package or a note.
//!
//! Every name, version and url passes the grammar here or is noted. Calls `grammar`; never fails.

use super::grammar;
use super::pin::{Ecosystem, Local, Location, Note, Origin, Pin, Reach, shown};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Notes beyond this number are dropped, for a hostile file of a million bad entries.
pub(super) const MAX_NOTES: usize = 1000;

/// How many versions a project may pin; the largest known ones pin some tens of thousands.
const MAX_PINS: usize = 1 << 17;

/// What is said of a package that is pinned and patched.
pub(super) const PATCHED: &str = "it is patched by the project";

/// How many other names one package may have.
pub(super) const MAX_ALIASES: usize = 64;

/// How many versions of one package may be looked through for what the root asks.
pub(super) const MAX_VERSIONS: usize = 256;

/// Collects for one lockfile at a time.
#[derive(Default)]
pub(super) struct Found {
    pub(super) pins: Vec<Pin>,
    pub(super) locals: Vec<Local>,
    pub(super) notes: Vec<Note>,
    /// Whether there is a lockfile of yarn berry, which reads no `.npmrc`.
    pub(super) berry: bool,
    file: PathBuf,
    /// Whether it has been noted that the file has credentials.
    told: bool,
    /// Whether there were more pins than are taken.
    full: bool,
    known: BTreeMap<(Ecosystem, String, String, Origin), usize>,
}

impl Found {
    pub(super) fn begin(&mut self, file: &Path) {
        self.file = file.to_owned();
        self.told = false;
    }

    /// Notes something of the lockfile itself.
    pub(super) fn note(&mut self, what: &str, why: impl Into<String>, hint: &str) {
        self.note_at(None, what, why, hint);
    }

    pub(super) fn note_at(&mut self, line: Option<usize>, what: &str, why: impl Into<String>, hint: &str) {
        self.noted(line, None, what, why.into(), hint);
    }

    /// Notes something of a package, so that whoever looks for it is told.
    pub(super) fn note_of(
        &mut self,
        line: Option<usize>,
        package: (Ecosystem, &str),
        what: &str,
        why: impl Into<String>,
        hint: &str,
    ) {
        let package = Some((package.0, shown(package.1)));
        self.noted(line, package, what, why.into(), hint);
    }

    /// Notes that a package of npm, of which `what` tells the versions, is shown without its patch.
    pub(super) fn patched(&mut self, name: &str, what: &str) {
        let hint = "what is shown is its unpatched source, which is pinned under the same name";
        self.note_of(None, (Ecosystem::Npm, name), what, PATCHED, hint);
    }

    fn noted(
        &mut self,
        line: Option<usize>,
        package: Option<(Ecosystem, String)>,
        what: &str,
        why: String,
        hint: &str,
    ) {
        if self.notes.len() < MAX_NOTES {
            let (lockfile, what, hint) = (self.file.clone(), shown(what), hint.to_owned());
            self.notes.push(Note { lockfile, line, package, what, why, hint });
        }
    }

    pub(super) fn local(&mut self, ecosystem: Ecosystem, name: &str, path: Option<&str>) {
        let (name, path, lockfile) = (shown(name), path.map(shown), self.file.clone());
        self.locals.push(Local { ecosystem, name, path, lockfile });
    }

    /// Adds one pin, or joins it with the same that is known; its index, or `None` if it was noted.
    pub(super) fn pin(
        &mut self,
        ecosystem: Ecosystem,
        name: &str,
        version: &str,
        origin: Option<Origin>,
        hashes: Vec<String>,
    ) -> Option<usize> {
        let Some(canonical) = grammar::name(ecosystem, name) else {
            self.note_of(
                None,
                (ecosystem, name),
                name,
                "this cannot be the name of a package",
                "write the lockfile again with its own tool",
            );
            return None;
        };
        let Some(origin) = origin else {
            let why = "its source is no registry, no archive and no repository at a whole commit id";
            self.note_of(None, (ecosystem, name), name, why, "write the lockfile again with its own tool");
            return None;
        };
        let exact = match &origin {
            Origin::Git { commit, .. } if version.is_empty() => Some(commit.clone()),
            _ => grammar::version(ecosystem, version),
        };
        let Some(version) = exact else {
            self.note_of(
                None,
                (ecosystem, name),
                &format!("{name} {version}"),
                "this is not an exact version",
                "write the lockfile again with its own tool",
            );
            return None;
        };
        if let Some(url) = credential(&origin, ecosystem, &hashes).filter(|_| !self.told) {
            // One sentence is enough: such a file has it in every address.
            self.told = true;
            let url = url.reveal().to_owned();
            let why = "its address holds a credential, and none is taken from a lockfile, so this and whatever else has \
                       one there is not shown";
            let hint = "give the credential to the client (.npmrc, .netrc, git's credential helper), and let the \
                        lockfile be written without it";
            self.note_of(None, (ecosystem, name), &url, why, hint);
        }
        let key = (ecosystem, canonical.clone(), version.clone(), origin.clone());
        if let Some(&at) = self.known.get(&key) {
            let pin = &mut self.pins[at];
            pin.hashes.extend(hashes);
            if !pin.lockfiles.contains(&self.file) {
                pin.lockfiles.push(self.file.clone());
            }
            return Some(at);
        }
        if self.pins.len() >= MAX_PINS {
            if !std::mem::replace(&mut self.full, true) {
                let why =
                    format!("the project pins more than {MAX_PINS} versions, of which no more are shown");
                self.note(name, why, "see whether it is a lockfile at all");
            }
            return None;
        }
        self.known.insert(key, self.pins.len());
        self.pins.push(Pin {
            ecosystem,
            name: canonical,
            version,
            origin,
            hashes,
            reach: Reach::Transitive,
            dev: false,
            optional: false,
            aliases: Vec::new(),
            lockfiles: vec![self.file.clone()],
        });
        Some(self.pins.len() - 1)
    }

    pub(super) fn reach(&mut self, at: usize, reach: Reach) {
        self.pins[at].reach = self.pins[at].reach.max(reach);
    }

    pub(super) fn alias(&mut self, at: usize, alias: &str) {
        let pin = &mut self.pins[at];
        if alias != pin.name
            && pin.aliases.len() < MAX_ALIASES
            && !pin.aliases.iter().any(|known| known == alias)
            && grammar::name(pin.ecosystem, alias).is_some()
        {
            pin.aliases.push(alias.to_owned());
        }
    }
}

/// The address from which a pin comes, if it has a credential in it and is what is asked: of npm and Python another
/// registry is asked if there is a strong hash.
fn credential<'o>(origin: &'o Origin, ecosystem: Ecosystem, hashes: &[String]) -> Option<&'o Location> {
    let url = match origin {
        Origin::Registry { index } => index.as_ref()?,
        Origin::Git { url, .. } => url,
        Origin::Archive { .. } => return None,
    };
    let strong = hashes.iter().any(|hash| !hash.starts_with("sha1") && !hash.starts_with("md5"));
    let is_asked = !matches!(origin, Origin::Registry { .. }) || ecosystem == Ecosystem::Crates || !strong;
    let text = url.reveal();
    let parsed = url::Url::parse(text.strip_prefix("sparse+").unwrap_or(text)).ok()?;
    let user = parsed.scheme() != "ssh" && !parsed.username().is_empty();
    (is_asked && (user || parsed.password().is_some())).then_some(url)
}

/// The text under `key`, or the empty one.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

/// The entries of the table under `key`; none if it is absent or no table.
pub(super) fn table<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// The items of the list under `key`; none if it is absent or no list.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// That what is under `key` is of its type, or absent.
pub(super) fn expect(value: &Value, key: &str, is: fn(&Value) -> bool) -> Result<(), String> {
    match value.get(key) {
        Some(other) if !is(other) && !other.is_null() => {
            Err(format!("what it has under {key} is not of the type that belongs there"))
        }
        _ => Ok(()),
    }
}

/// Notes if the format says a version that is not one of `known`: what it means may have changed.
pub(super) fn known_version(value: &Value, key: &str, known: &[&str], found: &mut Found) {
    let Some(version) = value.get(key) else { return };
    let version = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
    if !known.iter().any(|known| version == *known || version.starts_with(&format!("{known}."))) {
        found.note(
            &format!("{key} {version}"),
            "this version of the format is not known; it is read as the newest known one",
            "see whether a newer srcfs knows it",
        );
    }
}
