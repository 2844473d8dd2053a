//! Repositories, archives, aliases, workspaces, patches: each lockfile's way to say that a package is
//! not simply from the registry, and who asks for it. The fixtures are genuine but for the hosts, which
//! are `registry.test` and `git.test`; of Cargo's, versions 1, 2 and 4 were written from version 3 and
//! found correct by `cargo metadata --locked`.

use srcfs::project::{self, Ecosystem, Origin, Pin, Project, Reach};
use std::path::Path;

const NPM: [&str; 8] = [
    "npm-v1-sources",
    "npm-v2-sources",
    "npm-v3-sources",
    "pnpm-v5-sources",
    "pnpm-v6-sources",
    "pnpm-v9-sources",
    "yarn1-sources",
    "berry-sources",
];

fn fixture(name: &str) -> Project {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lockfiles").join(name);
    let project = project::read(&dir).unwrap();
    assert!(project.broken.is_empty(), "{name}: {:?}", project.broken);
    project
}

fn written(name: &str, text: &str) -> Project {
    all_written(&[(name, text)])
}

fn all_written(files: &[(&str, &str)]) -> Project {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    project::read(dir.path()).unwrap()
}

/// What is shown, with the version and with who asks for it.
fn shown(project: &Project, ecosystem: Ecosystem) -> Vec<String> {
    let reach = |pin: &Pin| match pin.reach {
        Reach::Root => "root",
        Reach::Member => "member",
        Reach::Transitive => "-",
    };
    let names = project.names(ecosystem);
    names.iter().map(|(name, pin)| format!("{name} {} {}", pin.version, reach(pin))).collect()
}

fn locals(project: &Project) -> Vec<&str> {
    let mut names: Vec<&str> = project.locals.iter().map(|local| local.name.as_str()).collect();
    names.sort();
    names.dedup();
    names
}

fn git(pin: &Pin) -> (&str, &str) {
    match &pin.origin {
        Origin::Git { url, commit, subdirectory: None } => (url.reveal(), commit),
        other => panic!("{}: {other:?}", pin.name),
    }
}

#[test]
fn npm_repositories_archives_aliases_and_members() {
    for name in NPM {
        let project = fixture(name);
        let npmgit = project.find(Ecosystem::Npm, "npmgit").unwrap();
        let commit = "84268900a277c055bcd2f2d1cd2cc83cb4583656";
        assert_eq!(git(npmgit), ("https://git.test/npmgit.git", commit), "{name}");
        // Version 1 of npm's does not say the version of a repository's package.
        let version = if name == "npm-v1-sources" { commit } else { "1.2.3" };
        assert_eq!((npmgit.version.as_str(), npmgit.reach), (version, Reach::Root), "{name}");
        let npmtar = project.find(Ecosystem::Npm, "npmtar@3.0.0").unwrap();
        assert!(
            matches!(&npmtar.origin, Origin::Archive { url } if url.reveal().contains("npmtar-3.0.0.tgz"))
        );
        assert_eq!(npmtar.reach, Reach::Root, "{name}");
        assert_eq!(project.find(Ecosystem::Npm, "old-ms").unwrap().version, "0.7.1", "{name}");
        let ms: Vec<_> =
            shown(&project, Ecosystem::Npm).into_iter().filter(|s| s.starts_with("ms")).collect();
        // The alias is the root's only wish for ms, so it is nearest. Yarn 1 does not say what members ask.
        let member = if name == "yarn1-sources" { "-" } else { "member" };
        let member = format!("ms@2.1.3 2.1.3 {member}");
        assert_eq!(ms, ["ms 0.7.1 root", "ms@0.7.1 0.7.1 root", "ms@2.0.0 2.0.0 -", &member], "{name}");
        assert!(project.find(Ecosystem::Npm, "loc").is_none(), "{name}");
        assert!(locals(&project).contains(&"loc"), "{name}: {:?}", project.locals);
        let notes: Vec<String> = project.notes.iter().map(ToString::to_string).collect();
        match name {
            "berry-sources" => {
                assert!(notes.len() == 1 && notes[0].contains("fnd: it is patched"), "{notes:?}")
            }
            _ => assert!(notes.is_empty(), "{name}: {notes:?}"),
        }
    }
}

