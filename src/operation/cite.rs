//! Cites places in trees: by a permalink where the forge has one, else by source, revision and path.
//!
//! | file | room |
//! |---|---|
//! | `asked` | what was asked for: a path, perhaps with lines |
//! | `disk` | what a path on disk is, as a process that looks now sees it |
//! | `tree` | what a path is in a tree of the cache |
//!
//! A path on disk is cited by the revision that its mount shows there now, which may be another one than
//! that of the cache; it is fetched if it must be, as for any reader. A KEY is cited by the revision that
//! the cache has, and is fetched as `srcfs get` does if it has none. Neither asks whether what is cached
//! has moved on.

use serde::Serialize;

use super::probe::describe::Sort;
use super::target::{self, Target};
use super::{Context, Failure, Watch, mounts};
use crate::error::{Error, Kind, Result};
use crate::source::About;
use crate::store;
use crate::view::citation::{Citation, Lines, Place};
use asked::{Asked, OfPackage};

mod asked;
mod disk;
pub(super) mod tree;

/// One citation.
#[derive(Clone, Debug, Serialize)]
pub struct Cited {
    /// The KEY of the tree.
    pub key: String,
    /// `git`, `local`, ...
    pub kind: &'static str,
    /// Where the tree comes from, as a url.
    pub url: String,
    /// The exact revision: a commit id, the version and the hash of a package, or the id of the tree of a
    /// directory.
    pub revision: String,
    /// The path in the tree; empty for its root.
    pub path: String,
    /// What stands there.
    #[serde(rename = "type")]
    pub sort: Sort,
    /// The lines, if some were asked for.
    pub lines: Option<Lines>,
    /// The id of the blob, of files and links.
    pub blob: Option<String>,
    /// What a submodule is of, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submodule: Option<Submodule>,
    /// What is told of the package, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<About>,
    /// The permalink, else source, revision, path and lines.
    pub citation: String,
    /// The address of a page that shows it, if the host has one.
    pub permalink: Option<String>,
}

/// Of which repository a submodule is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Submodule {
    /// Its commit.
    pub commit: String,
    /// Its url, if the tree says it; perhaps relative to the tree's own.
    pub url: Option<String>,
}

/// What came of one path.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// As it was asked for.
    pub asked: String,
    /// The citation.
    #[serde(flatten)]
    pub cited: Option<Cited>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// What came of all of them.
#[derive(Clone, Debug, Serialize)]
pub struct CiteReport {
    /// In the order in which they were asked for.
    pub citations: Vec<Item>,
}

impl CiteReport {
    /// Whether all of them are there.
    pub fn complete(&self) -> bool {
        self.citations.iter().all(|item| item.error.is_none())
    }
}

/// A place in a tree, before its lines are held against what is there.
struct Found {
    target: Target,
    revision: String,
    path: String,
    sort: Sort,
    blob: Option<String>,
    submodule: Option<Submodule>,
    /// Where it leads, if it is a link.
    leads_to: Option<String>,
    /// What the mount tells of it, if it is a package in one, whose cache may be another.
    about: Option<About>,
    /// The lines that were asked for, and how many there are if it is a file.
    lines: Option<(Lines, Option<u64>)>,
}

/// Cites all `texts`, each `PATH[:LINE[-LINE]]` or the citation of a package, which is read back; one that
/// fails does not stop the others.
pub fn cite(context: &Context, texts: &[String], watch: Watch<'_>) -> Result<CiteReport> {
    let mounts = mounts::all()?;
    let citations = texts.iter().map(|text| {
        let asked = text.clone();
        let OfPackage { path, hash, registry } = asked::of_citation(text).unwrap_or_else(|| OfPackage {
            path: text.clone(),
            hash: None,
            registry: None,
        });
        let text = &path;
        let found = match registry {
            Some(registry) => Asked::parse(text)
                .and_then(|asked| tree::find(context, &mounts, &asked, Some(registry), watch)),
            None => find(context, &mounts, text, watch),
        };
        match found.and_then(|found| cited(context, text, found)).and_then(|cited| agree(cited, hash)) {
            Ok(cited) => Item { asked, cited: Some(cited), error: None },
            Err(error) => {
                let column = Some(text).filter(|_| error.kind() == Kind::NotFound);
                let error = match column.and_then(|text| asked::without_column(text)) {
                    Some(meant) => error.hint(format!("write {meant}, if the last number is a column")),
                    None => error,
                };
                Item { asked, cited: None, error: Some(Failure::from(&error)) }
            }
        }
    });
    Ok(CiteReport { citations: citations.collect() })
}

