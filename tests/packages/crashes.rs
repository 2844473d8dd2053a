//! A fetch of a package that dies, or fails, at each of its steps: what is published is whole, and the next one
//! goes on. The same for what the cache does is in `tests/faults/`.

use std::collections::BTreeSet;

use super::place::Place;

const KEYS: [(&str, &str); 3] =
    [("npm/ms", "2.1.3"), ("crates/cfg-if", "1.0.0"), ("pypi/iniconfig", "2.0.0")];

/// The points of `src/source/package.rs` and of what it fetches by.
fn known() -> BTreeSet<String> {
    let text =
        [include_str!("../../src/source/package.rs"), include_str!("../../src/source/package/fetch.rs")]
            .concat();
    let points = text.split("fault!(\"").skip(1).filter_map(|call| call.split('"').next());
    points.map(str::to_owned).collect()
}

#[test]
fn killed_or_failed_at_every_step_it_leaves_nothing_half_done() {
    let place = Place::new();
    for (kind, name) in [("npm", "ms"), ("crates", "cfg-if"), ("pypi", "iniconfig")] {
        place.registry.recorded(kind, name);
    }
    let trace = place.site.program.path().join("trace");
    let mut hit = BTreeSet::new();
    for (key, version) in KEYS {
        for mode in ["kill", "error"] {
            for number in 1.. {
                let _ = std::fs::remove_file(&trace);
                let mut get = place.command(&["get", key]);
                get.env("SRCFS_FAULT", format!("{number}:{mode}")).env("SRCFS_FAULT_TRACE", &trace);
                let ended = get.output().unwrap();
                let reached = std::fs::read_to_string(&trace).unwrap_or_default();
                let struck = reached.lines().find_map(|line| line.strip_suffix(&format!(" {mode}")));
                let Some(point) = struck else {
                    assert!(ended.status.success(), "{key} without a fault: {ended:?}");
                    break;
                };
                hit.insert(point.to_owned());
                let what = format!("{key}, {mode} at {number}, {point}");
                let checked = place.run(&["__check", "--reap", "--settled", "--deep"]);
                assert_eq!(checked.code, 0, "{what}: {checked:?}");
                assert_eq!(place.version(key), version, "{what}");
                place.json(&["clear", key]);
            }
            place.json(&["clear", key]);
        }
    }
    let missed: Vec<_> = known().difference(&hit).cloned().collect();
    assert!(known().len() >= 3 && missed.is_empty(), "never reached: {missed:?}; reached: {hit:?}");
}
