//! The model: what a cache is, without files, locks or processes. One definition of what is right.
//!
//! A step changes the model and says what the real thing must answer. Generations are numbers here;
//! which directory is which is found out by comparing (see `seen`).

use std::collections::{BTreeMap, BTreeSet};

use crate::seen::{Answer, Shown, Turn};
use crate::steps::{Age, Branch, Change, Name, Op, Room, Wanted};
use crate::upstream::Version;

/// One life of the mirror.
pub type Generation = u32;

/// What a reference is called in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meant {
    Default,
    Topic,
    Commit(Version),
}

/// What a process holds, and whether it has reaped, which it does before its first fetch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    pub held: Vec<(Generation, Version)>,
    reaped: bool,
}

/// What anybody can see of the cache without asking it for a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cache {
    pub living: Option<Generation>,
    pub references: BTreeMap<Meant, Version>,
    pub snapshots: BTreeSet<Version>,
    /// What no gc may take, cached or not.
    pub kept: BTreeSet<Meant>,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    /// What the branches are; `main` always is something.
    branches: BTreeMap<Meant, Version>,
    /// Versions are 1, 2, ... this.
    pub versions: Version,
    pub offline: bool,
    pub cache: Cache,
    /// The generations that have not left the disk.
    pub on_disk: BTreeSet<Generation>,
    last: Generation,
    /// Why a reference could not be had when it was last tried.
    pub failures: BTreeMap<Meant, &'static str>,
    /// How often the upstream was asked what a branch is, and for the objects of a commit.
    pub asks: usize,
    pub fetches: usize,
    pub processes: BTreeMap<Name, Process>,
    /// Whether processes reap when they open the cache, and not before their first fetch.
    pub reaps_first: bool,
    /// What was used within the last hour.
    fresh: BTreeSet<Version>,
    /// What a gc said of that which no model knows.
    pub told: Told,
}

/// Of what the answer of a gc alone can tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Dropping revisions would win too little. There are no sizes here; but where half of them go, it pays.
    pub small: bool,
    /// It gave way to somebody: right whenever there was somebody at the same time.
    pub gave_way: Option<Turn>,
}

impl Model {
    fn meant(&self, wanted: Wanted) -> Meant {
        match wanted {
            Wanted::Default => Meant::Default,
            Wanted::Topic => Meant::Topic,
            Wanted::Version(number) => Meant::Commit(self.version(number)),
        }
    }

    fn version(&self, number: usize) -> Version {
        1 + u32::try_from(number).unwrap() % self.versions
    }

    /// Whether a step makes sense upstream; what does not is left out.
    pub fn allows(&self, change: &Change) -> bool {
        *change != Change::DeleteTopic || self.branches.contains_key(&Meant::Topic)
    }

    /// The version that a branch names after a change.
    pub fn upstream(&mut self, change: &Change) -> Option<Version> {
        let (branch, version) = match change {
            Change::Commit(branch) => {
                self.versions += 1;
                (branch, self.versions)
            }
            Change::Rewind(branch, number) => (branch, self.version(*number)),
            Change::DeleteTopic => {
                self.branches.remove(&Meant::Topic);
                return None;
            }
        };
        let branch = if *branch == Branch::Main { Meant::Default } else { Meant::Topic };
        self.branches.insert(branch, version);
        Some(version)
    }

    /// A process died, or ended: it pins nothing any more, and takes nothing away.
    pub fn dies(&mut self, name: Name) {
        self.processes.remove(&name);
    }

    /// A process let go of everything and ended.
    pub fn ends(&mut self, name: Name) {
        for (generation, _) in self.processes.remove(&name).unwrap_or_default().held {
            self.let_go(generation);
        }
    }

