//! What does not come from git becomes a pack: whole, nothing twice, and nothing that is there already.

use std::io::{Cursor, Read};
use std::path::Path;

use srcfs::error::Kind;
use srcfs::store::{self, Limits, ObjectId, Objects, PackWriter, Packed, Table, TreeEntry};

const FILE: store::Kind = store::Kind::File { executable: false };

/// What deflate makes little of.
fn noise(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn entry(name: &str, kind: store::Kind, object: ObjectId) -> TreeEntry {
    TreeEntry { name: name.into(), kind, object }
}

fn read(repository: &Path, object: &ObjectId, size: u64) -> Vec<u8> {
    let objects = Objects::open(repository, &store::packs(repository).unwrap()).unwrap();
    let mut content = Vec::new();
    while (content.len() as u64) < size {
        let offset = content.len() as u64;
        objects.read(object, offset, 1 << 20, &mut |bytes| content.extend(bytes)).unwrap();
    }
    content
}

fn files_of_packs(repository: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(repository.join("objects/pack")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_large_blob_that_is_there_already_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let (large, other) = (noise(3 << 20), noise((2 << 20) + 1));
    let mut pack = PackWriter::new(directory.path(), None).unwrap();
    let id = pack.blob_from(large.len() as u64, &mut &large[..]).unwrap();
    assert_eq!(id, ObjectId::of("blob", &large));
    assert_eq!(pack.blob_from(large.len() as u64, &mut &large[..]).unwrap(), id);
    let next = pack.blob_from(other.len() as u64, &mut &other[..]).unwrap();
    let again = pack.blob_from(large.len() as u64, &mut &large[..]).unwrap();
    assert_eq!(again, id);
    let root = pack.tree(vec![entry("a", FILE, id), entry("b", FILE, next)]).unwrap();
    let Packed { objects, bytes } = pack.finish().unwrap();
    assert_eq!(objects, 3);
    assert!(bytes < 5 << 20 | 1 << 19, "{bytes}");
    let record = &store::packs(directory.path()).unwrap()[0];
    assert_eq!(record.pack_bytes, bytes);
    Table::build(directory.path(), &root.hex(), &Limits::default()).unwrap();
    assert_eq!(read(directory.path(), &id, large.len() as u64), large);
    assert_eq!(read(directory.path(), &next, other.len() as u64), other);
}

#[test]
fn a_file_that_ends_before_its_size_is_stale_and_the_next_one_is_written() {
    for size in [100u64, 2 << 20] {
        let directory = tempfile::tempdir().unwrap();
        let mut pack = PackWriter::new(directory.path(), None).unwrap();
        let short = noise(size as usize - 1);
        let error = pack.blob_from(size, &mut &short[..]).unwrap_err();
        assert_eq!(error.kind(), Kind::Stale);
        assert!(error.to_string().contains(&format!("of {size} bytes")), "{error}");
        let longer = noise(size as usize + 9);
        let id = pack.blob_from(size, &mut &longer[..]).unwrap();
        assert_eq!(id, ObjectId::of("blob", &longer[..size as usize]), "no more than its size is read");
        let root = pack.tree(vec![entry("a", FILE, id)]).unwrap();
        assert_eq!(pack.finish().unwrap().objects, 2);
        Table::build(directory.path(), &root.hex(), &Limits::default()).unwrap();
        assert_eq!(read(directory.path(), &id, size), longer[..size as usize]);
    }
}

#[test]
fn the_error_of_a_reader_is_the_error() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other(srcfs::error::Error::new(Kind::Denied, "read x", "it may not be read")))
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let mut pack = PackWriter::new(directory.path(), None).unwrap();
    for size in [1, 2 << 20] {
        let mut reader = Cursor::new(noise(1 << 19)).chain(Failing);
        let size = size + (1 << 19);
        assert_eq!(pack.blob_from(size, &mut reader).unwrap_err().kind(), Kind::Denied);
    }
}

