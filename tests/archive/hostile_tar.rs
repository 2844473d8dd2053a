//! Tars that would do harm or that programs read in different ways: refused, with the entry's name.

use srcfs::error::Kind;
use srcfs::source::archive::Rules::{self, Npm, Sdist};

use crate::packer::{directory, edited, file, gzip, item, link, pax, tar, tgz};
use crate::shown::{names, refusal};

/// That an npm package with these items after a good one is refused with all of these words.
fn refused(items: &[Vec<u8>], words: &[&str]) {
    let items = [&[file("p/good", "good")], items].concat();
    let (kind, why) = refusal(&Npm, &tgz(&items));
    assert_eq!(kind, Kind::Unsupported, "{why}");
    assert!(words.iter().all(|word| why.contains(word)), "{words:?} in: {why}");
    assert!(why.starts_with("unpack kind/name@1: read "), "{why}");
}

#[test]
fn absolute_and_parent_paths() {
    refused(&[file("/etc/passwd", "x")], &["\"/etc/passwd\"", "absolute"]);
    for name in ["p/../../x", "../x", "p/..", "p/a/../b", ".."] {
        refused(&[file(name, "x")], &[&format!("{name:?}"), "leads out"]);
        refused(&[directory(name)], &[&format!("{name:?}"), "leads out"]);
        refused(&[link(name, b'2', "a")], &[&format!("{name:?}"), "leads out"]);
    }
    for long in ["/etc/passwd", "p/../../x"] {
        refused(&[pax(b'x', &[("path", long)]), file("p/a", "")], &[&format!("{long:?}")]);
        refused(&[item("L", b'L', long.as_bytes()), file("p/a", "")], &[&format!("{long:?}")]);
    }
}

#[test]
fn names_that_are_none_or_too_long() {
    refused(&[item("", b'0', b"x")], &["it has no name"]);
    refused(&[pax(b'x', &[("path", "p/a\0b")]), file("p/a", "")], &["NUL"]);
    let part = format!("p/{}", "a".repeat(256));
    refused(&[pax(b'x', &[("path", &part)]), file("p/a", "")], &["longer than 255"]);
    let path = format!("p{}", "/abc".repeat(1100));
    refused(&[pax(b'x', &[("path", &path)]), file("p/a", "")], &["longer than 4095", "abc/abc"]);
}

#[test]
fn devices_and_fifos() {
    for (sort, what) in [(b'3', "character device"), (b'4', "block device"), (b'6', "FIFO"), (b'S', "sparse")]
    {
        for rules in [Npm, Sdist, Rules::Crate { top: "p".to_owned() }] {
            let (kind, why) = refusal(&rules, &tgz(&[file("p/good", ""), item("p/bad", sort, b"")]));
            assert_eq!(kind, Kind::Unsupported);
            assert!(why.contains("\"p/bad\"") && why.contains(what), "{why}");
        }
    }
    let sparse = pax(b'x', &[("GNU.sparse.major", "1"), ("GNU.sparse.name", "p/other")]);
    refused(&[sparse, file("p/a", "")], &["\"p/a\"", "sparse"]);
    refused(&[item("p/odd", b'Z', b"")], &["\"p/odd\"", "'Z'"]);
}

#[test]
fn a_size_in_pax_that_is_not_that_of_the_header() {
    // One program would take the content for a file, another for the headers of hidden entries.
    let hidden = file("p/hidden", "");
    let carrier = item("p/carrier", b'0', &hidden);
    refused(&[pax(b'x', &[("size", "0")]), carrier.clone()], &["\"p/carrier\"", "another size"]);
    refused(&[pax(b'g', &[("size", "0")]), carrier.clone()], &["for all entries"]);
    refused(&[pax(b'x', &[("size", "-1")]), carrier.clone()], &["no number"]);
    assert_eq!(names(&Npm, &tgz(&[pax(b'x', &[("size", "512")]), carrier])), ["carrier"]);
}

#[test]
fn headers_before_one_entry_that_disagree() {
    let long = |sort, name: &str| item("long", sort, name.as_bytes());
    let path = |name| pax(b'x', &[("path", name)]);
    let a = || file("p/a", "");
    refused(&[path("p/b"), long(b'L', "p/c"), a()], &["different things about one entry"]);
    refused(&[long(b'L', "p/c"), path("p/b"), a()], &["different things about one entry"]);
    refused(&[path("p/b"), path("p/b"), a()], &["two extension headers"]);
    refused(&[long(b'L', "p/b"), long(b'L', "p/b"), a()], &["two extension headers"]);
    refused(&[pax(b'x', &[("path", "p/b"), ("path", "p/c")]), a()], &["different things about one entry"]);
    refused(&[pax(b'g', &[("path", "p/b")]), a()], &["for all entries"]);
    let target = pax(b'x', &[("linkpath", "a")]);
    refused(&[target, long(b'K', "b"), link("p/l", b'2', "c")], &["different things about one entry"]);
    let agreed = [path("p/b"), long(b'L', "p/b\0"), a()];
    assert_eq!(names(&Npm, &tgz(&agreed)), ["b"]);
}