    /// Process `name` does `op`.
    pub fn does(&mut self, name: Name, op: &Op) -> Answer<Generation> {
        if !self.processes.contains_key(&name) {
            self.processes.insert(name, Process { held: Vec::new(), reaped: self.reaps_first });
            if self.reaps_first {
                self.sweep();
            }
        }
        match *op {
            Op::Get { wanted, age, hold } => {
                let answer = self.get(name, self.meant(wanted), age);
                if let Answer::Snapshot(shown) = &answer {
                    self.fresh.insert(shown.version);
                }
                self.hold(name, hold, &answer);
                answer
            }
            Op::Peek { wanted, hold } => {
                let version = self.published(self.meant(wanted), Age::Cached);
                let answer = version.map_or(Answer::Absent, |version| self.cached(version, None));
                self.hold(name, hold, &answer);
                answer
            }
            Op::Clear => {
                self.failures.clear();
                let generation = self.bury();
                let (freed, pending) = self.sweep();
                Answer::Cleared { generation, freed: freed > 0, pending: pending > 0 }
            }
            Op::Sweep => {
                let (freed, pending) = self.sweep();
                Answer::Swept { freed: freed > 0, pending: pending > 0 }
            }
            Op::Reap => {
                let (generations, pinned) = self.sweep();
                Answer::Reaped { generations, pinned }
            }
            Op::Gc(room) => self.collect(room),
            Op::Keep(wanted) => Answer::Kept(self.cache.kept.insert(self.meant(wanted))),
            Op::Release(wanted) => Answer::Released(self.cache.kept.remove(&self.meant(wanted))),
            Op::Read(number) => match self.held(name, number) {
                Some((_, (_, version))) => Answer::Read(version),
                None => Answer::Nothing,
            },
            Op::Drop(number) => {
                if let Some((position, (generation, _))) = self.held(name, number) {
                    self.process(name).held.remove(position);
                    self.let_go(generation);
                }
                Answer::Nothing
            }
            Op::Distrust(number) => {
                if let Some((_, (generation, _))) = self.held(name, number) {
                    if self.cache.living == Some(generation) {
                        self.bury();
                    }
                    self.sweep();
                }
                Answer::Nothing
            }
        }
    }

    fn process(&mut self, name: Name) -> &mut Process {
        self.processes.get_mut(&name).expect("it does something")
    }

    fn held(&self, name: Name, number: usize) -> Option<(usize, (Generation, Version))> {
        let held = &self.processes[&name].held;
        let position = number.checked_rem(held.len())?;
        Some((position, held[position]))
    }

    fn hold(&mut self, name: Name, hold: bool, answer: &Answer<Generation>) {
        if let Answer::Snapshot(shown) = answer
            && hold
        {
            let snapshot = (shown.generation, shown.version);
            self.process(name).held.push(snapshot);
        }
    }

    /// What is published for a reference, if it is fresh enough. Only branches can become old.
    fn published(&self, meant: Meant, age: Age) -> Option<Version> {
        let fresh = match age {
            Age::Cached | Age::Hour => true,
            Age::Zero => matches!(meant, Meant::Commit(_)),
            Age::Now => false,
        };
        let commit = match meant {
            Meant::Commit(version) => self.cache.snapshots.get(&version),
            _ => None,
        };
        let known = self.cache.references.get(&meant).or(commit);
        known.copied().filter(|_| fresh)
    }

    fn cached(&self, version: Version, failed: Option<&str>) -> Answer<Generation> {
        let generation = self.cache.living.expect("what is published is in a generation");
        let failed = failed.map(str::to_owned);
        Answer::Snapshot(Shown { version, generation, fetched: false, changed: false, failed })
    }

    fn get(&mut self, name: Name, meant: Meant, age: Age) -> Answer<Generation> {
        if let Some(version) = self.published(meant, age) {
            return self.cached(version, None);
        }
        if !std::mem::replace(&mut self.process(name).reaped, true) {
            self.sweep();
        }
        match self.resolve(meant).and_then(|version| self.bring(meant, version)) {
            Ok(shown) => {
                self.failures.remove(&meant);
                Answer::Snapshot(shown)
            }
            Err(why) => {
                self.failures.insert(meant, why);
                match self.published(meant, Age::Cached) {
                    Some(version) if why == "Unreachable" && age != Age::Now => {
                        self.cached(version, Some(why))
                    }
                    _ => Answer::Failed(why.to_owned()),
                }
            }
        }
    }

