//! Hostile input, "delta bombs", and packs that lie about themselves: an error each, nothing crashes,
//! hangs or takes the memory it claims to need.

#[path = "store/pack_writer.rs"]
mod pack_writer;
#[path = "store/repository.rs"]
mod repository;

use pack_writer::{BLOB, Entry, OBJECT_DELTA, OFFSET_DELTA, TREE, delta_size, entry, write, write_files};
use repository::Repository;
use srcfs::error::{Kind, Result};
use srcfs::store::{LARGEST_BLOB, ObjectId, Objects};

/// An id of this test: the process keeps what is being read by its id, and here one name has many
/// contents. Each test has a thread of its own.
fn id(name: &str) -> ObjectId {
    let test = format!("{name} of {:?}", std::thread::current().name());
    ObjectId::of("blob", test.as_bytes())
}

/// What reading `of` gives in a repository with these entries.
fn read(entries: &[Entry], of: &str) -> Result<Vec<u8>> {
    let repository = Repository::new();
    let records = write(&repository.path(), entries);
    let objects = Objects::open(&repository.path(), &records)?;
    let mut content = Vec::new();
    objects.read(&id(of), 0, u32::MAX, &mut |bytes| content = bytes.to_vec())?;
    Ok(content)
}

fn kind(entries: &[Entry], of: &str) -> Kind {
    read(entries, of).expect_err("it was read").kind()
}

/// A delta that inserts `text` and does not use its base of `base` bytes.
fn insertion(base: u64, text: &[u8]) -> Vec<u8> {
    [delta_size(base), delta_size(text.len() as u64), vec![text.len() as u8], text.to_vec()].concat()
}

fn named(name: &str, raw: Vec<u8>) -> Entry {
    Entry { id: id(name), raw }
}

fn delta_of(base: &str, delta: &[u8]) -> Vec<u8> {
    entry(OBJECT_DELTA, delta.len() as u64, &id(base).0, delta)
}

#[test]
fn well_formed_packs_of_this_writer_are_read() {
    let base = named("base", entry(BLOB, 5, b"", b"hello"));
    let by_object = named("a", delta_of("base", &insertion(5, b"first")));
    let delta = insertion(5, b"second");
    let distance = by_object.raw.len() as u8;
    let by_offset = named("b", entry(OFFSET_DELTA, delta.len() as u64, &[distance], &delta));
    let entries = [base, by_object, by_offset];
    assert_eq!(read(&entries, "base").unwrap(), b"hello");
    assert_eq!(read(&entries, "a").unwrap(), b"first");
    assert_eq!(read(&entries, "b").unwrap(), b"second");
}

#[test]
fn a_delta_that_is_turned_to_another_base_shows_no_wrong_bytes() {
    // What no checksum of zlib covers: the header of a delta says where its base is.
    let (right, wrong) = (entry(BLOB, 5, b"", b"right"), entry(BLOB, 5, b"", b"wrong"));
    let copy = [delta_size(5), delta_size(5), vec![0x90, 5]].concat();
    let distance = (right.len() + wrong.len()) as u8;
    let delta = entry(OFFSET_DELTA, copy.len() as u64, &[distance], &copy);
    let tail = delta.len() as u64 + 20 - 1;
    let entries = [named("right", right), named("wrong", wrong), named("a", delta)];
    assert_eq!(read(&entries, "a").unwrap(), b"right");

    let repository = Repository::new();
    let records = write(&repository.path(), &entries);
    let pack = repository.path().join("objects/pack/pack-00.pack");
    let mut content = std::fs::read(&pack).unwrap();
    let at = content.len() - tail as usize;
    assert_eq!(content[at], distance);
    content[at] = entries[1].raw.len() as u8;
    std::fs::write(&pack, content).unwrap();
    let objects = Objects::open(&repository.path(), &records).unwrap();
    let error = objects.read(&id("a"), 0, 9, &mut |bytes| panic!("read {bytes:?}")).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
}

