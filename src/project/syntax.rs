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

/// How many entries a lockfile may have, by the marks that begin one. A value may take 600 bytes of
/// memory, and a lockfile of 30,000 packages has less than a million.
const MAX_ENTRIES: usize = 2 << 20;

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
    let mark = |b: u8| matches!(b, b',' | b'[' | b'{');
    let mut last = b'\n';
    let entries = text.bytes().filter(|&b| {
        let before = std::mem::replace(&mut last, b);
        mark(b) || b == b'\n' && !mark(before)
    });
    let entries = entries.count();
    if entries > MAX_ENTRIES {
        return Err(format!("it has {entries} entries; at most {MAX_ENTRIES} are read"));
    }
    Ok(())
}

pub(super) fn json(text: &str) -> Parsed {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

pub(super) fn toml(text: &str) -> Parsed {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1));
        format!("{}{}", line.map_or(String::new(), |line| format!("line {line}: ")), error.message())
    })
}

pub(super) fn yaml(text: &str) -> Parsed {
    serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|error| error.to_string())
}

/// The last document of a stream that has `key`, else its last one: pnpm may write one about itself before the
/// project's. The limits hold for the whole stream.
pub(super) fn last_yaml(text: &str, key: &str) -> Parsed {
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
