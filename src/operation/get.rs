//! Materializes trees without a mount.

use std::time::Instant;

use serde::Serialize;

use super::barrier::{self, Unanswered};
use super::target::Target;
use super::{Context, Failure, Watch, mounts, who};
use crate::cache::{Fetched, Freshness};
use crate::error::Result;

/// One tree that is in the cache now.
#[derive(Clone, Debug, Serialize)]
pub struct Got {
    /// The KEY.
    pub key: String,
    /// The url it came from.
    pub url: String,
    /// What is in the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<GotTree>,
    /// Why it is not, or why it may be old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// How long it took.
    pub seconds: f64,
}

/// What of it is in the cache.
#[derive(Clone, Debug, Serialize)]
pub struct GotTree {
    /// The revision.
    pub revision: String,
    /// How many files are shown.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether something had to be fetched.
    pub fetched: bool,
    /// Whether the reference moved.
    pub changed: bool,
    /// Bytes that travelled, as far as known.
    pub transferred: u64,
}

/// What came of a `get`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GetReport {
    /// One for each KEY, in their order.
    pub trees: Vec<Got>,
    /// Mounts that have not noticed a changed reference yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

impl GetReport {
    /// Whether every tree is there.
    pub fn complete(&self) -> bool {
        self.trees.iter().all(|got| got.tree.is_some())
    }
}

/// Materializes all `targets`, one after the other; one that fails does not stop the others.
pub fn get(context: &Context, targets: &[Target], watch: Watch<'_>) -> Result<GetReport> {
    let mut report = GetReport::default();
    for target in targets {
        let started = Instant::now();
        // What is there already is good enough if the upstream cannot be reached; then both are told.
        let got = materialize(context, target, context.freshness(), "get", watch)
            .and_then(|fetched| Ok((shown(target, &fetched)?, fetched.failed)));
        let (tree, error) = match got {
            Ok((tree, error)) => (Some(tree), error),
            Err(error) => (None, Some(error)),
        };
        report.trees.push(Got {
            key: target.text.clone(),
            url: target.key.url().to_string(),
            tree,
            error: error.as_ref().map(Failure::from),
            seconds: started.elapsed().as_secs_f64(),
        });
    }
    if report.trees.iter().any(|got| got.tree.as_ref().is_some_and(|tree| tree.changed)) {
        report.unanswered = barrier::raise(&mounts::of_cache(context.cache.id())?);
    }
    Ok(report)
}

/// The one call by which verbs materialize.
pub(super) fn materialize(
    context: &Context,
    target: &Target,
    freshness: Freshness,
    verb: &str,
    watch: Watch<'_>,
) -> Result<Fetched> {
    let progress = watch(&target.text);
    let (key, reference) = (&target.key, &target.reference);
    let fetched = context.cache.get(&*context.source, key, reference, freshness, &who(verb), &progress)?;
    if fetched.fetched {
        context.cache.tend();
    }
    Ok(fetched)
}

fn shown(target: &Target, fetched: &Fetched) -> Result<GotTree> {
    let whole = fetched.snapshot.table();
    let (files, bytes) = match target.subpaths.as_slice() {
        [] => (whole.files(), whole.bytes()),
        subpaths => {
            let narrowed = whole.narrowed(subpaths)?;
            (narrowed.files(), narrowed.bytes())
        }
    };
    Ok(GotTree {
        revision: fetched.snapshot.revision().to_string(),
        files,
        bytes,
        fetched: fetched.fetched,
        changed: fetched.changed,
        transferred: fetched.transferred,
    })
}
