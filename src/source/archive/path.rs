//! The names of entries: which of them can stand for a place in a tree at all.

use crate::store::{LONGEST_NAME, name_refusal};

/// PATH_MAX of Linux without its NUL: no client could unpack a longer one.
const LONGEST_PATH: usize = 4095;

/// The parts of a name, without those that mean nothing (`.`, and between two slashes); else why an
/// archive with such an entry is refused. None at all for `./`, the root itself.
pub(super) fn parts(name: &[u8]) -> Result<Vec<&[u8]>, String> {
    if name.is_empty() {
        return Err("it has no name".to_owned());
    }
    if name.starts_with(b"/") {
        return Err("its name is absolute".to_owned());
    }
    if name.contains(&0) {
        return Err("its name holds a NUL".to_owned());
    }
    if name.len() > LONGEST_PATH {
        return Err(format!("its name is longer than {LONGEST_PATH} bytes"));
    }
    let parts: Vec<&[u8]> =
        name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&b"..".as_slice()) {
        return Err("its name leads out of its directory".to_owned());
    }
    if parts.iter().any(|part| part.len() > LONGEST_NAME) {
        return Err(format!("a part of its name is longer than {LONGEST_NAME} bytes"));
    }
    Ok(parts)
}

/// Why the mount cannot show a path of good parts: a spelling of `.git`.
pub(super) fn unshowable(parts: &[&[u8]]) -> Option<&'static str> {
    parts.iter().find_map(|part| name_refusal(part))
}

/// Whether the target of a symbolic link that lies in the directory `from` stays below the first of
/// these parts, by its text alone.
pub(super) fn stays_inside(from: &[&[u8]], target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return false;
    }
    let mut depth = from.len();
    for part in target.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth <= 1 => return false,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{parts, stays_inside, unshowable};

    #[test]
    fn names_that_lead_nowhere_good_are_refused() {
        let long = vec![b'a'; 256];
        let deep = [b"a/".as_slice(); 2048].concat();
        let bad: [&[u8]; 9] = [b"", b"/", b"/etc/passwd", b"..", b"a/..", b"a/../b", b"a\0b", &long, &deep];
        for name in bad {
            assert!(parts(name).is_err(), "{:?}", String::from_utf8_lossy(name));
        }
        assert_eq!(parts(b"./a//b/./c/").unwrap(), [b"a", b"b", b"c"]);
        assert_eq!(parts(b"./").unwrap(), [b""; 0]);
        assert_eq!(parts(b"...").unwrap(), [b"..."]);
    }

    #[test]
    fn only_what_a_file_system_takes_for_dot_git_is_unshowable() {
        for name in ["a/.git/config", ".GIT", "a/git~1", "a/.g\u{200c}it/x"] {
            assert!(unshowable(&parts(name.as_bytes()).unwrap()).is_some(), "{name}");
        }
        assert_eq!(unshowable(&[b".github", b".gitignore", b"\xff"]), None);
    }

    #[test]
    fn a_target_is_followed_by_its_text() {
        let from: [&[u8]; 2] = [b"top", b"a"];
        for inside in ["b", "../b", "./../a/../b", "b/../..", ".."] {
            assert!(stays_inside(&from, inside.as_bytes()), "{inside}");
        }
        for outside in ["/b", "../..", "../../top/b", "b/../../../c"] {
            assert!(!stays_inside(&from, outside.as_bytes()), "{outside}");
        }
    }
}
