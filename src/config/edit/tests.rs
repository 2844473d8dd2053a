use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::NewOrigin;
use crate::key::{GitUrl, Key};

fn resource(name: &str) -> Resource {
    Resource {
        name: name.to_owned(),
        key: Key::git(GitUrl::parse("https://example.org/team/docs.git").unwrap()),
        reference: Reference::parse("main").unwrap(),
        subpaths: vec!["guide".to_owned()],
        note: Some("start at \"guide\"".to_owned()),
    }
}

fn plain(name: &str) -> Resource {
    Resource { reference: Reference::Default, subpaths: Vec::new(), note: None, ..resource(name) }
}

const FILE: &str = r#"# My sources.

refresh = "2h"   # not too often

# The handbook.
[[resource]]
name = 'docs'
git = "https://example.org/docs" # the new server

# Forges
[[host]]
name = "git.example.org"
url = "https://git.example.org/{path}"

[[resource]]
name = "api"
git = "https://example.org/api"
"#;

#[test]
fn a_missing_file_is_made_with_its_directories() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a/b/config.toml");
    let config = add(&file, &resource("docs")).unwrap();
    assert_eq!(config.resources, [resource("docs")]);
    assert_eq!(Config::load(&file).unwrap(), config);
    let mode = fs::metadata(directory.path().join("a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn adding_leaves_every_other_byte_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, FILE).unwrap();
    add(&file, &plain("new")).unwrap();
    let expected =
        format!("{FILE}\n[[resource]]\nname = \"new\"\ngit = \"https://example.org/team/docs.git\"\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
}

#[test]
fn removing_takes_the_resource_and_its_comment_only() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, FILE).unwrap();
    let config = remove(&file, "docs").unwrap();
    assert!(config.resource("docs").is_none() && config.resource("api").is_some());
    let start = FILE.find("# The handbook").unwrap();
    let end = FILE.find("# Forges").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}{}", &FILE[..start], &FILE[end..]));
    remove(&file, "api").unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.ends_with("{path}\"\n\n") && text.starts_with("# My sources.\n"), "{text}");
    assert_eq!(remove(&file, "api").unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn adding_and_removing_is_as_if_nothing_happened() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    for text in [FILE, "", "resource = [{ name = \"a\", git = \"https://example.org/a\" }]\n"] {
        fs::write(&file, text).unwrap();
        add(&file, &resource("team/new")).unwrap();
        remove(&file, "team/new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap().trim_end(), text.trim_end());
    }
}

#[test]
fn what_would_not_be_valid_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, FILE).unwrap();
    for name in ["docs", "docs/inner", "git/x", "-x"] {
        assert!(add(&file, &plain(name)).is_err(), "{name}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), FILE);
    fs::write(&file, "ofline = true\n").unwrap();
    let error = add(&file, &plain("new")).unwrap_err();
    assert!(error.to_string().contains("did you mean offline?"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "ofline = true\n");
}

#[test]
fn mode_and_symbolic_links_stay() {
    let directory = tempfile::tempdir().unwrap();
    let (real, link) = (directory.path().join("dotfiles/srcfs.toml"), directory.path().join("config.toml"));
    fs::create_dir(directory.path().join("dotfiles")).unwrap();
    std::os::unix::fs::symlink("dotfiles/srcfs.toml", &link).unwrap();
    add(&link, &plain("first")).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    add(&link, &plain("second")).unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(Config::load(&real).unwrap().resources.len(), 2);
    std::os::unix::fs::symlink("loop", directory.path().join("loop")).unwrap();
    assert!(add(&directory.path().join("loop"), &plain("x")).is_err());
}

#[test]
fn many_edits_at_once_all_arrive() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let file = &file;
            scope.spawn(move || add(file, &plain(&format!("n{number}"))).unwrap());
        }
    });
    assert_eq!(Config::load(&file).unwrap().resources.len(), 8);
    let left: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
}

#[test]
fn what_another_program_wrote_meanwhile_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, FILE).unwrap();
    let error = change(&file, |text, _| {
        fs::write(&file, "idle = \"1h\"\n").unwrap();
        Ok(text.to_owned())
    })
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Stale);
    assert_eq!(fs::read_to_string(&file).unwrap(), "idle = \"1h\"\n");
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let config = Config::default();
    let path = NewOrigin::Path { path: Path::new("/srv/x"), ignore: &["*.csv"] };
    let resources: Vec<Resource> = [
        ("node", NewOrigin::Package(crate::key::Kind::Npm, "@types/node"), Some("^20 || 18")),
        ("json", NewOrigin::Package(crate::key::Kind::Crates, "serde_json"), Some(">=1, <1.0.100")),
        ("web", NewOrigin::Package(crate::key::Kind::Pypi, "Zope.Interface"), None),
        ("work", path, None),
        ("docs", NewOrigin::Git("https://example.org/a.git"), Some("feature/x")),
    ]
    .into_iter()
    .map(|(name, origin, reference)| {
        config.new_resource(name, origin, reference, &["a", "b/c"], Some("a \"note\"\nof two lines")).unwrap()
    })
    .collect();
    assert_eq!(add_all(&file, &resources).unwrap().resources, resources);
    assert_eq!(Config::load(&file).unwrap().resources, resources);
}

#[test]
fn of_many_that_are_added_at_once_all_come_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, FILE).unwrap();
    for last in ["docs", "new/inner", "new"] {
        add_all(&file, &[plain("new"), plain(last)]).unwrap_err();
        assert_eq!(fs::read_to_string(&file).unwrap(), FILE, "{last}");
    }
}
