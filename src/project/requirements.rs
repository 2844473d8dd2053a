//! `requirements*.txt`: what is pinned with `==` or `===`, with the files it includes by `-r`.
//!
//! Lines are joined and options taken off as pip does; what remains is a name with specifiers,
//! which `pep440_rs` reads. Included
//! files must lie beneath the project. The registry that a file says counts for all that pip would read with it, so
//! all are read before the first pin is taken. A repository at a whole commit id is a pin, too, and an archive
//! whose file name says its version. What cannot be read is handed back, each file by itself.

mod index;

use super::file::Root;
use super::found::Found;
use super::pin::{Ecosystem::Pypi, Location, Origin, Reach};
use super::{MAX_FILE, grammar, syntax};
use crate::error::Error;
use index::{Said, index_for, indexes};
use pep440_rs::{Operator, VersionSpecifiers};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// How many files may be included, in all: none needs near as many. Together they may be as large as one.
const MAX_FILES: usize = 256;

/// A file that was not read: because of an error, or because of what it says.
type Failed = (PathBuf, Result<Error, String>);

pub(super) fn read(root: &mut Root, top: Vec<PathBuf>, found: &mut Found) -> Vec<Failed> {
    let mut failed = Vec::new();
    let mut known: BTreeSet<PathBuf> = top.iter().cloned().collect();
    let mut waiting = top.clone();
    waiting.reverse();
    let mut texts: Vec<(PathBuf, String)> = Vec::new();
    let mut said: BTreeMap<PathBuf, Vec<Said>> = BTreeMap::new();
    let mut size = 0;
    let noted = found.notes.len();
    while let Some(file) = waiting.pop() {
        found.begin(&file);
        let text = match root.read(&file) {
            Ok(Some(text)) => text,
            Ok(None) => {
                found.note(
                    &file.to_string_lossy(),
                    "this file is not there",
                    "write it, or do not include it",
                );
                continue;
            }
            Err(error) => {
                failed.push((file, Ok(error)));
                continue;
            }
        };
        size += text.len() as u64;
        let sound = match size > MAX_FILE {
            true => Err(format!("it and those before it have {size} bytes; at most {MAX_FILE} are read")),
            false => syntax::sound(&text),
        };
        if let Err(why) = sound {
            failed.push((file, Err(why)));
            continue;
        }
        let says = said.entry(file.clone()).or_default();
        for (line, text) in logical(&text).iter().filter(|(_, text)| text.starts_with('-')) {
            if let Some(other) = option(text, &["--requirement", "-r"]) {
                match beneath(&file, other) {
                    Some(other) if known.contains(&other) => says.push(Said::Include(other)),
                    Some(other) if known.len() < MAX_FILES => {
                        known.insert(other.clone());
                        waiting.push(other.clone());
                        says.push(Said::Include(other));
                    }
                    _ => found.note_at(
                        Some(*line),
                        other,
                        "this file is not beneath the project, or there are too many",
                        "move it into the project",
                    ),
                }
            } else {
                says.extend(indexes(*line, text, found));
            }
        }
        texts.push((file, text));
    }
    for (file, text) in texts {
        found.begin(&file);
        let index = index_for(&file, &top, &said);
        for (line, text) in logical(&text) {
            if let Some(path) = option(&text, &["--editable", "-e"]) {
                if path.contains("://") {
                    entry(line, path.trim_start_matches(['"', '\'']), index, found)
                } else {
                    found.local(Pypi, path, Some(path))
                }
            } else if text.starts_with(['.', '/']) {
                found.local(Pypi, &text, Some(&text));
            } else if !text.starts_with('-') {
                entry(line, &text, index, found);
            }
        }
    }
    found.notes[noted..].sort_by(|a, b| (&a.lockfile, a.line).cmp(&(&b.lockfile, b.line)));
    failed
}

/// What follows the option of one of these names.
fn option<'t>(text: &'t str, names: &[&str]) -> Option<&'t str> {
    names.iter().find_map(|name| {
        let rest = text.strip_prefix(name)?;
        let rest = if name.len() == 2 { rest } else { rest.strip_prefix(['=', ' '])? };
        Some(rest.trim())
    })
}

/// The lines with continuations joined and comments gone, each with the number it begins at.
fn logical(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let comment = if line.starts_with('#') { Some(0) } else { line.find(" #").or(line.find("\t#")) };
        let line = &line[..comment.unwrap_or(line.len())];
        let (part, continues) = match line.trim_end().strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if open => {
                last.push(' ');
                last.push_str(part.trim());
            }
            _ => lines.push((at + 1, part.trim().to_owned())),
        }
        open = continues;
    }
    lines.retain(|(_, line)| !line.trim().is_empty());
    lines
}

fn beneath(file: &Path, other: &str) -> Option<PathBuf> {
    let mut path = file.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(other).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            _ => return None,
        }
    }
    Some(path)
}

