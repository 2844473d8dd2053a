//! What `uv.lock`, `poetry.lock`, `Pipfile.lock` and requirement files pin beyond the simple case. The
//! fixtures are genuine but for the hosts, and Poetry's of version 2 has no blocks that name its
//! registry, as it has none for the default one.

use srcfs::project::{self, Ecosystem::Pypi, Origin, Project, Reach};
use std::path::Path;

const COMMIT: &str = "5c634f78415f8f3d620a792cacee181ddc884e72";

fn fixture(name: &str) -> Project {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lockfiles").join(name);
    let project = project::read(&dir).unwrap();
    assert!(project.broken.is_empty() && project.notes.is_empty(), "{name}: {project:?}");
    project
}

fn reach(project: &Project, name: &str) -> Reach {
    project.find(Pypi, name).unwrap_or_else(|| panic!("no {name} in {:?}", project.names(Pypi).keys())).reach
}

fn assert_git(project: &Project, name: &str) {
    let pin = project.find(Pypi, name).unwrap();
    let url = "https://git.test/pygit.git";
    assert!(
        matches!(&pin.origin, Origin::Git { url: u, commit, .. } if u.reveal() == url && commit == COMMIT),
        "{pin:?}"
    );
}

#[test]
fn uv_knows_repositories_editables_members_and_forks() {
    let project = fixture("uv-sources");
    assert_git(&project, "pygit@0.4.0");
    assert_eq!(project.locals.len(), 3, "{:?}", project.locals);
    let names: Vec<String> = project.names(Pypi).into_keys().collect();
    assert_eq!(names, ["idna", "idna@3.6", "idna@3.7", "iniconfig", "pygit", "six", "typing-extensions"]);
    assert_eq!(project.find(Pypi, "idna").unwrap().version, "3.7", "both are the root's: the highest");
    assert_eq!(reach(&project, "idna@3.6"), Reach::Root);
    assert_eq!(reach(&project, "typing-extensions"), Reach::Member);
    let (dev, extra) = (project.find(Pypi, "iniconfig").unwrap(), project.find(Pypi, "six").unwrap());
    assert!(dev.dev && dev.reach == Reach::Root && extra.optional && extra.reach == Reach::Root);
    let archive = fixture("uv-url");
    let pin = archive.find(Pypi, "pygit").unwrap();
    assert!(matches!(&pin.origin, Origin::Archive { url } if url.reveal().ends_with(".whl")), "{pin:?}");
    assert_eq!((pin.hashes.len(), pin.reach), (1, Reach::Root));
}

#[test]
fn both_formats_of_poetry_say_the_same() {
    for (name, index) in [("poetry-v11", Some("https://registry.test/simple")), ("poetry-v2", None)] {
        let project = fixture(name);
        let names: Vec<String> = project.names(Pypi).into_keys().collect();
        assert_eq!(names, ["anyio", "idna", "iniconfig", "pygit", "six", "sniffio", "typing-extensions"]);
        for direct in ["Typing_Extensions", "anyio", "iniconfig", "pygit", "six"] {
            assert_eq!(reach(&project, direct), Reach::Root, "{name}: {direct}");
        }
        assert_eq!(reach(&project, "idna"), Reach::Transitive, "{name}");
        assert_git(&project, "pygit");
        let anyio = project.find(Pypi, "anyio").unwrap();
        let Origin::Registry { index: found } = &anyio.origin else { panic!("{anyio:?}") };
        assert_eq!(found.as_ref().map(|found| found.reveal()), index, "{name}");
        assert_eq!((anyio.hashes.len(), anyio.dev, anyio.optional), (2, false, false), "{name}");
        assert!(project.find(Pypi, "iniconfig").unwrap().dev && project.find(Pypi, "six").unwrap().optional);
        assert_eq!(project.locals.len(), 1, "{name}");
    }
}

#[test]
fn pipenv_has_repositories_and_categories() {
    let project = fixture("pipenv-sources");
    assert_git(&project, "pygit");
    for direct in ["anyio", "iniconfig", "six", "pygit"] {
        assert_eq!(reach(&project, direct), Reach::Root, "{direct}");
    }
    assert_eq!(reach(&project, "sniffio"), Reach::Transitive);
    assert!(project.find(Pypi, "iniconfig").unwrap().dev);
}

