//! The addresses are those that the forges give out themselves: "copy permalink" and a click on a line.

use std::ffi::OsStr;

use super::*;
use crate::key::{Directory, Kind as KeyKind, Package};

const FILE: Kind = Kind::File { executable: false };

fn git(url: &str) -> Key {
    Key::git(GitUrl::parse(url).unwrap())
}

fn of(url: &str, path: &str, kind: Kind, lines: Option<(u64, u64)>) -> String {
    let lines = lines.map(|(first, last)| Lines { first, last });
    Citation::new(&git(url), "c0ffee", None, &Config::default()).of(Place {
        path: Path::new(path),
        kind,
        lines,
    })
}

/// A file, a directory, the root, one line, several lines, and lines of a file that is shown typeset.
fn all(url: &str) -> [String; 6] {
    [
        of(url, "src/x.rs", FILE, None),
        of(url, "src", Kind::Directory, None),
        of(url, "", Kind::Directory, None),
        of(url, "src/x.rs", FILE, Some((3, 3))),
        of(url, "src/x.rs", FILE, Some((3, 5))),
        of(url, "x.md", FILE, Some((3, 5))),
    ]
}

#[test]
fn forges_get_their_own_permalinks() {
    assert_eq!(
        all("https://github.com/o/r.git"),
        [
            "https://github.com/o/r/blob/c0ffee/src/x.rs",
            "https://github.com/o/r/tree/c0ffee/src",
            "https://github.com/o/r/tree/c0ffee",
            "https://github.com/o/r/blob/c0ffee/src/x.rs#L3",
            "https://github.com/o/r/blob/c0ffee/src/x.rs#L3-L5",
            "https://github.com/o/r/blob/c0ffee/x.md?plain=1#L3-L5",
        ]
    );
    assert_eq!(
        all("git@gitlab.com:g/s/p.git"),
        [
            "https://gitlab.com/g/s/p/-/blob/c0ffee/src/x.rs",
            "https://gitlab.com/g/s/p/-/tree/c0ffee/src",
            "https://gitlab.com/g/s/p/-/tree/c0ffee",
            "https://gitlab.com/g/s/p/-/blob/c0ffee/src/x.rs#L3",
            "https://gitlab.com/g/s/p/-/blob/c0ffee/src/x.rs#L3-5",
            "https://gitlab.com/g/s/p/-/blob/c0ffee/x.md?plain=1#L3-5",
        ]
    );
    assert_eq!(
        all("https://codeberg.org/o/r"),
        [
            "https://codeberg.org/o/r/src/commit/c0ffee/src/x.rs",
            "https://codeberg.org/o/r/src/commit/c0ffee/src",
            "https://codeberg.org/o/r/src/commit/c0ffee",
            "https://codeberg.org/o/r/src/commit/c0ffee/src/x.rs#L3",
            "https://codeberg.org/o/r/src/commit/c0ffee/src/x.rs#L3-L5",
            "https://codeberg.org/o/r/src/commit/c0ffee/x.md?display=source#L3-L5",
        ]
    );
    assert_eq!(
        all("https://bitbucket.org/o/r.git"),
        [
            "https://bitbucket.org/o/r/src/c0ffee/src/x.rs",
            "https://bitbucket.org/o/r/src/c0ffee/src",
            "https://bitbucket.org/o/r/src/c0ffee/",
            "https://bitbucket.org/o/r/src/c0ffee/src/x.rs#lines-3",
            "https://bitbucket.org/o/r/src/c0ffee/src/x.rs#lines-3:5",
            "https://bitbucket.org/o/r/src/c0ffee/x.md#lines-3:5",
        ]
    );
    assert_eq!(
        all("https://git.sr.ht/~o/r"),
        [
            "https://git.sr.ht/~o/r/tree/c0ffee/item/src/x.rs",
            "https://git.sr.ht/~o/r/tree/c0ffee/item/src",
            "https://git.sr.ht/~o/r/tree/c0ffee",
            "https://git.sr.ht/~o/r/tree/c0ffee/item/src/x.rs#L3",
            "https://git.sr.ht/~o/r/tree/c0ffee/item/src/x.rs#L3-5",
            "https://git.sr.ht/~o/r/tree/c0ffee/item/x.md#L3-5",
        ]
    );
    assert_eq!(
        all("https://git.kernel.org/pub/scm/git/git.git"),
        [
            "https://git.kernel.org/pub/scm/git/git.git/tree/src/x.rs?id=c0ffee",
            "https://git.kernel.org/pub/scm/git/git.git/tree/src?id=c0ffee",
            "https://git.kernel.org/pub/scm/git/git.git/tree/?id=c0ffee",
            "https://git.kernel.org/pub/scm/git/git.git/tree/src/x.rs?id=c0ffee#n3",
            "https://git.kernel.org/pub/scm/git/git.git/tree/src/x.rs?id=c0ffee#n3",
            "https://git.kernel.org/pub/scm/git/git.git/tree/x.md?id=c0ffee#n3",
        ]
    );
}

