//! Forgets mirrors: their pointers at once, their bytes as soon as nobody uses them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::barrier::{self, Unanswered};
use super::daemon_status::{self, ViewStatus};
use super::readers::{Reader, Readers};
use super::target::Target;
use super::{Context, Failure, keep, mounts};
use crate::error::{Error, Kind, Result};
use crate::key::{Key, Reference};
use crate::view::name;

/// How long to wait for what only the kernel's caches hold.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long if no reader is found: for a second after a change a mount keeps what a process may be walking
/// that it has not seen, because the kernel could answer for the name by itself; then it gives that back.
const LONGER: Duration = Duration::from_millis(2500);

/// One mirror that was cleared.
#[derive(Clone, Debug, Serialize)]
pub struct Cleared {
    /// The KEYs that named it.
    pub keys: Vec<String>,
    /// Its url.
    pub url: String,
    /// Other configured names that showed the same mirror.
    pub shared: Vec<String>,
    /// What else of the mirror was cached and went with it: other versions, branches, tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// What of it `srcfs keep` names: it is fetched again at its next use, and kept then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// Whether there was anything.
    pub was_cached: bool,
    /// Bytes that are gone.
    pub freed: u64,
    /// Bytes that nobody reads and that go as soon as the kernel gives them back.
    pub being_freed: u64,
    /// Bytes that go when the readers end.
    pub held: u64,
    /// The processes that hold them.
    pub readers: Vec<Reader>,
    /// Why it could not be cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(skip)]
    mirror: Key,
}

/// What came of a `clear`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClearReport {
    /// One for each mirror.
    pub mirrors: Vec<Cleared>,
    /// Mounts that have not noticed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
    /// Processes that could not be looked into.
    pub hidden: usize,
}

impl Cleared {
    /// Bytes that are not gone yet.
    fn pending(&self) -> u64 {
        self.being_freed + self.held
    }
}

impl ClearReport {
    /// Whether every mirror was cleared; what is still held counts as cleared.
    pub fn complete(&self) -> bool {
        self.mirrors.iter().all(|cleared| cleared.error.is_none())
    }

    fn is_pending(&self) -> bool {
        self.mirrors.iter().any(|cleared| cleared.pending() > 0)
    }
}

/// Everything that is cached.
pub fn everything(context: &Context) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for state in context.cache.mirrors()? {
        if let (Ok(key), Some(_)) = (state.key(), &state.generation) {
            targets.push(Target::of_cached(key, crate::key::Reference::Default, &context.config));
        }
    }
    targets.sort_by(|one, other| one.text.cmp(&other.text));
    Ok(targets)
}

/// Clears the mirrors of `targets`. Waits for no reader and no fetch.
pub fn clear(context: &Context, targets: &[Target]) -> Result<ClearReport> {
    let mut wanted: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    for target in targets {
        let keys = wanted.entry(target.key.clone()).or_default();
        if !keys.contains(&target.text) {
            keys.push(target.text.clone());
        }
    }
    let mut report = ClearReport::default();
    for (key, keys) in wanted {
        report.mirrors.push(clear_one(context, &key, keys));
    }
    report.unanswered = barrier::raise(&mounts::of_cache(context.cache.id())?);
    let started = Instant::now();
    look(context, &mut report);
    while report.is_pending() && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
        look(context, &mut report);
    }
    look_for_readers(context, &mut report)?;
    if report.is_pending() && report.mirrors.iter().all(|cleared| cleared.readers.is_empty()) {
        while report.is_pending() && started.elapsed() < LONGER {
            std::thread::sleep(Duration::from_millis(50));
            look(context, &mut report);
        }
        look_for_readers(context, &mut report)?;
    }
    Ok(report)
}