#[test]
fn a_patched_package_of_yarn_is_the_one_that_the_root_asks_for() {
    let project = fixture("berry-sources");
    let patched = project.find(Ecosystem::Npm, "fnd").unwrap();
    assert_eq!((patched.name.as_str(), patched.reach), ("function-bind", Reach::Root));
    assert_eq!(project.find(Ecosystem::Npm, "typescript").unwrap().reach, Reach::Root);
}

#[test]
fn a_registry_on_any_host_is_one_if_there_is_a_hash_and_nobody_asked_for_an_address() {
    let lock = r#"{"lockfileVersion":3,"packages":{"":{"dependencies":{"a":"^1.0.0","b":"https://x.test/b"}},
        "node_modules/a":{"version":"1.0.0","resolved":"https://x.test/download/a/1.0.0/f00","integrity":"sha512-eA=="},
        "node_modules/b":{"version":"1.0.0","resolved":"https://x.test/b","integrity":"sha512-eA=="},
        "node_modules/c":{"version":"1.0.0","resolved":"https://x.test/npm/c/-/c-1.0.0.tgz"},
        "node_modules/d":{"version":"1.0.0","resolved":"https://codeload.x.test/o/r/tar.gz/0123456789abcdef0123456789abcdef01234567"}}}"#;
    let project = written("package-lock.json", lock);
    let origin = |name| project.find(Ecosystem::Npm, name).unwrap().origin.clone();
    assert_eq!(origin("a"), Origin::Registry { index: None });
    assert!(matches!(origin("b"), Origin::Archive { .. }));
    assert!(
        matches!(origin("c"), Origin::Registry { index: Some(i) } if i.reveal() == "https://x.test/npm/")
    );
    assert_eq!(git(project.find(Ecosystem::Npm, "d").unwrap()).0, "https://x.test/o/r");
}

#[test]
fn every_version_of_cargo_lock_says_the_same() {
    for name in ["cargo-v1", "cargo-v2", "cargo-v3", "cargo-v4"] {
        let project = fixture(name);
        assert!(project.notes.is_empty(), "{name}: {:?}", project.notes);
        assert_eq!(
            shown(&project, Ecosystem::Crates),
            [
                "bitflags 1.3.2 member",
                "cfg-if 1.0.0 root",
                "cfg-if@0.1.10 0.1.10 member",
                "cfg-if@1.0.0 1.0.0 root",
                "fnv 1.0.7 root",
                "itoa 1.0.11 root",
                "itoa@0.4.8 0.4.8 -",
                "itoa@1.0.11 1.0.11 root",
                "rsgit 0.2.0 root",
                "rsother 0.3.0 root",
            ],
            "{name}"
        );
        let tag = git(project.find(Ecosystem::Crates, "rsgit").unwrap());
        assert_eq!(tag, ("https://git.test/rsgit.git", "24619426a7fe91a0102aa2829aef86e0d9c50647"));
        assert_eq!(
            git(project.find(Ecosystem::Crates, "rsother").unwrap()).0,
            "https://git.test/rsother.git"
        );
        let registry = project.pins.iter().filter(|pin| matches!(pin.origin, Origin::Registry { .. }));
        assert!(registry.into_iter().all(|pin| pin.hashes.len() == 1), "{name}");
        assert_eq!(locals(&project), ["fixture", "member"], "{name}");
    }
}

#[test]
fn the_sources_of_cargo() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let default = cargo_lock::SourceId::default().to_string();
    let source = |source: &str| {
        let lock = format!(
            "version = 4\n[[package]]\nname = \"r\"\nversion = \"0.1.0\"\ndependencies = [\"g\"]\n\
             [[package]]\nname = \"g\"\nversion = \"1.0.0\"\nsource = \"{source}\"\n"
        );
        written("Cargo.lock", &lock)
    };
    for query in ["", "?rev=0123456", "?branch=a%2Fb", "?tag=v1", "?ref=x"] {
        let project = source(&format!("git+https://git.test/o/r{query}#{commit}"));
        assert_eq!(git(&project.pins[0]), ("https://git.test/o/r", commit), "{query}");
        assert_eq!(project.pins[0].reach, Reach::Member);
    }
    assert_eq!(source(&default).pins[0].origin, Origin::Registry { index: None });
    for (text, index) in [
        ("registry+https://registry.test/i", "https://registry.test/i"),
        ("sparse+https://registry.test/i/", "sparse+https://registry.test/i/"),
    ] {
        let project = source(text);
        let Origin::Registry { index: Some(found) } = &project.pins[0].origin else { panic!("{text}") };
        assert_eq!(found.reveal(), index);
    }
    for bad in [
        "git+https://git.test/o/r?branch=x",
        "git+https://git.test/o/r#main",
        "local-registry+file:///x",
        "x",
    ] {
        let project = source(bad);
        assert!(project.pins.is_empty() && project.notes.len() == 1, "{bad}: {project:?}");
    }
}

