//! Which url a submodule has, from the `.gitmodules` at the root of a tree.
//!
//! The url is only shown to people (an xattr), never fetched, so reading is lenient: what cannot be
//! understood is left out. The file is a stranger's, hence a small parser of its own: git2's would
//! follow includes and wants a file. The grammar is that of git-config(1), "Syntax".

use std::collections::HashMap;

use crate::redact::redact;

/// A `.gitmodules` above this many bytes is not read.
pub(super) const LARGEST: u64 = 1 << 20;

/// A url above this many bytes is not kept.
const LONGEST_URL: usize = 2048;

/// The urls by path, without credentials.
pub(super) fn urls(text: &[u8]) -> HashMap<Vec<u8>, String> {
    let mut modules: HashMap<String, (Option<String>, Option<String>)> = HashMap::new();
    let mut section: Option<String> = None;
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = line.trim_start();
        if line.starts_with('[') {
            let Some((name, rest)) = header(line) else {
                section = None;
                continue;
            };
            section = name;
            line = rest.trim_start();
        }
        let mut logical = line.to_owned();
        while continues(&logical) {
            logical.pop();
            logical.push_str(lines.next().unwrap_or_default());
        }
        let (Some(section), Some((key, value))) = (&section, logical.split_once('=')) else { continue };
        let module = modules.entry(section.clone()).or_default();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => module.0 = Some(unquote(value)),
            "url" => module.1 = Some(unquote(value)),
            _ => {}
        }
    }
    let modules = modules.into_values();
    let both = modules.filter_map(|(path, url)| Some((path?, url?)));
    both.filter(|(_, url)| !url.is_empty() && url.len() <= LONGEST_URL && !url.contains(char::is_control))
        .map(|(path, url)| (path.trim_end_matches('/').as_bytes().to_vec(), redact(&url)))
        .collect()
}

/// `[submodule "name"] rest`: the name (`None` for another section) and the rest; `None` if it is
/// no header.
fn header(line: &str) -> Option<(Option<String>, &str)> {
    let inside = line.strip_prefix('[')?;
    let Some(quote) = inside.find(['"', ']']).filter(|&at| inside.as_bytes()[at] == b'"') else {
        return Some((None, inside.split_once(']')?.1));
    };
    let is_submodule = inside[..quote].trim().eq_ignore_ascii_case("submodule");
    let mut name = String::new();
    let mut chars = inside[quote + 1..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            '"' => {
                let rest = inside[quote + 1 + at + 1..].trim_start().strip_prefix(']')?;
                return Some((is_submodule.then_some(name), rest));
            }
            c => name.push(c),
        }
    }
    None
}

/// Whether the line ends in a backslash that is not itself escaped.
fn continues(line: &str) -> bool {
    let slashes = line.bytes().rev().take_while(|&byte| byte == b'\\').count();
    slashes % 2 == 1
}

/// A value without its quotes, escapes, comment and surrounding blanks.
fn unquote(value: &str) -> String {
    let mut out = String::new();
    // Blanks at the end count only if something of the value follows, or if they were quoted.
    let mut solid = 0;
    let mut quoted = false;
    let mut chars = value.trim_start().chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                continue;
            }
            '#' | ';' if !quoted => break,
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('b') => out.push('\u{8}'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
        if quoted || !c.is_whitespace() {
            solid = out.len();
        }
    }
    out.truncate(solid);
    out
}

#[cfg(test)]
mod tests {
    use super::urls;

    fn read(text: &str) -> Vec<(String, String)> {
        let mut urls: Vec<_> = urls(text.as_bytes())
            .into_iter()
            .map(|(path, url)| (String::from_utf8(path).unwrap(), url))
            .collect();
        urls.sort();
        urls
    }

    fn one(path: &str, url: &str) -> Vec<(String, String)> {
        vec![(path.to_owned(), url.to_owned())]
    }

    #[test]
    fn the_syntax_of_git_config_is_read() {
        assert_eq!(
            read(
                "# c\n[core]\n\turl = no\n[submodule \"lib\\\"x\"]\n\tpath = lib/x/\n\turl=https://h/x.git ; c\n"
            ),
            one("lib/x", "https://h/x.git")
        );
        assert_eq!(
            read("[Submodule \"a\"] Path = \"with # and \\\"quote\\\" \"\n URL = ../a\\\n.git\n"),
            one("with # and \"quote\" ", "../a.git")
        );
        assert_eq!(read("[submodule \"a\"]\npath = a\n[submodule \"b\"]\nurl = b"), []);
        assert_eq!(read("[submodule \"a\"]\npath=a\n[submodule \"a\"]\nurl=b"), one("a", "b"));
    }

    #[test]
    fn credentials_and_control_characters_do_not_pass() {
        assert_eq!(
            read("[submodule \"a\"]\npath = a\nurl = https://user:secret@h/a.git"),
            one("a", "https://***@h/a.git")
        );
        assert_eq!(read("[submodule \"a\"]\npath = a\nurl = \"https://h/\\nx\""), []);
    }

    #[test]
    fn nonsense_is_left_out() {
        for text in [
            "[",
            "[\"",
            "[submodule",
            "[submodule \"",
            "[submodule \"\\",
            "]\n=\\",
            "\\",
            "[submodule \"a\" x]\npath=a\nurl=b",
        ] {
            assert_eq!(read(text), [], "{text:?}");
        }
        let mut text = b"[submodule \"a\"]\npath=a\nurl=b\n\xff\xfe = \xff".to_vec();
        for cut in (0..text.len()).rev() {
            text.truncate(cut);
            urls(&text);
        }
    }
}
