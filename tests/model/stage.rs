//! Does the steps with real processes on a real cache, and compares all that can be seen with the model.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use srcfs::cache::{Cache, Options};
use srcfs::key::Reference;

use crate::pure::{Meant, Model, Told};
use crate::seen::{Answer, Names, Sight, Strictness};
use crate::steps::{Branch, Change, Fate, Name, Op, Room, Step, Wanted};
use crate::upstream::{Upstream, Version, key};
use crate::worker::{Request, Worker, version};

/// The process of a step that may not survive it.
pub const DOOMED: Name = 9;

/// A cache, an upstream, processes, and what should be.
pub struct Stage {
    directory: tempfile::TempDir,
    pub upstream: Upstream,
    /// Only looks.
    observer: Arc<Cache>,
    /// The commits of version 1, 2, ...
    commits: Vec<String>,
    pub workers: BTreeMap<Name, Worker>,
    pub model: Model,
    pub names: Names,
}

/// Does all of `steps`; the first thing that is not as it should be.
pub fn play(steps: &[Step]) -> Result<(), String> {
    let mut stage = Stage::new();
    // Of several that fetch at once nobody can see which of them would have reaped before its first.
    stage.model.reaps_first = steps.iter().any(|step| matches!(step, Step::Together(..) | Step::Paused(..)));
    for (number, step) in steps.iter().enumerate() {
        stage.step(step).map_err(|what| format!("after step {number}, {step:?}: {what}"))?;
    }
    stage.end()
}

