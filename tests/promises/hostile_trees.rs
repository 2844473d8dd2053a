//! Hostile input, "Git trees": never served under a bad name, limits give EFBIG, nothing crashes.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::harness::repository::{File, Repository, hermetic};
use super::mounted2::{Site, errnos};

/// A repository into which objects are put as they are, whatever git thinks of them.
struct Raw(Repository);

const FILE: &str = "100644";
const DIRECTORY: &str = "40000";

impl Raw {
    fn new(site: &Site, name: &str) -> Raw {
        let repository = site.repository(name);
        // What a server allows that wants to harm.
        repository.configure("core.maxTreeDepth", "100000");
        Raw(repository)
    }

    fn object(&self, kind: &str, content: &[u8]) -> String {
        let mut git = hermetic("git")
            .current_dir(self.0.path())
            .args(["--git-dir=.", "hash-object", "--literally", "-w", "--stdin", "-t", kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        git.stdin.take().unwrap().write_all(content).unwrap();
        let output = git.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn blob(&self) -> String {
        self.object("blob", b"content\n")
    }

    fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut raw = Vec::new();
        for (mode, name, object) in entries {
            raw.extend([mode.as_bytes(), b" ", name, b"\0"].concat());
            raw.extend((0..40).step_by(2).map(|at| u8::from_str_radix(&object[at..at + 2], 16).unwrap()));
        }
        self.object("tree", &raw)
    }

    /// Makes it what a branch shows.
    fn show(&self, branch: &str, tree: &str) {
        let who = "Test <test@example.org> 1700000000 +0000";
        let commit = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nhostile\n");
        let commit = self.object("commit", commit.as_bytes());
        // update-ref would look at the commit, which is well-formed.
        self.0.branch(branch, &commit);
    }
}

/// Nothing of it is shown, the reason says which entry it is, and the daemon goes on.
fn is_refused(site: &Site, path: &Path, numbers: &[i32], mentions: &str) {
    let [_, inside] = errnos(path);
    assert!(numbers.contains(&inside), "{}: {inside}\n{}", path.display(), site.log());
    let explained = site.explain(path);
    let failure = &explained["failure"];
    assert!(failure.to_string().contains(mentions), "{mentions}: {explained}");
    assert!(!site.errors().is_empty(), "the daemon lives");
}

#[test]
fn entries_that_would_leave_the_tree_or_mean_dot_git_are_refused_with_their_name() {
    // Each of them is asked for by this one process.
    let site = Site::mounted("max_materializations_per_process = \"none\"");
    site.repository_of("team/good", &[File::new("a", "good\n")]);
    let names: &[(&[u8], &str)] = &[
        (b"..", "would lead out"),
        (b".", "would lead out"),
        (b"a/b", "a/b"),
        (b"../../etc/passwd", "slash"),
        (b"/etc", "slash"),
        (b".git", ".git"),
        (b".GIT", ".GIT"),
        (b"git~1", "git~1"),
        (b".git ", ".git"),
        (b".git::$INDEX_ALLOCATION", "INDEX_ALLOCATION"),
        (".g\u{200c}it".as_bytes(), "spelling of .git"),
    ];
    for (number, (name, mentions)) in names.iter().enumerate() {
        let raw = Raw::new(&site, &format!("team/h{number}"));
        let blob = raw.blob();
        let bad = raw.tree(&[(FILE, name, &blob)]);
        let good = raw.tree(&[(FILE, b"a", &blob)]);
        raw.show("main", &bad);
        raw.show("below", &raw.tree(&[(DIRECTORY, b"dir", &bad)]));
        raw.show("good", &good);
        for branch in ["", "@below"] {
            is_refused(&site, &path_of(&site, number, branch), &[libc::EIO], mentions);
        }
        let good = path_of(&site, number, "@good").join("a");
        assert_eq!(site.cat(&good), "content\n", "its other branches are not to blame");
    }
    assert_eq!(site.cat(&site.forge("team/good/a")), "good\n");
}

fn path_of(site: &Site, number: usize, suffix: &str) -> std::path::PathBuf {
    site.forge(&format!("team/h{number}{suffix}"))
}

#[test]
fn two_entries_of_one_name_and_odd_modes_are_refused() {
    let site = Site::mounted("");
    type Make = fn(&Raw, &str) -> String;
    let makes: &[(Make, &str)] = &[
        (|raw, blob| raw.tree(&[(FILE, b"a", blob), (FILE, b"a", blob)]), "a"),
        (
            |raw, blob| {
                let empty = raw.tree(&[]);
                raw.tree(&[(FILE, b"a", blob), (FILE, b"a.b", blob), (DIRECTORY, b"a", &empty)])
            },
            "a",
        ),
        (|raw, blob| raw.tree(&[("60000", b"odd", blob)]), "odd"),
        (|raw, blob| raw.tree(&[("20000", b"odd", blob)]), "odd"),
        (|raw, blob| raw.tree(&[("140000", b"odd", blob)]), "odd"),
        (|raw, blob| raw.tree(&[(DIRECTORY, b"odd", blob)]), ""),
        (|raw, _| raw.tree(&[(FILE, b"odd", &raw.tree(&[]))]), ""),
        (|raw, _| raw.object("tree", b"100644 cut"), ""),
        (|raw, blob| raw.tree(&[(FILE, b"", blob)]), ""),
        (|raw, _| raw.tree(&[(FILE, b"missing", &"9".repeat(40))]), ""),
    ];
    for (number, (make, mentions)) in makes.iter().enumerate() {
        let raw = Raw::new(&site, &format!("team/h{number}"));
        raw.show("main", &make(&raw, &raw.blob()));
        is_refused(&site, &path_of(&site, number, ""), &[libc::EIO], mentions);
    }
}

#[test]
fn unsorted_trees_and_old_modes_are_shown_as_git_shows_them() {
    let site = Site::mounted("");
    let raw = Raw::new(&site, "team/docs");
    let (blob, empty) = (raw.blob(), raw.tree(&[]));
    raw.show(
        "main",
        &raw.tree(&[
            ("100664", b"z", &blob),
            (FILE, b"b", &blob),
            ("040000", b"a", &empty),
            ("100775", b"A", &blob),
        ]),
    );
    let read =
        site.sh("cd git/forge.test/team/docs && ls -l | awk 'NR>1{print $1, $NF}' | LC_ALL=C sort -k2");
    assert_eq!(read.out, "-r-xr-xr-x A\ndr-xr-xr-x a\n-r--r--r-- b\n-r--r--r-- z\n", "{read:?}");
    for name in ["A", "b", "z"] {
        assert_eq!(site.cat(&site.forge("team/docs").join(name)), "content\n");
    }
}

#[test]
fn what_is_too_deep_or_too_long_is_too_large() {
    let site = Site::mounted("");
    let raw = Raw::new(&site, "team/deep");
    let mut tree = raw.tree(&[(FILE, b"a", &raw.blob())]);
    let deepen = |tree: &str| raw.tree(&[(DIRECTORY, b"d", tree)]);
    for depth in 0..300 {
        if depth == 200 {
            raw.show("deep", &tree);
        }
        tree = deepen(&tree);
    }
    raw.show("main", &tree);
    raw.show("long", &raw.tree(&[(FILE, &[b'n'; 256], &raw.blob())]));
    is_refused(&site, &site.forge("team/deep"), &[libc::EFBIG], "directories deep");
    is_refused(&site, &site.forge("team/deep@long"), &[libc::EFBIG], "longer than 255 bytes");
    let deepest = site.sh(&format!("cd git/forge.test/team/deep@deep/{} && cat a", ["d"; 200].join("/")));
    assert_eq!(deepest.out, "content\n", "{deepest:?}");
}

#[test]
fn five_thousand_directories_inside_one_another_are_an_error_and_no_crash() {
    let site = Site::mounted("");
    let deep = site.repository("team/deep");
    deep.configure("core.maxTreeDepth", "100000");
    // By one process: fast-import takes it as a path.
    let path = format!("{}a", "d/".repeat(5_000));
    let script = format!(
        "printf 'commit refs/heads/main\\ncommitter T <t@e> 1700000000 +0000\\ndata 1\\nx\\nM 644 inline {path}\\ndata 1\\ny\\n' | git -c core.maxTreeDepth=100000 --git-dir=. fast-import --quiet"
    );
    let made = super::mounted2::run(hermetic("sh").args(["-c", &script]).current_dir(deep.path()));
    assert_eq!(made.code, 0, "{made:?}");
    is_refused(&site, &site.forge("team/deep"), &[libc::EFBIG, libc::EIO], "");
    let explained = site.explain(&site.forge("team/deep"));
    assert!(explained["failure"]["why"].as_str().unwrap().contains("dep"), "{explained}");
}
