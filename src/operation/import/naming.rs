//! Names of btca where srcfs allows no such names.

use crate::config::{RESERVED, check_name};

/// A name like `name` that a resource may have, if there is one.
pub(super) fn suggestion(name: &str) -> Option<String> {
    let allowed = |c: char| match c {
        '/' | '.' | '-' | '_' => c,
        c if c.is_ascii_alphanumeric() => c,
        _ => '-',
    };
    // The scope of a package is a directory: @types/node as types/node.
    let plain: String = name.trim_start_matches('@').chars().take(100).map(allowed).collect();
    let parts: Vec<&str> = plain
        .split('/')
        .map(|part| part.trim_start_matches(['.', '-']).trim_end_matches('-'))
        .filter(|part| !part.is_empty())
        .collect();
    let mut suggested = parts.join("/");
    if RESERVED.contains(parts.first()?) {
        suggested = match parts.len() {
            1 => format!("{suggested}-source"),
            _ => parts.join("-"),
        };
    }
    (suggested != name && check_name(&suggested).is_ok()).then_some(suggested)
}

/// How the command line says that `name` is to be called `other`.
pub(super) fn rename(name: &str, other: &str) -> String {
    let plain = name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || "@./_-".contains(c));
    match plain {
        true => format!("--rename {name}={other}"),
        false => "--rename NAME=OTHER".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_suggested_is_allowed_and_near() {
        for (name, suggested) in [
            ("@types/node", "types/node"),
            ("npm/react", "npm-react"),
            ("git", "git-source"),
            ("README.md", "README.md-source"),
            ("my docs!", "my-docs"),
            (".hidden/x", "hidden/x"),
            ("a//b/", "a/b"),
            ("-x", "x"),
            ("a\u{1b}[31mb", "a--31mb"),
        ] {
            assert_eq!(suggestion(name).as_deref(), Some(suggested), "{name:?}");
        }
        for name in ["", "..", "@", "///", "\u{1f600}"] {
            assert_eq!(suggestion(name), None, "{name:?}");
        }
        assert!(suggestion(&"x".repeat(5000)).is_some_and(|name| name.len() == 100));
    }
}