#[test]
fn requirement_files_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let sum = "ab".repeat(32);
    let upper = sum.to_uppercase();
    let text = format!(
        "# comment\n--index-url https://registry.test/simple\n-c constraints.txt\n-r more/base.txt\n\
         Plain_One==1.0  # why\nextras[a,b] == 2.0 ; python_version >= '3.8' and os_name == 'posix'\n\
         exact===1.5\nhashed==3.0 \\\n    --hash=sha256:{upper} \\\n    --hash=sha512:00\n\
         at @ git+https://git.test/pygit.git@{COMMIT}#subdirectory=a/b\n\
         git+https://git.test/pygit.git@{COMMIT}#egg=egg\n-e git+ssh://git@git.test/pygit.git@{COMMIT}#egg=edit\n\
         wheel[x] @ https://host.test/wheel-1.2-py3-none-any.whl#sha256={sum} ; os_name == 'nt'\n\
         -e ./here\n./there\n"
    );
    std::fs::create_dir(dir.path().join("more")).unwrap();
    std::fs::write(dir.path().join("requirements.txt"), text).unwrap();
    std::fs::write(dir.path().join("more/base.txt"), "-r ../requirements.txt\n-r leaf.txt\nbase==1\n")
        .unwrap();
    std::fs::write(dir.path().join("more/leaf.txt"), "leaf==1\n").unwrap();
    let project = project::read(dir.path()).unwrap();
    assert!(project.notes.is_empty() && project.broken.is_empty(), "{project:?}");
    for name in ["plain-one@1.0", "extras@2.0", "exact@1.5", "base@1", "leaf@1"] {
        assert_eq!(reach(&project, name), Reach::Root, "{name}");
    }
    assert_eq!(project.find(Pypi, "hashed").unwrap().hashes, [format!("sha256:{sum}")]);
    assert_git(&project, "egg");
    let at = &project.find(Pypi, "at").unwrap().origin;
    assert!(matches!(at, Origin::Git { subdirectory: Some(below), .. } if below == "a/b"), "{at:?}");
    let edit = &project.find(Pypi, "edit").unwrap().origin;
    assert!(
        matches!(edit, Origin::Git { url, .. } if url.reveal() == "ssh://git@git.test/pygit.git"),
        "{edit:?}"
    );
    let wheel = project.find(Pypi, "wheel@1.2").unwrap();
    assert!(matches!(wheel.origin, Origin::Archive { .. }) && wheel.hashes == [format!("sha256:{sum}")]);
    assert_eq!(project.locals.len(), 2);
}

#[test]
fn a_requirement_without_a_pin_is_a_sentence_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let text = "a>=1\nb==1.*\nc\nd @ git+https://git.test/d@main\ne @ git+https://git.test/e\nhttps://host.test/f.tar.gz\n\
                ../../x==1\ng===../../x\n-r ../outside.txt\n-r absent.txt\nfine==1\n";
    std::fs::write(dir.path().join("requirements.txt"), text).unwrap();
    let project = project::read(dir.path()).unwrap();
    assert_eq!(project.pins.iter().map(|pin| &*pin.name).collect::<Vec<_>>(), ["fine"]);
    // `../../x` is a directory to pip; the absent file has no line of its own.
    let lines: Vec<_> = project.notes.iter().filter_map(|note| note.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6, 8, 9], "{:?}", project.notes);
    assert!(project.notes.iter().any(|note| note.what == "absent.txt"), "{:?}", project.notes);
    for (name, line) in [("a", 1), ("B", 2), ("b@1.0", 2), ("d", 4), ("G", 8)] {
        let why = project.missing(Pypi, name, std::iter::empty()).to_string();
        assert!(why.contains(&format!("requirements.txt:{line}: ")), "{name}: {why}");
        let hint = project.missing(Pypi, name, std::iter::empty()).advice().unwrap().to_owned();
        assert_eq!(why.matches(&hint).count(), 1, "{why}");
    }
}

