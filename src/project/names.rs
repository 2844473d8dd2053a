//! Under which names a project shows what it pins, and which pin a name means.
//!
//! One version of a package is shown as `name`. Several are each shown as `name@version`, and the one
//! that is nearest to the root also as `name`. What is looked up may be spelled in every way that its
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
            if let Some(pin) = nearest(&pins) {
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
            (None, [only]) => Some(only),
            (None, pins) => nearest(pins),
            (Some(version), pins) => {
                let same = |pin: &&Pin| {
                    let spelled = ecosystem == Ecosystem::Pypi && python(version).is_some();
                    pin.version == version || spelled && python(version) == python(&pin.version)
                };
                pins.iter().copied().filter(same).max_by_key(|pin| pin.reach)
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
        let note = self.notes.iter().find(|note| split(&note.what).0.split(' ').next() == Some(bare));
        if let Some(note) = note {
            return Error::new(Kind::NotFound, what, note.to_string()).hint(&*note.hint);
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

/// Of several versions the one that the root depends on, or a member; `None` if neither does.
fn nearest<'a>(pins: &[&'a Pin]) -> Option<&'a Pin> {
    let near = pins.iter().copied().filter(|pin| pin.reach > Reach::Transitive);
    // An alias is the root's other wish; of equals the last is the highest version.
    near.max_by_key(|pin| (pin.reach, pin.aliases.is_empty()))
}

/// The name and the version, if there is one; the `@` of a scope parts nothing.
fn split(name: &str) -> (&str, Option<&str>) {
    let at = name.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at);
    at.map_or((name, None), |at| (&name[..at], Some(&name[at + 1..])))
}

fn python(version: &str) -> Option<pep440_rs::Version> {
    version.parse().ok()
}

/// The order of two versions of one package, each in its ecosystem's.
pub(super) fn older(a: &Pin, b: &Pin) -> Ordering {
    match a.ecosystem {
        Ecosystem::Pypi => python(&a.version).cmp(&python(&b.version)),
        _ => a.version.parse::<cargo_lock::Version>().ok().cmp(&b.version.parse().ok()),
    }
    .then_with(|| a.origin.cmp(&b.origin))
}

#[cfg(test)]
#[path = "names/tests.rs"]
mod tests;