#[test]
fn extension_headers_that_are_malformed_or_belong_to_nothing() {
    for bytes in [&b"7 path"[..], b"11 path=p/a ", b"999 path=p/a\n", b"path=p/a\n"] {
        refused(&[item("pax", b'x', bytes), file("p/a", "")], &["malformed"]);
    }
    refused(&[item("L", b'L', b"p/a\0p/b"), file("p/a", "")], &["goes on after its end"]);
    refused(&[item("L", b'L', &vec![b'a'; (1 << 20) + 1]), file("p/a", "")], &["more than a mebibyte"]);
    let (kind, why) = refusal(&Npm, &tgz(&[file("p/a", ""), pax(b'x', &[("path", "p/b")])]));
    assert!(kind == Kind::Corrupt && why.contains("between an extension header and its entry"), "{why}");
}

#[test]
fn what_clients_read_in_different_ways() {
    let with_target = link("p/a", b'0', "target");
    refused(&[with_target], &["\"p/a\"", "no link and has the target"]);
    refused(
        &[edited("p/l", b'2', b"content", |header| header.as_old_mut().linkname[0] = b'a')],
        &["a link with content"],
    );
    refused(&[item("p/a/", b'0', b"content")], &["\"p/a/\"", "the name of a directory"]);
    refused(&[vec![0; 512], file("p/hidden", "")], &["a single block of zeros"]);
    let beyond = edited("p/a", b'0', b"", |header| {
        header.as_old_mut().pad[..8].fill(0);
        header.as_mut_bytes()[345] = b'q';
    });
    refused(&[beyond], &["\"p/a\"", "more than its format allows"]);
    refused(
        &[edited("p/a", b'0', b"", |header| header.as_old_mut().size = *b"-00000000001")],
        &["no number"],
    );
}

#[test]
fn a_file_and_a_directory_of_one_name() {
    let (file_, below, dir) = (|| file("d/a", ""), || file("d/a/b", ""), || directory("d/a"));
    let with = file("d/x", "");
    for items in [[file_(), below()], [below(), file_()], [file_(), dir()], [dir(), file_()]] {
        let (_, why) = refusal(&Sdist, &tgz(&[&items[..], std::slice::from_ref(&with)].concat()));
        assert!(why.contains("\"a\" would be"), "{why}");
    }
    // npm makes no directory of an entry of its own, so there is no conflict.
    assert_eq!(names(&Npm, &tgz(&[file_(), dir()])), ["a"]);
}

#[test]
fn every_cut_is_noticed() {
    let whole = tar(&[file("p/a", &"text".repeat(300)), pax(b'x', &[("path", "p/bb")]), file("p/b", "b")]);
    // Between two entries a tar may end without a mark, and at any block of the mark.
    let first = 512 + 1536;
    let ends = [first, first + 2048, first + 2048 + 512];
    assert_eq!(whole.len(), first + 2048 + 1024);
    for end in (0..whole.len()).step_by(64) {
        let outcome = crate::shown::unpack(&Npm, &gzip(&whole[..end]));
        assert_eq!(outcome.is_ok(), ends.contains(&end), "{end}");
    }
    let packed = gzip(&whole);
    for end in 0..packed.len() {
        let (kind, why) = refusal(&Npm, &packed[..end]);
        assert!(matches!(kind, Kind::Corrupt | Kind::Unsupported), "{why}");
    }
}

#[test]
fn every_flipped_byte_is_noticed_or_harmless() {
    let packed = tgz(&[file("p/a", "content"), pax(b'x', &[("path", "p/bb")]), file("p/b", "b")]);
    let good = crate::shown::unpack(&Npm, &packed).unwrap().nodes;
    for at in 0..packed.len() {
        let mut flipped = packed.clone();
        flipped[at] ^= 0x10;
        // The header of gzip has bytes without meaning (time, system); all else is under its checksum.
        if let Ok(shown) = crate::shown::unpack(&Npm, &flipped) {
            assert_eq!(shown.nodes, good, "byte {at}");
        }
    }
}

#[test]
fn a_header_with_a_wrong_checksum() {
    let mut second = file("p/b", "");
    second[0] = b'q';
    let (kind, why) = refusal(&Npm, &tgz(&[file("p/a", ""), second]));
    assert!(kind == Kind::Corrupt && why.contains("\"q/b\"") && why.contains("checksum"), "{why}");
    let (kind, why) = refusal(&Npm, &gzip(&[b'x'; 2048]));
    assert!(kind == Kind::Corrupt && why.contains("it is no tar"), "{why}");
}