#[test]
fn what_means_something_in_a_url_is_escaped_byte_by_byte() {
    let github = |path: &str| of("https://github.com/o/r", path, FILE, Some((1, 1)));
    let file = |escaped: &str| format!("https://github.com/o/r/blob/c0ffee/{escaped}#L1");
    assert_eq!(github("a b/#c?d.rs"), file("a%20b/%23c%3Fd.rs"));
    assert_eq!(github("100%/[x]&y=z+1;@:\\"), file("100%25/%5Bx%5D%26y%3Dz%2B1%3B%40%3A%5C"));
    assert_eq!(github("ä/日本"), file("%C3%A4/%E6%97%A5%E6%9C%AC"));
    let place = Place { path: Path::new(OsStr::from_bytes(b"\xff")), kind: FILE, lines: None };
    let citation = Citation::new(&git("https://github.com/o/r"), "c0ffee", None, &Config::default());
    assert_eq!(citation.of(place), "https://github.com/o/r/blob/c0ffee/%FF");
}

#[test]
fn other_hosts_get_what_can_be_followed_by_hand() {
    let url = "https://example.org/r.git";
    assert_eq!(of(url, "a b", FILE, Some((2, 4))), "https://example.org/r.git@c0ffee:a b:2-4");
    assert_eq!(of(url, "x", FILE, Some((2, 2))), "https://example.org/r.git@c0ffee:x:2");
    assert_eq!(of(url, "", Kind::Directory, None), "https://example.org/r.git@c0ffee");
    assert_eq!(of("file:///srv/r.git", "x", FILE, None), "file:///srv/r.git@c0ffee:x");
}

#[test]
fn a_submodule_has_no_page_because_its_files_are_another_repositorys() {
    let url = "https://github.com/o/r.git";
    assert_eq!(of(url, "vendor/lib", Kind::Submodule, None), "https://github.com/o/r.git@c0ffee:vendor/lib");
    assert_eq!(of(url, "link", Kind::Symlink, None), "https://github.com/o/r/blob/c0ffee/link");
}

#[test]
fn a_directory_is_cited_by_its_path_and_the_id_of_its_tree() {
    let key = Key::local(Directory::new(Path::new("/home/me/work"), ["*.log"]).unwrap());
    let citation = Citation::new(&key, "c0ffee", None, &Config::default());
    let lines = Some(Lines { first: 2, last: 4 });
    let place = Place { path: Path::new("src/x.rs"), kind: FILE, lines };
    assert_eq!(citation.permalink(place), None);
    assert_eq!(citation.of(place), "/home/me/work@c0ffee:src/x.rs:2-4");
}

#[test]
fn a_package_of_another_registry_is_cited_with_that_and_nothing_of_it_is_taken_for_a_secret() {
    let package = Package::at(KeyKind::Npm, "@a/ms", "https://registry.test:8443/npm").unwrap();
    let about = About { version: "2.0.0".into(), hash: "sha512-a".into(), ..About::default() };
    let citation = Citation::new(&Key::package(package), "2.0.0_a", Some(&about), &Config::default());
    let lines = Some(Lines { first: 1, last: 1 });
    let cited = citation.of(Place { path: Path::new("package.json"), kind: FILE, lines });
    assert_eq!(cited, "npm/@a/ms@2.0.0:package.json:1 sha512-a of https://registry.test:8443/npm");
    assert_eq!(crate::redact::redact(&cited), cited);
}

#[test]
fn a_configured_host_has_the_layout_of_its_forge_at_its_own_address() {
    let config = Config::parse(
        r#"
        [[host]]
        name = "code"
        url = "ssh://git@code.example.org:2222/{path}.git"
        forge = "gitea"

        [[host]]
        name = "lab"
        url = "http://127.0.0.1:8080/{path}.git"
        forge = "gitlab"
        "#,
    )
    .unwrap();
    let place = Place { path: Path::new("x"), kind: FILE, lines: None };
    for (url, cited) in [
        ("ssh://git@code.example.org:2222/o/r.git", "https://code.example.org/o/r/src/commit/c0ffee/x"),
        ("http://127.0.0.1:8080/g/s/p.git", "http://127.0.0.1:8080/g/s/p/-/blob/c0ffee/x"),
    ] {
        assert_eq!(Citation::new(&git(url), "c0ffee", None, &config).of(place), cited);
    }
}
