//! The verbs on projects.

use super::lockfiles::{WEB, directory, npm, package_lock, write};
use super::place::Place;

#[test]
fn get_fetches_all_that_is_pinned_once_and_one_that_fails_stops_no_other() {
    let place = Place::new();
    let packages: Vec<_> =
        (0..12).map(|n| (format!("lib{n}"), npm(&place, &format!("lib{n}"), "1.0.0"))).collect();
    let mut entries: Vec<_> = packages.iter().map(|(name, entry)| (name.as_str(), entry.clone())).collect();
    let missing = serde_json::json!({ "version": "9.9.9", "integrity": entries[0].1["integrity"] });
    entries.push(("missing", missing));
    write(&place, "package-lock.json", &package_lock(&entries, &["lib0"]));
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    place.registry.reset();
    let run = place.run(&["--json", "get", "--project", WEB, "--jobs", "4"]);
    let report = run.json();
    assert_eq!((run.code, &report["fetched"], &report["failed"]), (1, &12.into(), &1.into()), "{report}");
    for (name, _) in &packages {
        assert_eq!(place.registry.downloads_of("npm", name), 1, "{name}");
    }
    let again = place.run(&["--json", "get", "--project", WEB]).json();
    assert_eq!(again["cached"], 12, "{again}");
}

#[test]
fn a_lockfile_that_cannot_be_read_fails_for_itself_when_all_is_fetched() {
    let place = Place::new();
    let lib = npm(&place, "lib", "1.0.0");
    write(&place, "package-lock.json", &package_lock(&[("lib", lib)], &["lib"]));
    write(&place, "Cargo.lock", "<<<<<<< ours\n");
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    let run = place.run(&["--json", "get", "--project", WEB]);
    let report = run.json();
    assert_eq!((run.code, &report["fetched"], &report["failed"]), (1, &1.into(), &1.into()), "{report}");
    assert!(report["trees"].to_string().contains("finish the merge"), "{report}");

    std::fs::remove_file(directory(&place).join("package-lock.json")).unwrap();
    let run = place.run(&["--json", "get", "--project", WEB]);
    assert!(run.code == 1 && run.out.contains("finish the merge"), "{run:?}");
    write(&place, "Cargo.lock", "version = 3\n");
    let run = place.run(&["--json", "get", "--project", WEB]);
    assert!(run.code == 1 && run.out.contains("they pin nothing"), "{run:?}");
}

#[test]
fn keys_of_a_project_work_as_others_do() {
    let mut place = Place::new();
    let lib = npm(&place, "lib", "1.0.0");
    npm(&place, "lib", "2.0.0");
    write(&place, "package-lock.json", &package_lock(&[("lib", lib)], &["lib"]));
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    assert_eq!(place.version("projects/web/npm/lib"), "1.0.0");
    let cited = place.json(&["cite", "projects/web/npm/lib/version:1"]);
    let citation = cited["citations"][0]["citation"].as_str().unwrap();
    assert!(citation.starts_with("npm/lib@1.0.0:version:1 sha512-"), "{citation}");
    place.mount();
    let path = place.json(&["path", "projects/web/npm/lib"]);
    assert_eq!(path["path"], place.path("projects/web/npm/lib").to_str().unwrap());
    // The project's own name follows its lockfile.
    let path = place.json(&["path", "--pin", "projects/web/npm/lib"]);
    assert_eq!(path["path"], place.path("npm/lib@1.0.0").to_str().unwrap());
    place.json(&["clear", "projects/web/npm/lib"]);
    assert_eq!(place.cat("projects/web/npm/lib/version"), "1.0.0");
}

#[test]
fn explain_says_what_a_project_is_and_what_of_it_is_not_pinned() {
    let mut place = Place::new();
    let lib = npm(&place, "lib", "1.0.0");
    write(&place, "package-lock.json", &package_lock(&[("lib", lib)], &["lib"]));
    write(&place, "requirements.txt", "six==1.16.0\nrequests>=2\n");
    place.json(&["add", WEB, "--project", directory(&place).to_str().unwrap()]);
    place.mount();
    let in_mount = place.path("projects/web/npm");
    for about in ["projects/web", "projects/web/", in_mount.to_str().unwrap()] {
        let explained = place.json(&["explain", about]);
        assert_eq!(explained["failure"], serde_json::Value::Null, "{explained}");
        let state = explained["state"].as_str().unwrap();
        assert!(state.contains(directory(&place).to_str().unwrap()), "{state}");
        assert!(state.ends_with("1 of npm, 1 of pypi, by package-lock.json, requirements.txt"), "{state}");
        assert!(explained["notes"][0].as_str().unwrap().contains("requests"), "{explained}");
        assert_eq!(explained["notes"], place.json(&["list"])["projects"][0]["notes"]);
    }
    let text = place.run(&["explain", "projects/web"]).out;
    assert!(text.contains("  note: requirements.txt:2: ") && !text.contains("failed"), "{text}");
    // What is broken comes first, and hides nothing of the rest.
    write(&place, "Cargo.lock", "version = [");
    write(&place, "poetry.lock", "[[[");
    let explained = place.json(&["explain", "projects/web"]);
    assert!(explained["failure"]["what"].as_str().unwrap().contains("Cargo.lock"), "{explained}");
    assert!(explained["state"].as_str().unwrap().contains("1 of npm"), "{explained}");
    assert!(explained["notes"].to_string().contains("poetry.lock"), "{explained}");
}

#[test]
fn what_is_no_project_is_refused_and_nothing_is_written() {
    let place = Place::new();
    let empty = place.site.program.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for (arguments, why) in [
        (vec!["add", WEB, "--project", empty.to_str().unwrap()], "no lockfile"),
        (vec!["add", WEB, "--project", "/nowhere/at/all"], "does not exist"),
        (vec!["add", "a/b", "--project", empty.to_str().unwrap()], "project name"),
        (vec!["get", "--project", "nope"], "no project is called so"),
        (vec!["remove", "projects/nope"], "called so"),
    ] {
        let run = place.run(&arguments);
        assert!(run.code != 0 && (run.err.clone() + &run.out).contains(why), "{arguments:?}: {run:?}");
    }
    let before = std::fs::read_to_string(place.site.program.config()).unwrap();
    assert!(!before.contains("[[project]]"), "{before}");
    write(&place, "requirements.txt", "six==1.16.0\n");
    let path = directory(&place);
    place.json(&["add", WEB, "--project", path.to_str().unwrap()]);
    let twice = place.run(&["add", WEB, "--project", path.to_str().unwrap()]);
    assert!(twice.code != 0 && twice.err.contains("a project of that name is there"), "{twice:?}");
    place.json(&["remove", WEB]);
    assert_eq!(std::fs::read_to_string(place.site.program.config()).unwrap().trim(), before.trim());
}
