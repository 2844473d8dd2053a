//! The matrix: every operation, killed, failed, stopped and delayed at its first, second, ... point,
//! until none is left; and every point of the program is reached by one of them.
//!
//! By default kill and error happen at every point but the middle of a deletion, and what is slow once a
//! point and operation. `SRCFS_FAULT_MATRIX` chooses otherwise: `full` does everything at every point,
//! `first` kill and error alone and once a point and operation, and anything else, like `clear`, does only
//! the operations whose name begins so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::operations::{ALL, Backend, Beside, Operation};
use crate::outcome::{Mode, OVERTAKEN, disturbed, undisturbed};
use crate::stage::{Stage, Start};

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Full,
    Usual,
    First,
}

/// What came of one operation.
#[derive(Default)]
struct Row {
    points: BTreeSet<String>,
    hit: BTreeSet<String>,
    runs: BTreeMap<Mode, usize>,
    violations: Vec<String>,
}

#[test]
fn at_every_point_of_every_operation_what_is_published_stays_whole() {
    let stage = Stage::new();
    let wanted = std::env::var("SRCFS_FAULT_MATRIX").unwrap_or_default();
    let (extent, wanted) = match wanted.as_str() {
        "full" => (Extent::Full, ""),
        "first" => (Extent::First, ""),
        wanted => (Extent::Usual, wanted),
    };
    let all: Vec<Operation> =
        ALL.iter().filter(|operation| operation.name.starts_with(wanted)).copied().collect();
    let rows: Vec<Mutex<Row>> = all.iter().map(|_| Mutex::default()).collect();
    let reached: Vec<Vec<String>> = each(all.len(), |index| {
        let outcome = undisturbed(&stage, &all[index]);
        let mut row = rows[index].lock().unwrap();
        row.violations.extend(outcome.violations);
        row.points.extend(outcome.points.iter().cloned());
        outcome.points
    });
    // First all points as they were reached, then further ones, until none is hit.
    let mut cases = Vec::new();
    for (index, operation) in all.iter().enumerate() {
        for mode in Mode::ALL {
            let numbers = numbers(operation, &reached[index], mode, extent);
            cases.extend(numbers.into_iter().map(|number| (index, mode, number)));
        }
    }
    let run = |index: usize, mode: Mode, number: usize| {
        let outcome = disturbed(&stage, &all[index], number, mode);
        let mut row = rows[index].lock().unwrap();
        *row.runs.entry(mode).or_default() += 1;
        row.points.extend(outcome.points);
        row.violations.extend(outcome.violations);
        let hit = outcome.hit.is_some();
        row.hit.extend(outcome.hit);
        hit
    };
    each(cases.len(), |at| {
        let (index, mode, number) = cases[at];
        run(index, mode, number);
    });
    // One that is killed on the way may pass more than one that is not.
    each(all.len(), |index| {
        for number in reached[index].len() + 1.. {
            assert!(number < reached[index].len() + 200, "there is no end of points");
            if !run(index, Mode::Kill, number) {
                break;
            }
        }
    });
    report(&all, rows.into_iter().map(|row| row.into_inner().unwrap()).collect());
}

/// Which points are hit.
fn numbers(operation: &Operation, points: &[String], mode: Mode, extent: Extent) -> Vec<usize> {
    let quick = matches!(mode, Mode::Kill | Mode::Error);
    if extent == Extent::First && !quick {
        return Vec::new();
    }
    // What comes before is the same as if nobody overtook it.
    let from = match operation.beside {
        Beside::Clear => points.iter().position(|point| point == OVERTAKEN).map_or(0, |at| at + 1),
        _ => 0,
    };
    let (mut seen, mut numbers) = (BTreeSet::new(), Vec::new());
    for (at, point) in points.iter().enumerate().skip(from) {
        let first = seen.insert(point);
        let of_leases = point.starts_with("lease.");
        // Between two of the same: in the middle of a deletion.
        let amid = at > 0 && points[at - 1] == *point && points.get(at + 1) == Some(point);
        let meant = match (operation.start, operation.backend, operation.beside) {
            // The rest is the same as if nobody had died.
            (Start::Held, ..) => of_leases && (first || quick),
            // The rest is the same as with locks of the kernel.
            (_, Backend::Leases, _) => first || quick && of_leases,
            // It looks again and again whether the reader is gone.
            (.., Beside::Reader) => first,
            _ => first || quick && !amid,
        };
        let chosen = match extent {
            Extent::Full => true,
            Extent::Usual => meant,
            Extent::First => meant && first,
        };
        if chosen {
            numbers.push(at + 1);
        }
    }
    numbers
}

/// Does `work` for all numbers below `count`, on a few threads: much of it is waiting for disks.
pub fn each<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, T)>> = Mutex::default();
    let threads = 4 * std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let result = work(index);
                    results.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The points of the program, as they stand in its source; those of packages are in `tests/packages/crashes.rs`.
fn known() -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("src/fault.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let calls = text.split("fault!(\"").skip(1);
            let named = calls.filter_map(|call| call.split('"').next());
            points.extend(named.filter(|point| !point.starts_with("package.")).map(str::to_owned));
        }
    }
    assert!(points.len() > 30, "{points:?}");
    points
}

fn report(all: &[Operation], rows: Vec<Row>) {
    let headings: Vec<String> = Mode::ALL.iter().map(|mode| format!("{mode:?}").to_lowercase()).collect();
    println!("{:30} points {} violations", "operation", headings.join(" "));
    let (mut runs, mut hit, mut reached, mut violations) = (0, BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (operation, row) in all.iter().zip(rows) {
        let counts = Mode::ALL.map(|mode| row.runs.get(&mode).copied().unwrap_or_default());
        let columns: Vec<String> = counts
            .iter()
            .zip(&headings)
            .map(|(count, name)| format!("{count:>width$}", width = name.len()))
            .collect();
        let name = operation.name;
        println!("{name:30} {:>6} {} {:>10}", row.hit.len(), columns.join(" "), row.violations.len());
        runs += counts.iter().sum::<usize>();
        hit.extend(row.hit);
        reached.extend(row.points);
        violations.extend(row.violations);
    }
    let known = known();
    let missing: Vec<&String> = known.difference(&hit).collect();
    let unknown: Vec<&String> = reached.difference(&known).collect();
    println!(
        "{} distinct points of {} known, {} operations, {} modes, {runs} runs, {} violations",
        hit.len(),
        known.len(),
        all.len(),
        Mode::ALL.len(),
        violations.len()
    );
    for violation in violations.iter().take(40) {
        println!("  {violation}");
    }
    assert!(unknown.is_empty(), "points that are not in the source: {unknown:?}");
    assert!(
        missing.is_empty() || all.len() < ALL.len(),
        "no operation reaches {missing:?}: add one to `operations.rs`"
    );
    assert!(violations.is_empty(), "{} violations", violations.len());
}