#[test]
fn a_fork_beside_the_registry_is_told_by_its_source() {
    let git = "git+https://git.test/a?branch=x";
    let lock = format!(
        "version = 4\n[[package]]\nname = \"r\"\nversion = \"0.1.0\"\ndependencies = [\"a 1.0.0 ({git})\"]\n\
         [[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"sparse+https://registry.test/\"\n\
         [[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"{git}#0123456789abcdef0123456789abcdef01234567\"\n"
    );
    let project = written("Cargo.lock", &lock);
    let reach = |git: bool| {
        let mut pins = project.pins.iter();
        pins.find(|pin| matches!(pin.origin, Origin::Git { .. }) == git).unwrap().reach
    };
    assert_eq!((reach(true), reach(false)), (Reach::Member, Reach::Transitive));
    for name in ["a", "a@1.0.0"] {
        let pin = project.find(Ecosystem::Crates, name).unwrap();
        assert!(matches!(pin.origin, Origin::Git { .. }), "{name}");
    }
}

#[test]
fn one_version_is_one_pin_however_its_registry_is_spelled() {
    let lock = r#"{"lockfileVersion":3,"packages":{"":{},
        "node_modules/a":{"version":"1.0.0","resolved":"https://one.test/a/-/a-1.0.0.tgz","integrity":"sha512-eA=="},
        "node_modules/n/node_modules/a":{"version":"1.0.0","inBundle":true}}}"#;
    let yarn = |name: &str, hash: &str| {
        format!(
            "# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.\n# yarn lockfile v1\n\n\na@1:\n  version \"1.0.0\"\n  resolved \"https://two.test/a/-/{name}\"\n  integrity {hash}\n"
        )
    };
    let hashes = |project: &Project| project.pins.iter().map(|pin| pin.hashes.len()).collect::<Vec<_>>();
    for (files, expected) in [
        (vec![("package-lock.json", lock)], vec![1]),
        (vec![("package-lock.json", lock), ("yarn.lock", &yarn("a-1.0.0.tgz", "sha512-eA=="))], vec![1]),
        (vec![("package-lock.json", lock), ("yarn.lock", &yarn("a-1.0.0.tgz", "sha1-eA=="))], vec![2]),
        (vec![("package-lock.json", lock), ("yarn.lock", &yarn("a-1.0.0.tgz", "sha512-eQ=="))], vec![1, 1]),
    ] {
        let project = all_written(&files);
        assert!(project.broken.is_empty(), "{:?}", project.broken);
        assert_eq!(hashes(&project), expected, "{:?}", project.pins);
        let pin = project.find(Ecosystem::Npm, "a").unwrap();
        assert!(matches!(&pin.origin, Origin::Registry { index: Some(_) }), "{pin:?}");
        assert!(project.names(Ecosystem::Npm).contains_key("a"));
        assert_eq!(pin.lockfiles.len(), if expected.len() == 1 { files.len() } else { 1 });
    }
}

#[test]
fn a_repository_is_not_the_registry_and_a_crate_is_its_registry_s() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let lock = format!(
        r#"{{"lockfileVersion":3,"packages":{{"":{{}},
        "node_modules/a":{{"version":"1.0.0"}},
        "node_modules/n/node_modules/a":{{"version":"1.0.0","resolved":"git+https://git.test/a.git#{commit}"}}}}}}"#
    );
    assert_eq!(written("package-lock.json", &lock).pins.len(), 2);
    let of = |index: &str| {
        format!("[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"sparse+https://{index}/\"\n")
    };
    let crates = written("Cargo.lock", &format!("version = 4\n{}{}", of("one.test"), of("two.test")));
    assert_eq!(crates.pins.len(), 2);
    assert!(crates.find(Ecosystem::Crates, "a").is_some(), "one version has the bare name");
}

