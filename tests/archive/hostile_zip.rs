//! Zips that say one thing here and another there: refused, with the entry's name.

use srcfs::error::Kind;
use srcfs::source::archive::Rules::Wheel;

use crate::packer::{Zipped, zip, zip_parts, zipped};
use crate::shown::{names, refusal, unpack};

/// That a zip with this entry between two good ones is refused with these words.
fn refused(entry: Zipped, words: &[&str]) {
    let (kind, why) = refusal(&Wheel, &zip(&[zipped("first", "1"), entry, zipped("last", "9")]));
    assert!(matches!(kind, Kind::Unsupported | Kind::Corrupt), "{why}");
    assert!(words.iter().all(|word| why.contains(word)), "{words:?} in: {why}");
}

fn changed(change: impl FnOnce(&mut Zipped)) -> Zipped {
    let mut entry = zipped("a", "content");
    change(&mut entry);
    entry
}

#[test]
fn absolute_and_parent_paths_and_devices() {
    refused(zipped("/etc/passwd", ""), &["\"/etc/passwd\"", "absolute"]);
    refused(zipped("a/../../x", ""), &["\"a/../../x\"", "leads out"]);
    refused(zipped("", ""), &["it has no name"]);
    refused(zipped("a\0b", ""), &["NUL"]);
    for (mode, what) in
        [(0o010644, "FIFO"), (0o020644, "character"), (0o060644, "block"), (0o140644, "socket")]
    {
        refused(changed(|entry| entry.mode = mode), &["\"a\"", what]);
    }
    refused(changed(|entry| entry.mode = 0o040755), &["\"a\"", "without the name of one"]);
    refused(zipped("d/", "content"), &["\"d/\"", "directory with content"]);
}

#[test]
fn local_and_central_headers_that_differ() {
    refused(changed(|entry| entry.local_name = b"b".to_vec()), &["\"a\"", "another name"]);
    refused(changed(|entry| entry.local_size = 3), &["\"a\"", "another size"]);
    refused(changed(|entry| entry.local_flags = 0), &["\"a\"", "another sort"]);
    refused(changed(|entry| entry.size = 3), &["\"a\"", "two sizes"]);
    refused(changed(|entry| entry.checksum ^= 1), &["\"a\"", "checksum is wrong"]);
}

#[test]
fn data_that_is_not_what_the_headers_say() {
    let deflated = |content: &[u8]| {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
        std::io::Write::write_all(&mut encoder, content).unwrap();
        encoder.finish().unwrap()
    };
    let with = |size: u32, packed: Vec<u8>| {
        changed(|entry| {
            (entry.method, entry.content, entry.size, entry.local_size) = (8, packed, size, size);
        })
    };
    let good = zip(&[with(7, deflated(b"content"))]);
    assert_eq!(unpack(&Wheel, &good).unwrap().nodes[&b"a"[..]], crate::shown::node("content"));
    refused(with(6, deflated(b"content")), &["\"a\"", "more bytes"]);
    refused(with(8, deflated(b"content")), &["\"a\"", "fewer bytes"]);
    refused(with(7, [deflated(b"content"), file_header()].concat()), &["\"a\"", "something follows"]);
    refused(with(7, deflated(b"content")[..4].to_vec()), &["\"a\""]);
    refused(with(7, vec![0xff; 9]), &["\"a\"", "damaged"]);
}

fn file_header() -> Vec<u8> {
    zip_parts(&[zipped("hidden", "")]).entries
}

#[test]
fn entries_that_only_a_stream_reader_would_see() {
    refused(changed(|entry| entry.gap = file_header()), &["\"a\"", "something lies before it"]);
    refused(changed(|entry| entry.after = file_header()), &["\"last\"", "something lies before it"]);
    let mut parts = zip_parts(&[zipped("a", "")]);
    parts.entries.extend_from_slice(&file_header());
    let (_, why) = refusal(&Wheel, &parts.whole());
    assert!(why.contains("before its central directory"), "{why}");
    let prefixed = [b"#!/bin/sh\n".to_vec(), zip(&[zipped("a", "")])].concat();
    assert!(refusal(&Wheel, &prefixed).1.contains("neither gzip, zip nor tar"));
}

#[test]
fn entries_that_overlap() {
    // The local header of the second lies in the data of the first, as in the bombs of that kind.
    let inner = zip_parts(&[zipped("inner", "x")]);
    let size = inner.entries.len() as u32;
    let mut outer = zip_parts(&[Zipped {
        checksum: crc32fast::hash(&inner.entries),
        content: inner.entries.clone(),
        size,
        local_size: size,
        ..zipped("outer", "")
    }]);
    let mut second = inner.directory.clone();
    let offset = (outer.entries.len() - inner.entries.len()) as u32;
    second[42..46].copy_from_slice(&offset.to_le_bytes());
    outer.directory.extend_from_slice(&second);
    outer.number = 2;
    let (_, why) = refusal(&Wheel, &outer.whole());
    assert!(why.contains("\"outer\"") && why.contains("overlaps"), "{why}");

    let mut twice = zip_parts(&[zipped("a", "")]);
    twice.directory.extend_from_within(..);
    twice.number = 2;
    let (_, why) = refusal(&Wheel, &twice.whole());
    assert!(why.contains("\"a\"") && why.contains("overlaps"), "{why}");
}