    fn resolve(&mut self, meant: Meant) -> Result<Version, &'static str> {
        match meant {
            Meant::Commit(version) => Ok(version),
            _ if self.offline => Err("Unreachable"),
            branch => {
                self.asks += 1;
                self.branches.get(&branch).copied().ok_or("NotFound")
            }
        }
    }

    fn bring(&mut self, meant: Meant, version: Version) -> Result<Shown<Generation>, &'static str> {
        let fetched = !self.cache.snapshots.contains(&version);
        if fetched {
            if self.offline {
                return Err("Unreachable");
            }
            self.fetches += 1;
        }
        let generation = self.cache.living.unwrap_or_else(|| {
            self.last += 1;
            self.on_disk.insert(self.last);
            self.last
        });
        self.cache.living = Some(generation);
        self.cache.snapshots.insert(version);
        let before = self.cache.references.insert(meant, version);
        let changed = before.is_some_and(|before| before != version);
        Ok(Shown { version, generation, fetched, changed, failed: None })
    }

    /// Makes everything absent; the generation that was published.
    fn bury(&mut self) -> Option<Generation> {
        self.fresh.clear();
        let kept = std::mem::take(&mut self.cache.kept);
        std::mem::replace(&mut self.cache, Cache { kept, ..Cache::default() }).living
    }

    /// Two hours pass.
    pub fn hours(&mut self) {
        self.fresh.clear();
    }

    /// Makes room: revisions of a mirror that stays, and the mirror itself.
    fn collect(&mut self, room: Room) -> Answer<Generation> {
        self.sweep();
        let Some(generation) = self.cache.living else {
            return Answer::Collected { revisions: 0, small: false, mirror: None };
        };
        let aged = room == Room::Age && self.fresh.is_empty();
        let going = if aged { BTreeSet::new() } else { self.droppable(room) };
        let small = self.told.small && !going.is_empty() && going.len() * 2 < self.cache.snapshots.len();
        let revisions = if small { 0 } else { going.len() };
        if revisions > 0 {
            self.shrink(generation, &going);
        }
        let turn = aged || room == Room::Everything;
        Answer::Collected { revisions, small, mirror: turn.then(|| self.evict()) }
    }

    /// What may go alone: never what is kept or was used of late, and not all there is.
    fn droppable(&self, room: Room) -> BTreeSet<Version> {
        let kept: BTreeSet<_> =
            self.cache.kept.iter().filter_map(|meant| self.published(*meant, Age::Cached)).collect();
        let means = |version: &Version| self.cache.references.values().any(|meant| meant == version);
        let all = self.cache.snapshots.iter().copied();
        let free = all.filter(|version| !kept.contains(version) && !self.fresh.contains(version));
        let going: BTreeSet<_> = free.filter(|version| room == Room::Age || !means(version)).collect();
        if going.len() == self.cache.snapshots.len() { BTreeSet::new() } else { going }
    }

    /// What stays moves to a new generation; who holds the old one keeps all of it.
    fn shrink(&mut self, old: Generation, going: &BTreeSet<Version>) {
        self.cache.snapshots.retain(|version| !going.contains(version));
        self.cache.references.retain(|_, version| !going.contains(version));
        self.cache.living = Some(self.orphan());
        self.let_go(old);
    }

    /// The whole mirror goes, if nothing of it is kept and nobody holds anything of it.
    fn evict(&mut self) -> Turn {
        if let Some(why) = self.told.gave_way {
            return why;
        }
        match self.cache.living {
            _ if !self.cache.kept.is_empty() => Turn::Kept,
            Some(generation) if self.is_pinned(generation) => Turn::Pinned,
            _ => {
                self.bury();
                self.sweep();
                Turn::Gone
            }
        }
    }

    fn is_pinned(&self, generation: Generation) -> bool {
        self.processes.values().flat_map(|process| &process.held).any(|held| held.0 == generation)
    }

    /// Takes away what is not published and not pinned; how many went, and how many are pinned.
    fn sweep(&mut self) -> (u64, u64) {
        let old = self.on_disk.iter().copied().filter(|one| Some(*one) != self.cache.living);
        let (pinned, gone): (Vec<_>, Vec<_>) = old.partition(|one| self.is_pinned(*one));
        self.on_disk.retain(|one| !gone.contains(one));
        (gone.len() as u64, pinned.len() as u64)
    }

    /// One snapshot of a generation was dropped.
    fn let_go(&mut self, generation: Generation) {
        if self.cache.living != Some(generation) && !self.is_pinned(generation) {
            self.on_disk.remove(&generation);
        }
    }

    /// A generation that somebody who died half-way left behind.
    pub fn orphan(&mut self) -> Generation {
        self.last += 1;
        self.on_disk.insert(self.last);
        self.last
    }
}
