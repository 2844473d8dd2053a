//! Under which names a project shows what it pins, and which pin a name means.
//!
//! One version of a package is shown as `name`. Several are each shown as `name@version`, and the one
//! that is nearest to the root also as `name`; so is one version from several sources. What is looked up may be spelled in every way that its
//! registry takes for the same, and `name@version` is found also where there is but one version.
//! Pure; calls `grammar`.

use super::found::PATCHED;
use super::{Ecosystem, Pin, Project, Reach, grammar};
use crate::error::{Error, Kind};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

impl Project {
    /// The names to show of an ecosystem, each with its pin. A scope of npm is part of the name.
    pub fn names(&self, ecosystem: Ecosystem) -> BTreeMap<String, &Pin> {
        let mut groups: BTreeMap<&str, Vec<&Pin>> = BTreeMap::new();
        for pin in self.pins.iter().filter(|pin| pin.ecosystem == ecosystem) {
            groups.entry(&pin.name).or_default().push(pin);
        }
        let mut names = BTreeMap::new();
        for (name, pins) in groups {
            if let [only] = pins[..] {
                names.insert(name.to_owned(), only);
                continue;
            }
            for pin in &pins {
                // One version from two sources: the nearer to the root has the name.
                let shown = names.entry(format!("{name}@{}", pin.version)).or_insert(*pin);
                if pin.reach > shown.reach {
                    *shown = *pin;
                }
            }
            if let Some(pin) = bare_of(&pins) {
                names.insert(name.to_owned(), pin);
            }
        }
        names
    }

    /// The pin that a name means, be it shown or not; an alias of npm means what it installs, unless a
    /// package has that name.
    pub fn find(&self, ecosystem: Ecosystem, name: &str) -> Option<&Pin> {
        let (bare, version) = split(name);
        let bare = grammar::folded(ecosystem, bare);
        let of: Vec<&Pin> = self.pins.iter().filter(|pin| pin.ecosystem == ecosystem).collect();
        let pins: Vec<&Pin> =
            of.iter().filter(|pin| grammar::folded(ecosystem, &pin.name) == bare).copied().collect();
        match (version, &pins[..]) {
            (None, []) => of.into_iter().find(|pin| pin.aliases.contains(&bare)),
            (version, pins) => chosen(ecosystem, version, pins),
        }
    }

    /// Why `name` is not found: the nearest of the names that are `known`, or the lockfile that could not be read
    /// and may have it. The mount asks for it at each name that is not there, so it is cheap.
    pub fn missing<'a>(
        &self,
        ecosystem: Ecosystem,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Error {
        let name = super::pin::shown(name);
        let what = format!("find {} {name} in the project's lockfiles", ecosystem.kind());
        if let Some(broken) = self.broken.iter().find(|broken| broken.ecosystem == ecosystem) {
            return broken.error.clone().during(what);
        }
        let bare = split(&name).0;
        if let Some(local) = self.locals.iter().find(|l| l.ecosystem == ecosystem && l.name == bare) {
            let why = format!("{} says that it lies on this disk", local.lockfile.display());
            return Error::new(Kind::NotFound, what, why).hint("read it in the project itself");
        }
        let folded = grammar::folded(ecosystem, bare);
        if bare.len() == name.len()
            && let Some(several) = self.several(ecosystem, &folded)
        {
            let why = "it is pinned in several versions, and the root asks for none of them";
            return Error::new(Kind::NotFound, what, why).hint(several);
        }
        let note = self.notes.iter().find(|note| {
            let package = note.package.as_ref().filter(|_| note.why != PATCHED);
            package.is_some_and(|(of, name)| *of == ecosystem && grammar::folded(ecosystem, name) == folded)
        });
        if let Some(note) = note {
            let note_and_hint = note.to_string();
            let why = note_and_hint.strip_suffix(&format!("; {}", note.hint)).unwrap_or(&note_and_hint);
            return Error::new(Kind::NotFound, what, why).hint(&*note.hint);
        }
        // Programs look for `.gitignore` and the like in every directory.
        if grammar::name(ecosystem, bare).is_none() {
            return Error::new(Kind::NotFound, what, "no package can have that name");
        }
        let letters = letters(bare);
        let mut near: Vec<(usize, &str)> = known
            .map(|known| (split(known).0, known))
            .filter(|(name, _)| name.len().abs_diff(bare.len()) <= FAR)
            .filter(|(name, _)| may_be_near(letters, self::letters(name)))
            .map(|(name, known)| (strsim::damerau_levenshtein(name, bare), known))
            .filter(|(distance, _)| *distance <= FAR)
            .collect();
        near.sort();
        let near: Vec<&str> = near.into_iter().take(NEAR).map(|(_, name)| name).collect();
        let error = Error::new(Kind::NotFound, what, "none of them pins it");
        match near[..] {
            [] => error.hint("list the directory to see what is pinned"),
            _ => error.hint(format!("pinned are {}", near.join(", "))),
        }
    }

    /// The names to choose from instead of the bare one, `folded`, if that is pinned.
    fn several(&self, ecosystem: Ecosystem, folded: &str) -> Option<String> {
        let same = |pin: &&Pin| {
            let name = &pin.name;
            pin.ecosystem == ecosystem
                && name.len() == folded.len()
                && grammar::folded(ecosystem, name) == folded
        };
        let mut names: Vec<String> =
            self.pins.iter().filter(same).map(|pin| format!("{}@{}", pin.name, pin.version)).collect();
        names.dedup();
        let all = names.len();
        let newest = names.split_off(all.saturating_sub(NEAR)).join(", ");
        match all {
            0 => None,
            1..=NEAR => Some(format!("name one of {newest}")),
            _ => Some(format!("name one of {newest}; list the directory to see all {all}")),
        }
    }
}

