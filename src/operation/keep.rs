//! Keeps references from being dropped to make room, and lets them go again.

use serde::Serialize;

use super::target::Target;
use super::{Context, Failure, Watch, get};
use crate::cache::Freshness;
use crate::error::Result;
use crate::key::Key;

/// One reference that was to be kept.
#[derive(Clone, Debug, Serialize)]
pub struct KeptReport {
    /// The KEY.
    pub key: String,
    /// Its url.
    pub url: String,
    /// Whether it is kept now.
    pub kept: bool,
    /// Whether it was kept before.
    pub was_kept: bool,
    /// The revision that is cached.
    pub revision: Option<String>,
    /// Whether it had to be fetched.
    pub fetched: bool,
    /// Why it is not kept, or not as fresh as it might be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// What came of a `keep`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeepReport {
    /// One for each KEY, in their order.
    pub references: Vec<KeptReport>,
}

/// One reference that was released.
#[derive(Clone, Debug, Serialize)]
pub struct Released {
    /// The KEY.
    pub key: String,
    /// Whether it was kept.
    pub was_kept: bool,
    /// Why it could not be released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// What came of a `release`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReleaseReport {
    /// One for each KEY, in their order.
    pub references: Vec<Released>,
}

impl KeepReport {
    /// Whether all of them are kept.
    pub fn complete(&self) -> bool {
        self.references.iter().all(|reference| reference.kept)
    }
}

impl ReleaseReport {
    /// Whether none is kept any more.
    pub fn complete(&self) -> bool {
        self.references.iter().all(|reference| reference.error.is_none())
    }
}

/// Keeps `targets`. What is not cached is fetched; what cannot be fetched is not kept.
pub fn keep(context: &Context, targets: &[Target], watch: Watch<'_>) -> Result<KeepReport> {
    let mut report = KeepReport::default();
    for target in targets {
        let mut one = KeptReport {
            key: target.text.clone(),
            url: target.key.source().to_owned(),
            kept: false,
            was_kept: false,
            revision: None,
            fetched: false,
            error: None,
        };
        if let Err(error) = keep_one(context, target, watch, &mut one) {
            one.error = Some(Failure::from(&error));
        }
        report.references.push(one);
    }
    Ok(report)
}

fn keep_one(context: &Context, target: &Target, watch: Watch<'_>, one: &mut KeptReport) -> Result<()> {
    let Target { key, reference, .. } = target;
    // Noted first: what is fetched then cannot be dropped before it is kept.
    one.was_kept = !context.cache.keep(key, reference)?;
    one.kept = true;
    match get::materialize(context, target, Freshness::Cached, "keep", watch) {
        Ok(fetched) => {
            one.revision = Some(fetched.snapshot.revision().to_string());
            one.fetched = fetched.fetched;
            Ok(())
        }
        Err(error) => {
            if !one.was_kept {
                context.cache.release(key, reference)?;
                one.kept = false;
            }
            Err(error)
        }
    }
}

/// Lets `targets` go when room is needed.
pub fn release(context: &Context, targets: &[Target]) -> Result<ReleaseReport> {
    let released = |target: &Target| {
        let released = context.cache.release(&target.key, &target.reference);
        Released {
            key: target.text.clone(),
            was_kept: *released.as_ref().unwrap_or(&false),
            error: released.as_ref().err().map(Failure::from),
        }
    };
    Ok(ReleaseReport { references: targets.iter().map(released).collect() })
}

/// What of `key` is kept, as KEYs.
pub(super) fn kept_of(context: &Context, key: &Key) -> Vec<String> {
    let kept = context.cache.kept_of(key).unwrap_or_else(|error| {
        log::warn!("{error}");
        Vec::new()
    });
    let mut kept: Vec<String> = kept
        .into_iter()
        .map(|reference| Target::of_cached(key.clone(), reference, &context.config).text)
        .collect();
    kept.sort();
    kept
}
