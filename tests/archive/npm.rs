//! An npm package as npm unpacks it.

use srcfs::source::archive::Rules::Npm;

use crate::packer::{directory, edited, file, gzip, item, link, pax, tar, tgz};
use crate::shown::{Node, names, node, refusal, unpack};

#[test]
fn the_first_part_of_every_name_is_taken_off_whatever_it_is() {
    let archive = tgz(&[
        file("package/package.json", "{}"),
        file("other/lib/a.js", "a"),
        file("./dot/b.js", "b"),
        file("package//c.js", "c"),
    ]);
    let shown = unpack(&Npm, &archive).unwrap();
    assert_eq!(shown.nodes[&b"package.json"[..]], node("{}"));
    assert_eq!(shown.nodes[&b"lib/a.js"[..]], node("a"));
    assert_eq!(shown.nodes[&b"dot/b.js"[..]], node("b"));
    assert_eq!(shown.nodes[&b"c.js"[..]], node("c"));
    assert_eq!(shown.nodes.len(), 4);
    assert_eq!(shown.skipped, []);
}

#[test]
fn a_name_of_one_part_is_left_out_and_listed() {
    let shown = unpack(&Npm, &tgz(&[file("README", "r"), file("p/a", "a")])).unwrap();
    assert_eq!(shown.nodes.len(), 1);
    assert_eq!(shown.skipped[0].0, "README");
}

#[test]
fn links_are_left_out_and_listed_and_nothing_goes_through_them() {
    let archive = tgz(&[
        link("package/etc", b'2', "/etc"),
        file("package/etc/passwd", "mine"),
        file("package/a", "a"),
        link("package/hard", b'1', "package/a"),
        link("package/a", b'2', "elsewhere"),
    ]);
    let shown = unpack(&Npm, &archive).unwrap();
    assert_eq!(shown.nodes[&b"etc/passwd"[..]], node("mine"));
    assert_eq!(shown.nodes[&b"a"[..]], node("a"));
    assert_eq!(shown.nodes.len(), 2);
    let skipped: Vec<_> = shown.skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(skipped, ["package/etc", "package/hard", "package/a"]);
    assert!(shown.skipped[0].1.contains("\"/etc\""), "{:?}", shown.skipped[0]);
}

#[test]
fn directories_without_files_are_left_out_as_by_npm() {
    let archive = tgz(&[directory("package/empty/"), directory("package/full"), file("package/full/a", "a")]);
    assert_eq!(names(&Npm, &archive), ["full/a"]);
}

#[test]
fn the_last_of_two_files_of_one_name_is_shown() {
    let archive = tgz(&[
        file("package/a", "first"),
        file("package/b", "b"),
        edited("other/a", b'0', b"last", |header| header.set_mode(0o755)),
    ]);
    let shown = unpack(&Npm, &archive).unwrap();
    assert_eq!(shown.nodes[&b"a"[..]], Node::Executable(b"last".to_vec()));
}

#[test]
fn names_that_differ_in_case_are_two_files() {
    let archive =
        tgz(&[file("p/README", "1"), file("p/readme", "2"), file("p/Lib/a", "3"), file("p/lib/a", "4")]);
    assert_eq!(names(&Npm, &archive), ["Lib/a", "README", "lib/a", "readme"]);
}

#[test]
fn of_a_mode_only_whether_it_can_be_executed_is_kept() {
    let with_mode = |name: &str, mode| edited(name, b'0', b"x", |header| header.set_mode(mode));
    let archive = tgz(&[
        with_mode("p/setuid", 0o6755),
        with_mode("p/setuid-only", 0o6644),
        with_mode("p/secret", 0o600),
        with_mode("p/none", 0),
        with_mode("p/group", 0o010),
        edited("p/blank", b'0', b"x", |header| header.as_old_mut().mode = [b' '; 8]),
        edited("p/noise", b'0', b"x", |header| header.as_old_mut().mode = *b"mode????"),
    ]);
    let shown = unpack(&Npm, &archive).unwrap();
    for (name, node) in &shown.nodes {
        let is_executable = matches!(node, Node::Executable(_));
        let should_be = matches!(&name[..], b"setuid" | b"group");
        assert_eq!(is_executable, should_be, "{}", String::from_utf8_lossy(name));
    }
}

#[test]
fn the_time_is_that_of_the_newest_entry_and_one_that_clocks_can_show() {
    let at = |mtime: &str| {
        let records = [("mtime", mtime)];
        unpack(&Npm, &tgz(&[file("p/a", ""), pax(b'x', &records), file("p/b", "")])).unwrap().modified
    };
    assert_eq!(at("1000000007.9"), 1_000_000_007);
    assert_eq!(at("999"), 1_000_000_000, "the other entry is newer");
    assert_eq!(at("99999999999999"), u64::from(u32::MAX));
    assert_eq!(at("nonsense"), 1_000_000_000);
    let only = |edit: fn(&mut tar::Header)| unpack(&Npm, &tgz(&[edited("p/a", b'0', b"", edit)])).unwrap();
    // 1601, where Windows begins to count, and the time that npm gives all files.
    let negative = only(|header| {
        header.as_old_mut().mtime = (-11_644_473_600i128).to_be_bytes()[4..].try_into().unwrap()
    });
    assert_eq!(negative.modified, 0);
    assert_eq!(only(|header| header.set_mtime(499_162_500)).modified, 499_162_500);
    assert_eq!(only(|header| header.as_old_mut().mtime = *b"yesterday!!!").modified, 0);
}

