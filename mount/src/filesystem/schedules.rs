//! The file system under many schedules: a name that changes, readers, a kernel that gives back what it
//! only caches whenever it likes, and the passes that take views out of use.
//!
//! What must hold in each: who holds a reference gets its answers, from the one view that it looked up;
//! and when nobody holds anything any more, every snapshot is gone.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use super::{FileSystem, Found};
use crate::Config;
use crate::ino::Ino;
use crate::locked;
use crate::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::sync::{explore, mpsc, thread};
use crate::tree::{Caller, Errno};

mod stand_ins;

use stand_ins::{TheKernel, TheTree, World};

const CALLER: Caller = Caller { tid: 0 };

struct Mount {
    fs: Arc<FileSystem>,
    kernel: Arc<TheKernel>,
    world: Arc<World>,
}

impl Mount {
    /// With version 1, and bounds at which everything is over at once.
    fn new() -> Arc<Mount> {
        let (world, kernel) = (Arc::new(World::default()), Arc::new(TheKernel::default()));
        world.version.store(1, SeqCst);
        let mut config = Config::default();
        (config.quiet, config.max_drain, config.idle) = Default::default();
        let fs = FileSystem::new(Arc::new(TheTree(world.clone())), config);
        fs.attach(kernel.clone());
        Arc::new(Mount { fs, kernel, world })
    }

    /// LOOKUP, until it is answered.
    fn look_up(&self, parent: Ino, name: &str) -> Result<Found, Errno> {
        let (answer, answered) = mpsc::channel();
        *locked(&self.kernel.0).lookups.entry(parent).or_default() += 1;
        let (kernel, missed) = (self.kernel.clone(), (parent, OsString::from(name)));
        self.fs.lookup(parent, name.as_ref(), CALLER, move |found| {
            match &found {
                Ok(Found::Node { attributes, .. }) => kernel.given(attributes.ino),
                Ok(Found::Never) => drop(locked(&kernel.0).misses.insert(missed)),
                Err(_) => {}
            }
            *locked(&kernel.0).lookups.get_mut(&parent).expect("it is under way") -= 1;
            answer.send(found).unwrap();
        });
        answered.recv().expect("every request is answered")
    }

