//! Fifty processes that want the same, which nobody has yet: one fetch, and how long the last one takes.

use std::process::{Child, Stdio};

use crate::harness::repository::{File, many_files};
use crate::program::Program;
use crate::{Sheet, now, repository, world};

const CROWD: usize = 50;
const KEY: &str = "git/bench.test/team/cold";

/// The fetch alone and the crowd, by turns, each from an empty cache.
pub fn cold_key(sheet: &mut Sheet) {
    let (program, server) = world();
    let large = (0..600).map(|n| {
        let line = |m: u64| format!("{:016x}\n", (m + n * 4_096).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        File::new(&format!("big/b{n}.txt"), (0..4_096).map(line).collect::<String>())
    });
    let files: Vec<File> = many_files(2_000, "one").into_iter().chain(large).collect();
    let _repository = repository(&program, "cold", &files);
    let fetches = || server.counts("team/cold.git").fetches;
    let mut most = 0;
    for _ in 0..sheet.rounds(5) {
        for (crowd, alone) in [(1, true), (CROWD, false)] {
            let _ = std::fs::remove_dir_all(program.cache());
            let before = fetches();
            let seconds = get(&program, crowd);
            match alone {
                true => sheet.record_rival("lock-crowd", seconds),
                false => {
                    sheet.record("lock-crowd", seconds);
                    most = most.max(fetches() - before);
                }
            }
        }
    }
    sheet.note(
        "lock-crowd",
        format!("fetches that the server saw: {most}; until the last of {CROWD} has ended"),
    );
    assert_eq!(most, 1, "one fetch for all");
}

fn get(program: &Program, crowd: usize) -> f64 {
    let started = now();
    let start = || program.command(&["get", KEY]).stdout(Stdio::null()).spawn().expect("a process");
    let mut children: Vec<Child> = (0..crowd).map(|_| start()).collect();
    for child in &mut children {
        assert!(child.wait().expect("its end").success(), "every one of them gets it");
    }
    (now() - started).as_secs_f64()
}
