//! Hostile input, "Names": ENOENT or EINVAL with no process, network or path join.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::harness::repository::File;
use super::mounted2::{Site, errno};

/// Names that no repository, owner or reference can have.
fn hostile() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "-",
        "-x",
        "--upload-pack=x",
        "--upload-pack=touch owned",
        "-oProxyCommand=touch owned",
        "%2e%2e%2f",
        "%2e%2e",
        "..%2f..%2fetc",
        "..\\..\\etc",
        "a\\b",
        "a\nb",
        "a\tb",
        "a\x1b[31mb",
        "a\x7fb",
        "\u{202e}docs",
        "do\u{200b}cs",
        "docs\u{feff}",
        "\u{2066}docs\u{2069}",
        "a b",
        "a:b",
        "a?b",
        "a#b",
        "$(touch owned)",
        "`touch owned`",
        "a;touch owned",
        "a|b",
        "a'b",
        "a\"b",
        ".git",
        ".hidden",
        "...",
        "a..b",
        "docs.git",
        "docs.GIT",
        "HEAD",
        "Cargo.toml",
        "node_modules",
        "ext::sh -c true",
        "é",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.extend([b"\xff\xfe".to_vec(), b"do\xc3cs".to_vec(), vec![b'a'; 255], vec![b'a'; 101]]);
    names
}

/// What stands after an `@` and can be no reference.
fn hostile_references() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "",
        "-x",
        "--upload-pack=x",
        "..",
        "a..b",
        "%2e%2e%2f",
        "%2e%2e%2Fetc",
        "..%2F..%2Fetc",
        "%2F",
        "%2Fetc%2Fpasswd",
        "%",
        "%00",
        "a%2F",
        "a%2F%2Fb",
        "a\\b",
        "a~1",
        "a^{tree}",
        "a:b",
        "main:refs%2Fheads%2Fx",
        "*",
        "refs%2F*",
        "a?b",
        "a[b",
        "a b",
        "a\nb",
        "@{1}",
        "@",
        "x.lock",
        ".x",
        "\u{202e}main",
        "ma\u{200b}in",
    ]
    .iter()
    .map(|name| [b"docs@", name.as_bytes()].concat())
    .collect();
    names.extend([b"docs@\xff".to_vec(), [b"docs@".as_slice(), &[b'a'; 252]].concat()]);
    names
}

#[test]
fn no_hostile_name_reaches_a_process_the_network_or_the_disk() {
    let site = Site::mounted("[[resource]]\nname = \"own/docs\"\ngit = \"https://example.org/a.git\"\n");
    site.repository_of("team/docs", &[File::new("a", "one\n")]);
    let cached = || super::mounted2::files_below(&site.program.cache());
    let before = cached();
    let directories = ["", "own", "git", "git/forge.test", "git/forge.test/team"];
    for name in hostile().into_iter().chain(hostile_references()) {
        for directory in directories {
            let path = site.path(directory).join(OsStr::from_bytes(&name));
            let mut found = vec![
                errno(std::fs::symlink_metadata(&path)),
                errno(std::fs::read_dir(&path)),
                errno(std::fs::read(path.join("a"))),
            ];
            // A repository of that owner.
            if directory == "git/forge.test" {
                found.push(errno(std::fs::metadata(path.join("docs"))));
            }
            assert!(
                found
                    .iter()
                    .all(|number| matches!(*number, libc::ENOENT | libc::EINVAL | libc::ENAMETOOLONG)),
                "{directory:?} {:?}: {found:?}",
                String::from_utf8_lossy(&name)
            );
        }
    }
    assert_eq!(site.server().requests(), 0, "the network was asked");
    assert_eq!(cached(), before, "something was written");
    assert_eq!(site.errors(), Vec::<serde_json::Value>::new(), "a source was asked");
    assert!(!site.program.path().join("owned").exists() && !std::path::Path::new("/owned").exists());
    // And what is well-formed goes on.
    assert_eq!(std::fs::read_to_string(site.forge("team/docs/a")).unwrap(), "one\n");
}

#[test]
fn names_that_are_too_long_ask_nobody() {
    let site = Site::mounted("");
    for length in [256, 1000] {
        let number = errno(std::fs::metadata(site.forge("team").join("a".repeat(length))));
        assert!(matches!(number, libc::ENAMETOOLONG | libc::ENOENT), "{length}: {number}");
    }
    assert_eq!(site.server().requests(), 0);
}

#[test]
fn case_variants_of_what_is_cached_are_absent_and_not_fetched_again() {
    let site = Site::mounted("");
    site.repository_of("team/docs", &[File::new("a", "one\n")]);
    // A tombstone is nothing cached, and is in nobody's way.
    site.json(&["clear", "git/forge.test/team/DOCs"]);
    assert_eq!(std::fs::read_to_string(site.forge("team/docs/a")).unwrap(), "one\n");
    let asked = site.server().requests();
    for name in ["team/Docs", "Team/docs", "TEAM/DOCS", "team/docs/A", "team/docS@main"] {
        assert_eq!(errno(std::fs::metadata(site.forge(name))), libc::ENOENT, "{name}");
    }
    for host in ["Forge.test", "FORGE.TEST"] {
        assert_eq!(errno(std::fs::metadata(site.path(&format!("git/{host}/team/docs")))), libc::ENOENT);
    }
    assert_eq!(site.server().requests(), asked);
}

#[test]
fn no_host_but_a_configured_one_is_contacted() {
    let site = Site::mounted("");
    let address = site.server().address();
    site.repository_of("team/docs", &[File::new("a", "one\n")]);
    for host in [address.to_string(), address.ip().to_string(), "localhost".into(), "169.254.169.254".into()]
    {
        assert_eq!(errno(std::fs::metadata(site.path(&format!("git/{host}/team/docs")))), libc::ENOENT);
    }
    assert_eq!(site.server().requests(), 0);
}

#[test]
fn names_inside_a_view_are_looked_up_and_nothing_more() {
    let site = Site::mounted("");
    site.repository_of("team/docs", &[File::new("dir/a", "one\n")]);
    std::fs::read(site.forge("team/docs/dir/a")).unwrap();
    let asked = site.server().requests();
    for name in hostile() {
        let path = site.forge("team/docs/dir").join(OsStr::from_bytes(&name));
        assert_eq!(errno(std::fs::metadata(&path)), libc::ENOENT, "{path:?}");
    }
    assert_eq!(std::fs::read_to_string(site.forge("team/docs/dir/../dir/a")).unwrap(), "one\n");
    assert_eq!(site.server().requests(), asked);
}
