//! The format of `.npmrc`: the rules of the package `ini` that npm reads it with.
//!
//! No crate for ini files follows them: comments begin at `;` or `#` anywhere unless escaped or quoted,
//! a quoted text is JSON, `key[]` appends, a key alone is `true`, and nothing is an error.

use std::collections::BTreeMap;

/// What a key is set to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The last value; of a `key[]`, all of them.
    pub(crate) values: Vec<String>,
    /// The line it stands on, from 1.
    pub(crate) line: usize,
}

/// The settings of a text, by key. What stands below a `[section]` is nothing that npm reads.
pub(crate) fn parse(text: &str) -> BTreeMap<String, Setting> {
    let mut settings = BTreeMap::<String, Setting>::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.split('\n').flat_map(|line| line.split('\r')).enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with([';', '#']) {
            continue;
        }
        if line.starts_with('[') && line.trim_end().ends_with(']') && line.matches(']').count() == 1 {
            break;
        }
        let (key, value) = match line.split_once('=') {
            Some(("", _)) => continue,
            Some((key, value)) => (unquoted(key), unquoted(value)),
            None => (unquoted(line), "true".to_owned()),
        };
        let (key, appends) = match key.strip_suffix("[]") {
            Some(key) if !key.is_empty() => (key.to_owned(), true),
            _ => (key, false),
        };
        let setting = settings.entry(key).or_insert_with(|| Setting { values: Vec::new(), line: 0 });
        // Once a list, always a list.
        if !appends && setting.values.len() <= 1 {
            setting.values.clear();
        }
        setting.values.push(value);
        setting.line = index + 1;
    }
    settings
}

/// What `scope` is set to as keys spell it (`@scope:registry`): it may be written without the `@`.
pub(crate) fn scope(name: &str) -> String {
    format!("@{}", name.strip_prefix('@').unwrap_or(name))
}

/// A key or a value without its quotes, escapes and comment.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if text.starts_with(quote) && text.ends_with(quote) {
            let inner = if quote == '\'' && text.len() > 1 { &text[1..text.len() - 1] } else { text };
            return match serde_json::from_str::<serde_json::Value>(inner) {
                Ok(serde_json::Value::String(inner)) => inner,
                _ => inner.to_owned(),
            };
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ';' | '#' => break,
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ';' | '#')) => out.push(escaped),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Vec<String> {
        parse(text).remove("key").map(|setting| setting.values).unwrap_or_default()
    }

    #[test]
    fn comments_quotes_and_escapes_are_those_of_npm() {
        assert_eq!(value("key = a b ; c"), ["a b"]);
        assert_eq!(value("key=a#b"), ["a"]);
        assert_eq!(value(r"key=a\#b\;c\\d\e"), [r"a#b;c\d\e"]);
        assert_eq!(value(r#"key="a # b\n""#), ["a # b\n"]);
        assert_eq!(value("key='a ; b'"), ["a ; b"]);
        assert_eq!(value("  ; key=a\n#key=b"), Vec::<String>::new());
        assert_eq!(value("key"), ["true"]);
        assert_eq!(value("key=a=b=="), ["a=b=="]);
        assert_eq!(value("\"key\" = a\r\n"), ["a"]);
        assert_eq!(value("key="), [""]);
        assert_eq!(value("key=\""), ["\""]);
    }

    #[test]
    fn the_last_one_counts_and_brackets_append() {
        assert_eq!(value("key=a\nkey=b"), ["b"]);
        assert_eq!(value("key[]=a\nkey[]=b"), ["a", "b"]);
        assert_eq!(value("[section]\nkey=a"), Vec::<String>::new());
        assert_eq!(parse("\n\nkey=a")["key"].line, 3);
    }
}
