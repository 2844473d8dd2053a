//! The table of a snapshot's nodes: what is in the tree is in the table, in the file of it (P1: whole
//! or refused), and in the narrowed one.

#[path = "store/repository.rs"]
mod repository;

use std::collections::BTreeMap;
use std::ffi::OsStr;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use repository::{Entry, Repository};
use srcfs::error::Kind;
use srcfs::store::{self, ObjectId, Table, TableRecord};

/// A tree as a test says it.
#[derive(Clone, Debug)]
enum Model {
    File(Vec<u8>, bool),
    Link(String),
    Directory(BTreeMap<String, Model>),
}

impl Model {
    fn write(&self, repository: &Repository) -> (&'static str, git2::Oid) {
        match self {
            Model::File(content, false) => ("100644", repository.blob(content)),
            Model::File(content, true) => ("100755", repository.blob(content)),
            Model::Link(target) => ("120000", repository.blob(target.as_bytes())),
            Model::Directory(children) => {
                let written: Vec<_> =
                    children.iter().map(|(name, child)| (name, child.write(repository))).collect();
                let entries: Vec<Entry<'_>> =
                    written.iter().map(|(name, (mode, id))| (*mode, name.as_bytes(), *id)).collect();
                ("40000", repository.tree(&entries))
            }
        }
    }

    /// Compares a node and all below it; returns how many nodes that is.
    fn compare(&self, table: &Table, index: u32) -> u32 {
        let node = table.node(index).unwrap();
        match self {
            Model::File(content, executable) => {
                assert_eq!(node.kind, store::Kind::File { executable: *executable });
                assert_eq!(node.object, ObjectId::of("blob", content));
                assert_eq!(node.size, content.len() as u64);
            }
            Model::Link(target) => {
                assert_eq!(node.kind, store::Kind::Symlink);
                assert_eq!(node.size, target.len() as u64);
            }
            Model::Directory(children) => {
                assert_eq!(node.kind, store::Kind::Directory);
                let names: Vec<_> = table.children(index).map(|child| table.name(child)).collect();
                assert_eq!(names, children.keys().map(OsStr::new).collect::<Vec<_>>());
                assert_eq!(table.lookup(index, OsStr::new("no such name")), None);
                let below = children.iter().map(|(name, child)| {
                    let found = table.lookup(index, OsStr::new(name)).unwrap();
                    assert!(found > index && table.children(index).contains(&found));
                    assert_eq!(table.node(found).unwrap().parent, index);
                    assert_eq!(table.path(found), table.path(index).join(name));
                    assert_eq!(table.find(table.path(found).to_str().unwrap()), Some(found));
                    child.compare(table, found)
                });
                return 1 + below.sum::<u32>();
            }
        }
        assert!(table.children(index).is_empty());
        1
    }
}

