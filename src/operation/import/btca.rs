//! What a configuration of btca says.
//!
//! | the list | its entries | in |
//! |---|---|---|
//! | `resources` | of `type` git (`url`, `branch`, `searchPath`, `searchPaths`), npm (`package`, `version`) or local (`path`) | `btca.config.jsonc`, `btca.remote.config.jsonc`, later `btca.json` |
//! | `repos` | of git, without a `type` | the first `btca.json` |
//!
//! Each has a `name` and may have `specialNotes`. It is JSON with comments and trailing commas. What the
//! rest of the file says (models, providers) is not looked at, and never shown.
//!
//! A text that is no such configuration is [`Kind::Invalid`]; an entry that is none fails for itself.
//! Whether srcfs can take what an entry says is decided elsewhere.

use jsonc_parser::ast::{Array, Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::subpaths;
use crate::error::{Error, Kind, Result};

/// More than anybody has; each is compared with all others.
const MOST: usize = 2000;

/// One resource of the list.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name; `None` if it has none.
    pub name: Option<String>,
    /// Where it begins, from 1.
    pub line: usize,
    /// What it says, or why that cannot be read.
    pub wanted: Result<Wanted>,
}

/// What a resource is, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it comes from.
    pub what: What,
    /// The branch or the version.
    pub reference: Option<String>,
    /// The only paths to show; all if empty.
    pub subpaths: Vec<String>,
    /// The note.
    pub note: Option<String>,
    /// What was understood in another way than it stands there, in sentences.
    pub remarks: Vec<String>,
}

/// Where a resource comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The url of a repository.
    Git(String),
    /// A package of npm.
    Npm(String),
    /// A directory.
    Local(String),
}

/// Reads the entries of a file, in their order.
pub fn parse(text: &str) -> Result<Vec<Entry>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let refused = |why: String| Error::new(Kind::Invalid, "read it as a configuration of btca", why);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &STRICT).map_err(|error| {
        let merging = text.lines().any(|line| line.starts_with("<<<<<<< "));
        refused(format!("it is no JSON: {error}")).hint(match merging {
            true => "end the merge that left its marks there first",
            false => "correct that; comments and trailing commas are allowed",
        })
    })?;
    let Some(Value::Object(document)) = &parsed.value else {
        return Err(refused("it holds no object".to_owned()).hint("give a btca.config.jsonc"));
    };
    let (list, typed) = match (get(document, "resources"), get(document, "repos")) {
        (Some(list), _) => (list, true),
        (None, Some(list)) => (list, false),
        (None, None) => {
            return Err(
                refused("it has neither resources nor repos".to_owned()).hint("give a btca.config.jsonc")
            );
        }
    };
    let Value::Array(Array { elements, .. }) = list else {
        return Err(refused(format!("its resources are {}, not a list", article(list))));
    };
    if elements.len() > MOST {
        return Err(refused(format!("it has {} resources, more than {MOST}", elements.len())));
    }
    let (mut line, mut counted) = (1, 0);
    let entries = elements.iter().map(|element| {
        let start = element.start();
        line += text[counted..start].matches('\n').count();
        counted = start;
        entry(element, line, typed)
    });
    Ok(entries.collect())
}

/// What `JSON.parse` takes, and comments and trailing commas.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

fn entry(element: &Value<'_>, line: usize, typed: bool) -> Entry {
    let Value::Object(object) = element else {
        let why = format!("it is {}, not an object", article(element));
        return Entry { name: None, line, wanted: Err(wrong(line, why)) };
    };
    let fields = Fields { object, line };
    let (name, named) = match fields.required("name", "svelte") {
        Ok(name) => (Some(name), Ok(())),
        Err(error) => (None, Err(error)),
    };
    let wanted = named.and_then(|()| match typed {
        true => of_type(&fields),
        false => repository(&fields, &["name", "url", "branch", "searchPath", "specialNotes"]),
    });
    Entry { name, line, wanted }
}

