//! Asks the upstreams whether moving references moved, and fetches what did.

use std::time::Duration;

use serde::Serialize;

use super::barrier::{self, Unanswered};
use super::readers::{Reader, Readers};
use super::target::Target;
use super::{Context, Failure, Watch, daemon_status, get, mounts};
use crate::cache::Freshness;
use crate::error::Result;

/// One reference that was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Updated {
    /// The KEY.
    pub key: String,
    /// The revision before, if it was cached.
    pub before: Option<String>,
    /// The revision now; still the old one if the upstream could not be asked.
    pub revision: Option<String>,
    /// Whether it moved.
    pub moved: bool,
    /// Bytes that travelled, as far as known.
    pub transferred: u64,
    /// Processes that still see the old snapshot.
    pub readers: Vec<Reader>,
    /// Why it could not be asked or fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(skip)]
    key_text: String,
}

/// What came of an `update`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UpdateReport {
    /// One for each reference.
    pub references: Vec<Updated>,
    /// Mounts that have not noticed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
    /// Processes that could not be looked into.
    pub hidden: usize,
}

impl UpdateReport {
    /// Whether every upstream could be asked.
    pub fn complete(&self) -> bool {
        self.references.iter().all(|updated| updated.error.is_none())
    }
}

/// Everything cached whose meaning can change: the named resources among it by their names.
pub fn moving(context: &Context) -> Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for state in context.cache.mirrors()? {
        let Ok(key) = state.key() else { continue };
        for (text, reference) in &state.references {
            let Ok(parsed) = key.reference(text) else { continue };
            if state.generation.is_none() || !reference.moving {
                continue;
            }
            let named = context
                .config
                .resources
                .iter()
                .position(|resource| resource.key == key && resource.reference == parsed)
                .and_then(|index| Target::of_resource(index, &context.config));
            targets.push(named.unwrap_or_else(|| Target::of_cached(key.clone(), parsed, &context.config)));
        }
    }
    targets.sort_by(|one, other| one.text.cmp(&other.text));
    Ok(targets)
}

/// Updates `targets`. New processes see what moved at once, running ones keep what they saw.
pub fn update(context: &Context, targets: &[Target], watch: Watch<'_>) -> Result<UpdateReport> {
    let mut report = UpdateReport::default();
    for target in targets {
        let peek = || context.cache.peek(&target.key, &target.reference).ok().flatten();
        let before = peek().map(|snapshot| snapshot.revision().to_string());
        let mut updated = Updated {
            key: target.text.clone(),
            revision: before.clone(),
            before,
            moved: false,
            transferred: 0,
            readers: Vec::new(),
            error: None,
            key_text: target.key.to_string(),
        };
        match get::materialize(context, target, Freshness::Now, "update", watch) {
            Ok(fetched) => {
                let revision = fetched.snapshot.revision().to_string();
                updated.moved = updated.before.as_ref().is_some_and(|before| *before != revision);
                updated.revision = Some(revision);
                updated.transferred = fetched.transferred;
                updated.error = fetched.failed.as_ref().map(Failure::from);
            }
            Err(error) => updated.error = Some(target.told(Failure::from(&error), &context.config)),
        }
        report.references.push(updated);
    }
    let mounts = mounts::of_cache(context.cache.id())?;
    report.unanswered = barrier::raise(&mounts);
    look_for_readers(context, &mut report)?;
    Ok(report)
}

/// Waits until no process sees an old snapshot any more.
pub fn wait(context: &Context, report: &mut UpdateReport) -> Result<()> {
    while report.references.iter().any(|updated| !updated.readers.is_empty()) {
        std::thread::sleep(Duration::from_millis(250));
        look_for_readers(context, report)?;
    }
    Ok(())
}

fn look_for_readers(context: &Context, report: &mut UpdateReport) -> Result<()> {
    if !report.references.iter().any(|updated| updated.moved) {
        return Ok(());
    }
    let daemons = daemon_status::read(&mounts::of_cache(context.cache.id())?);
    let readers = Readers::find(&daemons);
    report.hidden = readers.hidden;
    for updated in report.references.iter_mut().filter(|updated| updated.moved) {
        updated.readers = readers
            .of(false, |view| view.key == updated.key_text && !view.newest && !view.revision.is_empty());
    }
    Ok(())
}
