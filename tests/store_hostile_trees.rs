//! Hostile input, "Git trees": never served under a bad name, limits give EFBIG, nothing crashes.

#[path = "store/repository.rs"]
mod repository;

use repository::Repository;
use srcfs::error::{Error, Kind};
use srcfs::store::{self, Limits, Table};

const FILE: &str = "100644";
const DIRECTORY: &str = "40000";

fn refusal(repository: &Repository, tree: git2::Oid) -> Error {
    repository.build(tree).expect_err("a hostile tree was accepted")
}

#[test]
fn names_that_leave_the_tree_or_mean_dot_git_are_refused_at_any_depth() {
    let repository = Repository::new();
    let blob = repository.blob(b"x");
    let names: &[&[u8]] = &[
        b"",
        b".",
        b"..",
        b"a/b",
        b"/etc",
        b".git",
        b".GiT",
        b"git~1",
        b".git ",
        b".git::$INDEX_ALLOCATION",
    ];
    for name in names.iter().copied().chain(["\u{200c}.git".as_bytes(), b"a\\.git"]) {
        for mode in [FILE, DIRECTORY, "120000", "160000"] {
            let bad = repository.tree(&[(mode, name, blob)]);
            let below = repository.tree(&[(DIRECTORY, b"dir", bad)]);
            for tree in [bad, below] {
                let error = refusal(&repository, tree);
                assert_eq!(error.kind(), Kind::Unsupported, "{name:?}: {error}");
                assert_eq!(error.kind().errno(), libc::EIO);
            }
            let error = refusal(&repository, below);
            assert!(error.what().contains("dir"), "the path is missing in: {error}");
        }
    }
}

#[test]
fn two_entries_of_one_name_are_refused_however_they_are_ordered() {
    let repository = Repository::new();
    let (blob, empty) = (repository.blob(b"x"), repository.tree(&[]));
    let twins = [
        repository.tree(&[(FILE, b"a", blob), (FILE, b"a", blob)]),
        repository.tree(&[(FILE, b"a", blob), (FILE, b"a.b", blob), (DIRECTORY, b"a", empty)]),
        repository.tree(&[(DIRECTORY, b"a", empty), (FILE, b"b", blob), (FILE, b"a", blob)]),
    ];
    for tree in twins {
        let error = refusal(&repository, tree);
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.what().contains("\"a\""), "{error}");
    }
}

#[test]
fn unsorted_trees_and_odd_modes_are_shown_as_git_shows_them() {
    let repository = Repository::new();
    let (blob, empty) = (repository.blob(b"x"), repository.tree(&[]));
    // Git sorts the directory "a" as "a/", behind "a.b".
    let tree = repository.tree(&[
        ("100664", b"z", blob),
        (FILE, b"a.b", blob),
        ("040000", b"a", empty),
        ("100775", b"A", blob),
    ]);
    let table = repository.build(tree).unwrap();
    let names: Vec<_> =
        table.children(0).map(|child| table.name(child).to_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["A", "a", "a.b", "z"]);
    let kind = |path: &str| table.node(table.find(path).unwrap()).unwrap().kind;
    assert_eq!(kind("z"), store::Kind::File { executable: false });
    assert_eq!(kind("A"), store::Kind::File { executable: true });
    assert_eq!(kind("a"), store::Kind::Directory);
}

#[test]
fn modes_and_objects_that_do_not_fit_are_refused() {
    let repository = Repository::new();
    let (blob, empty) = (repository.blob(b"x"), repository.tree(&[]));
    for mode in ["0", "20000", "60000", "140000", "644", "99", "-1", "10064400000000000000000"] {
        let error = refusal(&repository, repository.tree(&[(mode, b"odd", blob)]));
        assert_eq!(error.kind(), Kind::Unsupported, "{mode}");
        assert!(error.to_string().contains("odd"), "{error}");
    }
    let file_that_is_a_tree = repository.tree(&[(FILE, b"a", empty)]);
    let directory_that_is_a_blob = repository.tree(&[(DIRECTORY, b"a", blob)]);
    let link_that_is_a_tree = repository.tree(&[("120000", b"a", empty)]);
    for tree in [file_that_is_a_tree, directory_that_is_a_blob, link_that_is_a_tree, blob] {
        assert_eq!(refusal(&repository, tree).kind(), Kind::Unsupported);
    }
}

#[test]
fn a_tree_that_is_cut_short_anywhere_is_an_error() {
    let repository = Repository::new();
    let blob = repository.blob(b"x");
    let mut raw = b"100644 a\0".to_vec();
    raw.extend_from_slice(blob.as_bytes());
    for end in 1..raw.len() {
        let tree = repository.raw_tree(&raw[..end]);
        assert_eq!(refusal(&repository, tree).kind(), Kind::Unsupported);
    }
    repository.build(repository.raw_tree(&raw)).unwrap();
}