#[test]
fn encrypted_entries_and_unknown_methods() {
    for flag in [1, 1 << 6, 1 << 13] {
        refused(changed(|entry| (entry.flags, entry.local_flags) = (flag, flag)), &["\"a\"", "encrypted"]);
    }
    for method in [1, 9, 12, 14, 93, 99] {
        refused(changed(|entry| entry.method = method), &["\"a\"", &format!("method {method}")]);
    }
}

#[test]
fn extra_fields_that_say_something_else() {
    let name =
        |extra: &[u8]| [&0x7075u16.to_le_bytes()[..], &(extra.len() as u16).to_le_bytes(), extra].concat();
    refused(changed(|entry| entry.extra = name(b"\x01\0\0\0\0other")), &["\"a\"", "second name"]);
    refused(changed(|entry| entry.extra = vec![1, 0, 255, 0]), &["\"a\"", "malformed"]);
    let large = [1, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0];
    refused(changed(|entry| entry.extra = [large, large].concat()), &["\"a\"", "sizes twice"]);
    refused(changed(|entry| entry.size = u32::MAX), &["\"a\"", "does not say how large"]);
    let fits = changed(|entry| {
        (entry.size, entry.local_size) = (u32::MAX, u32::MAX);
        (entry.extra, entry.local_extra) = (large.to_vec(), large.to_vec());
    });
    assert_eq!(names(&Wheel, &zip(std::slice::from_ref(&fits))), ["a"]);
    let mut other = fits;
    other.local_extra[4] = 6;
    refused(other, &["\"a\"", "another size"]);
}

#[test]
fn sizes_after_the_data_are_compared_too() {
    let checksum = crc32fast::hash(b"content").to_le_bytes();
    let described = |descriptor: Vec<u8>| {
        changed(|entry| {
            (entry.flags, entry.local_flags, entry.after) = (1 << 3, 1 << 3, descriptor);
        })
    };
    let narrow = [&checksum[..], &7u32.to_le_bytes(), &7u32.to_le_bytes()].concat();
    let wide = [&checksum[..], &7u64.to_le_bytes(), &7u64.to_le_bytes()].concat();
    let magic = |rest: &[u8]| [b"PK\x07\x08", rest].concat();
    for good in [narrow.clone(), wide.clone(), magic(&narrow), magic(&wide)] {
        assert_eq!(names(&Wheel, &zip(&[described(good.clone()), zipped("b", "")])), ["a", "b"]);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            refused(described(bad), &["\"a\"", "what follows its data"]);
        }
    }
    refused(described(vec![]), &["\"a\"", "what follows its data"]);
    refused(described([narrow, file_header()].concat()), &["\"a\"", "what follows its data"]);
}

#[test]
fn an_end_that_fits_in_several_ways() {
    let parts = zip_parts(&[zipped("a", "content")]);
    let commented = [&parts.entries[..], &parts.directory, &parts.end(b"a comment")].concat();
    assert_eq!(names(&Wheel, &commented), ["a"]);
    let cases = [
        ([parts.whole(), b"garbage".to_vec()].concat(), "something follows its end"),
        (
            [&parts.entries[..], &parts.directory, &parts.end(&parts.end(b""))].concat(),
            "right before its end",
        ),
        ([&parts.entries[..], &parts.directory, b"gap", &parts.end(b"")].concat(), "right before its end"),
    ];
    for (bytes, expected) in cases {
        let (_, why) = refusal(&Wheel, &bytes);
        assert!(why.contains(expected), "{expected} in: {why}");
    }
    let mut fewer = zip_parts(&[zipped("a", ""), zipped("b", "")]);
    fewer.number = 1;
    assert!(refusal(&Wheel, &fewer.whole()).1.contains("more than its entries"));
    fewer.number = 3;
    assert!(refusal(&Wheel, &fewer.whole()).1.contains("central directory is malformed"));
}

#[test]
fn every_cut_is_noticed() {
    let whole = zip(&[zipped("a", "content"), zipped("b", "more")]);
    for end in 0..whole.len() {
        let (kind, why) = refusal(&Wheel, &whole[..end]);
        assert!(matches!(kind, Kind::Corrupt | Kind::Unsupported), "{why}");
    }
}

#[test]
fn no_flipped_byte_shows_another_content() {
    let whole = zip(&[zipped("a", "content"), zipped("b", "more")]);
    let good = format!("{:?}", unpack(&Wheel, &whole).unwrap().nodes);
    for at in 0..whole.len() {
        for bit in [0, 3, 7] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(shown) = unpack(&Wheel, &flipped) {
                // Versions, times and permissions may change; a name or a byte of content may not.
                let text = format!("{:?}", shown.nodes).replace("Executable", "File");
                assert_eq!(text, good, "bit {bit} of byte {at}");
            }
        }
    }
}