#[test]
fn what_uv_exports_beside_its_lockfile_is_listed_once() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = ("ab".repeat(32), "cd".repeat(32));
    let lock = format!(
        "version = 1\n[[package]]\nname = \"a\"\nversion = \"1.0\"\nsource = {{ registry = \"https://registry.test/simple\" }}\n\
         sdist = {{ url = \"https://registry.test/a.tar.gz\", hash = \"sha256:{one}\" }}\n"
    );
    std::fs::write(dir.path().join("uv.lock"), lock).unwrap();
    let export = format!("a==1.0.0 \\\n    --hash=sha256:{one} \\\n    --hash=sha256:{two}\nb==1\n");
    std::fs::write(dir.path().join("requirements.txt"), export).unwrap();
    std::fs::write(dir.path().join("requirements-dev.txt"), "b==1.0\n").unwrap();
    let project = project::read(dir.path()).unwrap();
    assert_eq!(project.names(Pypi).into_keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(project.pins.len(), 2, "{:?}", project.pins);
    let pin = project.find(Pypi, "a").unwrap();
    assert_eq!((pin.hashes.len(), pin.reach, pin.lockfiles.len()), (2, Reach::Root, 2));
    assert!(matches!(&pin.origin, Origin::Registry { index: Some(_) }), "{pin:?}");
}

#[test]
fn the_registry_of_a_requirement_file_is_that_of_all_that_is_read_with_it() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("requirements.txt", "early==1\n-r more/base.txt\n-i https://one.test/simple\nlate==1\n"),
        ("more/base.txt", "base==1\n"),
        ("requirements-gpu.txt", "gpu==1\n-r gpu.txt\n"),
        ("gpu.txt", "-r requirements-gpu.txt\n--no-index --index-url=https://gpu.test/simple\ndeep==1\n"),
        ("requirements-two.txt", "-i https://no.test/\n-r gpu.txt\n-ihttps://two.test/simple\ntwo==1\n"),
        ("requirements-plain.txt", "plain==1\n--extra-index-url https://me:hunter2@extra.test/simple\n"),
    ] {
        let file = dir.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let project = project::read(dir.path()).unwrap();
    for (name, expected) in [
        ("early", Some("https://one.test/simple")),
        ("late", Some("https://one.test/simple")),
        ("base", Some("https://one.test/simple")),
        ("gpu", Some("https://gpu.test/simple")),
        ("deep", Some("https://gpu.test/simple")),
        ("two", Some("https://two.test/simple")),
        ("plain", None),
    ] {
        let Origin::Registry { index } = &project.find(Pypi, name).unwrap().origin else { panic!("{name}") };
        assert_eq!(index.as_ref().map(|index| index.reveal()), expected, "{name}");
    }
    let notes: Vec<String> = project.notes.iter().map(ToString::to_string).collect();
    assert!(notes.len() == 1 && notes[0].contains("requirements-plain.txt:2"), "{notes:?}");
    assert!(notes[0].contains("extra.test") && !notes[0].contains("hunter2"), "{notes:?}");
}

#[test]
fn a_requirement_file_in_utf_16_is_read_as_pip_reads_it() {
    let text = "a==1.0\r\n# \u{e4}\u{1f980}\r\nb==2\r\n";
    let of = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
        [mark.to_vec(), text.encode_utf16().flat_map(bytes).collect()].concat()
    };
    let (little, big) = (of(&[0xff, 0xfe], u16::to_le_bytes), of(&[0xfe, 0xff], u16::to_be_bytes));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("requirements.txt");
    for bytes in [&little, &big, &[b"\xef\xbb\xbf", text.as_bytes()].concat()] {
        std::fs::write(&file, bytes).unwrap();
        let project = project::read(dir.path()).unwrap();
        assert_eq!(project.names(Pypi).into_keys().collect::<Vec<_>>(), ["a", "b"], "{:?}", project.broken);
    }
    for bytes in [&little[..little.len() - 1], &[0xff, 0xfe, 0x00, 0xd8], b"a==1\n\xff"] {
        std::fs::write(&file, bytes).unwrap();
        let project = project::read(dir.path()).unwrap();
        assert!(project.pins.is_empty() && project.broken.len() == 1, "{:?}", project.pins);
    }
}
