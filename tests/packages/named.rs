//! Packages under names of their own: by `srcfs add`, and brought over from btca.

use std::fs;

use super::place::Place;

/// `npm/lib`, `crates/my_crate` and `pypi/my-project`.
fn place() -> Place {
    let mut place = Place::new();
    let files = |version: &'static str| [("src/version.txt", version), ("more.txt", "more")];
    let lib = place.registry.npm("lib");
    let lib =
        ["17.0.2", "18.2.0", "18.3.1"].iter().fold(lib, |lib, version| lib.version(version, &files(version)));
    lib.tag("latest", "18.3.1").tag("old", "17.0.2");
    place.registry.crates("my_crate").version("1.2.0", &files("1.2.0")).version("1.3.0", &files("1.3.0"));
    place.registry.pypi("my-project").sdist("2.0", &files("2.0"));
    place.mount();
    place
}

#[test]
fn a_package_that_is_added_is_there_by_its_name_as_soon_as_the_verb_returns() {
    let place = place();
    for (arguments, name, version) in [
        (&["ui", "--npm", "lib", "--ref", "^18.0.0"][..], "ui", "18.3.1"),
        (&["old/ui", "--npm", "lib", "--ref", "old"], "old/ui", "17.0.2"),
        (&["krate", "--crates", "my-crate", "--ref", "=1.2.0"], "krate", "1.2.0"),
        (&["project", "--pypi", "My.Project", "--subpath", "src"], "project", "2.0"),
    ] {
        let added = place.json(&[&["add"], arguments].concat());
        assert_eq!((&added["version"], &added["unanswered"]), (&version.into(), &serde_json::Value::Null));
        assert_eq!(place.cat(&format!("{name}/src/version.txt")), version, "{name}");
    }
    assert_eq!(place.ls("project"), ["src"], "the only subpath");
    assert!(place.run(&["add", "again", "--npm", "lib"]).out.ends_with(" at 18.3.1\n"));

    let listed = place.json(&["list"]);
    let row = |name: &str| {
        let rows = listed["resources"].as_array().unwrap();
        rows.iter().filter(|row| row["key"] == name).cloned().collect::<Vec<_>>()
    };
    assert_eq!((row("krate").len(), row("crates/my_crate@=1.2.0").len()), (1, 0), "{listed}");
    assert!(row("krate")[0]["revision"].as_str().unwrap().starts_with("1.2.0"), "{listed}");

    let newer = place.registry.npm("lib").version("18.4.0", &[("src/version.txt", "18.4.0")]);
    newer.tag("latest", "18.4.0");
    let updated = place.json(&["update", "ui"]);
    assert_eq!(updated["references"][0]["moved"], true, "{updated}");
    assert_eq!(place.cat("ui/src/version.txt"), "18.4.0");
    let cleared = place.json(&["clear", "ui"]);
    assert_eq!(cleared["mirrors"][0]["shared"], serde_json::json!(["old/ui", "again"]), "{cleared}");
    assert!(cleared["mirrors"][0]["others"].is_null(), "{cleared}");

    for name in ["ui", "old/ui"] {
        assert_eq!(place.json(&["remove", name])["cleared"], serde_json::Value::Null, "{name}");
    }
    place.json(&["clear", "npm/lib"]);
    assert!(place.json(&["remove", "again"])["cleared"].is_object(), "nobody else has it");

    // What somebody fetched or keeps under another reference stays.
    place.json(&["add", "ui", "--npm", "lib", "--ref", "18"]);
    assert_eq!(place.version("npm/lib@18.2.0"), "18.2.0");
    let removed = place.json(&["remove", "ui"]);
    assert_eq!(
        (&removed["kept_for"], &removed["cleared"]),
        (&serde_json::json!(["npm/lib@18.2.0"]), &serde_json::Value::Null)
    );
    let cleared = place.json(&["clear", "npm/lib"]);
    assert_eq!(cleared["mirrors"][0]["others"], serde_json::json!(["npm/lib@18.2.0"]));
    place.json(&["keep", "npm/lib@18.2.0"]);
    place.json(&["add", "same", "--npm", "lib", "--ref", "18.2.0"]);
    let removed = place.json(&["remove", "same"]);
    assert_eq!(removed["kept_for"], serde_json::json!(["npm/lib@18.2.0"]));
}

#[test]
fn a_package_or_a_version_that_does_not_exist_is_not_added() {
    let place = place();
    let before = fs::read_to_string(place.site.program.config()).unwrap();
    for (arguments, told) in [
        (&["x", "--npm", "absent"][..], "absent"),
        (&["x", "--npm", "lib", "--ref", "20"], "20"),
        (&["x", "--crates", "my-crate", "--ref", "9"], "9"),
        (&["x", "--pypi", "my-project", "--subpath", "nope"], "nope"),
    ] {
        let run = place.run(&[&["add"], arguments].concat());
        assert!(run.code == 1 && run.err.contains(told), "{arguments:?}: {run:?}");
    }
    assert_eq!(fs::read_to_string(place.site.program.config()).unwrap(), before);
}

#[test]
fn packages_of_btca_are_brought_over_and_with_check_only_those_that_exist() {
    let place = place();
    let file = place.site.program.path().join("btca.config.jsonc");
    let text = r#"{ "resources": [
        { "type": "npm", "name": "ui", "package": "lib", "version": "^18.0.0" },
        { "type": "npm", "name": "old", "package": "lib", "version": "17.0.2", "specialNotes": "before the move" },
        { "type": "npm", "name": "gone", "package": "lib", "version": "20" }, // not yet
    ] }"#;
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let run = place.run(&["--json", "import", "--check", file]);
    let report = run.json();
    let outcomes: Vec<&str> =
        report["resources"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!((run.code, outcomes), (1, vec!["added", "added", "failed"]), "{report}");
    assert_eq!(place.cat("ui/src/version.txt"), "18.3.1");
    assert_eq!(place.cat("old/src/version.txt"), "17.0.2");
}