impl Stage {
    pub fn new() -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let upstream = Upstream::new(directory.path());
        upstream.create();
        let options = Options { reap: false, ..Options::default() };
        let observer = Cache::open(&directory.path().join("cache"), options).unwrap();
        let mut stage = Stage {
            directory,
            upstream,
            observer,
            commits: Vec::new(),
            workers: BTreeMap::new(),
            model: Model::default(),
            names: Names::default(),
        };
        stage.change(&Change::Commit(Branch::Main));
        stage
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Do(name, op) => {
                self.tell(*name, op);
                let answer = self.workers.get_mut(name).expect("it was told").answer();
                let answer = answer.ok_or("the process died")?;
                self.model.told = alone(&answer);
                let expected = self.model.does(*name, op);
                if !self.names.agree(&expected, &answer, Strictness::Everything) {
                    return Err(format!("expected {expected:?}, answered {answer:?}"));
                }
            }
            Step::Upstream(change) => {
                if self.model.allows(change) {
                    self.change(change);
                }
            }
            Step::Offline(offline) => {
                if self.model.offline != *offline {
                    self.upstream.offline(*offline);
                    self.model.offline = *offline;
                }
            }
            Step::Hours => {
                self.age();
                self.model.hours();
            }
            Step::Kill(name) => {
                if let Some(mut worker) = self.workers.remove(name) {
                    worker.kill();
                    self.model.dies(*name);
                }
            }
            Step::Doomed(op, point, fate) => self.doomed(op, *point, *fate)?,
            Step::Paused(op, point, others) => self.paused(op, *point, others)?,
            Step::Together(ops, change) => {
                let change = change.as_ref().filter(|change| self.model.allows(change));
                self.together(ops, change)?;
            }
        }
        self.compare(Strictness::Everything)
    }

    /// Starts the process, if it does not run, and tells it what to do.
    pub fn tell(&mut self, name: Name, op: &Op) {
        let request = self.request(op);
        let (world, reaps) = (self.directory.path(), self.model.reaps_first);
        self.workers.entry(name).or_insert_with(|| Worker::start(world, reaps, None)).tell(&request);
    }

    /// Changes the upstream, and the model of it.
    pub fn change(&mut self, change: &Change) {
        let version = self.model.upstream(change);
        self.change_for_real(change, version);
    }

    /// Changes the upstream as the model did.
    pub fn change_for_real(&mut self, change: &Change, version: Option<Version>) {
        let branch = match change {
            Change::Commit(branch) | Change::Rewind(branch, _) => *branch,
            Change::DeleteTopic => return self.upstream.delete(Branch::Topic.name()),
        };
        let version = version.expect("the branch names one");
        if version as usize > self.commits.len() {
            self.commits.push(self.upstream.commit(version));
        }
        self.upstream.point(branch.name(), &self.commits[version as usize - 1]);
    }

    /// A process of its own that meets a fault, told what to do.
    pub fn start(&self, op: &Op, fault: &str) -> Worker {
        let mut worker = Worker::start(self.directory.path(), self.model.reaps_first, Some(fault));
        worker.tell(&self.request(op));
        worker
    }

    fn request(&self, op: &Op) -> Request {
        let name = |wanted: Wanted| match wanted {
            Wanted::Default => String::new(),
            Wanted::Topic => Branch::Topic.name().to_owned(),
            Wanted::Version(number) => self.commits[number % self.commits.len()].clone(),
        };
        match *op {
            Op::Get { wanted, age, hold } => Request::Get { reference: name(wanted), age, hold },
            Op::Peek { wanted, hold } => Request::Peek { reference: name(wanted), hold },
            Op::Clear => Request::Clear,
            Op::Sweep => Request::Sweep,
            Op::Reap => Request::Reap,
            Op::Gc(room) => Request::Gc(room),
            Op::Keep(wanted) => Request::Keep(name(wanted)),
            Op::Release(wanted) => Request::Release(name(wanted)),
            Op::Read(number) => Request::Read(number),
            Op::Drop(number) => Request::Drop(number),
            Op::Distrust(number) => Request::Distrust(number),
        }
    }

    /// Makes every use that is noted two hours older.
    fn age(&self) {
        let then = SystemTime::now() - Duration::from_secs(7200);
        for generation in self.look().on_disk {
            let generation = self.observer.mirror_directory(&key()).join(generation);
            let tables = fs::read_dir(generation.join("tables")).into_iter().flatten().flatten();
            for file in tables.map(|table| table.path()).chain([generation.join("pin")]) {
                if let Ok(file) = fs::File::open(file) {
                    file.set_modified(then).unwrap();
                }
            }
        }
    }

    /// What the cache looks like now.
    pub fn look(&self) -> Sight {
        let version = |id: &str| {
            let position = self.commits.iter().position(|commit| commit == id);
            1 + u32::try_from(position.expect("a commit of the upstream")).unwrap()
        };
        let meant = |name: &str| match name {
            "" => Meant::Default,
            "topic" => Meant::Topic,
            id => Meant::Commit(version(id)),
        };
        let (asks, fetches) = self.upstream.requests();
        let mut sight = Sight { asks, fetches, ..Sight::default() };
        let mirror = self.observer.mirror_directory(&key());
        for entry in fs::read_dir(mirror).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.len() == 32 {
                sight.on_disk.insert(name);
            }
        }
        for failure in self.observer.failures() {
            sight.failures.insert(meant(&failure.reference), failure.kind);
        }
        let kept = self.observer.kept();
        sight.kept = kept.iter().map(|kept| meant(&kept.reference.to_string())).collect();
        let Some(state) = self.observer.state(&key()).unwrap() else { return sight };
        sight.living.clone_from(&state.generation);
        sight.snapshots = state.snapshots.keys().map(|id| version(id)).collect();
        let references = state.references.iter();
        sight.references = references.map(|(name, found)| (meant(name), version(&found.revision))).collect();
        sight
    }

    fn compare(&mut self, strict: Strictness) -> Result<(), String> {
        let differences = self.names.differences(&self.model, &self.look(), strict);
        if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
    }

    /// Somebody does `op` and may meet a fault: what is published is then as before or as after, and
    /// nothing is lost that somebody uses.
    fn doomed(&mut self, op: &Op, point: u32, fate: Fate) -> Result<(), String> {
        let mode = if fate == Fate::Kill { "kill" } else { "error" };
        let mut worker = self.start(op, &format!("{point}:{mode}"));
        let answer = worker.answer();
        let unharmed = answer.is_some() && fate == Fate::Kill;
        if answer.is_some() {
            worker.end();
        }
        let before = self.model.clone();
        self.model.told = answer.as_ref().map(alone).unwrap_or_default();
        let expected = self.model.does(DOOMED, op);
        self.model.ends(DOOMED);
        if unharmed {
            let answer = answer.expect("it answered");
            let agreed = self.names.agree(&expected, &answer, Strictness::Everything);
            return if agreed { Ok(()) } else { Err(format!("expected {expected:?}, answered {answer:?}")) };
        }
        let (seen, names) = (self.look(), self.names.clone());
        if !self.names.published(&self.model, &seen).is_empty() {
            // A gc for everything drops revisions first, and may come no further.
            let mut shrunk = before.clone();
            if *op == Op::Gc(Room::Everything) {
                shrunk.does(DOOMED, &Op::Gc(Room::Superseded));
                shrunk.ends(DOOMED);
            }
            let mut other = names.clone();
            let shrunk_only = other.published(&shrunk, &seen).is_empty();
            let (before, mut names) = if shrunk_only { (&shrunk, other) } else { (&before, names) };
            let differences = names.published(before, &seen);
            if !differences.is_empty() {
                return Err(format!("neither before nor after: {}", differences.join("; ")));
            }
            self.names = names;
            let after = std::mem::replace(&mut self.model, before.clone());
            (self.model.asks, self.model.fetches) = (after.asks, after.fetches);
        }
        self.adopt(&before, &seen)
    }

    /// What a step that was broken off may have left or not have done.
    fn adopt(&mut self, before: &Model, seen: &Sight) -> Result<(), String> {
        if !(before.asks..=self.model.asks).contains(&seen.asks)
            || !(before.fetches..=self.model.fetches).contains(&seen.fetches)
        {
            return Err(format!("{} questions and {} fetches", seen.asks, seen.fetches));
        }
        (self.model.asks, self.model.fetches) = (seen.asks, seen.fetches);
        let kinds = ["NotFound", "Unreachable", "Io"];
        let known = |kind: &str| kinds.iter().copied().find(|known| *known == kind);
        let failures = seen.failures.iter().map(|(meant, kind)| Ok((*meant, known(kind).ok_or(kind)?)));
        self.model.failures = failures.collect::<Result<_, &String>>()?;
        let needed = self.model.cache.living.into_iter();
        let pinned = self.model.processes.values().flat_map(|process| &process.held).map(|held| held.0);
        let needed: Vec<_> = needed.chain(pinned).collect();
        self.model.on_disk.clear();
        for name in &seen.on_disk {
            match self.names.of(name) {
                Some(generation) => drop(self.model.on_disk.insert(generation)),
                None => {
                    let orphan = self.model.orphan();
                    self.names.learn(orphan, name);
                }
            }
        }
        match needed.into_iter().find(|generation| !self.model.on_disk.contains(generation)) {
            Some(lost) => Err(format!("generation {lost} is in use and gone")),
            None => Ok(()),
        }
    }

    /// Everybody lets go; then nothing is left but what is published, and that is complete.
    fn end(mut self) -> Result<(), String> {
        for (name, worker) in std::mem::take(&mut self.workers) {
            worker.end();
            self.model.ends(name);
        }
        self.compare(Strictness::Everything)?;
        self.observer.reap();
        self.model.does(DOOMED, &Op::Reap);
        self.compare(Strictness::Everything)?;
        for directory in ["staging", "trash"] {
            let left = fs::read_dir(self.directory.path().join("cache/v1").join(directory)).unwrap().count();
            if left > 0 {
                return Err(format!("{left} entries are left in {directory}"));
            }
        }
        for number in self.model.cache.snapshots.iter().copied() {
            let reference = Reference::parse(&self.commits[number as usize - 1]).unwrap();
            let snapshot = self.observer.peek(&key(), &reference).map_err(|error| error.to_string())?;
            let snapshot = snapshot.ok_or("a recorded snapshot is absent")?;
            assert_eq!(version(&snapshot), number);
        }
        Ok(())
    }
}

/// What the answer of a gc tells when nobody else does anything.
fn alone(answer: &Answer<String>) -> Told {
    Told { small: matches!(answer, Answer::Collected { small: true, .. }), gave_way: None }
}
