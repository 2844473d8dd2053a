//! Reads fields out of a parsed TOML document without stopping at the first problem.
//!
//! A reader of a field answers `None` both when the field is absent and when it is wrong; what is
//! wrong has then been noted with its place.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration::{self, Shown};
use super::problem::Problems;

/// A text of the document and where it stands.
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) at: Range<usize>,
}

/// One table of the document: the file itself, a `[[resource]]` or a `[[host]]`.
pub(super) struct Fields<'a, 't> {
    table: &'a DeTable<'t>,
    /// Where it begins.
    pub(super) at: Range<usize>,
}

impl<'a, 't> Fields<'a, 't> {
    /// Notes every key that is not in `known`.
    pub(super) fn new(
        table: &'a DeTable<'t>,
        at: Range<usize>,
        what: &str,
        known: &[&str],
        problems: &mut Problems<'_>,
    ) -> Self {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let hint = match nearest(name, known) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("known are {}", known.join(", ")),
                };
                problems.add(&key.span(), format!("{what} has no key {name:?}"), hint);
            }
        }
        Fields { table, at }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    /// Whether the key is there at all.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Where the value of a key stands; the beginning of the table if it is not there.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.value(key).map_or(self.at.clone(), Spanned::span)
    }

    /// The text of a field that may also be something else.
    pub(super) fn text_or_none(&self, key: &str) -> Option<&'a str> {
        self.value(key)?.get_ref().as_str()
    }

    pub(super) fn text(&self, key: &str, problems: &mut Problems<'_>) -> Option<Text<'a>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Text { text, at: value.span() }),
            other => {
                problems.add(
                    &value.span(),
                    format!("{key} is {}, not a text", article(other)),
                    format!("write {key} = \"...\""),
                );
                None
            }
        }
    }

    pub(super) fn boolean(&self, key: &str, problems: &mut Problems<'_>) -> Option<bool> {
        let value = self.value(key)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            problems.add(
                &value.span(),
                format!("{key} is {}, not true or false", article(value.get_ref())),
                format!("write {key} = true or {key} = false"),
            );
        }
        boolean
    }

    pub(super) fn texts(&self, key: &str, problems: &mut Problems<'_>) -> Vec<Text<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            problems.add(
                &value.span(),
                format!("{key} is {}, not a list", article(value.get_ref())),
                format!("write {key} = [\"...\"]"),
            );
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(Text { text, at: item.span() }),
                other => problems.add(
                    &item.span(),
                    format!("{key} holds {}, not a text", article(other)),
                    format!("write {key} = [\"...\"]"),
                ),
            }
        }
        texts
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables(
        &self,
        key: &str,
        known: &[&str],
        problems: &mut Problems<'_>,
    ) -> Vec<Fields<'a, 't>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let what = format!("[[{key}]]");
        let hint = format!("write {what} above its keys");
        let DeValue::Array(items) = value.get_ref() else {
            problems.add(&value.span(), format!("{key} is {}", article(value.get_ref())), hint);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    tables.push(Fields::new(table, item.span(), &what, known, problems));
                }
                other => {
                    problems.add(&item.span(), format!("{key} holds {}", article(other)), hint.clone());
                }
            }
        }
        tables
    }

    /// The table of `[key]`, if it is there.
    pub(super) fn table(
        &self,
        key: &str,
        known: &[&str],
        problems: &mut Problems<'_>,
    ) -> Option<Fields<'a, 't>> {
        let value = self.value(key)?;
        let what = format!("[{key}]");
        let DeValue::Table(table) = value.get_ref() else {
            let why = format!("{key} is {}", article(value.get_ref()));
            problems.add(&value.span(), why, format!("write {what} above its keys"));
            return None;
        };
        Some(Fields::new(table, value.span(), &what, known, problems))
    }

    /// A duration within its range, or its default.
    pub(super) fn duration(&self, wanted: &DurationField, problems: &mut Problems<'_>) -> Duration {
        let DurationField { key, least, most, default } = *wanted;
        let Some(value) = self.value(key) else { return default };
        let hint = format!(
            "write a text with a unit, from {:?} to {:?}; the default is {:?}",
            Shown(least).to_string(),
            Shown(most).to_string(),
            Shown(default).to_string()
        );
        let DeValue::String(text) = value.get_ref() else {
            problems.add(
                &value.span(),
                format!("{key} is {}, not a duration", article(value.get_ref())),
                hint,
            );
            return default;
        };
        match duration::parse(text) {
            Some(duration) if (least..=most).contains(&duration) => duration,
            Some(_) => {
                problems.add(&value.span(), format!("{key} = {text:?} is out of range"), hint);
                default
            }
            None => {
                problems.add(&value.span(), format!("{key} = {text:?} is not a duration"), hint);
                default
            }
        }
    }

    /// A whole number within its range, or its default.
    pub(super) fn number(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<u32>,
        default: u32,
        problems: &mut Problems<'_>,
    ) -> u32 {
        let Some(value) = self.value(key) else { return default };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|integer| u32::from_str_radix(integer.as_str(), integer.radix()).ok())
            .filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            problems.add(
                &value.span(),
                format!("{key} is not a whole number in its range"),
                format!("write a number from {} to {}; the default is {default}", range.start(), range.end()),
            );
            default
        })
    }
}

/// A field that holds a duration: its range is inclusive.
pub(super) struct DurationField {
    pub(super) key: &'static str,
    pub(super) least: Duration,
    pub(super) most: Duration,
    pub(super) default: Duration,
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known key that `name` is a slip of the pen away from.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = |known: &&'k str| strsim::damerau_levenshtein(&name.to_ascii_lowercase(), known);
    let best = known.iter().copied().min_by_key(near)?;
    let synonym = match name.to_ascii_lowercase().as_str() {
        "url" => Some("git"),
        "reference" | "branch" | "tag" | "commit" | "rev" => Some("ref"),
        "path" | "paths" | "searchpath" => Some("subpaths"),
        "notes" | "description" => Some("note"),
        _ => None,
    };
    match synonym.and_then(|synonym| known.iter().copied().find(|known| *known == synonym)) {
        Some(synonym) => Some(synonym),
        None => (near(&best) <= 2.max(best.len() / 3)).then_some(best),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_names_the_nearest_key() {
        let known = ["name", "git", "ref", "subpaths", "note"];
        for (slip, meant) in [
            ("nmae", "name"),
            ("Name", "name"),
            ("subpath", "subpaths"),
            ("notes", "note"),
            ("url", "git"),
            ("branch", "ref"),
        ] {
            assert_eq!(nearest(slip, &known), Some(meant), "{slip}");
        }
        assert_eq!(nearest("completely_different", &known), None);
    }
}
