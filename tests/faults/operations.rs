//! The operations whose every point is hit. A new verb is one more entry of [`ALL`].

use crate::stage::{KEY, Start, Upstream};

/// What keeps it and others out of each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Kernel,
    Leases,
}

/// What else is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nobody,
    /// Somebody reads what is cached all the while.
    Reader,
    /// It is stopped when it has prepared, and cleared under its hands.
    Clear,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub name: &'static str,
    pub backend: Backend,
    pub start: Start,
    pub upstream: Upstream,
    pub verb: &'static [&'static str],
    pub beside: Beside,
    /// The exit code if nothing happens to it.
    pub code: i32,
    /// The reference that is looked at afterwards.
    pub reference: &'static str,
    /// What that may show if it was interrupted; empty is "absent".
    pub allowed: &'static [&'static str],
    /// What it shows when it is done.
    pub done: &'static str,
    /// Who races with it when it hesitates.
    pub rival: &'static [&'static str],
}

const GET: Operation = Operation {
    name: "get, the first",
    backend: Backend::Kernel,
    start: Start::Nothing,
    upstream: Upstream::Old,
    verb: &["get", KEY],
    beside: Beside::Nobody,
    code: 0,
    reference: "",
    allowed: &["", "old"],
    done: "old",
    rival: &["clear", KEY],
};

const TOPIC: &str = "git/forge.test/team/tiny@topic";
const MAIN: &str = "git/forge.test/team/tiny@main";
const ABSENT: &str = "git/forge.test/team/tiny@absent";

/// All of them.
pub const ALL: &[Operation] = &[
    GET,
    Operation {
        name: "update that borrows",
        start: Start::Old,
        upstream: Upstream::New,
        verb: &["update", KEY],
        allowed: &["old", "new"],
        done: "new",
        ..GET
    },
    Operation {
        name: "get of a second reference",
        start: Start::Old,
        verb: &["get", TOPIC],
        reference: "topic",
        allowed: &["", "topic"],
        done: "topic",
        ..GET
    },
    Operation {
        name: "get of a second name",
        start: Start::Old,
        verb: &["get", MAIN],
        reference: "main",
        ..GET
    },
    Operation {
        name: "get that fails",
        start: Start::Old,
        verb: &["get", ABSENT],
        code: 1,
        allowed: &["old"],
        ..GET
    },
    Operation {
        name: "clear",
        start: Start::Old,
        verb: &["clear", KEY],
        done: "",
        rival: &["get", KEY],
        ..GET
    },
    Operation {
        name: "clear while it is read",
        start: Start::Old,
        verb: &["clear", KEY],
        beside: Beside::Reader,
        done: "",
        rival: &["get", KEY],
        ..GET
    },
    Operation {
        name: "update overtaken by a clear",
        start: Start::Old,
        upstream: Upstream::New,
        verb: &["update", KEY],
        beside: Beside::Clear,
        allowed: &["", "new"],
        done: "new",
        ..GET
    },
    Operation {
        name: "reap",
        start: Start::Leftovers,
        verb: &["list"],
        allowed: &["old"],
        rival: &["list"],
        ..GET
    },
    Operation {
        name: "gc of what nobody uses",
        start: Start::Unused,
        verb: &["gc"],
        done: "",
        rival: &["get", KEY],
        ..GET
    },
    Operation {
        name: "keep",
        start: Start::Old,
        verb: &["keep", KEY],
        allowed: &["old"],
        rival: &["release", KEY],
        ..GET
    },
    Operation {
        name: "get of several",
        start: Start::Old,
        upstream: Upstream::New,
        verb: &["get", "--jobs", "2", MAIN, TOPIC],
        reference: "topic",
        allowed: &["", "topic"],
        done: "topic",
        ..GET
    },
    Operation {
        name: "gc of what was superseded",
        start: Start::Superseded,
        verb: &["gc"],
        allowed: &["old"],
        rival: &["get", KEY],
        ..GET
    },
    Operation { name: "get of what is damaged", start: Start::Damaged, ..GET },
    Operation { name: "get of what is torn", start: Start::Torn, ..GET },
    Operation { name: "leases: get, the first", backend: Backend::Leases, ..GET },
    Operation {
        name: "leases: update",
        backend: Backend::Leases,
        start: Start::Old,
        upstream: Upstream::New,
        verb: &["update", KEY],
        allowed: &["old", "new"],
        done: "new",
        ..GET
    },
    Operation {
        name: "leases: clear",
        backend: Backend::Leases,
        start: Start::Old,
        verb: &["clear", KEY],
        done: "",
        rival: &["get", KEY],
        ..GET
    },
    Operation {
        name: "leases: keep",
        backend: Backend::Leases,
        start: Start::Old,
        verb: &["keep", KEY],
        allowed: &["old"],
        rival: &["release", KEY],
        ..GET
    },
    Operation {
        name: "leases: update after a death",
        backend: Backend::Leases,
        start: Start::Held,
        upstream: Upstream::New,
        verb: &["update", KEY],
        allowed: &["old", "new"],
        done: "new",
        ..GET
    },
];
