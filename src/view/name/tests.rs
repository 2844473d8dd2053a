use super::*;

fn config() -> Config {
    Config::parse(
        r#"
        [[resource]]
        name = "docs"
        git = "https://example.org/team/docs.git"
        ref = "main"
        subpaths = ["guide"]

        [[resource]]
        name = "team/api"
        git = "https://github.com/team/api"
        "#,
    )
    .unwrap()
}

fn repository(url: &str, reference: &str) -> Name {
    Name::Plain {
        key: Key::git(crate::key::GitUrl::parse(url).unwrap()),
        reference: Reference::parse(reference).unwrap(),
    }
}

#[test]
fn repositories_of_a_flat_host_have_two_segments() {
    let config = config();
    let url = "https://github.com/rust-lang/log.git";
    for (text, reference) in [
        ("git/github.com/rust-lang/log", ""),
        ("git/github.com/rust-lang/log/", ""),
        ("git/github.com/rust-lang/log@0.4.20", "0.4.20"),
        ("git/github.com/rust-lang/log@tags%2F0.4.20", "tags/0.4.20"),
        ("git/github.com/rust-lang/log@a@b", "a@b"),
    ] {
        assert_eq!(Name::parse(text, &config).unwrap(), repository(url, reference), "{text}");
    }
    for text in ["", "git", "git/github.com", "git/github.com/", "git/github.com/rust-lang"] {
        assert_eq!(Name::parse(text, &config).unwrap(), Name::Directory, "{text:?}");
    }
    let (name, rest) = Name::split("git/github.com/rust-lang/log@1/src/lib.rs", &config).unwrap();
    assert_eq!((name, rest), (repository(url, "1"), "src/lib.rs"));
    assert_eq!(Name::parse("git/github.com/a/b/c", &config).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn where_groups_nest_an_at_or_dot_git_ends_the_repository() {
    let config = config();
    let url = "https://gitlab.com/a/b/c.git";
    assert_eq!(Name::parse("git/gitlab.com/a/b/c.git", &config).unwrap(), repository(url, ""));
    assert_eq!(Name::parse("git/gitlab.com/a/b/c@v1", &config).unwrap(), repository(url, "v1"));
    assert_eq!(Name::parse("git/gitlab.com/a/b/c", &config).unwrap(), Name::Directory);
    let (name, rest) = Name::split("git/gitlab.com/a/b/c.git/d/e", &config).unwrap();
    assert_eq!((name, rest), (repository(url, ""), "d/e"));
    for text in
        ["git/gitlab.com/a.git", "git/gitlab.com/a@v1", "git/gitlab.com/a/b.git@v1", "git/gitlab.com/a/.git"]
    {
        assert!(Name::parse(text, &config).is_err(), "{text}");
    }
}

#[test]
fn one_spelling_a_repository() {
    let error = Name::parse("git/github.com/rust-lang/log.git", &config()).unwrap_err();
    assert_eq!(error.advice(), Some("leave the .git out"));
    let error = Name::parse("git/GitHub.com/rust-lang/log", &config()).unwrap_err();
    assert_eq!(error.advice(), Some("write github.com"));
}

#[test]
fn resources_by_name_and_by_another_reference() {
    let config = config();
    let Name::Resource { index: 0, reference, .. } = Name::parse("docs", &config).unwrap() else {
        panic!("docs is a resource")
    };
    assert_eq!(reference.to_string(), "main");
    let name = Name::parse("docs@v2", &config).unwrap();
    assert_eq!(name.reference().unwrap().to_string(), "v2");
    assert_eq!(name.subpaths(&config), ["guide"]);
    let (name, rest) = Name::split("team/api@x%2Fy/src/main.rs", &config).unwrap();
    assert_eq!((name.reference().unwrap().to_string().as_str(), rest), ("x/y", "src/main.rs"));
    assert_eq!(Name::parse("team", &config).unwrap(), Name::Directory);
    for (text, hint) in [
        ("dosc", "did you mean docs?"),
        ("team/apis", "did you mean team/api?"),
        ("github.com/a/b", "write git/github.com/a/b"),
    ] {
        let error = Name::parse(text, &config).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::NotFound, Some(hint)), "{text}");
    }
    for text in ["team@x", "doc", "docs@", ".srcfs/status.json", "README.md", "projects/x"] {
        assert!(Name::parse(text, &config).is_err(), "{text}");
    }
}

#[test]
fn what_people_write_for_a_key_is_told_as_one() {
    let config = config();
    for (text, hint) in [
        ("https://github.com/rust-lang/log", "write git/github.com/rust-lang/log"),
        ("git@github.com:rust-lang/log.git", "write git/github.com/rust-lang/log"),
        ("https://github.com/rust-lang/log/blob/0123/src/lib.rs#L2", "write git/github.com/rust-lang/log"),
        ("https://github.com/team/api.git", "write team/api"),
        ("https://nowhere.test/a/b", "give it a name with `srcfs add NAME URL`"),
        ("npm:react@18", "write npm/react@18"),
        ("pkg:npm/%40types/node@18.0.0", "write npm/@types/node@18.0.0"),
        ("pkg:cargo/serde", "write crates/serde"),
        ("@types/node", "write npm/@types/node"),
        ("ssh://git@github.com/rust-lang/log", "write git/github.com/rust-lang/log"),
    ] {
        assert_eq!(Name::parse(text, &config).unwrap_err().advice(), Some(hint), "{text}");
    }
    for (text, packages) in [
        ("react", "; a package is npm/react, crates/react or pypi/react"),
        ("lodash.get@4", "; a package is npm/lodash.get or pypi/lodash.get"),
    ] {
        let error = Name::parse(text, &config).unwrap_err();
        assert!(error.advice().unwrap().ends_with(packages), "{error}");
    }
}