fn models() -> impl Strategy<Value = Model> {
    let leaf = prop_oneof![
        (proptest::collection::vec(any::<u8>(), 0..20), any::<bool>())
            .prop_map(|(content, x)| Model::File(content, x)),
        "[a-z./]{1,20}".prop_map(Model::Link),
    ];
    // Names that sort differently with a slash behind them.
    let name = "[ab][ab.0-]{0,3}|[é\u{ff5e}]";
    leaf.prop_recursive(4, 40, 8, move |below| {
        proptest::collection::btree_map(name, below, 0..8).prop_map(Model::Directory)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_table_is_its_tree_and_its_file_is_the_table(children in proptest::collection::btree_map("[ab]{1,2}", models(), 0..5)) {
        let repository = Repository::new();
        let model = Model::Directory(children);
        let table = repository.build(model.write(&repository).1).unwrap();
        prop_assert_eq!(model.compare(&table, 0), table.len());

        let file = repository.beside("table");
        let record = table.save(&file).unwrap();
        prop_assert_eq!(record.bytes, std::fs::metadata(&file).unwrap().len());
        let loaded = Table::load(&file, &record).unwrap();
        prop_assert!(loaded == table);

        // Narrowed to all of its paths, it is itself; to one of them, that one and its parents.
        let paths: Vec<String> = (0..table.len()).map(|node| table.path(node).to_str().unwrap().to_owned()).collect();
        prop_assert!(table.narrowed(&paths).unwrap() == table);
        for path in &paths[1..] {
            let narrow = table.narrowed(std::slice::from_ref(path)).unwrap();
            for node in 0..narrow.len() {
                let shown = narrow.path(node);
                let shown = shown.to_str().unwrap();
                let inside = |of: &str, what: &str| what == of || of.is_empty() || what.starts_with(&format!("{of}/"));
                prop_assert!(inside(path, shown) || inside(shown, path), "{} shows {}", path, shown);
            }
            let of = |table: &Table, node: u32| table.node(node).unwrap().object;
            let (here, there) = (table.find(path).unwrap(), narrow.find(path).unwrap());
            prop_assert_eq!(of(&table, here), of(&narrow, there));
            prop_assert_eq!(table.children(here).len(), narrow.children(there).len());
        }
    }
}

fn sample(repository: &Repository) -> Table {
    let blob = repository.blob(b"content");
    let commit = git2::Oid::from_bytes(&[7; 20]).unwrap();
    let modules = repository
        .blob(b"[submodule \"lib\"]\n\tpath = guide/lib\n\turl = https://user:secret@example.org/lib.git\n");
    let guide = repository.tree(&[
        ("100644", b"intro.md", blob),
        ("160000", b"lib", commit),
        ("120000", b"link", repository.blob(b"intro.md")),
    ]);
    let docs = repository.tree(&[("40000", b"guide", guide)]);
    let tree = repository.tree(&[
        ("100644", b".gitmodules", modules),
        ("100755", b"README", blob),
        ("40000", b"docs", docs),
        ("40000", b"guide", guide),
        ("160000", b"other", commit),
        ("40000", b"tree", docs),
    ]);
    repository.build(tree).unwrap()
}

#[test]
fn a_submodule_is_an_empty_directory_with_its_commit_and_url() {
    let repository = Repository::new();
    let table = sample(&repository);
    let lib = table.find("guide/lib").unwrap();
    let node = table.node(lib).unwrap();
    assert_eq!((node.kind, node.object, node.size), (store::Kind::Submodule, ObjectId([7; 20]), 0));
    assert!(table.children(lib).is_empty());
    assert_eq!(table.submodule_url(lib), Some("https://***@example.org/lib.git"));
    assert_eq!(table.submodule_url(table.find("other").unwrap()), None);

    let file = repository.beside("table");
    let record = table.save(&file).unwrap();
    let content = std::fs::read(&file).unwrap();
    assert!(!content.windows(6).any(|bytes| bytes == b"secret"), "a credential is in the cache");
    let narrow = Table::load(&file, &record).unwrap().narrowed(&["guide/lib".to_owned()]).unwrap();
    assert_eq!(
        narrow.submodule_url(narrow.find("guide/lib").unwrap()),
        Some("https://***@example.org/lib.git")
    );
    assert_eq!((narrow.len(), narrow.files()), (3, 0));
    assert_eq!((table.files(), table.bytes()), (8, 4 * 7 + 3 * 8 + 83));
}

#[test]
fn a_staged_update_borrows_what_the_generation_has() {
    let (generation, staging) = (Repository::new(), Repository::new());
    let old = generation.tree(&[("100644", b"old", generation.blob(b"old"))]);
    generation.pack();
    let new = staging.tree(&[("40000", b"dir", old), ("100644", b"new", staging.blob(b"new"))]);
    assert_eq!(staging.build(new).unwrap_err().kind(), Kind::Corrupt);
    let objects = generation.path().join("objects");
    std::fs::write(staging.path().join("objects/info/alternates"), format!("{}\n", objects.display()))
        .unwrap();
    let table = staging.build(new).unwrap();
    assert_eq!(table.node(table.find("dir/old").unwrap()).unwrap().size, 3);
}

#[test]
fn a_missing_subpath_says_what_may_have_been_meant() {
    let repository = Repository::new();
    let table = sample(&repository);
    let error = |subpath: &str| table.narrowed(&["docs".to_owned(), subpath.to_owned()]).unwrap_err();
    for (subpath, hint) in [
        ("blob/main/guide/intro.md", "\"guide/intro.md\" exists; give the branch \"main\""),
        ("blob/feature/x/guide", "give the branch \"feature/x\""),
        ("tree/main/docs/", "\"docs\" exists; give the branch \"main\""),
        ("Guide/INTRO.md", "did you mean \"guide/intro.md\""),
        ("/guide", "write \"guide\""),
        ("guide/lib/src", "is a submodule"),
        ("guide/link/x", "is a symbolic link"),
        ("README/x", "is a file"),
    ] {
        let error = error(subpath);
        assert_eq!(error.kind(), Kind::NotFound, "{subpath}");
        assert!(error.advice().unwrap_or_default().contains(hint), "{subpath}: {error}");
        assert!(error.what().contains(subpath));
    }
    for subpath in ["nowhere", "guide/nowhere", "..", "guide/../README", "/", "/nowhere"] {
        assert_eq!(error(subpath).kind(), Kind::NotFound, "{subpath}");
    }
    // A directory that really is called `tree` is no pasted address.
    assert_eq!(table.narrowed(&["tree/guide/".to_owned(), "./README".to_owned()]).unwrap().len(), 7);
    assert!(table.narrowed(&[]).unwrap() == table);
}

#[test]
fn a_table_that_is_not_the_one_of_its_record_is_corrupt() {
    let repository = Repository::new();
    let file = repository.beside("table");
    let record = sample(&repository).save(&file).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let load = |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        Table::load(&file, &record).map_err(|error| error.kind())
    };
    assert!(load(&whole).is_ok());
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        assert_eq!(load(&flipped).unwrap_err(), Kind::Corrupt, "byte {at}");
    }
    for end in 0..whole.len() {
        assert_eq!(load(&whole[..end]).unwrap_err(), Kind::Corrupt);
    }
    assert_eq!(load(&[&whole[..], b"x"].concat()).unwrap_err(), Kind::Corrupt);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(Table::load(&file, &record).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn a_table_never_overwrites() {
    let repository = Repository::new();
    let file = repository.beside("table");
    std::fs::write(&file, "mine").unwrap();
    assert!(sample(&repository).save(&file).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

/// What a walker does with a table: it must end, stay inside, and see each node once.
fn walk(table: &Table) {
    let mut seen = 1;
    for index in 0..table.len() {
        for child in table.children(index) {
            seen += 1;
            assert!(child > index);
            assert_eq!(table.node(child).unwrap().parent, index);
            assert_eq!(table.lookup(index, table.name(child)), Some(child));
            assert!(!table.name(child).is_empty());
            table.path(child);
            table.submodule_url(child);
        }
    }
    assert_eq!(seen, table.len());
    assert!(table.node(table.len()).is_none() && table.children(table.len()).is_empty());
    assert!(table.name(u32::MAX).is_empty() && table.path(u32::MAX).as_os_str().is_empty());
    let _ = table.narrowed(&["guide".to_owned()]);
}

/// Loads a file that is not what was saved, under a record that fits it.
fn load_forged(file: &std::path::Path, content: &[u8]) -> srcfs::error::Result<Table> {
    use sha2::Digest;
    std::fs::write(file, content).unwrap();
    let sha256 = sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    Table::load(file, &TableRecord { bytes: content.len() as u64, sha256 })
}

#[test]
fn no_forged_table_has_bad_names_or_a_directory_in_itself() {
    let repository = Repository::new();
    let below = repository
        .tree(&[("100644", b"xgit", repository.blob(b"x")), ("100644", b"y.", repository.blob(b"x"))]);
    let table = repository.build(repository.tree(&[("40000", b"a", below)])).unwrap();
    let file = repository.beside("table");
    table.save(&file).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let names = whole.windows(7).position(|bytes| bytes == b"axgity.").unwrap();
    let counts = 24 + 4;
    assert_eq!(whole[counts..counts + 8], [1, 0, 0, 0, 2, 0, 0, 0]);
    let load = |changes: &[(usize, u8)]| {
        let mut changed = whole.clone();
        changes.iter().for_each(|&(at, value)| changed[at] = value);
        load_forged(&file, &changed).map(|_| ()).map_err(|error| error.kind())
    };
    assert_eq!(load(&[]), Ok(()));
    assert_eq!(load(&[(names + 1, b'.')]), Err(Kind::Corrupt), ".git");
    assert_eq!(load(&[(names + 5, b'.')]), Err(Kind::Corrupt), "..");
    assert_eq!(load(&[(names + 2, b'/')]), Err(Kind::Corrupt), "a slash");
    assert_eq!(load(&[(names + 5, b'a')]), Err(Kind::Corrupt), "unsorted");
    assert_eq!(load(&[(counts, 0), (counts + 4, 3)]), Err(Kind::Corrupt), "its own parent");
    assert_eq!(load(&[(counts, 3), (counts + 4, 0)]), Ok(()), "a tree again");
    assert_eq!(load(&[(24, 1)]), Err(Kind::Corrupt), "a root that is a file");
}

#[test]
fn no_file_makes_a_table_that_panics_even_with_a_hash_that_fits() {
    let repository = Repository::new();
    let file = repository.beside("table");
    sample(&repository).save(&file).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let try_load = |content: &[u8]| match load_forged(&file, content) {
        Ok(table) => walk(&table),
        Err(error) => assert_eq!(error.kind(), Kind::Corrupt),
    };
    for at in 0..whole.len() {
        for value in [0, 1, 2, 0x7f, 0xff, whole[at].wrapping_add(1), whole[at] ^ 0x80] {
            let mut changed = whole.clone();
            changed[at] = value;
            try_load(&changed);
        }
    }
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let flips = proptest::collection::vec((0..whole.len(), any::<u8>()), 2..6);
    for _ in 0..2_000 {
        let mut changed = whole.clone();
        for (at, value) in flips.new_tree(&mut runner).unwrap().current() {
            changed[at] = value;
        }
        try_load(&changed);
    }
}