fn entry(line: usize, text: &str, index: Option<&Location>, found: &mut Found) {
    let mut parts = text.split(" --");
    let spec = parts.next().unwrap_or("").trim();
    let hashes = parts.filter_map(|part| {
        part.strip_prefix("hash")?.trim_start_matches(['=', ' ']).split_whitespace().next()
    });
    let hashes: Vec<String> =
        hashes.filter(|hash| hash.starts_with("sha256:")).map(str::to_ascii_lowercase).collect();
    let hint = "pin it as name==version, as pip freeze does";
    if let Some((name, url)) = address(spec) {
        let url = url.split(" ;").next().unwrap_or(url).trim();
        let origin = at_commit(url);
        let version = match (&origin, url.starts_with("git+")) {
            (None, true) => {
                let hint = "write the whole commit id behind the @ of the url";
                return found.note_of(Some(line), (Pypi, name), spec, "it is not pinned to a commit", hint);
            }
            (Some(_), _) => "",
            (None, false) => version_of_file(url),
        };
        let origin = origin.or_else(|| grammar::location(url).map(|url| Origin::Archive { url }));
        if name.is_empty() || version.is_empty() && !matches!(origin, Some(Origin::Git { .. })) {
            let why = "its name or its version is not said";
            return found.note_of(Some(line), (Pypi, name), spec, why, "write it as name @ url");
        }
        let sum = url.rsplit_once("#sha256=").map(|(_, hex)| format!("sha256:{}", hex.to_ascii_lowercase()));
        let hashes = hashes.into_iter().chain(sum).collect();
        if let Some(at) = found.pin(Pypi, name, version, origin, hashes) {
            found.reach(at, Reach::Root);
        }
        return;
    }
    let (name, specifiers) = parts_of(spec);
    let specifiers = match VersionSpecifiers::from_str(specifiers) {
        Ok(specifiers) if grammar::name(Pypi, name).is_some() => specifiers,
        Ok(_) => return found.note_at(Some(line), spec, "this cannot be the name of a package", hint),
        Err(error) => {
            let why = format!("it is not understood: {}", super::pin::shown(&error.to_string()));
            return found.note_of(Some(line), (Pypi, name), spec, why, hint);
        }
    };
    let exact = specifiers.iter().find(|s| matches!(s.operator(), Operator::Equal | Operator::ExactEqual));
    let Some(exact) = exact else {
        return found.note_of(Some(line), (Pypi, name), spec, "it is not pinned to one version", hint);
    };
    let origin = Some(Origin::Registry { index: index.cloned() });
    if let Some(at) = found.pin(Pypi, name, &exact.version().to_string(), origin, hashes) {
        found.reach(at, Reach::Root);
    }
}

/// The name and the specifiers of `name[extra] (specifiers) ; marker`.
fn parts_of(spec: &str) -> (&str, &str) {
    let spec = spec.split(';').next().unwrap_or(spec).trim();
    let end = spec.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(spec.len());
    let (name, rest) = spec.split_at(end);
    let rest = rest.trim();
    let rest = match rest.strip_prefix('[').and_then(|extras| extras.split_once(']')) {
        Some((_, rest)) => rest.trim(),
        None => rest,
    };
    (name, rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(rest))
}

/// The name and the url of `name[extra] @ url` or `url#egg=name`; `None` if it is no url.
fn address(spec: &str) -> Option<(&str, &str)> {
    let (before, _) = spec.split_once("://")?;
    match before.split_once('@') {
        Some((name, _)) => {
            let url = spec[name.len() + 1..].trim();
            Some((name.split('[').next().unwrap_or(name).trim(), url))
        }
        None => {
            let egg = spec.split(['#', '&']).find_map(|part| part.strip_prefix("egg="));
            let file = spec.split(['#', '?']).next().and_then(|url| url.rsplit('/').next());
            let wheel = file.filter(|file| file.ends_with(".whl")).and_then(|file| file.split('-').next());
            Some((egg.or(wheel).map_or("", |name| name.split('[').next().unwrap_or(name)), spec))
        }
    }
}

/// `git+https://host/path@commit#subdirectory=below`.
fn at_commit(url: &str) -> Option<Origin> {
    let (address, fragment) = url.strip_prefix("git+")?.split_once('#').unwrap_or((&url[4..], ""));
    let (repository, commit) = address.rsplit_once('@')?;
    let below = fragment.split('&').find_map(|part| part.strip_prefix("subdirectory="));
    grammar::git(repository, commit, below)
}

/// The version that the name of a wheel or of an sdist says; empty if it says none.
fn version_of_file(url: &str) -> &str {
    let file = url.split(['#', '?']).next().and_then(|url| url.rsplit('/').next()).unwrap_or("");
    if let Some(wheel) = file.strip_suffix(".whl") {
        return wheel.split('-').nth(1).unwrap_or("");
    }
    let sdist = [".tar.gz", ".zip"].iter().find_map(|end| file.strip_suffix(end));
    sdist.and_then(|sdist| sdist.rsplit_once('-')).map_or("", |(_, version)| version)
}
