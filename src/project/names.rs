//! Under which names a project shows what it pins, and which pin a name means.
//!
//! One version of a package is shown as `name`. Several are each shown as `name@version`, and the one
//! that is nearest to the root also as `name`; so is one version from several sources. What is looked up may be spelled in every way that its
//! registry takes for the same, and `name@version` is found also where there is but one version.
//! Pure; calls `grammar`.

use super::{Ecosystem, Pin, Project, Reach, grammar};
use crate::error::{Error, Kind};
use std::cmp::Ordering;
use std::collections::BTreeMap;

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
            (None, pins) => bare_of(pins),
            (Some(version), pins) => {
                let same = |pin: &&Pin| is_same(ecosystem, &pin.version, version);
                // Of equals the first, as it is shown.
                pins.iter().rev().copied().filter(same).max_by_key(|pin| pin.reach)
            }
        }
    }

    /// Why `name` is not found: the nearest names, or the lockfile that could not be read and may have
    /// it.
    pub fn missing(&self, ecosystem: Ecosystem, name: &str) -> Error {
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
        let note = self.notes.iter().find(|note| {
            let package = note.package.as_ref();
            package.is_some_and(|(of, name)| *of == ecosystem && grammar::folded(ecosystem, name) == folded)
        });
        if let Some(note) = note {
            let note_and_hint = note.to_string();
            let why = note_and_hint.strip_suffix(&format!("; {}", note.hint)).unwrap_or(&note_and_hint);
            return Error::new(Kind::NotFound, what, why).hint(&*note.hint);
        }
        let shown = self.names(ecosystem);
        let mut near: Vec<(usize, &str)> = shown
            .keys()
            .map(|known| (strsim::damerau_levenshtein(split(known).0, bare), known.as_str()))
            .filter(|(distance, _)| *distance <= 2)
            .collect();
        near.sort();
        let near: Vec<&str> = near.into_iter().take(5).map(|(_, name)| name).collect();
        let error = Error::new(Kind::NotFound, what, "none of them pins it");
        match near[..] {
            [] => error.hint("list the directory to see what is pinned"),
            _ => error.hint(format!("pinned are {}", near.join(", "))),
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
