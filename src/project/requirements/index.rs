//! The registry of requirement files: of all that pip reads at once it is one, the last that is said.
//!
//! pip is told what to read at once when it is called, so it is taken to be a file at the top with what it includes.
//! Calls `found` for notes; never fails.

use super::super::found::Found;
use super::super::grammar;
use super::super::pin::Location;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a file says of others than its own packages.
pub(super) enum Said {
    Include(PathBuf),
    /// `None` if it is no address.
    Index(Option<Location>),
}

/// The registry that a line of options says, of which the last counts. Others beside it are noted.
pub(super) fn indexes(line: usize, text: &str, found: &mut Found) -> Vec<Said> {
    let mut said = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let (name, url) = match word.split_once('=').filter(|(name, _)| name.starts_with("--")) {
            Some((name, url)) => (name, Some(url)),
            None if word.starts_with("-i") && word.len() > 2 => ("-i", Some(&word[2..])),
            None => (word, None),
        };
        match name {
            "--index-url" | "--pypi-url" | "-i" => {
                let url = url.or_else(|| words.next()).unwrap_or("");
                let index = grammar::location(url);
                if index.is_none() {
                    let hint = "write the whole address of the registry";
                    found.note_at(Some(line), url, "this is not the address of a registry", hint);
                }
                said.push(Said::Index(index));
            }
            "--extra-index-url" => {
                let url = url.or_else(|| words.next()).unwrap_or("");
                let hint = "make it an extra-index-url of pip's own configuration, so that it is asked as pip asks it";
                found.note_at(Some(line), url, "a further registry is not taken from this file", hint);
            }
            _ => {}
        }
    }
    said
}

/// The registry of what `file` names. pip asks one for everything that it reads at once, with all included files:
/// the last that is said. So a file has its own, or that of a file which includes it.
pub(super) fn index_for<'s>(
    file: &Path,
    top: &[PathBuf],
    said: &'s BTreeMap<PathBuf, Vec<Said>>,
) -> Option<&'s Location> {
    let of = |from: &Path| {
        let (mut read, mut last) = (BTreeSet::new(), None);
        index_in(from, said, &mut read, &mut last);
        (read, last)
    };
    let by_others = || {
        let all = top.iter().map(|from| of(from));
        all.filter(|(read, _)| read.contains(file)).find_map(|(_, last)| last)
    };
    of(file).1.or_else(by_others).flatten()
}

/// Goes through what is read with `from`, in pip's order.
fn index_in<'s>(
    from: &Path,
    said: &'s BTreeMap<PathBuf, Vec<Said>>,
    read: &mut BTreeSet<PathBuf>,
    last: &mut Option<Option<&'s Location>>,
) {
    // There are at most MAX_FILES, and each is gone through once, so this ends.
    if !read.insert(from.to_owned()) {
        return;
    }
    for says in said.get(from).into_iter().flatten() {
        match says {
            Said::Include(other) => index_in(other, said, read, last),
            Said::Index(index) => *last = Some(index.as_ref()),
        }
    }
}
