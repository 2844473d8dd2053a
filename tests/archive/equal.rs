//! A proper archive is shown as other programs unpack it, byte for byte, and git agrees.

use std::io::{Cursor, Write};

use srcfs::source::archive::{Archive, Limits, Rules};
use srcfs::source::{Progress, Workplace};
use srcfs::store;

use crate::packer::{gzip, tgz};
use crate::shown::{Nodes, nodes, on_disk, unpack};

/// Names, executable or not, and content, up to one that is streamed.
fn files() -> Vec<(String, bool, Vec<u8>)> {
    let noise =
        |length: usize| (0..length as u64).map(|at| (at.wrapping_mul(at * 7 + 3) >> 5) as u8).collect();
    vec![
        ("top-1.0/Cargo.toml".to_owned(), false, b"[package]\n".to_vec()),
        ("top-1.0/empty".to_owned(), false, Vec::new()),
        ("top-1.0/src/main.rs".to_owned(), true, noise(70_000)),
        ("top-1.0/src/copy.rs".to_owned(), false, noise(70_000)),
        ("top-1.0/src/large".to_owned(), false, noise(3 << 20)),
        ("top-1.0/src/large-copy".to_owned(), false, noise(3 << 20)),
        ("top-1.0/src/é/ü".to_owned(), false, noise(1 << 20)),
        (format!("top-1.0/{}/{}", "long".repeat(30), "name".repeat(50)), false, noise(513)),
    ]
}

fn tar_of(files: &[(String, bool, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, is_executable, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(if *is_executable { 0o755 } else { 0o644 });
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn unpacked_by_the_tar_crate(bytes: &[u8]) -> Nodes {
    let directory = tempfile::tempdir().unwrap();
    tar::Archive::new(bytes).unpack(directory.path()).unwrap();
    on_disk(&directory.path().join("top-1.0"))
}

#[test]
fn a_crate_is_what_the_tar_crate_unpacks() {
    let bytes = tar_of(&files());
    let rules = Rules::Crate { top: "top-1.0".to_owned() };
    let shown = unpack(&rules, &gzip(&bytes)).unwrap();
    assert_eq!(shown.nodes, unpacked_by_the_tar_crate(&bytes));
    assert_eq!(unpack(&Rules::Npm, &gzip(&bytes)).unwrap().tree, shown.tree);
    assert_eq!(unpack(&Rules::Sdist, &gzip(&bytes)).unwrap().tree, shown.tree);
}

#[test]
fn a_zip_is_what_the_zip_crate_unpacks() {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (number, (name, is_executable, content)) in files().iter().enumerate() {
        let method = [zip::CompressionMethod::Deflated, zip::CompressionMethod::Stored][number % 2];
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(method)
            .large_file(number % 3 == 0)
            .unix_permissions(if *is_executable { 0o755 } else { 0o644 });
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(content).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let directory = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(Cursor::new(&bytes)).unwrap().extract(directory.path()).unwrap();
    assert_eq!(unpack(&Rules::Wheel, &bytes).unwrap().nodes, on_disk(directory.path()));
    // An sdist may be a zip, and then is the tree that it is as a tar.
    let as_tar = unpack(&Rules::Sdist, &gzip(&tar_of(&files()))).unwrap();
    assert_eq!(unpack(&Rules::Sdist, &bytes).unwrap().tree, as_tar.tree);
}

#[test]
fn a_zip_written_as_a_stream_is_read() {
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    for (name, _, content) in files() {
        writer.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&content).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(unpack(&Rules::Wheel, &bytes).unwrap().nodes.len(), files().len());
}

#[test]
fn git_finds_every_object_whole() {
    let directory = tempfile::tempdir().unwrap();
    let place = Workplace { directory: directory.path(), borrow: None, lease: None };
    let archive =
        Archive { title: "crates/top@1.0".to_owned(), rules: Rules::Npm, limits: Limits::default() };
    let bytes = gzip(&tar_of(&files()));
    archive.unpack(Cursor::new(&bytes), place, &Progress::default()).unwrap();
    assert_eq!(store::packs(directory.path()).unwrap().len(), 1);

    let repository = git2::Repository::open_bare(directory.path()).unwrap();
    let odb = repository.odb().unwrap();
    let mut objects = 0;
    odb.foreach(|id| {
        let object = odb.read(*id).unwrap();
        assert_eq!(git2::Oid::hash_object(object.kind(), object.data()).unwrap(), *id);
        objects += 1;
        true
    })
    .unwrap();
    // Six blobs, of which two stand under two names each; four directories.
    assert_eq!(objects, 6 + 5 - 1);
}

#[test]
fn the_same_archive_always_gives_the_same_ids() {
    let bytes = tgz(&[crate::packer::file("p/a", "a"), crate::packer::file("p/b", "b")]);
    let other_order = tgz(&[crate::packer::file("p/b", "b"), crate::packer::file("p/a", "a")]);
    let ids = |bytes: &[u8]| unpack(&Rules::Npm, bytes).unwrap().tree;
    assert_eq!(ids(&bytes), ids(&bytes));
    assert_eq!(ids(&bytes), ids(&other_order));
}

#[test]
fn the_next_version_borrows_what_did_not_change() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = |directory, borrow, files: &[(String, bool, Vec<u8>)]| {
        let place = Workplace { directory, borrow, lease: None };
        let archive = Archive { title: "a".to_owned(), rules: Rules::Npm, limits: Limits::default() };
        archive.unpack(Cursor::new(gzip(&tar_of(files))), place, &Progress::default()).unwrap()
    };
    let mut changed = files();
    archive(old.path(), None, &changed);
    changed[0].2 = b"[package] # 2\n".to_vec();
    let unpacked = archive(new.path(), Some(old.path()), &changed);
    let bytes = store::packs(new.path()).unwrap()[0].pack_bytes;
    assert!(bytes < 1000, "{bytes} bytes for one changed line");
    // The blobs of the lender are read through its own packs, as the cache records them.
    std::fs::remove_file(new.path().join("objects/info/alternates")).unwrap();
    for entry in std::fs::read_dir(old.path().join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::hard_link(&path, new.path().join("objects/pack").join(path.file_name().unwrap())).unwrap();
    }
    let expected = unpacked_by_the_tar_crate(&tar_of(&changed));
    assert_eq!(nodes(new.path(), &unpacked.tree.hex()), expected);
}