#[test]
fn a_repository_on_a_host_that_npm_knows_is_reached_by_https_as_npm_does() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for (written_as, url) in [
        ("git+ssh://git@github.com/o/r.git", "https://github.com/o/r.git"),
        ("git+ssh://git@gitlab.com/g/s/r.git", "https://gitlab.com/g/s/r.git"),
        ("git@bitbucket.org:o/r.git", "https://bitbucket.org/o/r.git"),
        ("git://github.com/o/r.git", "https://github.com/o/r.git"),
        ("git+https://github.com/o/r.git", "https://github.com/o/r.git"),
        ("git+ssh://git@github.com:22/o/r.git", "ssh://git@github.com:22/o/r.git"),
        ("git+ssh://git@github.com.git.test/o/r.git", "ssh://git@github.com.git.test/o/r.git"),
        ("git+ssh://me@github.com/o/r.git", "ssh://me@github.com/o/r.git"),
        ("git+ssh://git@git.test/o/r.git", "ssh://git@git.test/o/r.git"),
    ] {
        let new = format!(
            r#"{{"lockfileVersion":3,"packages":{{"":{{}},"node_modules/r":{{"version":"1.0.0","resolved":"{written_as}#{commit}"}}}}}}"#
        );
        let old = format!(
            r#"{{"lockfileVersion":1,"dependencies":{{"r":{{"version":"{written_as}#{commit}"}}}}}}"#
        );
        for lock in [new, old] {
            let project = written("package-lock.json", &lock);
            let pin = project.find(Ecosystem::Npm, "r").unwrap_or_else(|| panic!("{:?}", project.notes));
            assert_eq!(git(pin), (url, commit), "{written_as}");
        }
    }
    let short =
        format!(r#"{{"lockfileVersion":1,"dependencies":{{"r":{{"version":"gitlab:o/r#{commit}"}}}}}}"#);
    let project = written("package-lock.json", &short);
    assert_eq!(git(&project.pins[0]).0, "https://gitlab.com/o/r");
    // pnpm and yarn write ssh where they were told so.
    let pnpm = format!(
        "lockfileVersion: '9.0'\npackages:\n  r@git+ssh://git@github.com/o/r.git#{commit}:\n    resolution: {{commit: {commit}, repo: 'git@github.com:o/r.git', type: git}}\n    version: 1.0.0\n"
    );
    assert_eq!(git(&written("pnpm-lock.yaml", &pnpm).pins[0]).0, "ssh://git@github.com/o/r.git");
}

#[test]
fn an_archive_of_a_forge_and_what_was_asked_for_by_address_are_no_registry_s() {
    let lock = r#"{"lockfileVersion":3,"packages":{
        "":{"dependencies":{"ms":"https://forge.test/owner/ms/-/archive/v2.1.3/ms-v2.1.3.tar.gz","a":"https://x.test/npm/a/-/a-1.0.0.tgz"}},
        "node_modules/ms":{"version":"2.1.3","resolved":"https://forge.test/owner/ms/-/archive/v2.1.3/ms-v2.1.3.tar.gz","integrity":"sha512-eA=="},
        "node_modules/n/node_modules/ms":{"version":"2.0.0","resolved":"https://x.test/npm/ms/-/ms-2.0.0.tgz","integrity":"sha512-eA=="},
        "node_modules/b":{"version":"1.0.0","resolved":"https://forge.test/owner/b/-/archive/v1/b.tgz"},
        "node_modules/a":{"version":"1.0.0","resolved":"https://x.test/npm/a/-/a-1.0.0.tgz","integrity":"sha512-eA=="}}}"#;
    let project = written("package-lock.json", lock);
    for (name, archive) in [("ms@2.1.3", true), ("ms@2.0.0", false), ("b", true), ("a", true)] {
        let origin = &project.find(Ecosystem::Npm, name).unwrap().origin;
        assert_eq!(matches!(origin, Origin::Archive { .. }), archive, "{name}: {origin:?}");
    }
    let yarn = "# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.\n# yarn lockfile v1\n\n\n\
        \"ms@https://forge.test/o/ms/-/ms-2.1.3.tgz\":\n  version \"2.1.3\"\n  resolved \"https://forge.test/o/ms/-/ms-2.1.3.tgz#00\"\n";
    assert!(matches!(written("yarn.lock", yarn).pins[0].origin, Origin::Archive { .. }));
}

