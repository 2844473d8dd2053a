//! For how long commit locks are held, by everything that takes them, while all of it happens at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::repository::{Repository, many_files};
use crate::{Sheet, part, repository, world};

const REPOSITORIES: usize = 3;
const THREADS: usize = 4;

/// Verbs on a few repositories: each thread updates what has moved, gets old commits, and clears.
pub fn under_load(sheet: &mut Sheet) {
    let (program, _server) = world();
    let repositories: Vec<Mutex<(Repository, Vec<String>)>> = (0..REPOSITORIES)
        .map(|n| Mutex::new((repository(&program, &format!("r{n}"), &many_files(400, "v0")), Vec::new())))
        .collect();
    let has_gc = program.run(&["gc", "--help"]).code == 0;
    let logged = Mutex::new(Vec::new());
    let verbs = AtomicUsize::new(0);
    let run = |arguments: &[&str]| {
        let mut command = program.command(arguments);
        let output = command.env("SRCFS_LOG", "warn,srcfs::cache::key_lock=debug").output().expect("a run");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}");
        verbs.fetch_add(1, Ordering::SeqCst);
        logged.lock().expect("no panic").push(text);
    };
    let rounds = sheet.rounds(60);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (repositories, run) = (&repositories, &run);
            scope.spawn(move || {
                for round in 0..rounds {
                    let number = (round + thread) % REPOSITORIES;
                    let key = format!("git/bench.test/team/r{number}");
                    let commit = {
                        let mut repository = repositories[number].lock().expect("no panic");
                        let (upstream, commits) = &mut *repository;
                        commits.push(upstream.commit(&many_files(400, &format!("v{thread}.{round}"))));
                        commits[commits.len().saturating_sub(3)].clone()
                    };
                    run(&["update", &key]);
                    run(&["get", &format!("{key}@{commit}")]);
                    if round % 4 == thread {
                        run(&["clear", &key]);
                    }
                    if has_gc && round % 8 == thread {
                        run(&["gc"]);
                    }
                }
            });
        }
    });
    let mut held: Vec<(f64, String)> = Vec::new();
    for line in logged.into_inner().expect("no panic").iter().flat_map(|text| text.lines()) {
        let told =
            line.split_once("the commit lock of ").and_then(|(_, told)| told.split_once(" was held for "));
        let Some((time, what)) = told.and_then(|(_, told)| told.split_once(" us: ")) else { continue };
        held.push((time.parse::<f64>().expect("a time") / 1e6, what.to_owned()));
    }
    held.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some((longest, what)) = held.last() else {
        return sheet.note("lock-commit", "not measured: the program's log does not tell");
    };
    let taken: Vec<f64> = held.iter().map(|held| held.0).collect();
    let verb = what.split(' ').next().unwrap_or_default();
    sheet.record("lock-commit", part(&taken, 0.99));
    sheet.note(
        "lock-commit",
        format!(
            "p99 of {} (p50 {:.1} ms, longest {:.1} ms, a {verb}), by {} runs of update, get and clear{}, {THREADS} \
             at once on {REPOSITORIES} repositories",
            taken.len(),
            1e3 * part(&taken, 0.5),
            1e3 * longest,
            verbs.into_inner(),
            if has_gc { " and gc" } else { "" },
        ),
    );
}
