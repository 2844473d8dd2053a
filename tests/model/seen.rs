//! What was seen, beside what the model says, and whether they agree.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::pure::{Generation, Meant, Model};
use crate::upstream::Version;

/// An answer of the cache; `G` is a number in the model and a directory in the real thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer<G> {
    Snapshot(Shown<G>),
    Absent,
    Cleared {
        generation: Option<G>,
        freed: bool,
        pending: bool,
    },
    Swept {
        freed: bool,
        pending: bool,
    },
    Reaped {
        generations: u64,
        pinned: u64,
    },
    /// How many revisions were dropped, whether that would have won too little, and what came of the
    /// whole mirror if it was its turn.
    Collected {
        revisions: usize,
        small: bool,
        mirror: Option<Turn>,
    },
    /// Whether it was kept, or was not, before.
    Kept(bool),
    Released(bool),
    /// All of a held snapshot was read: it is this version.
    Read(Version),
    Failed(String),
    Nothing,
}

/// What came of a mirror that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    Gone,
    Kept,
    Pinned,
    /// Somebody was at it, or had used it meanwhile.
    Busy,
    Failed,
}

/// A snapshot as it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown<G> {
    pub version: Version,
    pub generation: G,
    pub fetched: bool,
    pub changed: bool,
    /// Why it could not be refreshed.
    pub failed: Option<String>,
}

/// What the real cache looks like to somebody who only looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    pub living: Option<String>,
    pub references: BTreeMap<Meant, Version>,
    pub snapshots: BTreeSet<Version>,
    pub kept: BTreeSet<Meant>,
    pub on_disk: BTreeSet<String>,
    pub failures: BTreeMap<Meant, String>,
    pub asks: usize,
    pub fetches: usize,
}

/// Which directory is which generation.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<Generation, String>);

/// How much must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    Everything,
    /// Not what depends on who did what within one step of several at once: what a pin that lasts a
    /// moment keeps for that moment, who took an old generation away, and the notes of failures, which
    /// are written without a lock.
    AtOnce,
}

impl Names {
    /// Whether `generation` can be the directory `name`; from then on it is.
    fn is(&mut self, generation: Generation, name: &str) -> bool {
        match self.0.get(&generation) {
            Some(known) => known == name,
            None if self.0.values().any(|known| known == name) => false,
            None => {
                self.0.insert(generation, name.to_owned());
                true
            }
        }
    }

    fn are(&mut self, expected: Option<Generation>, seen: Option<&String>) -> bool {
        match (expected, seen) {
            (Some(generation), Some(name)) => self.is(generation, name),
            (expected, seen) => expected.is_none() && seen.is_none(),
        }
    }

    /// The generation that is the directory `name`.
    pub fn of(&self, name: &str) -> Option<Generation> {
        self.0.iter().find(|(_, known)| *known == name).map(|(generation, _)| *generation)
    }

    /// Gives a directory to a generation that nobody spoke of yet.
    pub fn learn(&mut self, generation: Generation, name: &str) {
        assert!(self.is(generation, name));
    }

    /// Whether an answer is the one that was expected.
    pub fn agree(
        &mut self,
        expected: &Answer<Generation>,
        seen: &Answer<String>,
        strict: Strictness,
    ) -> bool {
        let exact = strict == Strictness::Everything;
        match (expected, seen) {
            (Answer::Snapshot(expected), Answer::Snapshot(seen)) => {
                (expected.version, expected.fetched, expected.changed, &expected.failed)
                    == (seen.version, seen.fetched, seen.changed, &seen.failed)
                    && self.is(expected.generation, &seen.generation)
            }
            (
                Answer::Cleared { generation, freed, pending },
                Answer::Cleared { generation: name, freed: was_freed, pending: is_pending },
            ) => {
                self.are(*generation, name.as_ref())
                    && (!exact || (freed, pending) == (was_freed, is_pending))
            }
            (Answer::Swept { freed, pending }, Answer::Swept { freed: was_freed, pending: is_pending }) => {
                !exact || (freed, pending) == (was_freed, is_pending)
            }
            (Answer::Reaped { generations, pinned }, Answer::Reaped { generations: taken, pinned: left }) => {
                !exact || (generations, pinned) == (taken, left)
            }
            (Answer::Collected { .. }, Answer::Collected { .. })
            | (Answer::Kept(_), Answer::Kept(_))
            | (Answer::Released(_), Answer::Released(_)) => same(expected, seen),
            (Answer::Read(expected), Answer::Read(seen)) => expected == seen,
            (Answer::Failed(expected), Answer::Failed(seen)) => expected == seen,
            (Answer::Absent, Answer::Absent) | (Answer::Nothing, Answer::Nothing) => true,
            _ => false,
        }
    }

    /// What of a cache is not as the model has it.
    pub fn differences(&mut self, model: &Model, seen: &Sight, strict: Strictness) -> Vec<String> {
        let mut found = self.published(model, seen);
        let mut compare = |what: &str, expected: String, seen: String| {
            if expected != seen {
                found.push(format!("{what}: expected {expected}, seen {seen}"));
            }
        };
        let on_disk: BTreeSet<Generation> = seen.on_disk.iter().filter_map(|name| self.of(name)).collect();
        compare("on disk", format!("{:?}", model.on_disk), format!("{on_disk:?}"));
        let unknown = seen.on_disk.iter().filter(|name| self.of(name).is_none()).count();
        compare("unknown on disk", "0".into(), unknown.to_string());
        compare("fetches", model.fetches.to_string(), seen.fetches.to_string());
        compare("asks", model.asks.to_string(), seen.asks.to_string());
        if strict == Strictness::Everything {
            compare("failures", format!("{:?}", model.failures), format!("{:?}", seen.failures));
        }
        found
    }

    /// What of that which is published is not as the model has it.
    pub fn published(&mut self, model: &Model, seen: &Sight) -> Vec<String> {
        let mut found = Vec::new();
        if !self.are(model.cache.living, seen.living.as_ref()) {
            found.push(format!("living: expected {:?}, seen {:?}", model.cache.living, seen.living));
        }
        if model.cache.references != seen.references {
            found.push(format!("references: {:?}, seen {:?}", model.cache.references, seen.references));
        }
        if model.cache.snapshots != seen.snapshots {
            found.push(format!("snapshots: {:?}, seen {:?}", model.cache.snapshots, seen.snapshots));
        }
        if model.cache.kept != seen.kept {
            found.push(format!("kept: {:?}, seen {:?}", model.cache.kept, seen.kept));
        }
        found
    }
}

/// Whether two answers that name no generation say the same.
fn same(expected: &Answer<Generation>, seen: &Answer<String>) -> bool {
    format!("{expected:?}") == format!("{seen:?}")
}