#[test]
fn what_the_root_asks_for_by_a_catalog_is_the_root_s() {
    let lock = r#"__metadata:
  version: 8
"foo@npm:^1.0.0":
  version: 1.0.0
  resolution: "foo@npm:1.0.0"
"foo@npm:^2.0.0":
  version: 2.0.0
  resolution: "foo@npm:2.0.0"
"bar@npm:~1.0.0":
  version: 1.0.0
  resolution: "bar@npm:1.0.0"
"bar@npm:~2.0.0":
  version: 2.0.0
  resolution: "bar@npm:2.0.0"
"web@workspace:.":
  version: 0.0.0-use.local
  resolution: "web@workspace:."
  dependencies:
    bar: "catalog:old"
    foo: "catalog:"
"#;
    let rc = "catalog:\n  foo: ^1.0.0\ncatalogs:\n  old:\n    bar: \"npm:~1.0.0\"\n";
    let package = r#"{"dependencies":{"foo":"catalog:"},"devDependencies":{"bar":"catalog:old"}}"#;
    let files = [("yarn.lock", lock), (".yarnrc.yml", rc), ("package.json", package)];
    let project = all_written(&files);
    for name in ["foo", "bar"] {
        let pin = project.find(Ecosystem::Npm, name).unwrap_or_else(|| panic!("{:?}", project.pins));
        assert_eq!((pin.version.as_str(), pin.reach, pin.dev), ("1.0.0", Reach::Root, name == "bar"));
    }
    assert!(project.stamp.files().any(|file| file == Path::new(".yarnrc.yml")), "its change is seen");
    for rc in ["catalog: [", "catalog: 1\ncatalogs: [foo]\n", "<<<<<<< HEAD\n"] {
        let project = all_written(&[files[0], (".yarnrc.yml", rc), files[2]]);
        assert_eq!((project.pins.len(), project.find(Ecosystem::Npm, "foo")), (4, None), "{rc}");
    }
    let pnpm = "lockfileVersion: '9.0'\ncatalogs:\n  default:\n    foo:\n      specifier: ^1.0.0\n      version: 1.0.0\n\
        importers:\n  .:\n    dependencies:\n      foo:\n        specifier: 'catalog:'\n        version: 1.0.0\n\
        packages:\n  foo@1.0.0:\n    resolution: {integrity: sha512-eA==}\n  foo@2.0.0:\n    resolution: {integrity: sha512-eQ==}\n";
    assert_eq!(written("pnpm-lock.yaml", pnpm).find(Ecosystem::Npm, "foo").unwrap().version, "1.0.0");
}

#[test]
fn a_credential_in_a_lockfile_is_said_to_be_none_for_us_once_and_not_shown() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let secret = "https://me:hunter2@private.test";
    let npm = |integrity: &str| {
        format!(
            r#"{{"lockfileVersion":3,"packages":{{"":{{}},
            "node_modules/a":{{"version":"1.0.0","resolved":"{secret}/a/-/a-1.0.0.tgz"{integrity}}},
            "node_modules/b":{{"version":"1.0.0","resolved":"{secret}/b/-/b-1.0.0.tgz"{integrity}}}}}}}"#
        )
    };
    let package =
        |source: &str| format!("[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = {source}\n");
    for (name, text, notes) in [
        ("package-lock.json", npm(""), 1),
        ("package-lock.json", npm(r#","integrity":"sha512-eA==""#), 0),
        ("Cargo.lock", format!("version = 4\n{}", package(&format!("\"sparse+{secret}/\""))), 1),
        ("Cargo.lock", format!("version = 4\n{}", package(&format!("\"git+{secret}/r#{commit}\""))), 1),
        ("uv.lock", format!("version = 1\n{}", package(&format!("{{ registry = \"{secret}/simple\" }}"))), 1),
        ("requirements.txt", format!("-i {secret}/simple\na==1\nb==1\n"), 1),
        ("requirements.txt", format!("a @ git+https://hunter2@private.test/r@{commit}\n"), 1),
        ("requirements.txt", format!("a @ git+ssh://git@git.test/r@{commit}\n"), 0),
    ] {
        let project = written(name, &text);
        assert!(!project.pins.is_empty(), "{name}: {:?}", project.notes);
        let said: Vec<String> = project.notes.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), notes, "{name}: {said:?}");
        assert!(
            said.iter().all(|note| note.contains("credential") && note.contains("private.test")),
            "{said:?}"
        );
        assert!(!format!("{project:?}").contains("hunter2"), "{name}");
    }
}