#[test]
fn a_package_may_come_without_compression() {
    assert_eq!(names(&Npm, &tar(&[file("p/a", "a")])), ["a"]);
}

#[test]
fn what_follows_the_end_is_ignored_as_by_node() {
    let whole = tar(&[file("p/a", "a")]);
    let hidden = [&whole[..], &file("p/hidden", "x")].concat();
    assert_eq!(names(&Npm, &gzip(&hidden)), ["a"]);
    let padded = [gzip(&whole), b"padding".to_vec()].concat();
    assert_eq!(names(&Npm, &padded), ["a"]);
    let unfinished = file("p/a", "a");
    assert_eq!(names(&Npm, &gzip(&unfinished)), ["a"]);
}

#[test]
fn the_members_of_a_gzip_file_are_one() {
    let whole = tar(&[file("p/a", "a"), file("p/b", "b")]);
    let members = [gzip(&whole[..700]), gzip(&whole[700..])].concat();
    assert_eq!(names(&Npm, &members), ["a", "b"]);
}

#[test]
fn a_directory_whose_header_says_a_size_has_no_content() {
    let sized = edited("p/d/", b'5', b"", |header| header.set_size(4096));
    assert_eq!(names(&Npm, &tgz(&[sized, file("p/d/a", "a")])), ["d/a"]);
}

#[test]
fn long_names_come_from_pax_and_from_gnu() {
    let long = format!("p/{}/{}", "d".repeat(120), "f".repeat(255));
    let by_pax = tgz(&[pax(b'x', &[("path", &long), ("size", "1")]), file("p/short", "a")]);
    let by_gnu = tgz(&[item("././@LongLink", b'L', format!("{long}\0").as_bytes()), file("p/short", "a")]);
    assert_eq!(names(&Npm, &by_pax), [&long[2..]]);
    assert_eq!(names(&Npm, &by_gnu), [&long[2..]]);
    let prefixed = edited("f", b'0', b"a", |header| {
        header.as_ustar_mut().unwrap().prefix[..4].copy_from_slice(b"p/lo");
    });
    assert_eq!(names(&Npm, &tgz(&[prefixed])), ["lo/f"]);
}

#[test]
fn the_comment_that_git_archive_writes_changes_nothing() {
    let archive = tgz(&[pax(b'g', &[("comment", "0123456789")]), file("p/a", "a")]);
    assert_eq!(names(&Npm, &archive), ["a"]);
}

#[test]
fn a_dot_git_is_left_out_and_listed_in_every_spelling() {
    let spellings = ["p/.git/config", "p/x/.GIT", "p/git~1/config", "p/.g\u{200c}it/hooks/a"];
    let items: Vec<_> =
        spellings.iter().map(|name| file(name, "x")).chain([file("p/.gitignore", "")]).collect();
    let shown = unpack(&Npm, &tgz(&items)).unwrap();
    assert_eq!(shown.nodes.keys().collect::<Vec<_>>(), [b".gitignore"]);
    let skipped: Vec<_> = shown.skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(skipped, spellings);
}

#[test]
fn odd_names_are_shown_byte_by_byte() {
    let odd =
        ["p/-rf", "p/a\\b", "p/%2e%2e%2f", "p/\u{202e}x", "p/new\nline", "p/ ", "p/C:", "p/...", "p/--"];
    let mut items: Vec<_> = odd.iter().map(|name| file(name, "x")).collect();
    items.push(edited("p/", b'0', b"x", |header| {
        header.as_old_mut().name[2..5].copy_from_slice(b"\xff\xfe\x80")
    }));
    let shown = unpack(&Npm, &tgz(&items)).unwrap();
    assert_eq!(shown.nodes.len(), odd.len() + 1);
    assert!(shown.nodes.contains_key(&b"\xff\xfe\x80"[..]));
    assert!(odd.iter().all(|name| shown.nodes.contains_key(&name.as_bytes()[2..])));
}

#[test]
fn another_format_is_refused() {
    let zip = crate::packer::zip(&[crate::packer::zipped("p/a", "a")]);
    let (_, why) = refusal(&Npm, &zip);
    assert!(why.contains("an npm package is a tar"), "{why}");
    for (bytes, expected) in [(&b"BZh91AY"[..], "bzip2"), (b"\xfd7zXZ\0\0", "xz"), (b"<html>", "neither")] {
        let (_, why) = refusal(&Npm, bytes);
        assert!(why.contains(expected), "{why}");
    }
    let (kind, why) = refusal(&Npm, b"");
    assert!(kind == srcfs::error::Kind::Corrupt && why.contains("empty"), "{why}");
}