#[test]
fn the_name_that_a_directory_or_a_project_was_given_is_told_with_its_place() {
    let config =
        "[[resource]]\nname = \"work\"\npath = \"/work\"\n\n[[project]]\nname = \"web\"\npath = \"/web\"\n";
    let config = Config::parse(config).unwrap();
    let project = "what the project web pins is below projects/web; `srcfs get --project web` fetches it";
    for (text, hint) in [
        ("work", "write local/work"),
        ("work/src/x.rs", "write local/work/src/x.rs"),
        ("work@main", "write local/work"),
        ("web", project),
        ("web/npm/react", project),
    ] {
        let error = Name::parse(text, &config).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::NotFound, Some(hint)), "{text}");
    }
    let error = Name::parse("works", &config).unwrap_err();
    assert_ne!(error.advice(), Some("write local/work"));
}

#[test]
fn names_and_keys_lead_back() {
    let config = config();
    for text in [
        "git/github.com/rust-lang/log",
        "git/github.com/rust-lang/log@tags%2Fv1",
        "git/gitlab.com/a/b/c.git",
        "git/gitlab.com/a/b@main",
        "git/git.sr.ht/~user/repo",
    ] {
        let name = Name::parse(text, &config).unwrap();
        let (key, reference) = (name.key().unwrap(), name.reference().unwrap());
        assert_eq!(path_of(key, reference, &config).as_deref(), Some(text));
    }
    let key = config.resources[1].key.clone();
    assert_eq!(names_of(&key, &config), ["team/api"]);
    assert_eq!(path_of(&key, &Reference::Default, &config).unwrap(), "git/github.com/team/api");
    assert_eq!(path_of(&config.resources[0].key, &Reference::Default, &config), None);
}

#[test]
fn hostile_names_are_refused_without_asking_anybody() {
    let config = config();
    let long = format!("git/github.com/a/{}", "b".repeat(256));
    let reference = format!("git/github.com/a/b@{}", "v".repeat(256));
    let deep = format!("git/gitlab.com/{}", "a/".repeat(22));
    for text in [
        "..",
        ".",
        "/",
        "/etc/passwd",
        "git//github.com",
        "git/..",
        "git/github.com/../x",
        "git/github.com/a/..",
        "git/github.com/-a/b",
        "git/github.com/a/-b",
        "git/github.com/a/--upload-pack=x",
        "git/github.com/a/b@--upload-pack=x",
        "git/github.com/a/b@",
        "git/github.com/a/b@..",
        "git/github.com/a/b@%2e%2e%2f",
        "git/github.com/a/b@a..b",
        "git/github.com/a/%2e%2e%2f",
        "git/github.com/a\\b/c",
        "git/github.com/a/b\nc",
        "git/github.com/a/b\u{202e}c",
        "git/github.com/a/b\u{200b}",
        "git/github.com/a/b@v\u{200b}1",
        "git/github.com/a/HEAD",
        "git/github.com/HEAD",
        "git/github.com/objects",
        "git/github.com/.git",
        "git/github.com/a/.git",
        "git/HEAD",
        "git/.git",
        "git/config",
        "git/127.0.0.1/a/b",
        "git/localhost/a/b",
        "git/evil.example/a/b",
        "git/github.com:22/a/b",
        "git/github.com@evil.example/a/b",
        "git@x",
        "-x",
        "--upload-pack=x",
        "docs\u{202e}",
        ".git",
        &long,
        &reference,
        &deep,
    ] {
        if text == "/" {
            continue;
        }
        let error = Name::parse(text, &config).unwrap_err();
        assert_eq!(error.kind().errno(), libc::ENOENT, "{text:?}: {error}");
    }
    use std::os::unix::ffi::OsStrExt;
    let bytes = std::ffi::OsStr::from_bytes(b"git/github.com/a/\xff");
    assert_eq!(Name::parse_path(Path::new(bytes), &config).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(Name::parse_path(Path::new("/git"), &config).is_err());
}

#[test]
fn a_package_written_as_a_requirement_is_told_how_it_is_written_here() {
    let config = Config::default();
    for (text, hint) in [
        ("pypi/requests==2.31", "write 'pypi/requests@2.31'"),
        ("pypi/requests>=2,<3", "write 'pypi/requests@>=2,<3'"),
        ("npm/react^18", "write 'npm/react@^18'"),
        ("crates/tokio=1", "write 'crates/tokio@1'"),
        ("pypi/requests[socks]", "write pypi/requests: extras have no source of their own"),
        ("pypi/!x", "check its spelling"),
    ] {
        let error = Name::parse(text, &config).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::Invalid, Some(hint)), "{text}: {error}");
    }
    let forbidden = Name::parse("npm/node_modules", &config).unwrap_err();
    assert!(forbidden.why().contains("npm forbids it"), "{forbidden}");
}
