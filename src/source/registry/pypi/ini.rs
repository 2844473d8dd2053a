//! The format of `pip.conf`: the rules of Python's `RawConfigParser`.
//!
//! No crate for ini files follows all of them: values that go on in lines that are indented deeper, `:` as
//! well as `=`, comments only at the beginning of a line, `[DEFAULT]`, and doubles as errors. An error says
//! the line and never its text, which may hold a password.

use std::collections::BTreeMap;

/// A line that means nothing, from 1, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) why: &'static str,
}

/// A value, its lines joined by `\n`, and the line where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) line: usize,
}

/// The values by section and by name in lower case.
pub(super) type Sections = BTreeMap<String, BTreeMap<String, Value>>;

/// Reads `text`.
pub(super) fn parse(text: &str) -> Result<Sections, Wrong> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sections = Sections::new();
    let mut section: Option<String> = None;
    // Where the value is that an indented line goes on with, and how deep its name stands.
    let mut open: Option<(String, usize)> = None;
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let wrong = |why| Wrong { line: line_number, why };
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        let values = section.as_ref().and_then(|section| sections.get_mut(section));
        let indent = line.len() - line.trim_start().len();
        if let (Some((name, depth)), Some(values)) = (&open, values)
            && (trimmed.is_empty() || indent > *depth)
        {
            if let Some(value) = values.get_mut(name) {
                value.text.push('\n');
                value.text.push_str(trimmed);
            }
            continue;
        }
        if trimmed.is_empty() {
            continue;
        }
        open = None;
        if let Some(name) =
            trimmed.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')).map(|(name, _)| name)
            && !name.is_empty()
        {
            if name != "DEFAULT" && sections.contains_key(name) {
                return Err(wrong("the section is there already"));
            }
            sections.entry(name.to_owned()).or_default();
            section = Some(name.to_owned());
            continue;
        }
        let Some(section) = &section else { return Err(wrong("it stands below no [section]")) };
        let Some(at) = trimmed.find(['=', ':']) else { return Err(wrong("there is no = in it")) };
        let name = trimmed[..at].trim_end().to_lowercase();
        if name.is_empty() {
            return Err(wrong("there is no name before the ="));
        }
        let value = Value { text: trimmed[at + 1..].trim().to_owned(), line: line_number };
        let values = sections.entry(section.clone()).or_default();
        if values.insert(name.clone(), value).is_some() {
            return Err(wrong("the name is there already"));
        }
        open = Some((name, indent));
    }
    for value in sections.values_mut().flat_map(BTreeMap::values_mut) {
        value.text.truncate(value.text.trim_end().len());
    }
    if let Some(common) = sections.remove("DEFAULT") {
        for values in sections.values_mut() {
            for (name, value) in &common {
                values.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    Ok(sections)
}
