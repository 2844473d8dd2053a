//! Mirrors: each pointer, what it names, and what lies beside it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::{Check, Checked, Flaw, is_unfinished};
use crate::cache::publish::ASIDE;
use crate::cache::state::{Stamp, State, is_generation};
use crate::cache::trash::{self, Claim, PIN};
use crate::key::Kind as KeyKind;

/// How often a mirror is looked at that changes meanwhile.
const ROUNDS: usize = 20;

/// What lies in a mirror beside its generations. The last one is a torn state as it was found.
const KNOWN: &[&str] = &["state.json", ASIDE];

impl Check<'_> {
    pub(super) fn mirrors(&mut self) {
        for (kind, directory) in self.entries(&self.layout.mirrors()) {
            if KeyKind::parse(&kind).is_none() {
                self.report(Flaw::Foreign, directory, "no such kind is known");
                continue;
            }
            for (_, mirror) in self.entries(&directory) {
                match fs::symlink_metadata(&mirror) {
                    Ok(found) if found.is_dir() => self.mirror(&mirror),
                    Ok(_) => self.report(Flaw::Foreign, mirror, "it is no mirror"),
                    Err(_) => {}
                }
            }
        }
    }

    /// Looks until the pointer is the same before and after, if anything is wrong.
    fn mirror(&mut self, mirror: &Path) {
        for _ in 0..ROUNDS {
            let before = Stamp::of(mirror).ok();
            let mut round = Check { layout: self.layout, how: self.how, found: Checked::default() };
            round.look_at(mirror);
            let found = round.found;
            if found.violations.is_empty() || before == Stamp::of(mirror).ok() {
                self.found.mirrors += 1;
                self.found.generations += found.generations;
                self.found.snapshots += found.snapshots;
                self.found.objects += found.objects;
                self.found.leftovers += found.leftovers;
                self.found.violations.extend(found.violations);
                return;
            }
        }
        self.found.unsettled += 1;
    }

    fn look_at(&mut self, mirror: &Path) {
        let state = match State::read(mirror) {
            Ok(state) => state,
            Err(error) => {
                self.report(Flaw::State, State::file(mirror), error.why());
                None
            }
        };
        let living = state.as_ref().and_then(|state| state.generation.as_deref());
        if let Some(state) = &state {
            match state.key() {
                Ok(key) if self.layout.mirror(&key) == mirror => {}
                Ok(key) => self.report(Flaw::Misplaced, mirror, format!("it is the mirror of {key}")),
                Err(error) => self.report(Flaw::State, State::file(mirror), error.to_string()),
            }
            for (name, reference) in &state.references {
                if !state.snapshots.contains_key(&reference.revision) {
                    let why = format!("{name:?} is {}, which it does not have", reference.revision);
                    self.report(Flaw::State, State::file(mirror), why);
                }
            }
            match living {
                Some(generation) => self.generation(state, &mirror.join(generation)),
                None if !state.snapshots.is_empty() => {
                    let why = "it names snapshots and no generation";
                    self.report(Flaw::State, State::file(mirror), why);
                }
                None => {}
            }
        }
        let changed = fs::metadata(State::file(mirror)).and_then(|metadata| metadata.modified()).ok();
        for (name, path) in self.entries(mirror) {
            if Some(name.as_str()) == living || KNOWN.contains(&name.as_str()) || is_unfinished(&name) {
                continue;
            }
            match is_generation(&name) {
                true => self.old_generation(mirror, &name, changed),
                false => self.report(Flaw::Foreign, path, "it is no generation"),
            }
        }
        self.unfinished(mirror);
    }

    /// One that the pointer does not name: somebody uses it, or it goes.
    fn old_generation(&mut self, mirror: &Path, generation: &str, changed: Option<SystemTime>) {
        let path = mirror.join(generation);
        // Without its pin file nobody can use it; with it, an attempt for an instant tells.
        let pinned = path.join(PIN).exists()
            && matches!(trash::claim(self.layout, mirror, generation), Ok(Claim::Pinned));
        if !pinned {
            let why = "no pointer names it and nobody pins it";
            self.leftover(Flaw::Orphan, &path, changed, why);
        } else if self.how.settled {
            self.report(Flaw::Held, path, "somebody pins it");
        }
    }
}
