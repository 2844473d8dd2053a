//! P2 and P15 for blobs: the right bytes or an error, whatever happened to the packs. The faults
//! "bit flips (400 random ones in .idx, 400 in .pack) or truncation, before opening" and "the same
//! while it is mapped" (open, that is: nothing is mapped, so truncation is an error and no death).

#[path = "store/repository.rs"]
mod repository;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use repository::Repository;
use srcfs::error::{Kind, Result};
use srcfs::store::{ObjectId, Objects, PackRecord, packs};

/// A packed repository with small and large blobs, many of them deltas of each other.
struct Packed {
    repository: Repository,
    pack: PathBuf,
    records: Vec<PackRecord>,
    blobs: BTreeMap<ObjectId, Vec<u8>>,
}

impl Packed {
    fn new() -> Self {
        let repository = Repository::new();
        let mut blobs = BTreeMap::new();
        let mut seed = 1u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as u8
        };
        let base: Vec<u8> = (0..30_000).map(|_| b'a' + random() % 16).collect();
        for number in 0..24usize {
            let mut content = base.clone();
            content[number * 100] = b'!';
            content.truncate(if number % 3 == 0 { 300 * (number + 1) } else { usize::MAX });
            blobs.insert(ObjectId::of("blob", &content), content);
        }
        let large: Vec<u8> = (0..200_000).map(|_| random()).collect();
        for content in [large[..70_000].to_vec(), large, Vec::new(), b"x".to_vec()] {
            blobs.insert(ObjectId::of("blob", &content), content);
        }
        for content in blobs.values() {
            repository.blob(content);
        }
        let pack = repository.pack();
        let records = packs(&repository.path()).unwrap();
        Packed { repository, pack, records, blobs }
    }

    fn open(&self) -> Result<Objects> {
        Objects::open(&self.repository.path(), &self.records)
    }

    /// Reads everything; returns how many blobs were refused. Bytes that are handed out are right.
    fn read_all(&self, objects: &Objects) -> usize {
        let mut refused = 0;
        for (id, content) in &self.blobs {
            match read(objects, id, 0, u32::MAX) {
                Ok(bytes) => assert!(bytes == *content, "wrong bytes of {id}"),
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
                    assert!(error.what().contains(&id.hex()), "{error}");
                    refused += 1;
                }
            }
        }
        refused
    }
}

fn read(objects: &Objects, id: &ObjectId, offset: u64, size: u32) -> Result<Vec<u8>> {
    let mut calls = Vec::new();
    objects.read(id, offset, size, &mut |bytes| calls.push(bytes.to_vec()))?;
    assert_eq!(calls.len(), 1, "called more than once");
    Ok(calls.remove(0))
}

/// Changes one bit of a file; a second call with the same place takes it back.
fn flip(file: &Path, at: u64, bit: u8) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    let opened = fs::File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    opened.read_exact_at(&mut byte, at).unwrap();
    opened.write_all_at(&[byte[0] ^ (1 << bit)], at).unwrap();
}

/// 400 places in a file, spread over all of it and always the same.
fn places(file: &Path) -> impl Iterator<Item = (u64, u8)> {
    let length = fs::metadata(file).unwrap().len();
    let mut seed = 7u64;
    (0..400).map(move |_| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((seed >> 16) % length, (seed >> 8) as u8 % 8)
    })
}

fn is_open(file: &Path) -> bool {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    descriptors.flatten().any(|link| fs::read_link(link.path()).is_ok_and(|target| target == file))
}

#[test]
fn every_part_of_every_blob_is_what_was_written() {
    let packed = Packed::new();
    let objects = packed.open().unwrap();
    assert_eq!(packed.read_all(&objects), 0);
    for (id, content) in &packed.blobs {
        let length = content.len() as u64;
        for offset in [0, 1, 4096, length / 2, length.saturating_sub(1), length, length + 1, u64::MAX] {
            for size in [0, 1, 4096, 131_072, u32::MAX] {
                let start = offset.min(length) as usize;
                let end = content.len().min(start.saturating_add(size as usize));
                assert!(read(&objects, id, offset, size).unwrap() == content[start..end]);
            }
        }
    }
}

#[test]
fn many_threads_read_the_same_blobs_in_parts() {
    let packed = Packed::new();
    let objects = packed.open().unwrap();
    thread::scope(|scope| {
        for first in 0..8usize {
            let (packed, objects) = (&packed, &objects);
            scope.spawn(move || {
                for (id, content) in packed.blobs.iter().cycle().skip(first * 3).take(packed.blobs.len()) {
                    let parts =
                        (0..content.len()).step_by(10_000).map(|at| read(objects, id, at as u64, 10_000));
                    assert!(parts.map(Result::unwrap).collect::<Vec<_>>().concat() == *content);
                }
            });
        }
    });
}

#[test]
fn what_is_missing_or_no_blob_is_corrupt_and_named() {
    let packed = Packed::new();
    let tree = packed.repository.tree(&[]);
    let objects = packed.open().unwrap();
    for id in ["0123456789012345678901234567890123456789", &tree.to_string()] {
        let error = read(&objects, &ObjectId::parse(id).unwrap(), 0, 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.what().contains(id), "{error}");
    }
}

#[test]
fn no_flipped_bit_of_an_index_passes_opening() {
    let packed = Packed::new();
    let index = packed.pack.with_extension("idx");
    for (at, bit) in places(&index) {
        flip(&index, at, bit);
        assert_eq!(packed.open().unwrap_err().kind(), Kind::Corrupt, "byte {at} bit {bit}");
        flip(&index, at, bit);
    }
    assert_eq!(packed.read_all(&packed.open().unwrap()), 0);
}