/// How many names are told.
const NEAR: usize = 5;

/// Names that differ by more are not alike.
const FAR: usize = 2;

/// How often a name has each letter, by its last five bits.
fn letters(name: &str) -> [i8; 32] {
    let mut letters = [0_i8; 32];
    for byte in name.bytes() {
        let count = &mut letters[usize::from(byte & 31)];
        *count = count.saturating_add(1);
    }
    letters
}

/// Whether two names with these letters may be alike: a letter that is replaced makes a difference of two. To
/// measure how far tens of thousands of names are from one takes a hundred times as long.
fn may_be_near(one: [i8; 32], other: [i8; 32]) -> bool {
    one.iter().zip(other).map(|(one, other)| usize::from(one.abs_diff(other))).sum::<usize>() <= 2 * FAR
}

/// Of the pins of one name the one that is meant.
fn chosen<'a>(ecosystem: Ecosystem, version: Option<&str>, pins: &[&'a Pin]) -> Option<&'a Pin> {
    match version {
        None => bare_of(pins),
        Some(version) => {
            let same = |pin: &&Pin| is_same(ecosystem, &pin.version, version);
            // Of equals the first, as it is shown.
            pins.iter().rev().copied().filter(same).max_by_key(|pin| pin.reach)
        }
    }
}

/// The pins of a project by their names in any spelling, so that finding one takes no look at all others.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    names: HashMap<(Ecosystem, String), Vec<usize>>,
    aliases: HashMap<(Ecosystem, String), usize>,
}

impl Spellings {
    pub(super) fn of(pins: &[Pin]) -> Self {
        let mut spellings = Spellings::default();
        for (at, pin) in pins.iter().enumerate() {
            let name = grammar::folded(pin.ecosystem, &pin.name);
            spellings.names.entry((pin.ecosystem, name)).or_default().push(at);
            for alias in &pin.aliases {
                spellings.aliases.entry((pin.ecosystem, alias.clone())).or_insert(at);
            }
        }
        spellings
    }

    /// What [`Project::find`] finds among those `pins`.
    pub(super) fn find<'a>(&self, pins: &'a [Pin], ecosystem: Ecosystem, name: &str) -> Option<&'a Pin> {
        let (bare, version) = split(name);
        let bare = (ecosystem, grammar::folded(ecosystem, bare));
        match (version, self.names.get(&bare)) {
            (None, None) => self.aliases.get(&bare).and_then(|at| pins.get(*at)),
            (version, found) => {
                let found: Vec<&Pin> = found.into_iter().flatten().filter_map(|at| pins.get(*at)).collect();
                chosen(ecosystem, version, &found)
            }
        }
    }
}

/// What has the name without a version: the only version there is, else the one that the root depends on, or a
/// member; `None` if neither does. Of one version from two sources it is the nearer, else the registry's.
fn bare_of<'a>(pins: &[&'a Pin]) -> Option<&'a Pin> {
    let near = pins.iter().copied().filter(|pin| pin.reach > Reach::Transitive);
    // An alias is the root's other wish; of equals it is the highest version.
    let rank = |pin: &Pin| (pin.reach, pin.aliases.is_empty());
    let nearer = |a: &Pin, b: &Pin| rank(a).cmp(&rank(b)).then_with(|| by_version(a, b)).is_gt();
    let nearest = near.reduce(|best, pin| if nearer(pin, best) { pin } else { best });
    nearest.or_else(|| {
        let first = pins.first()?;
        pins.iter().all(|pin| is_same_version(first, pin)).then_some(*first)
    })
}

/// The name and the version, if there is one; the `@` of a scope parts nothing.
fn split(name: &str) -> (&str, Option<&str>) {
    let at = name.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at);
    at.map_or((name, None), |at| (&name[..at], Some(&name[at + 1..])))
}

fn python(version: &str) -> Option<pep440_rs::Version> {
    version.parse().ok()
}

/// Whether two spellings are one version: Python's `1.0` is `1.0.0`.
fn is_same(ecosystem: Ecosystem, one: &str, other: &str) -> bool {
    let spelled = ecosystem == Ecosystem::Pypi && python(one).is_some();
    one == other || spelled && python(one) == python(other)
}

/// Whether two pins of one package are of one version.
pub(super) fn is_same_version(a: &Pin, b: &Pin) -> bool {
    is_same(a.ecosystem, &a.version, &b.version)
}

/// The order of two versions of one package, each in its ecosystem's.
fn by_version(a: &Pin, b: &Pin) -> Ordering {
    match a.ecosystem {
        Ecosystem::Pypi => python(&a.version).cmp(&python(&b.version)),
        _ => a.version.parse::<cargo_lock::Version>().ok().cmp(&b.version.parse().ok()),
    }
}

/// The order of two pins of one package: by version, then by where they come from, registries first.
pub(super) fn older(a: &Pin, b: &Pin) -> Ordering {
    by_version(a, b).then_with(|| a.origin.cmp(&b.origin))
}

#[cfg(test)]
#[path = "names/tests.rs"]
mod tests;
