//! `requirements*.txt`: what is pinned with `==` or `===`, with the files it includes by `-r`.
//!
//! Lines are joined and options taken off as pip does; what remains is read by `pep508_rs`. Included
//! files must lie beneath the project. Fails only if a file cannot be read.

use super::file::Root;
use super::found::Found;
use super::grammar;
use super::pin::{Ecosystem::Pypi, Location, Origin, Reach};
use crate::error::Result;
use pep508_rs::pep440_rs::Operator;
use pep508_rs::{Requirement, VerbatimUrl, VersionOrUrl};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// How many files may be included, in all: none needs near as many.
const MAX_FILES: usize = 256;

pub(super) fn read(root: &mut Root, top: Vec<PathBuf>, found: &mut Found) -> Result<()> {
    let mut known: BTreeSet<PathBuf> = top.iter().cloned().collect();
    let mut waiting = top;
    waiting.reverse();
    while let Some(file) = waiting.pop() {
        let Some(text) = root.read(&file)? else { continue };
        found.begin(&file);
        let mut index = None;
        for (line, text) in logical(&text) {
            let option = |names: &[&str]| {
                names.iter().find_map(|name| {
                    let rest = text.strip_prefix(name)?;
                    let rest = if name.len() == 2 { rest } else { rest.strip_prefix(['=', ' '])? };
                    Some(rest.trim().to_owned())
                })
            };
            if let Some(other) = option(&["--requirement", "-r"]) {
                match beneath(&file, &other) {
                    Some(other) if known.contains(&other) => {}
                    Some(other) if known.len() < MAX_FILES => {
                        known.insert(other.clone());
                        waiting.push(other);
                    }
                    _ => found.note_at(
                        Some(line),
                        &other,
                        "this file is not beneath the project, or there are too many",
                        "move it into the project",
                    ),
                }
            } else if let Some(url) = option(&["--index-url", "-i"]) {
                index = grammar::location(&url);
            } else if let Some(path) = option(&["--editable", "-e"]) {
                if path.contains("://") {
                    entry(line, &path, &index, found)
                } else {
                    found.local(Pypi, &path, Some(&path))
                }
            } else if text.starts_with(['.', '/']) {
                found.local(Pypi, &text, Some(&text));
            } else if !text.starts_with('-') {
                entry(line, &text, &index, found);
            }
        }
    }
    Ok(())
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

fn entry(line: usize, text: &str, index: &Option<Location>, found: &mut Found) {
    let mut parts = text.split(" --");
    let spec = parts.next().unwrap_or("").trim();
    let hashes = parts.filter_map(|part| {
        part.strip_prefix("hash")?.trim_start_matches(['=', ' ']).split_whitespace().next()
    });
    let hashes = hashes.filter(|hash| hash.starts_with("sha256:")).map(str::to_owned).collect();
    let hint = "pin it as name==version, as pip freeze does";
    let requirement = match Requirement::<VerbatimUrl>::from_str(spec) {
        Ok(requirement) => requirement,
        Err(error) => {
            found.note_at(
                Some(line),
                spec,
                format!("it is not understood: {}", super::pin::shown(&error.message.to_string())),
                hint,
            );
            return;
        }
    };
    let name = requirement.name.to_string();
    let (version, origin) = match &requirement.version_or_url {
        Some(VersionOrUrl::VersionSpecifier(specifiers)) => {
            let exact =
                specifiers.iter().find(|s| matches!(s.operator(), Operator::Equal | Operator::ExactEqual));
            match exact {
                Some(exact) => (exact.version().to_string(), Some(Origin::Registry { index: index.clone() })),
                None => return found.note_at(Some(line), spec, "it is not pinned to one version", hint),
            }
        }
        _ => return found.note_at(Some(line), spec, "it is not pinned to one version", hint),
    };
    if let Some(at) = found.pin(Pypi, &name, &version, origin, hashes) {
        found.reach(at, Reach::Root);
    }
}