/// Waits until nothing is held any more. Fails at once if this process holds something itself, by what it
/// was started with: then that would be never.
pub fn wait(context: &Context, report: &mut ClearReport) -> Result<()> {
    let daemons = daemon_status::read(&mounts::of_cache(context.cache.id())?);
    let own = Readers::own(&daemons);
    for cleared in report.mirrors.iter().filter(|cleared| cleared.pending() > 0) {
        let Some(mine) = own.of(false, is_old(context, cleared)?).into_iter().next() else { continue };
        let what = format!("wait until nobody holds {}", cleared.keys.join(", "));
        let why = format!("this process itself was started with a {} in {}", mine.holds, mine.view);
        return Err(Error::new(Kind::Invalid, what, why).hint(
            "it is cleared; run it from elsewhere, and with no input from there, to wait for the rest",
        ));
    }
    while report.is_pending() {
        std::thread::sleep(Duration::from_millis(250));
        look(context, report);
    }
    look_for_readers(context, report)
}

fn clear_one(context: &Context, key: &Key, keys: Vec<String>) -> Cleared {
    let shared = name::names_of(key, &context.config)
        .into_iter()
        .filter(|name| !keys.iter().any(|key| key == name || key.starts_with(&format!("{name}@"))))
        .map(str::to_owned)
        .collect();
    let others = others(context, key, &keys);
    let mut cleared = Cleared {
        keys,
        others,
        url: key.source().to_owned(),
        shared,
        kept: keep::kept_of(context, key),
        was_cached: false,
        freed: 0,
        being_freed: 0,
        held: 0,
        readers: Vec::new(),
        error: None,
        mirror: key.clone(),
    };
    match context.cache.clear(key) {
        Ok(done) => {
            cleared.was_cached = done.generation.is_some();
            cleared.freed = done.freed;
            cleared.being_freed = done.pending;
        }
        Err(error) => cleared.error = Some(Failure::from(&error)),
    }
    cleared
}

/// The references of a mirror that are cached, but for those that have a name of their own or `keys` name.
fn others(context: &Context, key: &Key, keys: &[String]) -> Vec<String> {
    let resources = &context.config.resources;
    let is_named = |reference: &Reference| {
        resources.iter().any(|resource| resource.key == *key && resource.reference == *reference)
    };
    // What cannot be read is told by the clearing.
    let references = context.cached(key).unwrap_or_default();
    let others = references.into_iter().filter(|reference| !is_named(reference));
    let texts = others.map(|reference| Target::of_cached(key.clone(), reference, &context.config).text);
    texts.filter(|text| !keys.contains(text)).collect()
}

/// Deletes what became free, and moves its bytes to the freed ones.
fn look(context: &Context, report: &mut ClearReport) {
    for cleared in report.mirrors.iter_mut().filter(|cleared| cleared.pending() > 0) {
        // Of a generation that its last reader took away nothing is left to be seen.
        let left = context.cache.sweep(&cleared.mirror).pending.min(cleared.pending());
        cleared.freed += cleared.pending() - left;
        cleared.being_freed = left.saturating_sub(cleared.held);
        cleared.held = left - cleared.being_freed;
    }
}

fn look_for_readers(context: &Context, report: &mut ClearReport) -> Result<()> {
    for cleared in &mut report.mirrors {
        cleared.readers.clear();
    }
    if !report.is_pending() {
        return Ok(());
    }
    let daemons = daemon_status::read(&mounts::of_cache(context.cache.id())?);
    let readers = Readers::find(&daemons);
    report.hidden = readers.hidden;
    for cleared in report.mirrors.iter_mut().filter(|cleared| cleared.pending() > 0) {
        cleared.readers = readers.of(true, is_old(context, cleared)?);
        let bytes = cleared.pending();
        (cleared.being_freed, cleared.held) =
            if cleared.readers.is_empty() { (bytes, 0) } else { (0, bytes) };
    }
    Ok(())
}

/// Whether a view shows what was cleared.
fn is_old(context: &Context, cleared: &Cleared) -> Result<impl Fn(&ViewStatus) -> bool + use<>> {
    let key = cleared.mirror.to_string();
    let now = context.cache.state(&cleared.mirror)?.and_then(|state| state.generation.clone());
    Ok(move |view: &ViewStatus| {
        view.key == key && !view.generation.is_empty() && now.as_ref() != Some(&view.generation)
    })
}
