//! Which names a tree may give its entries.
//!
//! The list is git's own (`verify_path` in read-cache.c with core.protectHFS and core.protectNTFS on;
//! gix-validate has the same): what could leave the tree, and what some file system would take for
//! `.git`, because a `.git` that a stranger wrote would run their hooks and configuration in whatever
//! git is started there. A plain backslash is allowed, as git allows it: real trees have it.

/// The longest name of the mount, NAME_MAX of Linux.
pub const LONGEST: usize = 255;

/// Why no entry may have this name; `None` for a good one. Length is judged by the caller, because it
/// is a limit and not an attack.
pub fn refusal(name: &[u8]) -> Option<&'static str> {
    match name {
        b"" => return Some("it has an empty name"),
        b"." | b".." => return Some("its name would lead out of its directory"),
        _ => {}
    }
    if name.contains(&b'/') {
        return Some("its name holds a slash");
    }
    if name.contains(&0) {
        return Some("its name holds a NUL");
    }
    // NTFS takes a backslash for a slash, so every part must be harmless by itself.
    if name.split(|&byte| byte == b'\\').any(is_ntfs_dot_git) || is_hfs_dot_git(name) {
        return Some("its name is a spelling of .git");
    }
    None
}

/// `.git` and its short name `git~1`, in any case, followed by what NTFS drops: dots and spaces, or
/// the name of a stream.
fn is_ntfs_dot_git(part: &[u8]) -> bool {
    let starts = |with: &[u8]| part.len() >= with.len() && part[..with.len()].eq_ignore_ascii_case(with);
    let rest = if starts(b".git") {
        &part[4..]
    } else if starts(b"git~1") {
        &part[5..]
    } else {
        return false;
    };
    rest.iter().find(|byte| !matches!(byte, b'.' | b' ')).is_none_or(|&byte| byte == b':')
}

/// `.git` in any case, with the code points in it that HFS+ does not see.
fn is_hfs_dot_git(name: &[u8]) -> bool {
    if name.is_ascii() {
        return name.eq_ignore_ascii_case(b".git");
    }
    let Ok(name) = std::str::from_utf8(name) else {
        // HFS+ stores such bytes as `%XX`: not `.git`.
        return false;
    };
    let seen = name.chars().filter(|&c| {
        !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
    });
    seen.map(|c| c.to_ascii_lowercase()).eq(".git".chars())
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn what_leaves_the_tree_or_means_dot_git_is_refused() {
        let bad: &[&[u8]] = &[
            b"",
            b".",
            b"..",
            b"a/b",
            b"/",
            b"a\0b",
            b".git",
            b".GIT",
            b".gIt",
            b"git~1",
            b"GIT~1",
            b".git ",
            b".git.",
            b".git . .",
            b".git::$INDEX_ALLOCATION",
            b".git:x",
            b"git~1.",
            b"git~1:x",
            b".git\\hooks",
            b"a\\.git",
            b"a\\GIT~1\\b",
            b".git.\\x",
            ".g\u{200c}it".as_bytes(),
            "\u{feff}.Git".as_bytes(),
            ".git\u{206f}".as_bytes(),
            ".\u{202e}g\u{200e}i\u{202a}t".as_bytes(),
        ];
        for name in bad {
            assert!(refusal(name).is_some(), "{:?}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn what_git_allows_is_allowed() {
        let good: &[&[u8]] = &[
            b"a",
            b"...",
            b".gitignore",
            b".gitmodules",
            b".github",
            b".git2",
            b"git",
            b"git~2",
            b"git~10",
            b".gitx:",
            b"x.git",
            b"dev-disk-by\\x2dlabel.swap",
            b"-rf",
            b"\xff\xfe",
            b" ",
            b"con",
            b"a:b",
            ".git\u{e9}".as_bytes(),
            b".g\xe2\x80it",
        ];
        for name in good {
            assert_eq!(refusal(name), None, "{:?}", String::from_utf8_lossy(name));
        }
    }
}
