//! An sdist and a wheel as pip unpacks them.

use srcfs::error::Kind;
use srcfs::source::archive::Rules::{Sdist, Wheel};

use crate::packer::{directory, edited, file, link, tgz, zip, zipped};
use crate::shown::{Node, names, node, refusal, unpack};

#[test]
fn one_directory_around_everything_is_taken_off() {
    let archive = tgz(&[directory("demo-1.0"), file("demo-1.0/setup.py", ""), directory("demo-1.0/empty/")]);
    assert_eq!(names(&Sdist, &archive), ["empty", "setup.py"]);
    assert_eq!(
        names(&Sdist, &zip(&[zipped("demo-1.0/", ""), zipped("demo-1.0/setup.py", "")])),
        ["setup.py"]
    );
}

#[test]
fn with_two_at_the_top_nothing_is_taken_off() {
    let archive = tgz(&[file("demo-1.0/setup.py", ""), file("README", "")]);
    assert_eq!(names(&Sdist, &archive), ["README", "demo-1.0/setup.py"]);
    assert_eq!(names(&Sdist, &tgz(&[file("a/x", ""), file("b/x", "")])), ["a/x", "b/x"]);
}

#[test]
fn links_that_stay_inside_are_shown_and_others_listed() {
    let archive = tgz(&[
        edited("d/src/a", b'0', b"a", |header| header.set_mode(0o755)),
        link("d/src/near", b'2', "a"),
        link("d/up", b'2', "src/../src"),
        link("d/hard", b'1', "d/src/a"),
        link("d/out", b'2', "../../etc/passwd"),
        link("d/absolute", b'2', "/etc/passwd"),
        link("d/hard-out", b'1', "../../etc/passwd"),
        link("d/too-early", b'1', "d/late"),
        link("d/to-link", b'1', "d/up"),
        link("d/to-directory", b'1', "d/src"),
        file("d/late", "late"),
    ]);
    let shown = unpack(&Sdist, &archive).unwrap();
    assert_eq!(shown.nodes[&b"src/near"[..]], Node::Link(b"a".to_vec()));
    assert_eq!(shown.nodes[&b"up"[..]], Node::Link(b"src/../src".to_vec()));
    assert_eq!(shown.nodes[&b"hard"[..]], Node::Executable(b"a".to_vec()));
    assert_eq!(shown.nodes[&b"late"[..]], node("late"));
    assert_eq!(shown.nodes.len(), 5);
    let skipped: Vec<_> = shown.skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(skipped, ["d/out", "d/absolute", "d/hard-out", "d/too-early", "d/to-link", "d/to-directory"]);
}

#[test]
fn nothing_is_written_through_a_link() {
    let (dir, a) = (|| link("d/l", b'2', "src"), || file("d/l/a", "a"));
    for items in
        [vec![dir(), a()], vec![a(), dir()], vec![dir(), file("d/l", "x")], vec![dir(), directory("d/l")]]
    {
        let (kind, why) = refusal(&Sdist, &tgz(&items));
        assert_eq!(kind, Kind::Unsupported);
        assert!(why.contains("\"l\" would be"), "{why}");
    }
}

#[test]
fn a_wheel_is_shown_as_it_is() {
    let mut run = zipped("demo-1.0.data/scripts/run", "#!python");
    run.mode = 0o104755;
    let mut dos = zipped("demo/dos.py", "x");
    dos.mode = 0;
    let archive = zip(&[zipped("demo/__init__.py", ""), run, dos, zipped("demo/empty/", "")]);
    let shown = unpack(&Wheel, &archive).unwrap();
    assert_eq!(shown.nodes[&b"demo-1.0.data/scripts/run"[..]], Node::Executable(b"#!python".to_vec()));
    assert_eq!(shown.nodes[&b"demo/dos.py"[..]], node("x"));
    assert_eq!(shown.nodes.len(), 3, "directories without files are left out, as by pip");
    assert_eq!(shown.modified, 315_532_800, "1980, where zips begin to count");
}

#[test]
fn a_link_in_a_zip_is_a_file_with_its_target_as_for_python() {
    let mut link = zipped("demo/link", "/etc/passwd");
    link.mode = 0o120777;
    assert_eq!(unpack(&Wheel, &zip(&[link])).unwrap().nodes[&b"demo/link"[..]], node("/etc/passwd"));
}

#[test]
fn the_last_of_two_entries_of_one_name_is_shown() {
    let archive = zip(&[zipped("a", "first"), zipped("b", "b"), zipped("a", "last")]);
    assert_eq!(unpack(&Wheel, &archive).unwrap().nodes[&b"a"[..]], node("last"));
}

#[test]
fn a_name_without_the_mark_of_utf8_is_in_the_code_page_of_dos() {
    let mut entry = zipped("x", "");
    (entry.name, entry.local_name) = (b"caf\x82".to_vec(), b"caf\x82".to_vec());
    let (mut dos, mut broken) = (entry.clone(), entry);
    (dos.flags, dos.local_flags) = (0, 0);
    assert_eq!(names(&Wheel, &zip(&[dos])), ["café"]);
    (broken.flags, broken.local_flags) = (1 << 11, 1 << 11);
    let (_, why) = refusal(&Wheel, &zip(&[broken]));
    assert!(why.contains("said to be UTF-8 and is not"), "{why}");
}

#[test]
fn a_wheel_is_a_zip_and_nothing_else() {
    let (_, why) = refusal(&Wheel, &tgz(&[file("a", "")]));
    assert!(why.contains("a wheel is a zip"), "{why}");
}
