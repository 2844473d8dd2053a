//! What can be done, and random sequences of it.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Which process.
pub type Name = usize;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Default,
    Topic,
    /// The so-manieth version, counted round.
    Version(usize),
}

/// How old an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Age {
    Cached,
    /// `NotOlderThan` an hour: whatever was asked for in this test.
    Hour,
    /// `NotOlderThan` nothing: asks, and makes do with what is cached.
    Zero,
    Now,
}

/// For what a gc makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Room {
    /// No bounds: only revisions that no reference means are in its way.
    Superseded,
    /// What was not used for an hour goes.
    Age,
    /// The cache may have no bytes at all.
    Everything,
}

/// What a process does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Get {
        wanted: Wanted,
        age: Age,
        hold: bool,
    },
    Peek {
        wanted: Wanted,
        hold: bool,
    },
    Clear,
    Sweep,
    Reap,
    Gc(Room),
    Keep(Wanted),
    Release(Wanted),
    /// Of the snapshots that the process holds, by number, counted round: nothing if it holds none.
    Read(usize),
    Drop(usize),
    Distrust(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    Main,
    Topic,
}

impl Branch {
    pub fn name(self) -> &'static str {
        match self {
            Branch::Main => "main",
            Branch::Topic => "topic",
        }
    }
}

/// What happens upstream.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Commit(Branch),
    /// A force-push to an older version.
    Rewind(Branch, usize),
    DeleteTopic,
}

/// What a fault does to the process that meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Kill,
    Error,
}

/// One step of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Do(Name, Op),
    Upstream(Change),
    Offline(bool),
    /// Two hours in which nobody uses anything.
    Hours,
    /// kill -9 while it does nothing; it is started again when it is needed.
    Kill(Name),
    /// A process of its own does it, and meets a fault at the so-manieth point, if it comes so far.
    Doomed(Op, u32, Fate),
    /// A process of its own does it and is stopped at the so-manieth point, if it comes so far; it goes on
    /// when processes 0, 1 have done theirs, or wait for what it holds.
    Paused(Op, u32, Vec<Op>),
    /// At once: by processes 0, 1, 2, and upstream.
    Together(Vec<Op>, Option<Change>),
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        4 => Just(Wanted::Default),
        3 => Just(Wanted::Topic),
        1 => (0..4_usize).prop_map(Wanted::Version),
    ]
}

fn age() -> impl Strategy<Value = Age> {
    prop_oneof![4 => Just(Age::Cached), 1 => Just(Age::Hour), 2 => Just(Age::Zero), 3 => Just(Age::Now)]
}

fn room() -> impl Strategy<Value = Room> {
    prop_oneof![Just(Room::Superseded), Just(Room::Age), Just(Room::Everything)]
}

fn op() -> impl Strategy<Value = Op> {
    let get = (wanted(), age(), any::<bool>());
    prop_oneof![
        10 => get.prop_map(|(wanted, age, hold)| Op::Get { wanted, age, hold }),
        2 => (wanted(), any::<bool>()).prop_map(|(wanted, hold)| Op::Peek { wanted, hold }),
        4 => Just(Op::Clear),
        1 => Just(Op::Sweep),
        1 => Just(Op::Reap),
        3 => room().prop_map(Op::Gc),
        1 => wanted().prop_map(Op::Keep),
        1 => wanted().prop_map(Op::Release),
        3 => (0..4_usize).prop_map(Op::Read),
        4 => (0..4_usize).prop_map(Op::Drop),
        2 => (0..4_usize).prop_map(Op::Distrust),
    ]
}

fn branch() -> impl Strategy<Value = Branch> {
    prop_oneof![3 => Just(Branch::Main), 2 => Just(Branch::Topic)]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        5 => branch().prop_map(Change::Commit),
        1 => (branch(), 0..4_usize).prop_map(|(branch, version)| Change::Rewind(branch, version)),
        2 => Just(Change::DeleteTopic),
    ]
}

fn doomed() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![3 => Just(Fate::Kill), 1 => Just(Fate::Error)];
    (op(), 1..45_u32, fate).prop_map(|(op, point, fate)| Step::Doomed(op, point, fate))
}

/// One after the other.
pub fn sequence() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        14 => (0..3_usize, op()).prop_map(|(name, op)| Step::Do(name, op)),
        7 => change().prop_map(Step::Upstream),
        1 => Just(Step::Offline(true)),
        2 => Just(Step::Offline(false)),
        3 => Just(Step::Hours),
        2 => (0..3_usize).prop_map(Step::Kill),
        3 => doomed(),
    ];
    prop::collection::vec(step, 1..40)
}

/// Some of them at once. No hours pass: of a revision that is used while it is dropped, nobody can say
/// from outside which came first.
pub fn at_once() -> impl Strategy<Value = Vec<Step>> {
    let together = (prop::collection::vec(op(), 2..=3), prop::option::weighted(0.3, change()));
    let step = prop_oneof![
        8 => together.prop_map(|(ops, change)| Step::Together(ops, change)),
        6 => (op(), 1..30_u32, prop::collection::vec(op(), 1..=2))
            .prop_map(|(op, point, others)| Step::Paused(op, point, others)),
        4 => (0..3_usize, op()).prop_map(|(name, op)| Step::Do(name, op)),
        2 => change().prop_map(Step::Upstream),
        1 => (0..3_usize).prop_map(Step::Kill),
    ];
    prop::collection::vec(step, 1..20)
}