fn of_type(fields: &Fields<'_, '_>) -> Result<Wanted> {
    let of = fields.required("type", "git")?;
    match of.as_str() {
        "git" => repository(
            fields,
            &["type", "name", "url", "branch", "searchPath", "searchPaths", "specialNotes"],
        ),
        "npm" => {
            let what = What::Npm(fields.required("package", "react")?);
            let reference = fields.text("version")?;
            fields.finish(what, reference, &["type", "name", "package", "version", "specialNotes"])
        }
        "local" => {
            let what = What::Local(fields.required("path", "/home/me/docs")?);
            fields.finish(what, None, &["type", "name", "path", "specialNotes"])
        }
        other => {
            let other = shown(other);
            Err(wrong(fields.line, format!("its type is {other:?}, which is no kind of source of srcfs"))
                .hint("git, npm and local can be brought over"))
        }
    }
}

fn repository(fields: &Fields<'_, '_>, known: &[&str]) -> Result<Wanted> {
    let url = fields.required("url", "https://github.com/owner/repository")?;
    let branch = fields.text("branch")?;
    let mut paths = fields.texts("searchPaths")?;
    paths.extend(fields.text("searchPath")?);
    let (paths, remarks) = subpaths::understood(&paths, &url, branch.as_deref());
    let mut wanted = fields.finish(What::Git(url), branch, known)?;
    wanted.subpaths = paths;
    wanted.remarks.extend(remarks);
    Ok(wanted)
}

/// The fields of one entry.
struct Fields<'a, 't> {
    object: &'a Object<'t>,
    line: usize,
}

impl Fields<'_, '_> {
    fn finish(&self, what: What, reference: Option<String>, known: &[&str]) -> Result<Wanted> {
        let names = self.object.properties.iter().map(|property| property.name.as_str());
        let other: Vec<&str> = names.filter(|name| !known.contains(name)).collect();
        let remarks = match other[..] {
            [] => Vec::new(),
            [one] => vec![format!("{:?} says nothing to btca, nor to srcfs", shown(one))],
            [one, ..] => {
                let (one, more) = (shown(one), other.len() - 1);
                vec![format!("{one:?} and {more} more say nothing to btca, nor to srcfs")]
            }
        };
        Ok(Wanted { what, reference, subpaths: Vec::new(), note: self.text("specialNotes")?, remarks })
    }

    fn required(&self, key: &str, example: &str) -> Result<String> {
        match self.text(key)? {
            Some(text) => Ok(text),
            None => Err(wrong(self.line, format!("{key} is missing there"))
                .hint(format!("write \"{key}\": \"{example}\""))),
        }
    }

    /// A text; `None` if it is not there, or says nothing.
    fn text(&self, key: &str) -> Result<Option<String>> {
        match get(self.object, key) {
            None | Some(Value::NullKeyword(_)) => Ok(None),
            Some(Value::StringLit(text)) if text.value.trim().is_empty() => Ok(None),
            Some(Value::StringLit(text)) => Ok(Some(text.value.to_string())),
            Some(other) => Err(wrong(self.line, format!("{key} is {}, not a text", article(other)))),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>> {
        let list = match get(self.object, key) {
            None | Some(Value::NullKeyword(_)) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => {
                return Err(wrong(self.line, format!("{key} is {}, not a list", article(other))));
            }
        };
        let text = |value: &Value<'_>| match value {
            Value::StringLit(text) => Ok(text.value.to_string()),
            other => Err(wrong(self.line, format!("{key} holds {}, not a text", article(other)))),
        };
        list.elements.iter().map(text).collect()
    }
}

/// The value of `key`; of several the last, as JavaScript has it.
fn get<'a, 't>(object: &'a Object<'t>, key: &str) -> Option<&'a Value<'t>> {
    object.properties.iter().rev().find(|property| property.name.as_str() == key).map(|found| &found.value)
}

fn shown(text: &str) -> String {
    crate::redact::redact(text).chars().take(40).collect()
}

fn wrong(line: usize, why: String) -> Error {
    Error::new(Kind::Invalid, format!("read the resource in line {line}"), why)
}

fn article(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a text",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "true or false",
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::NullKeyword(_) => "null",
    }
}

#[cfg(test)]
mod tests;
