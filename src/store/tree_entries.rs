//! The raw bytes of a git tree object, entry by entry: `<octal mode> <name>\0<20 bytes of id>`.
//!
//! Our own dozen lines instead of git2's tree, because libgit2 refuses a whole tree for one odd mode
//! and cannot say which entry it was. Names are judged by the caller.

use super::ObjectId;
use super::table::Kind;

/// One entry as the tree has it.
pub(super) struct Entry<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a [u8],
    pub(super) object: ObjectId,
}

/// Why a tree cannot be read on.
pub(super) struct Malformed<'a> {
    /// The name of the entry, as far as there is one.
    pub(super) name: &'a [u8],
    pub(super) why: String,
}

/// The entries in the order of the tree.
pub(super) fn entries(mut rest: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Malformed<'_>>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = first(rest);
        rest = match &entry {
            Ok((_, after)) => after,
            Err(_) => &[],
        };
        Some(entry.map(|(entry, _)| entry))
    })
}

fn first(tree: &[u8]) -> Result<(Entry<'_>, &[u8]), Malformed<'_>> {
    let short = || Malformed { name: b"", why: "the tree object ends in the middle of an entry".to_owned() };
    let space = tree.iter().position(|&byte| byte == b' ').ok_or_else(short)?;
    let (mode, rest) = (&tree[..space], &tree[space + 1..]);
    let nul = rest.iter().position(|&byte| byte == 0).ok_or_else(short)?;
    let (name, rest) = (&rest[..nul], &rest[nul + 1..]);
    let (object, rest) = rest.split_first_chunk::<20>().ok_or_else(short)?;
    let kind = kind(mode).ok_or_else(|| Malformed {
        name,
        why: format!("its mode is {:?}, which git does not know", String::from_utf8_lossy(mode)),
    })?;
    Ok((Entry { kind, name, object: ObjectId(*object) }, rest))
}

/// The kind a mode stands for. As git does (`canon_mode`): of the permission bits only the owner's
/// execute bit counts, leading zeros are old but known, and any other file type is unknown.
fn kind(mode: &[u8]) -> Option<Kind> {
    if mode.is_empty() || mode.len() > 7 {
        return None;
    }
    let mut bits = 0u32;
    for &digit in mode {
        bits = bits * 8 + char::from(digit).to_digit(8)?;
    }
    match bits & !0o7777 {
        0o040000 => Some(Kind::Directory),
        0o100000 => Some(Kind::File { executable: bits & 0o100 != 0 }),
        0o120000 => Some(Kind::Symlink),
        0o160000 => Some(Kind::Submodule),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, entries, kind};

    #[test]
    fn modes_mean_what_they_mean_to_git() {
        assert_eq!(kind(b"100644"), Some(Kind::File { executable: false }));
        assert_eq!(kind(b"100664"), Some(Kind::File { executable: false }));
        assert_eq!(kind(b"100755"), Some(Kind::File { executable: true }));
        assert_eq!(kind(b"104644"), Some(Kind::File { executable: false }));
        assert_eq!(kind(b"40000"), Some(Kind::Directory));
        assert_eq!(kind(b"040000"), Some(Kind::Directory));
        assert_eq!(kind(b"120000"), Some(Kind::Symlink));
        assert_eq!(kind(b"160000"), Some(Kind::Submodule));
        let unknown: [&[u8]; 7] = [b"", b"0", b"644", b"20000", b"10064x", b"1100644", b"77777777777"];
        for mode in unknown {
            assert_eq!(kind(mode), None);
        }
    }

    #[test]
    fn every_prefix_of_a_tree_ends_in_an_error_or_between_entries() {
        let mut tree = Vec::new();
        for name in ["a", "b c"] {
            tree.extend_from_slice(format!("100644 {name}\0").as_bytes());
            tree.extend_from_slice(&[7; 20]);
        }
        let one = tree.len() - 20 - "100644 b c\0".len();
        for end in 0..=tree.len() {
            let (good, bad): (Vec<_>, Vec<_>) = entries(&tree[..end]).partition(|entry| entry.is_ok());
            assert_eq!(bad.is_empty(), [0, one, tree.len()].contains(&end));
            assert_eq!(good.len(), end / one.max(1) - usize::from(end / one == 2 && end != tree.len()));
        }
    }
}