    fn node(&self, parent: Ino, name: &str) -> Ino {
        match self.look_up(parent, name) {
            Ok(Found::Node { attributes, .. }) => attributes.ino,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// GETATTR, until it is answered.
    fn attributes(&self, ino: Ino) -> Result<Ino, Errno> {
        let (answer, answered) = mpsc::channel();
        self.fs.getattr(ino, CALLER, move |found| answer.send(found).unwrap());
        let found = answered.recv().expect("every request is answered");
        found.map(|(attributes, _)| attributes.ino)
    }

    /// Walks to the file and reads it, as often as it likes while it holds it.
    fn read(&self) {
        self.read_below(self.node(Ino::ROOT, "v"));
    }

    fn read_below(&self, root: Ino) {
        assert_eq!(self.attributes(root), Ok(root));
        let file = self.node(root, "f");
        assert_eq!(file.slot(), root.slot());
        assert!(matches!(self.look_up(root, "absent"), Ok(Found::Never)));
        let view = self.fs.slots.get(root.slot()).expect("a slot that is held is there").view.id();
        for _ in 0..2 {
            let mut read = Vec::new();
            self.fs
                .read(file, 0, 9, &mut |bytes| read.extend_from_slice(bytes))
                .expect("what is held is read");
            assert_eq!(read, view.to_string().as_bytes());
        }
        self.kernel.released(file);
        assert_eq!(self.attributes(root), Ok(root));
        self.kernel.released(root);
    }

    /// Looks the first views up under the name that they have when they lost theirs.
    fn read_parked(&self) {
        let above = self.node(Ino::ROOT, ".srcfs");
        let parked = self.node(above, "views");
        for number in 1..3 {
            let Ok(Found::Node { attributes, .. }) = self.look_up(parked, &number.to_string()) else {
                continue;
            };
            if let Ok(Found::Node { attributes, .. }) = self.look_up(attributes.ino, "v") {
                assert_eq!(attributes.ino.slot(), number);
                self.read_below(attributes.ino);
            }
            self.kernel.released(attributes.ino);
        }
        self.kernel.released(parked);
        self.kernel.released(above);
    }

    fn keep_house(&self) {
        self.fs.settle_drains();
        self.fs.give_back_unused();
    }

    /// The name goes, and the kernel gives back what it is asked for; then nothing may be left of views.
    fn end(&self) {
        self.world.version.store(0, SeqCst);
        self.fs.refresh_names(|_| true);
        let over = || self.fs.slots.all().is_empty() && self.world.live() == 0;
        for _ in 0..2000 {
            if over() {
                break;
            }
            self.keep_house();
            self.kernel.has_a_moment(&self.fs, false);
            thread::yield_now();
        }
        let left: Vec<_> =
            self.fs.slots.all().iter().map(|slot| (slot.number, slot.references.total())).collect();
        assert!(over(), "slots and their references {left:?}, {} snapshots", self.world.live());
        assert!(locked(&self.kernel.0).nodes.keys().all(|ino| ino.slot() == 0));
        self.fs.close();
    }
}

type Job = Box<dyn FnOnce(&Mount) + Send>;

/// Does `jobs` beside a kernel that gives back at random moments, then lets everything go.
fn beside_each_other(jobs: Vec<Job>) {
    let mount = Mount::new();
    let done = Arc::new(AtomicBool::new(false));
    let kernel = thread::spawn({
        let (mount, done) = (mount.clone(), done.clone());
        move || {
            while !done.load(SeqCst) {
                mount.kernel.has_a_moment(&mount.fs, true);
                thread::yield_now();
            }
        }
    });
    let jobs: Vec<_> = jobs
        .into_iter()
        .map(|job| {
            let mount = mount.clone();
            thread::spawn(move || job(&mount))
        })
        .collect();
    for job in jobs {
        job.join().unwrap();
    }
    done.store(true, SeqCst);
    kernel.join().unwrap();
    mount.end();
}

fn job(job: impl FnOnce(&Mount) + Send + 'static) -> Job {
    Box::new(job)
}

#[test]
fn a_view_is_there_while_it_is_held_and_gone_when_nothing_holds_it() {
    explore(2000, || {
        beside_each_other(vec![
            job(Mount::read),
            job(|mount| {
                mount.read();
                mount.read();
            }),
            job(Mount::read_parked),
            job(|mount| {
                for version in 2..4 {
                    mount.world.version.store(version, SeqCst);
                    mount.fs.refresh_names(|_| true);
                }
            }),
            job(|mount| {
                for _ in 0..3 {
                    mount.keep_house();
                }
            }),
        ]);
    });
}

#[test]
fn a_name_that_is_only_probed_is_found_and_leaves_nothing() {
    explore(2000, || {
        let probe = || {
            job(|mount| {
                for _ in 0..2 {
                    let root = mount.node(Ino::ROOT, "v");
                    assert_eq!(mount.attributes(root), Ok(root));
                    mount.kernel.released(root);
                }
            })
        };
        let change = job(|mount| {
            mount.world.version.store(2, SeqCst);
            mount.fs.refresh_names(|_| true);
            mount.keep_house();
        });
        beside_each_other(vec![probe(), probe(), change]);
    });
}

#[test]
fn while_a_view_is_held_and_nothing_changes_its_name_is_its_own() {
    explore(2000, || {
        let stays = || {
            job(|mount| {
                let root = mount.node(Ino::ROOT, "v");
                for _ in 0..2 {
                    assert_eq!(mount.node(Ino::ROOT, "v"), root);
                    mount.kernel.released(root);
                }
                mount.kernel.released(root);
            })
        };
        beside_each_other(vec![stays(), stays(), job(Mount::keep_house)]);
    });
}

#[test]
fn a_view_is_parked_or_gone_and_never_parked_and_then_gone() {
    explore(2000, || {
        let mount = Mount::new();
        let root = mount.node(Ino::ROOT, "v");
        mount.kernel.released(mount.node(root, "f"));
        mount.world.version.store(2, SeqCst);
        mount.fs.refresh_names(|_| true);
        mount.fs.settle_drains();
        mount.kernel.released(root);
        let reader = thread::spawn({
            let mount = mount.clone();
            move || mount.read_parked()
        });
        for _ in 0..8 {
            mount.kernel.has_a_moment(&mount.fs, true);
        }
        reader.join().unwrap();
        mount.end();
    });
}

#[test]
fn readers_that_come_at_once_share_one_opening() {
    explore(2000, || beside_each_other(vec![job(Mount::read), job(Mount::read), job(Mount::read)]));
}

/// It did: the successor then stayed bound to nothing, and its snapshot on the disk, for ever.
#[test]
fn regression_1_an_idle_view_does_not_take_the_name_of_its_successor_along() {
    explore(2, || {
        let mount = Mount::new();
        let root = mount.node(Ino::ROOT, "v");
        let old = mount.fs.slots.get(root.slot()).unwrap();
        mount.kernel.released(root);
        mount.fs.unbind(Path::new("v"));
        let successor = mount.node(Ino::ROOT, "v");
        assert_ne!(successor, root);
        locked(&mount.kernel.0).evict(root);
        while old.references.total() > 0 {
            mount.kernel.has_a_moment(&mount.fs, false);
        }
        mount.fs.unbind_idle(old, std::time::Instant::now());
        assert_eq!(mount.node(Ino::ROOT, "v"), successor);
        mount.kernel.released(successor);
        mount.kernel.released(successor);
        mount.end();
    });
}
