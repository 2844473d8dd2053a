//! What an archive may not exceed, and that it ends early where it does.

use std::cell::Cell;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

use srcfs::error::Kind;
use srcfs::source::archive::{Archive, Limits, Rules};
use srcfs::source::{Progress, Workplace};

use crate::packer::{directory, file, gzip, item, link, tar, tgz, zip, zipped};
use crate::shown::{unpack, unpack_within};

fn refusal(rules: &Rules, bytes: &[u8], limits: &Limits) -> String {
    let error = unpack_within(rules, bytes, limits).expect_err("it is within the limits");
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
    error.to_string()
}

/// An archive that counts how much of it is read.
struct Counted {
    bytes: Cursor<Vec<u8>>,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        self.read.set(self.read.get() + length as u64);
        Ok(length)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn a_bomb_of_many_files_ends_when_the_limit_is_reached() {
    // 64 MiB of zeros in files of 1 MiB, to which 4 MiB and 20 times its size are allowed.
    let items: Vec<_> = (0..64).map(|number| item(&format!("p/{number}"), b'0', &vec![0; 1 << 20])).collect();
    let bytes = tgz(&items);
    let (size, read) = (bytes.len() as u64, Rc::new(Cell::new(0)));
    let limits = Limits { unpacked: 4 << 20, ..Limits::default() };
    assert!(size * limits.ratio < limits.unpacked);
    let archive = Archive { title: "bomb".to_owned(), rules: Rules::Npm, limits };
    let directory = tempfile::tempdir().unwrap();
    let place = Workplace { directory: directory.path(), borrow: None, lease: None };
    let counted = Counted { bytes: Cursor::new(bytes), read: read.clone() };
    let error = archive.unpack(counted, place, &Progress::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge);
    assert!(error.to_string().contains("more than the 4194304 allowed"), "{error}");
    assert!(read.get() <= size / 4 + (64 << 10), "{} of {size} bytes were read", read.get());
    let left: Vec<_> = std::fs::read_dir(directory.path().join("objects/pack")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_bomb_that_says_its_size_ends_before_it_is_unpacked() {
    let mut huge = file("p/huge", "");
    huge[124..136].copy_from_slice(b"77777777777\0");
    let mut header = tar::Header::from_byte_slice(&huge[..512]).clone();
    header.set_cksum();
    let why = refusal(&Rules::Npm, &gzip(header.as_bytes()), &Limits::default());
    assert!(why.contains("\"p/huge\"") && why.contains("more than the 536870912 allowed"), "{why}");

    let (mut first, mut second) = (zipped("a", ""), zipped("b", ""));
    for entry in [&mut first, &mut second] {
        (entry.method, entry.size, entry.local_size) = (8, 300 << 20, 300 << 20);
    }
    let why = refusal(&Rules::Wheel, &zip(&[first, second]), &Limits::default());
    assert!(why.contains("more than the 536870912 allowed"), "{why}");
}

#[test]
fn what_follows_the_end_counts_too() {
    let bytes = [tar(&[file("p/a", "a")]), vec![0; 8 << 20]].concat();
    let limits = Limits { unpacked: 4 << 20, ..Limits::default() };
    refusal(&Rules::Npm, &gzip(&bytes), &limits);
}

#[test]
fn a_large_archive_may_become_twenty_times_its_size() {
    let limits = Limits { unpacked: 1000, ..Limits::default() };
    let text: String = (0..3000).map(|number| format!("{number:x}")).collect();
    let bytes = tgz(&[file("p/a", &text)]);
    assert!(text.len() > 1000 && text.len() < bytes.len() * 20);
    unpack_within(&Rules::Npm, &bytes, &limits).unwrap();
    refusal(&Rules::Npm, &tgz(&[item("p/a", b'0', &[0; 9000])]), &limits);
}

#[test]
fn entries_are_counted_whatever_becomes_of_them() {
    let limits = Limits { entries: 100, ..Limits::default() };
    let many = |make: fn(String) -> Vec<u8>, number| -> Vec<u8> {
        tgz(&(0..number).map(|number| make(format!("p/{number}"))).collect::<Vec<_>>())
    };
    let makers: [fn(String) -> Vec<u8>; 4] = [
        |name| file(&name, ""),
        |name| directory(&name),
        |name| link(&name, b'2', "a"),
        |_| file("p/same", ""),
    ];
    for make in makers {
        unpack_within(&Rules::Npm, &many(make, 100), &limits).unwrap();
        let why = refusal(&Rules::Npm, &many(make, 101), &limits);
        assert!(why.contains("100"), "{why}");
    }
    let entries: Vec<_> = (0..101).map(|number| zipped(&number.to_string(), "")).collect();
    unpack_within(&Rules::Wheel, &zip(&entries[1..]), &limits).unwrap();
    refusal(&Rules::Wheel, &zip(&entries), &limits);
}

#[test]
fn directories_that_names_imply_are_counted() {
    let limits = Limits { entries: 100, ..Limits::default() };
    let deep = |number: usize| file(&format!("p/{number}{}/f", "/d".repeat(30)), "");
    unpack_within(&Rules::Npm, &tgz(&[deep(0), deep(1), deep(2)]), &limits).unwrap();
    let why = refusal(&Rules::Npm, &tgz(&[deep(0), deep(1), deep(2), deep(3)]), &limits);
    assert!(why.contains("files and directories"), "{why}");
}

#[test]
fn depth_is_bounded_where_the_table_bounds_it() {
    let long = |depth: usize| {
        let name = format!("p{}/f", "/d".repeat(depth));
        tgz(&[item("L", b'L', name.as_bytes()), file("p/short", "")])
    };
    assert_eq!(unpack(&Rules::Npm, &long(256)).unwrap().nodes.len(), 1);
    let why = refusal(&Rules::Npm, &long(257), &Limits::default());
    assert!(why.contains("d/d/f\"") && why.contains("more than 256 directories deep"), "{why}");
}

#[test]
fn the_bytes_of_all_names_are_bounded() {
    let limits = Limits { name_bytes: 1000, ..Limits::default() };
    let named = |number: u32| format!("p/{number:098}");
    let items: Vec<_> = (0..11).map(|number| file(&named(number), "")).collect();
    unpack_within(&Rules::Npm, &tgz(&items[1..]), &limits).unwrap();
    refusal(&Rules::Npm, &tgz(&items), &limits);
    let entries: Vec<_> = (0..11).map(|number| zipped(&named(number), "")).collect();
    refusal(&Rules::Wheel, &zip(&entries), &limits);
}

#[test]
fn whoever_no_longer_waits_ends_it() {
    let progress = Progress::default();
    progress.cancel();
    let archive = Archive { title: "a".to_owned(), rules: Rules::Npm, limits: Limits::default() };
    let directory = tempfile::tempdir().unwrap();
    let place = Workplace { directory: directory.path(), borrow: None, lease: None };
    let error = archive.unpack(Cursor::new(tgz(&[file("p/a", "")])), place, &progress).unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
}
