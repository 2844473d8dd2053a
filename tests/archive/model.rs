//! Random archives against a pure model of what they make: one definition of what is right.

use std::collections::BTreeMap;

use proptest::prelude::*;
use srcfs::source::archive::Rules;

use crate::packer::{directory, edited, link, tgz};
use crate::shown::{Node, Nodes, unpack};

#[derive(Clone, Debug)]
enum Item {
    File { content: u8, is_executable: bool },
    Directory,
    Link { sort: u8, target: usize },
}

type Listed = (Vec<&'static str>, Item);

fn path() -> impl Strategy<Value = Vec<&'static str>> {
    let part = prop::sample::select(vec!["a", "b", "A", ".", "..", ".git", "c"]);
    // What is refused whatever follows is to stay rare.
    let part = part.prop_filter("rare", |part| *part != "..").boxed();
    prop::collection::vec(part, 0..4)
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        6 => (0..4u8, any::<bool>()).prop_map(|(content, is_executable)| Item::File { content, is_executable }),
        2 => Just(Item::Directory),
        1 => (prop::sample::select(vec![b'1', b'2']), 0..3usize).prop_map(|(sort, target)| Item::Link { sort, target }),
    ]
}

const TARGETS: [&str; 3] = ["top/a", "a", "../../x"];

fn packed((path, item): &Listed) -> Vec<u8> {
    let name = ["top"].iter().chain(path).copied().collect::<Vec<_>>().join("/");
    match item {
        Item::File { content, is_executable } => edited(&name, b'0', &[*content], |header| {
            header.set_mode(if *is_executable { 0o755 } else { 0o644 });
        }),
        Item::Directory => directory(&name),
        Item::Link { sort, target } => link(&name, *sort, TARGETS[*target]),
    }
}

/// What a tree of these items is, or `None` where it must be refused; and how many are left out.
fn model(items: &[Listed], rules: &Rules) -> Option<(Nodes, usize)> {
    let mut nodes: BTreeMap<Vec<&str>, Node> = BTreeMap::new();
    let mut skipped = 0;
    for (path, item) in items {
        let path: Vec<&str> = path.iter().copied().filter(|part| *part != ".").collect();
        let is_crate = matches!(rules, Rules::Crate { .. });
        if path.contains(&".git") {
            skipped += 1;
            continue;
        }
        let node = match item {
            Item::Link { .. } if is_crate => return None,
            Item::Link { .. } if *rules == Rules::Npm => {
                skipped += 1;
                continue;
            }
            Item::Link { .. } => unreachable!("the model knows no sdists"),
            Item::Directory if *rules == Rules::Npm => continue,
            Item::Directory if path.is_empty() => continue,
            Item::Directory => Node::EmptyDirectory,
            Item::File { .. } if path.is_empty() && is_crate => return None,
            Item::File { .. } if path.is_empty() => {
                skipped += 1;
                continue;
            }
            Item::File { content, is_executable: true } => Node::Executable(vec![*content]),
            Item::File { content, .. } => Node::File(vec![*content]),
        };
        for end in 1..path.len() {
            let above = nodes.entry(path[..end].to_vec()).or_insert(Node::EmptyDirectory);
            if *above != Node::EmptyDirectory {
                return None;
            }
        }
        let is_directory = node == Node::EmptyDirectory;
        if nodes.get(&path).is_some_and(|old| (*old == Node::EmptyDirectory) != is_directory) {
            return None;
        }
        nodes.insert(path, node);
    }
    let is_full =
        |path: &Vec<&str>| nodes.keys().any(|other| other.len() > path.len() && other.starts_with(path));
    let shown = nodes.iter().filter(|(path, node)| **node != Node::EmptyDirectory || !is_full(path));
    let shown = shown.map(|(path, node)| (path.join("/").into_bytes(), node.clone())).collect();
    Some((shown, skipped))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(120) })]

    #[test]
    fn every_archive_is_what_its_entries_make_one_after_the_other(
        items in prop::collection::vec((path(), item()), 1..8)
    ) {
        let bytes = tgz(&items.iter().map(packed).collect::<Vec<_>>());
        for rules in [Rules::Npm, Rules::Crate { top: "top".to_owned() }] {
            let shown = unpack(&rules, &bytes);
            match model(&items, &rules) {
                Some((nodes, skipped)) => {
                    let shown = shown.map_err(|error| TestCaseError::fail(error.to_string()))?;
                    prop_assert_eq!(shown.nodes, nodes);
                    prop_assert_eq!(shown.skipped.len(), skipped);
                }
                None => prop_assert!(shown.is_err()),
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048), start in 0..3usize) {
        let magic: [&[u8]; 3] = [b"", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"PK\x03\x04"];
        let bytes = [magic[start], &bytes[..]].concat();
        for rules in [Rules::Npm, Rules::Sdist, Rules::Wheel] {
            prop_assert!(unpack(&rules, &bytes).is_err());
        }
    }

    #[test]
    fn no_change_of_a_tar_makes_it_panic(
        items in prop::collection::vec((path(), item()), 1..5),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut bytes: Vec<u8> = items.iter().flat_map(packed).collect();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            // The checksum is made right again, so that the change is seen by what comes after it.
            let start = at / 512 * 512;
            if bytes[start..][257..262] == *b"ustar" {
                let mut header = tar::Header::from_byte_slice(&bytes[start..start + 512]).clone();
                header.set_cksum();
                bytes[start..start + 512].copy_from_slice(header.as_bytes());
            }
        }
        for rules in [Rules::Npm, Rules::Sdist, Rules::Crate { top: "top".to_owned() }] {
            let _ = unpack(&rules, &crate::packer::gzip(&bytes));
        }
    }
}
