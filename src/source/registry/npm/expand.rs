//! `${NAME}` in keys and values of npm's configuration.

use crate::config::variables::Variables;

/// `text` with its variables replaced, as npm does it: `${NAME}` of an unset variable stays as it is,
/// `${NAME?}` becomes nothing, and a backslash before it keeps it from being replaced.
pub(super) fn expand(text: &str, variables: &Variables) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, candidate) = rest.split_at(at);
        out.push_str(before);
        let Some((whole, name, may_be_absent)) = reference(candidate) else {
            out.push_str("${");
            rest = &candidate[2..];
            continue;
        };
        let backslashes = out.len() - out.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            out.truncate(out.len() - backslashes.div_ceil(2));
            out.push_str(whole);
        } else {
            out.truncate(out.len() - backslashes / 2);
            match variables.text(name) {
                Some(value) => out.push_str(value),
                None if may_be_absent => {}
                None => out.push_str(&format!("${{{name}}}")),
            }
        }
        rest = &candidate[whole.len()..];
    }
    out.push_str(rest);
    out
}

/// The name of a variable that stayed in `text`, because it is not set.
pub(super) fn unset(text: &str) -> Option<&str> {
    text.match_indices("${").find_map(|(at, _)| reference(&text[at..])).map(|(_, name, _)| name)
}

/// The reference at the beginning of `text`, its name, and whether it says `?`.
fn reference(text: &str) -> Option<(&str, &str, bool)> {
    let inside = text.strip_prefix("${")?;
    let end = inside.find(['$', '{', '}', '?'])?;
    let (name, after) = inside.split_at(end);
    if name.is_empty() {
        return None;
    }
    let length = 2 + end;
    if after.starts_with("?}") {
        Some((&text[..length + 2], name, true))
    } else if after.starts_with('}') {
        Some((&text[..length + 1], name, false))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_npm_does_it() {
        let variables = Variables::from_pairs([("A", "x"), ("B-C", "y"), ("E", "")]);
        for (text, expected) in [
            ("${A}", "x"),
            ("p${A}q${B-C}", "pxqy"),
            ("${E}.", "."),
            ("${NONE}", "${NONE}"),
            ("${NONE?}.", "."),
            ("${A?}", "x"),
            (r"\${A}", "${A}"),
            (r"\\${A}", r"\x"),
            (r"\\\${A}", r"\${A}"),
            ("${}", "${}"),
            ("$A {A} ${A", "$A {A} ${A"),
            ("${${A}}", "${x}"),
        ] {
            assert_eq!(expand(text, &variables), expected, "{text}");
        }
        assert_eq!(unset("a${NONE}b"), Some("NONE"));
        assert_eq!(unset("$NONE"), None);
    }
}