#[test]
fn what_the_lender_has_is_not_written_again() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |directory: &Path, borrow: Option<&Path>, last: &[u8]| {
        let mut pack = PackWriter::new(directory, borrow).unwrap();
        let large = noise(2 << 20);
        let ids = [pack.blob(b"same").unwrap(), pack.blob_from(2 << 20, &mut &large[..]).unwrap()];
        let last = pack.blob(last).unwrap();
        let below = pack.tree(vec![entry("same", FILE, ids[0]), entry("large", FILE, ids[1])]).unwrap();
        let root = vec![entry("below", store::Kind::Directory, below), entry("last", FILE, last)];
        let root = pack.tree(root).unwrap();
        (root, pack.finish().unwrap())
    };
    std::fs::write(old.path().join("shallow"), "1111111111111111111111111111111111111111\n").unwrap();
    assert_eq!(write(old.path(), None, b"1").1.objects, 5);
    let (root, packed) = write(new.path(), Some(old.path()), b"2");
    assert_eq!(packed.objects, 2, "the blob that is new and the root");
    Table::build(new.path(), &root.hex(), &Limits::default()).unwrap();
    let shallow = |directory: &Path| std::fs::read_to_string(directory.join("shallow")).unwrap();
    assert_eq!(shallow(new.path()), shallow(old.path()));

    let unchanged = tempfile::tempdir().unwrap();
    let (root, packed) = write(unchanged.path(), Some(old.path()), b"1");
    assert_eq!(packed, Packed { objects: 0, bytes: 0 });
    assert_eq!(files_of_packs(unchanged.path()), [""; 0]);
    Table::build(unchanged.path(), &root.hex(), &Limits::default()).unwrap();
}

#[test]
fn no_tree_has_bad_names_or_one_name_twice() {
    let directory = tempfile::tempdir().unwrap();
    let mut pack = PackWriter::new(directory.path(), None).unwrap();
    let blob = pack.blob(b"").unwrap();
    for bad in ["", ".", "..", "a/b", "a\0", ".git", "GIT~1"] {
        assert_eq!(pack.tree(vec![entry(bad, FILE, blob)]).unwrap_err().kind(), Kind::Invalid, "{bad:?}");
    }
    let empty = pack.tree(Vec::new()).unwrap();
    // Git's order lets other names stand between a file and a directory of one name.
    let twins =
        vec![entry("a", FILE, blob), entry("a-b", FILE, blob), entry("a", store::Kind::Directory, empty)];
    assert_eq!(pack.tree(twins).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn trees_are_in_the_order_of_git() {
    let directory = tempfile::tempdir().unwrap();
    let mut pack = PackWriter::new(directory.path(), None).unwrap();
    let blob = pack.blob(b"x").unwrap();
    let below = pack.tree(vec![entry("x", FILE, blob)]).unwrap();
    let executable = store::Kind::File { executable: true };
    let tree = pack
        .tree(vec![
            entry("a0", store::Kind::Symlink, blob),
            entry("a", store::Kind::Directory, below),
            entry("a.c", FILE, blob),
            entry("a-b", executable, blob),
        ])
        .unwrap();
    pack.finish().unwrap();
    let git = git2::Repository::open_bare(directory.path()).unwrap();
    let mut builder = git.treebuilder(None).unwrap();
    let oid = |id: ObjectId| git2::Oid::from_bytes(&id.0).unwrap();
    for (name, id, mode) in
        [("a", below, 0o040000), ("a.c", blob, 0o100644), ("a-b", blob, 0o100755), ("a0", blob, 0o120000)]
    {
        builder.insert(name, oid(id), mode).unwrap();
    }
    assert_eq!(builder.write().unwrap(), oid(tree));
}

#[test]
fn a_writer_that_is_dropped_leaves_no_pack() {
    let directory = tempfile::tempdir().unwrap();
    let mut pack = PackWriter::new(directory.path(), None).unwrap();
    pack.blob(b"content").unwrap();
    assert_eq!(files_of_packs(directory.path()).len(), 1);
    drop(pack);
    assert_eq!(files_of_packs(directory.path()), [""; 0]);
}
