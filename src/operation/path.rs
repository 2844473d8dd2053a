//! Where a tree is in a running mount.

use std::path::PathBuf;

use serde::Serialize;

use super::target::Target;
use super::{Context, Watch, mounts};
use crate::cache::Freshness;
use crate::error::{Error, Kind, Result};
use crate::key::{Kind as KeyKind, Reference};

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
    let revision = revision(context, target, watch)?;
    let name = pinned_name(&target.text, &revision, context);
    Ok(Location { key: target.text.clone(), path: mounted.mount_point.join(name), revision: Some(revision) })
}

fn revision(context: &Context, target: &Target, watch: Watch<'_>) -> Result<String> {
    if let Reference::Commit(id) = &target.reference {
        return Ok(id.clone());
    }
    if let Some(snapshot) = context.cache.peek(&target.key, &target.reference)? {
        return Ok(snapshot.revision().to_string());
    }
    let progress = watch(&target.text);
    let resolved = context.cache.resolve(
        &*context.source,
        &target.key,
        &target.reference,
        Freshness::Cached,
        &progress,
    )?;
    Ok(resolved.revision.to_string())
}

/// `text` with its reference replaced by `@revision`.
fn pinned_name(text: &str, revision: &str, context: &Context) -> String {
    let (parents, last) = match text.rsplit_once('/') {
        Some((parents, last)) => (format!("{parents}/"), last),
        None => (String::new(), text),
    };
    let bare = last.split_once('@').map_or(last, |(bare, _)| bare);
    // Where groups nest, `.git` ends a repository only if no reference does.
    let resource = context.config.resource(text.split_once('@').map_or(text, |(bare, _)| bare)).is_some();
    let bare = if resource { bare } else { bare.strip_suffix(".git").unwrap_or(bare) };
    format!("{parents}{bare}@{revision}")
}
