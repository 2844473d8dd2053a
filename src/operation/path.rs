//! Where a tree is in a running mount.

use std::path::PathBuf;

use serde::Serialize;

use super::target::Target;
use super::{Context, Watch, mounts};
use crate::cache::Freshness;
use crate::error::{Error, Kind, Result};
use crate::key::{Kind as KeyKind, Reference};
use crate::source::{Resolved, Revision};
use crate::view::name;

/// Where a tree is.
#[derive(Clone, Debug, Serialize)]
pub struct Location {
    /// The KEY.
    pub key: String,
    /// The path of its directory.
    pub path: PathBuf,
    /// The exact revision that the path names, with `--pin`.
    pub revision: Option<String>,
}

/// The path of `target` in a mount of the context's cache; with `pin` the one that names its exact
/// revision and so never shows another. Asks the upstream only if that revision is not cached.
pub fn locate(context: &Context, target: &Target, pin: bool, watch: Watch<'_>) -> Result<Location> {
    if pin && target.key.kind() == KeyKind::Local {
        let why = "no path names one state of a directory, which is what it is now";
        return Err(Error::new(Kind::Invalid, format!("pin {}", target.text), why)
            .hint("leave --pin out: whoever reads it keeps the state that it began to read"));
    }
    let Some(mounted) = mounts::usual(context)? else {
        return Err(Error::new(
            Kind::NotFound,
            format!("find {} in a mount", target.text),
            "this cache is not mounted",
        )
        .hint("run `srcfs mount` first, or give the --cache-dir of the mount"));
    };
    if !pin {
        return Ok(Location {
            key: target.text.clone(),
            path: mounted.mount_point.join(&target.text),
            revision: None,
        });
    }
    let resolved = resolved(context, target, watch)?;
    let revision = resolved.revision.to_string();
    // Of a package the version is the name that never changes.
    let exact = match (&resolved.full_name, target.key.kind()) {
        // Written so that it is read as a version and as nothing else.
        (Some(version), kind @ (KeyKind::Npm | KeyKind::Crates | KeyKind::Pypi)) => {
            Reference::exact_version(kind, version)?
        }
        _ => Reference::parse(&revision)?,
    };
    let name = match target.text.starts_with("projects/") {
        // There the lockfile decides what is shown, today and tomorrow.
        true => name::path_of(&target.key, &exact, &context.config).ok_or_else(|| {
            let why = "it comes from where no other path of the mount leads, and that of the project follows its lockfile";
            Error::new(Kind::Invalid, format!("pin {}", target.text), why)
                .hint("leave --pin out, or configure where it comes from as a resource or a host")
        })?,
        false => pinned_name(&target.text, &exact.to_path(), context),
    };
    Ok(Location { key: target.text.clone(), path: mounted.mount_point.join(name), revision: Some(revision) })
}

fn resolved(context: &Context, target: &Target, watch: Watch<'_>) -> Result<Resolved> {
    if let Reference::Commit(id) = &target.reference {
        return Ok(Resolved { revision: Revision::new(id.clone()), full_name: None, moving: false });
    }
    if let Some(snapshot) = context.cache.peek(&target.key, &target.reference)? {
        return Ok(snapshot.resolved().clone());
    }
    let progress = watch(&target.text);
    context.cache.resolve(&*context.source, &target.key, &target.reference, Freshness::Cached, &progress)
}

/// `text` with its reference replaced by `@exact`.
fn pinned_name(text: &str, exact: &str, context: &Context) -> String {
    let (parents, last) = match text.rsplit_once('/') {
        Some((parents, last)) => (format!("{parents}/"), last),
        None => (String::new(), text),
    };
    let bare = last.split_once('@').map_or(last, |(bare, _)| bare);
    // Where groups nest, `.git` ends a repository only if no reference does.
    let resource = context.config.resource(text.split_once('@').map_or(text, |(bare, _)| bare)).is_some();
    let bare = if resource { bare } else { bare.strip_suffix(".git").unwrap_or(bare) };
    format!("{parents}{bare}@{exact}")
}
