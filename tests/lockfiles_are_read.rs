//! Each kind of lockfile, as its own tool wrote it, gives the exact versions; a hostile one gives
//! sentences. The fixtures are genuine but for the registries' hosts, which are `registry.test`.

use srcfs::project::{self, Ecosystem, Origin, Reach};
use std::path::Path;

fn fixture(name: &str) -> project::Project {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lockfiles").join(name);
    project::read(&dir).unwrap()
}

#[test]
fn every_npm_lockfile_gives_the_same_names() {
    for name in [
        "npm-v1",
        "npm-v2",
        "npm-v3",
        "shrinkwrap",
        "pnpm-v5",
        "pnpm-v6",
        "pnpm-v9",
        "pnpm-v12",
        "yarn1",
        "berry",
    ] {
        let project = fixture(name);
        assert!(project.notes.is_empty(), "{name}: {:?}", project.notes);
        let names = project.names(Ecosystem::Npm);
        for expected in
            ["@isaacs/cliui", "ms", "ms@0.7.1", "ms@2.0.0", "ms@2.1.3", "once", "ansi-regex@5.0.1"]
        {
            assert!(names.contains_key(expected), "{name}: no {expected} in {:?}", names.keys());
        }
        // The root asks for ms ^2.0.0 and, as old-ms, for 0.7.1; debug asks for 2.0.0.
        let ms = names["ms"];
        assert_eq!((ms.version.as_str(), ms.reach), ("2.1.3", Reach::Root), "{name}");
        assert_eq!(project.find(Ecosystem::Npm, "old-ms").unwrap().version, "0.7.1", "{name}");
        assert_eq!(project.find(Ecosystem::Npm, "once@1.4.0").unwrap().reach, Reach::Root, "{name}");
        assert!(!names.contains_key("ansi-regex"), "{name}: no version of it is the root's");
        let hashed = ms.hashes.iter().any(|hash| hash.starts_with("sha"));
        assert_eq!(hashed, name != "berry", "{name}");
        // What configures pnpm 12 stands in a document of its own.
        assert!(!names.contains_key("isexe"), "{name}");
    }
}

#[test]
fn every_python_lockfile_gives_the_same_names() {
    for name in ["uv", "pipenv", "requirements"] {
        let project = fixture(name);
        assert!(project.notes.is_empty(), "{name}: {:?}", project.notes);
        let pin = project.find(Ecosystem::Pypi, "Typing_Extensions").unwrap();
        assert_eq!((pin.name.as_str(), pin.reach), ("typing-extensions", Reach::Root), "{name}");
        assert_eq!(project.find(Ecosystem::Pypi, "idna").unwrap().version, "3.7");
        assert_eq!(pin.hashes.len(), 2, "{name}");
    }
}

#[test]
fn a_cargo_lock_gives_crates_and_members() {
    let project = fixture("cargo");
    let names = project.names(Ecosystem::Crates);
    assert_eq!(names["bitflags"].version, "2.6.0");
    assert!(names.contains_key("bitflags@1.3.2"));
    assert_eq!(project.find(Ecosystem::Crates, "cfg_if").unwrap().name, "cfg-if");
    let Origin::Registry { index: Some(index) } = &names["itoa"].origin else {
        panic!("{:?}", names["itoa"])
    };
    assert_eq!(index.reveal(), "https://registry.test/index");
    assert_eq!(project.locals.len(), 2);
}

#[test]
fn a_hostile_entry_is_a_sentence_and_no_pin() {
    let dir = tempfile::tempdir().unwrap();
    let lock = r#"{"lockfileVersion":3,"packages":{"":{},
        "node_modules/ok":{"version":"1.0.0"},
        "node_modules/../x":{"version":"1.0.0"}, "node_modules/":{"version":"1.0.0"},
        "node_modules//etc":{"version":"1.0.0"}, "node_modules/a\u0007":{"version":"1.0.0"},
        "node_modules/v":{"version":"../../x"},
        "node_modules/g":{"version":"1.0.0","resolved":"git+https://u:secret@git.test/x#main"}}}"#;
    std::fs::write(dir.path().join("package-lock.json"), lock).unwrap();
    let project = project::read(dir.path()).unwrap();
    assert_eq!(project.pins.iter().map(|pin| &pin.name).collect::<Vec<_>>(), ["ok"]);
    assert_eq!(project.notes.len(), 6, "{:?}", project.notes);
    assert!(!format!("{project:?}").contains("secret"));
    assert!(project.stamp.is_current(dir.path()));
    std::fs::write(dir.path().join("requirements-dev.txt"), "a==1 ; python_version > '3'\nb>=2\n-r ../x\n")
        .unwrap();
    assert!(!project.stamp.is_current(dir.path()), "a lockfile appeared");
    let project = project::read(dir.path()).unwrap();
    assert_eq!(project.find(Ecosystem::Pypi, "a").unwrap().version, "1");
    assert_eq!(project.notes.iter().filter_map(|note| note.line).collect::<Vec<_>>(), [2, 3]);
}