#[test]
fn five_thousand_directories_inside_one_another_are_too_deep() {
    let repository = Repository::new();
    let mut tree = repository.tree(&[]);
    let mut allowed = tree;
    for depth in 0..5_000 {
        if depth == Limits::default().depth {
            allowed = tree;
        }
        tree = repository.tree(&[(DIRECTORY, b"d", tree)]);
    }
    let error = refusal(&repository, tree);
    assert_eq!(error.kind().errno(), libc::EFBIG, "{error}");
    let table = repository.build(allowed).unwrap();
    assert_eq!(table.len(), Limits::default().depth + 1);
    assert_eq!(table.path(table.len() - 1).components().count() as u32, Limits::default().depth);
}

#[test]
fn a_tree_that_multiplies_is_too_large() {
    // Ten names for one directory with ten names for one directory, and so on: 10^12 nodes.
    let repository = Repository::new();
    let mut tree = repository.tree(&[]);
    for _ in 0..12 {
        let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let entries: Vec<_> = names.iter().map(|name| (DIRECTORY, name.as_bytes(), tree)).collect();
        tree = repository.tree(&entries);
    }
    let limits = Limits { nodes: 50_000, ..Limits::default() };
    let error = Table::build(&repository.path(), &tree.to_string(), &limits).unwrap_err();
    assert_eq!(error.kind().errno(), libc::EFBIG, "{error}");
}

#[test]
fn each_limit_is_one() {
    let repository = Repository::new();
    let blob = repository.blob(b"x");
    let longest = vec![b'n'; 255];
    let tree = repository.tree(&[(FILE, &longest, blob), (FILE, b"b", blob)]);
    assert_eq!(repository.build(tree).unwrap().name(2).len(), 255);
    let exact = Limits { nodes: 3, depth: 0, tree_bytes: 7 + 255 + 21 + 7 + 1 + 21, name_bytes: 256 };
    Table::build(&repository.path(), &tree.to_string(), &exact).unwrap();
    for limits in [
        Limits { nodes: exact.nodes - 1, ..exact.clone() },
        Limits { tree_bytes: exact.tree_bytes - 1, ..exact.clone() },
        Limits { name_bytes: exact.name_bytes - 1, ..exact.clone() },
    ] {
        let error = Table::build(&repository.path(), &tree.to_string(), &limits).unwrap_err();
        assert_eq!(error.kind(), Kind::TooLarge, "{limits:?}");
    }
    let too_long = repository.tree(&[(FILE, &[b'n'; 256], blob)]);
    let error = refusal(&repository, too_long);
    assert_eq!(error.kind().errno(), libc::EFBIG);
    assert!(error.what().contains("nnnn"), "{error}");
}

#[test]
fn links_that_the_kernel_could_not_take_are_files() {
    let repository = Repository::new();
    let link = |target: &[u8]| {
        let blob = repository.blob(target);
        let table = repository.build(repository.tree(&[("120000", b"l", blob)])).unwrap();
        table.node(1).unwrap()
    };
    assert_eq!(link(b"../../etc/passwd").kind, store::Kind::Symlink);
    assert_eq!(link(&[b't'; 4095]).kind, store::Kind::Symlink);
    assert_eq!(link(&[b't'; 4095]).size, 4095);
    assert_eq!(link(&[b't'; 4096]).kind, store::Kind::File { executable: false });
    assert_eq!(link(b"").kind, store::Kind::File { executable: false });
}

#[test]
fn what_is_missing_or_not_what_its_id_says_is_corrupt() {
    let repository = Repository::new();
    let blob = repository.blob(b"x");
    let nowhere = git2::Oid::from_bytes(&[9; 20]).unwrap();
    for mode in [FILE, DIRECTORY, "120000"] {
        let tree = repository.tree(&[(mode, b"gone", nowhere)]);
        let error = refusal(&repository, tree);
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
        assert!(error.what().contains("gone"), "{error}");
    }
    assert_eq!(refusal(&repository, nowhere).kind(), Kind::Corrupt);

    let right = repository.tree(&[(FILE, b"right", blob)]);
    let wrong = repository.tree(&[(FILE, b"wrong", blob)]);
    let loose = |id: git2::Oid| {
        let hex = id.to_string();
        repository.path().join("objects").join(&hex[..2]).join(&hex[2..])
    };
    std::fs::remove_file(loose(right)).unwrap();
    std::fs::copy(loose(wrong), loose(right)).unwrap();
    assert_eq!(refusal(&repository, right).kind(), Kind::Corrupt);
}

#[test]
fn other_kinds_of_ids_are_refused_with_their_reason() {
    let repository = Repository::new();
    let build = |tree: &str| Table::build(&repository.path(), tree, &Limits::default()).unwrap_err();
    let sha256 = build(&"a".repeat(64));
    assert_eq!(sha256.kind(), Kind::Unsupported);
    assert!(sha256.why().contains("SHA-256"));
    for id in ["", "main", "abc", "../../x"] {
        assert_eq!(build(id).kind(), Kind::Invalid);
    }
}
