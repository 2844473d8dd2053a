//! From the text of a lockfile to a value: JSON, TOML or YAML, with limits.
//!
//! What is written by a stranger must not cost more memory than its size allows to guess: besides the
//! size of the file, the number of its entries and its depth are bounded, and YAML's aliases nearly
//! forbidden. Pure; fails with a sentence that names the line where that is known.

use super::MAX_FILE;
use serde_json::Value;

/// How deep a YAML lockfile may nest; pnpm's has 6 levels. JSON and TOML have their parsers' limits.
const MAX_DEPTH: usize = 64;

/// How many documents a YAML lockfile may have; pnpm's has one or two.
const MAX_DOCUMENTS: usize = 4;

/// How much a lockfile may have in it: an entry counts one, by the marks that begin it, and a table [`TABLE`] more.
/// A lockfile of 30,000 packages has 800,000; what is allowed takes some 300 MB at most while it is read.
const MAX_ENTRIES: usize = 1 << 20;

/// As how many more entries a table counts, which takes 600 bytes and more.
const TABLE: usize = 3;

/// What is said of the marks of a merge that is not finished.
pub(super) const CONFLICT: &str = "a merge has left its conflict here";

/// A value, or why it is none.
pub(super) type Parsed = Result<Value, String>;

/// What no format survives: the marks that git leaves where a merge has not been finished, and too
/// many entries.
pub(super) fn sound(text: &str) -> Result<(), String> {
    let marks = ["<<<<<<< ", ">>>>>>> ", "||||||| "];
    let conflict = text.lines().position(|line| marks.iter().any(|mark| line.starts_with(mark)));
    if let Some(line) = conflict {
        return Err(format!("line {}: {CONFLICT}", line + 1));
    }
    bounded(text, 0)
}

/// That there are not too many entries, `tables` beside those that begin with a brace.
fn bounded(text: &str, tables: usize) -> Result<(), String> {
    let mark = |b: u8| matches!(b, b',' | b'[' | b'{');
    let mut last = b'\n';
    let (mut entries, mut braces) = (0, 0);
    for b in text.bytes() {
        let before = std::mem::replace(&mut last, b);
        // YAML has lists in lists as `- - x`.
        entries += usize::from(mark(b) || b == b'\n' && !mark(before) || b == b' ' && before == b'-');
        braces += usize::from(b == b'{');
    }
    let entries = entries + TABLE * (braces + tables);
    if entries > MAX_ENTRIES {
        return Err(format!("it has {entries} entries; at most {MAX_ENTRIES} are read"));
    }
    Ok(())
}

/// The lines of YAML that may begin a table or a list: those deeper than the one before, and those of a list.
fn deeper(text: &str) -> usize {
    let mut last = 0;
    let begins = |line: &&str| {
        let rest = line.trim_start_matches([' ', '-']);
        let depth = line.len() - rest.len();
        depth > std::mem::replace(&mut last, depth) || line.trim_start().starts_with('-')
    };
    text.lines().filter(|line| !line.trim().is_empty()).filter(begins).count()
}

/// The dots of keys in TOML, each of which may begin a table: those outside of quotes.
fn dots(text: &str) -> usize {
    let of_line = |line: &str| {
        // Where text of several lines ends, another may begin: too many are better than too few.
        let several = line.contains("\"\"\"") || line.contains("\'\'\'");
        let (mut quote, mut escaped, mut dots) = (None, false, 0);
        for b in line.bytes() {
            match (quote, b) {
                (_, b'.') if several => dots += 1,
                (Some(b'"'), _) if escaped => escaped = false,
                (Some(b'"'), b'\\') => escaped = true,
                (Some(open), _) if open == b => quote = None,
                (None, b'"' | b'\'') => quote = Some(b),
                (None, b'.') => dots += 1,
                _ => {}
            }
        }
        dots
    };
    text.lines().map(of_line).sum()
}

pub(super) fn json(text: &str) -> Parsed {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

pub(super) fn toml(text: &str) -> Parsed {
    bounded(text, dots(text))?;
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1));
        format!("{}{}", line.map_or(String::new(), |line| format!("line {line}: ")), error.message())
    })
}

pub(super) fn yaml(text: &str) -> Parsed {
    bounded(text, deeper(text))?;
    serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|error| error.to_string())
}

/// The last document of a stream that has `key`, else its last one: pnpm may write one about itself before the
/// project's. The limits hold for the whole stream.
pub(super) fn last_yaml(text: &str, key: &str) -> Parsed {
    bounded(text, deeper(text))?;
    let documents = serde_saphyr::from_multiple_with_options::<Value>(text, yaml_options());
    let mut documents = documents.map_err(|error| error.to_string())?;
    let at = documents.iter().rposition(|document| document.get(key).is_some());
    let last = at.map(|at| documents.swap_remove(at)).or_else(|| documents.pop());
    Ok(last.unwrap_or(Value::Null))
}

fn yaml_options() -> serde_saphyr::Options {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    // A lockfile of 30,000 packages has a million events; aliases have no place in one.
    if let Some(budget) = options.budget.as_mut() {
        (budget.max_depth, budget.max_events, budget.max_nodes) = (MAX_DEPTH, 16 << 20, 16 << 20);
        (budget.max_aliases, budget.max_anchors) = (16, 16);
        budget.max_total_scalar_bytes = MAX_FILE as usize;
        budget.max_documents = MAX_DOCUMENTS;
    }
    options
}