#[test]
fn no_flipped_bit_of_a_pack_shows_wrong_bytes() {
    let packed = Packed::new();
    let mut refused = 0;
    for (at, bit) in places(&packed.pack) {
        flip(&packed.pack, at, bit);
        match packed.open() {
            Ok(objects) => refused += packed.read_all(&objects).min(1),
            Err(error) => assert_eq!(error.kind(), Kind::Corrupt),
        }
        flip(&packed.pack, at, bit);
    }
    assert!(refused > 300, "only {refused} of 400 flips were noticed");
    assert_eq!(packed.read_all(&packed.open().unwrap()), 0);
}

#[test]
fn no_bit_that_flips_in_a_mapped_pack_shows_wrong_bytes() {
    let packed = Packed::new();
    let objects = packed.open().unwrap();
    assert_eq!(packed.read_all(&objects), 0);
    for (at, bit) in places(&packed.pack) {
        flip(&packed.pack, at, bit);
        packed.read_all(&objects);
        flip(&packed.pack, at, bit);
    }
    assert_eq!(packed.read_all(&objects), 0);
}

#[test]
fn a_truncated_or_missing_file_does_not_open() {
    let packed = Packed::new();
    for file in [packed.pack.clone(), packed.pack.with_extension("idx")] {
        let whole = fs::read(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        for end in [0, 1, 20, whole.len() / 2, whole.len() - 21, whole.len() - 1] {
            fs::write(&file, &whole[..end]).unwrap();
            assert_eq!(packed.open().unwrap_err().kind(), Kind::Corrupt);
        }
        fs::write(&file, [&whole[..], b"x"].concat()).unwrap();
        assert_eq!(packed.open().unwrap_err().kind(), Kind::Corrupt);
        fs::remove_file(&file).unwrap();
        let error = packed.open().unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.what().contains(file.to_str().unwrap()), "{error}");
        fs::write(&file, &whole).unwrap();
    }
    assert_eq!(packed.read_all(&packed.open().unwrap()), 0);
}

#[test]
fn a_record_cannot_name_a_file_elsewhere() {
    let packed = Packed::new();
    for name in ["", "pack-", "../../x", "pack-/../x", "pack-zz", "/etc/passwd"] {
        let record = PackRecord { name: name.to_owned(), ..packed.records[0].clone() };
        let error = Objects::open(&packed.repository.path(), &[record]).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
    }
}

#[test]
fn a_pack_that_is_truncated_while_it_is_open_is_an_error() {
    let packed = Packed::new();
    let objects = packed.open().unwrap();
    fs::set_permissions(&packed.pack, fs::Permissions::from_mode(0o644)).unwrap();
    let file = fs::File::options().write(true).open(&packed.pack).unwrap();
    file.set_len(fs::metadata(&packed.pack).unwrap().len() / 2).unwrap();
    assert!(packed.read_all(&objects) > 0);
    file.set_len(0).unwrap();
    packed.read_all(&objects);
    assert_eq!(packed.open().unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn nothing_is_read_that_is_not_recorded() {
    let packed = Packed::new();
    let path = packed.repository.path();
    for file in ["objects/info/alternates", "objects/pack/pack-abc.idx", "objects/pack/multi-pack-index"] {
        fs::write(path.join(file), "nonsense").unwrap();
    }
    // A loose object under the name of a packed one.
    let hex = packed.blobs.keys().next().unwrap().hex();
    fs::create_dir_all(path.join("objects").join(&hex[..2])).unwrap();
    fs::write(path.join("objects").join(&hex[..2]).join(&hex[2..]), "nonsense").unwrap();
    assert_eq!(packed.read_all(&packed.open().unwrap()), 0);
    // Small ones, because large ones may be in memory still, from whatever repository.
    let none = Objects::open(&path, &[]).unwrap();
    for (id, _) in packed.blobs.iter().filter(|(_, content)| content.len() < 60_000) {
        assert_eq!(read(&none, id, 0, 1).unwrap_err().kind(), Kind::Corrupt);
    }
}

#[test]
fn a_generation_that_is_let_go_leaves_no_file_open() {
    let packed = Packed::new();
    let objects = packed.open().unwrap();
    assert_eq!(packed.read_all(&objects), 0);
    assert!(is_open(&packed.pack));
    // A thread that has read and lives on must not hold the files either.
    let objects = Arc::new(objects);
    let (finished, wait_for_reads) = mpsc::channel();
    let (leave, wait_for_leave) = mpsc::channel::<()>();
    let (shared, blob) = (Arc::clone(&objects), *packed.blobs.keys().next().unwrap());
    let reader = thread::spawn(move || {
        read(&shared, &blob, 0, 1).unwrap();
        drop(shared);
        finished.send(()).unwrap();
        let _ = wait_for_leave.recv();
    });
    wait_for_reads.recv().unwrap();
    drop(objects);
    assert!(!is_open(&packed.pack) && !is_open(&packed.pack.with_extension("idx")));
    drop(leave);
    reader.join().unwrap();
}

#[test]
fn an_empty_repository_has_no_packs_and_opens() {
    let repository = Repository::new();
    let records = packs(&repository.path()).unwrap();
    assert!(records.is_empty());
    Objects::open(&repository.path(), &records).unwrap();
    assert!(srcfs::store::init_bare(&repository.path()).is_err(), "a repository was initialised twice");
    assert!(!repository.path().join("hooks").exists());
}