/// A blob that deflate stored as it is, with the checksum that zlib puts behind it.
fn stored(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in content {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    let header = [(BLOB << 4) | u8::try_from(content.len()).unwrap(), 0x78, 0x01, 0x01];
    let checksum = ((high << 16) | low).to_be_bytes();
    [&header[..], &length.to_le_bytes(), &(!length).to_le_bytes(), content, &checksum].concat()
}

#[test]
fn an_entry_that_inflates_without_complaint_but_is_another_than_the_index_says_is_corrupt() {
    // Its size, the ends of the pack, and what zlib checks are all as they were: only the CRC of the
    // index knows.
    let (right, wrong) = (stored(b"right"), stored(b"wrong"));
    let entries = [named("a", right.clone())];
    assert_eq!(read(&entries, "a").unwrap(), b"right");
    assert_eq!(read(&[named("a", wrong.clone())], "a").unwrap(), b"wrong");

    let repository = Repository::new();
    let records = write(&repository.path(), &entries);
    let pack = repository.path().join("objects/pack/pack-00.pack");
    let mut content = std::fs::read(&pack).unwrap();
    let at = content.windows(right.len()).position(|window| window == right).unwrap();
    content[at..at + wrong.len()].copy_from_slice(&wrong);
    std::fs::write(&pack, content).unwrap();
    let objects = Objects::open(&repository.path(), &records).unwrap();
    let error = objects.read(&id("a"), 0, 9, &mut |bytes| panic!("read {bytes:?}")).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
}

#[test]
fn deltas_in_a_circle_are_corrupt() {
    let circle =
        [named("a", delta_of("b", &insertion(1, b"x"))), named("b", delta_of("a", &insertion(1, b"x")))];
    assert_eq!(kind(&circle, "a"), Kind::Corrupt);
    assert_eq!(kind(&[named("a", delta_of("a", &insertion(1, b"x")))], "a"), Kind::Corrupt);
}

#[test]
fn a_long_chain_of_deltas_is_read_and_an_endless_one_is_not() {
    let chain = |length: usize| {
        let mut entries = vec![named("0", entry(BLOB, 1, b"", b"x"))];
        for number in 1..=length {
            entries
                .push(named(&number.to_string(), delta_of(&(number - 1).to_string(), &insertion(1, b"y"))));
        }
        read(&entries, &length.to_string())
    };
    assert_eq!(chain(4_096).unwrap(), b"y");
    assert_eq!(chain(5_000).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn sizes_that_are_not_true_cost_no_memory_and_are_errors() {
    for claimed in [0, 4, 6, 1 << 20, LARGEST_BLOB] {
        assert_eq!(kind(&[named("a", entry(BLOB, claimed, b"", b"hello"))], "a"), Kind::Corrupt, "{claimed}");
    }
    for claimed in [LARGEST_BLOB + 1, 5 << 30, u64::MAX >> 4] {
        assert_eq!(
            kind(&[named("a", entry(BLOB, claimed, b"", b"hello"))], "a"),
            Kind::TooLarge,
            "{claimed}"
        );
    }
    let raw = [vec![0xbf], vec![0xff; 20]].concat();
    assert_eq!(kind(&[named("a", raw)], "a"), Kind::Corrupt);
}

#[test]
fn a_blob_above_the_limit_is_too_large() {
    let error = read(&[named("a", entry(BLOB, 4 << 30, b"", b""))], "a").unwrap_err();
    assert_eq!(error.kind().errno(), libc::EFBIG);
}

#[test]
fn delta_bombs_are_too_large_or_corrupt() {
    let base = || named("base", entry(BLOB, 5, b"", b"hello"));
    let with = |delta: &[u8]| kind(&[base(), named("a", delta_of("base", delta))], "a");
    // It says that it makes more than is allowed.
    assert_eq!(with(&[delta_size(5), delta_size(LARGEST_BLOB + 1)].concat()), Kind::TooLarge);
    assert_eq!(with(&[delta_size(5), delta_size(u64::MAX >> 2)].concat()), Kind::TooLarge);
    // It makes more than it says.
    let copies = [0x90, 5].repeat(1000);
    assert_eq!(with(&[delta_size(5), delta_size(7), copies].concat()), Kind::Corrupt);
    // It makes less.
    assert_eq!(with(&[delta_size(5), delta_size(LARGEST_BLOB), vec![0x90, 5]].concat()), Kind::Corrupt);
    // It is of another base, or copies from beyond it.
    assert_eq!(with(&insertion(6, b"x")), Kind::Corrupt);
    assert_eq!(with(&[delta_size(5), delta_size(6), vec![0x90, 6]].concat()), Kind::Corrupt);
    assert_eq!(with(b""), Kind::Corrupt);
}

#[test]
fn what_is_no_blob_or_has_no_base_is_corrupt() {
    for kind_of_entry in [0, 1, TREE, 4, 5] {
        assert_eq!(kind(&[named("a", entry(kind_of_entry, 5, b"", b"hello"))], "a"), Kind::Corrupt);
    }
    let on_tree = [named("t", entry(TREE, 5, b"", b"hello")), named("a", delta_of("t", &insertion(5, b"x")))];
    assert_eq!(kind(&on_tree, "a"), Kind::Corrupt);
    assert_eq!(kind(&[named("a", delta_of("nowhere", &insertion(5, b"x")))], "a"), Kind::Corrupt);
    let delta = insertion(5, b"x");
    for distance in [&[0][..], &[1], &[12], &[0x7f], &[0xff; 12]] {
        let raw = entry(OFFSET_DELTA, delta.len() as u64, distance, &delta);
        assert_eq!(kind(&[named("a", raw)], "a"), Kind::Corrupt, "{distance:?}");
    }
    for raw in [&[][..], &[0x80], &[0xb0], &[0xe5, 0x80], &[0xf5, 1, 2, 3], &[0x35]] {
        assert_eq!(kind(&[named("a", raw.to_vec())], "a"), Kind::Corrupt, "{raw:?}");
    }
}

#[test]
fn an_index_that_is_nonsense_under_a_record_that_fits_is_corrupt() {
    let repository = Repository::new();
    let path = repository.path();
    let records =
        write(&path, &[named("a", entry(BLOB, 5, b"", b"hello")), named("b", entry(BLOB, 1, b"", b"x"))]);
    let file = |end: &str| std::fs::read(path.join(format!("objects/pack/pack-00.{end}"))).unwrap();
    let (pack, index) = (file("pack"), file("idx"));
    let open_and_read = |pack: &[u8], index: &[u8]| {
        let records = write_files(&path, pack, index);
        let objects = Objects::open(&path, &records)?;
        for (name, content) in [("a", &b"hello"[..]), ("b", b"x")] {
            match objects.read(&id(name), 0, 9, &mut |bytes| assert_eq!(bytes, content)) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.kind(), Kind::Corrupt),
            }
        }
        Ok::<_, srcfs::error::Error>(())
    };
    open_and_read(&pack, &index).unwrap();
    for end in (0..index.len()).step_by(11) {
        assert_eq!(open_and_read(&pack, &index[..end]).unwrap_err().kind(), Kind::Corrupt, "{end} bytes");
    }
    for at in 0..index.len() {
        let mut changed = index.clone();
        changed[at] ^= if at % 2 == 0 { 0x81 } else { 0xff };
        if let Err(error) = open_and_read(&pack, &changed) {
            assert_eq!(error.kind(), Kind::Corrupt);
        }
    }
    for at in 0..pack.len() {
        let mut changed = pack.clone();
        changed[at] ^= 0x40;
        if let Err(error) = open_and_read(&changed, &index) {
            assert_eq!(error.kind(), Kind::Corrupt);
        }
    }
    for end in 0..pack.len() {
        assert_eq!(open_and_read(&pack[..end], &index).unwrap_err().kind(), Kind::Corrupt);
    }
    drop(records);
}