fn find(context: &Context, mounts: &[mounts::Mounted], text: &str, watch: Watch<'_>) -> Result<Found> {
    let asked = Asked::parse(text)?;
    if target::is_on_disk(asked.path, &context.config, mounts) {
        return disk::find(context, mounts, &asked);
    }
    // A KEY is one everywhere, also if the mount does not answer; but in a tree people write `crates/core/lib.rs`.
    let inside = std::env::current_dir().is_ok_and(|here| mounts::containing(mounts, &here).is_some());
    if inside && let Ok(found) = disk::find(context, mounts, &asked) {
        return Ok(found);
    }
    tree::find(context, mounts, &asked, None, watch)
}

fn cited(context: &Context, text: &str, found: Found) -> Result<Cited> {
    if let Some((lines, there)) = found.lines {
        check(lines, there, text, &found)?;
    }
    let Found { target, revision, path, sort, blob, submodule, about: shown, .. } = found;
    let lines = found.lines.map(|(lines, _)| lines);
    let state = context.cache.state(&target.key)?;
    let about = state.and_then(|state| state.snapshots.get(&revision)?.about.clone());
    // They say nothing of what is cited.
    let about = about.or(shown).map(|about| About { others: Vec::new(), ..about });
    let url = match &about {
        Some(about) => target.key.spelled(&about.name).source().to_owned(),
        None => target.key.source().to_owned(),
    };
    let citation = Citation::new(&target.key, &revision, about.as_ref(), &context.config);
    let place = Place { path: path.as_ref(), kind: kind(sort), lines };
    Ok(Cited {
        citation: citation.of(place),
        permalink: citation.permalink(place),
        kind: target.key.kind().as_str(),
        url,
        key: target.text,
        revision,
        path,
        sort,
        lines,
        blob,
        submodule,
        package: about,
    })
}

/// Fails if what was cited before was another archive of the same version.
fn agree(cited: Cited, hash: Option<&str>) -> Result<Cited> {
    let published = cited.package.as_ref().map(|about| about.hash.as_str());
    match (hash, published) {
        (Some(hash), Some(published)) if hash != published => {
            let why = format!("the citation names {hash}, and what the registry publishes is {published}");
            Err(Error::new(Kind::Corrupt, format!("cite {}", cited.key), why)
                .hint("one of them was changed: find out which before you trust it"))
        }
        _ => Ok(cited),
    }
}

/// Whether it has these lines.
fn check(lines: Lines, there: Option<u64>, text: &str, found: &Found) -> Result<()> {
    let invalid = |why: String| Error::new(Kind::Invalid, format!("cite {text}"), why);
    match (found.sort, there) {
        (Sort::Symlink, _) => {
            let to = found.leads_to.as_deref().unwrap_or("something else");
            Err(invalid("it is a symbolic link".to_owned()).hint(format!("cite what it leads to: {to}")))
        }
        (Sort::Directory | Sort::Submodule, _) => {
            Err(invalid("it is a directory, which has no lines".to_owned()).hint("leave the lines out"))
        }
        (Sort::File, Some(there)) if lines.last > there => {
            let has = match there {
                0 => "it is empty".to_owned(),
                1 => "it has 1 line".to_owned(),
                there => format!("it has {there} lines"),
            };
            Err(invalid(has))
        }
        (Sort::File, _) => Ok(()),
    }
}

/// For a citation it does not matter whether a file may be executed.
fn kind(sort: Sort) -> store::Kind {
    match sort {
        Sort::File => store::Kind::File { executable: false },
        Sort::Directory => store::Kind::Directory,
        Sort::Symlink => store::Kind::Symlink,
        Sort::Submodule => store::Kind::Submodule,
    }
}
