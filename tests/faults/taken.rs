//! A reaper that has seen that nobody names a generation is too late when it is named: it looks again when
//! nobody can pin it any more.

use nix::sys::signal::{Signal, kill};
use srcfs::cache::check::Thoroughness;

use crate::outcome::stops;
use crate::reader::{ends, pid};
use crate::stage::{KEY, Stage, Start, Upstream, content, generations};

#[test]
fn what_is_published_while_a_reaper_is_about_to_take_it_stays() {
    let stage = Stage::new();
    let case = stage.case(Start::Nothing);
    let start = |verb: &[&str], fault: &str| {
        let mut child = case.with_faults(Upstream::Old, verb, fault).spawn().unwrap();
        assert!(stops(&mut child), "{fault} is not reached");
        child
    };
    // It has its place and no name yet, and is pinned by who brings it.
    let mut get = start(&["get", KEY], "publish.renamed:stop");
    let generation = generations(&case.mirror()).remove(0);
    let mut reap = start(&["list"], "trash.unnamed:stop");
    for child in [&mut get, &mut reap] {
        kill(pid(child), Signal::SIGCONT).unwrap();
        assert!(ends(child));
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(generations(&case.mirror()), [generation]);
    assert_eq!(case.published("").unwrap(), Some(content("old")));
    assert!(case.look(Thoroughness { settled: true, deep: true }).violations.is_empty());
}
