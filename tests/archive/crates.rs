//! A crate as cargo unpacks it.

use srcfs::error::Kind;
use srcfs::source::archive::Rules;

use crate::packer::{directory, edited, file, gzip, link, tar, tgz};
use crate::shown::{Node, names, node, refusal, unpack};

fn rules() -> Rules {
    Rules::Crate { top: "demo-1.0.0+a".to_owned() }
}

#[test]
fn its_one_directory_is_taken_off() {
    let archive = tgz(&[
        directory("demo-1.0.0+a/"),
        directory("demo-1.0.0+a/empty"),
        file("demo-1.0.0+a/Cargo.toml", "[package]"),
        file("demo-1.0.0+a/src/lib.rs", ""),
    ]);
    let shown = unpack(&rules(), &archive).unwrap();
    assert_eq!(shown.nodes[&b"Cargo.toml"[..]], node("[package]"));
    assert_eq!(shown.nodes[&b"empty"[..]], Node::EmptyDirectory);
    assert_eq!(shown.nodes.len(), 3);
}

#[test]
fn another_top_directory_is_refused() {
    for other in ["demo-1.0.1/a", "demo-1.0.0+a.b/a", "demo-1.0.0/a", "a", "./x/demo-1.0.0+a"] {
        let (kind, why) = refusal(&rules(), &tgz(&[file("demo-1.0.0+a/a", ""), file(other, "")]));
        assert_eq!(kind, Kind::Unsupported);
        assert!(why.contains(&format!("{other:?}")) && why.contains("does not lie in"), "{why}");
    }
    let (_, why) = refusal(&rules(), &tgz(&[file("demo-1.0.0+a", "")]));
    assert!(why.contains("the name of the root"), "{why}");
}

#[test]
fn links_are_refused_in_every_order() {
    let a = || file("demo-1.0.0+a/a", "a");
    for sort in [b'1', b'2'] {
        let to = |name: &str, target: &str| link(&format!("demo-1.0.0+a/{name}"), sort, target);
        for items in [vec![a(), to("l", "a")], vec![to("l", "a"), a()], vec![a(), to("a", "/etc/passwd")]] {
            let (kind, why) = refusal(&rules(), &tgz(&items));
            assert_eq!(kind, Kind::Unsupported);
            assert!(why.contains("demo-1.0.0+a/") && why.contains("which no crate may have"), "{why}");
        }
    }
}

#[test]
fn the_name_that_cargo_keeps_for_itself_is_left_out() {
    let shown =
        unpack(&rules(), &tgz(&[file("demo-1.0.0+a/.cargo-ok", ""), file("demo-1.0.0+a/a", "")])).unwrap();
    assert_eq!(shown.nodes.len(), 1);
    assert_eq!(shown.skipped[0].0, "demo-1.0.0+a/.cargo-ok");
}

#[test]
fn only_the_first_member_of_the_gzip_file_counts_as_for_cargo() {
    // Without the mark of the end, so that it would go on in the second member.
    let first = gzip(&file("demo-1.0.0+a/a", ""));
    let second = gzip(&tar(&[file("demo-1.0.0+a/b", "")]));
    assert_eq!(names(&rules(), &[first, second].concat()), ["a"]);
}

#[test]
fn a_directory_with_content_is_refused() {
    let sized = edited("demo-1.0.0+a/d/", b'5', b"", |header| header.set_size(512));
    let (_, why) = refusal(&rules(), &tgz(&[sized, file("demo-1.0.0+a/hidden", "")]));
    assert!(why.contains("a directory with content"), "{why}");
}

#[test]
fn only_gzip_is_taken() {
    let (_, why) = refusal(&rules(), &tar(&[file("demo-1.0.0+a/a", "")]));
    assert!(why.contains("a crate is a tar in gzip"), "{why}");
}
