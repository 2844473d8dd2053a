//! Makes room: what nobody used for longest goes, and what had to stay is told with its reason.

use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde::Serialize;

use super::barrier::{self, Unanswered};
use super::daemon_status::{self, Daemon, ViewStatus};
use super::readers::{Reader, Readers};
use super::target::Target;
use super::{Context, Failure, mounts};
use crate::cache::{Done, Item, Mode, Stays, What, Why};
use crate::error::Result;
use crate::key::{Key, Reference};

/// How long to wait for mounts to let go of old generations.
const PATIENCE: Duration = Duration::from_secs(2);

/// What went, or would go.
#[derive(Clone, Debug, Serialize)]
pub struct GcReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Bytes of the cache on the disk before.
    pub before: u64,
    /// And after, what is being freed not counted.
    pub after: u64,
    /// Bytes that dead processes had left.
    pub leftovers: u64,
    /// Bytes that are gone, or would be.
    pub freed: u64,
    /// Bytes that go when the last reader of an old generation is gone.
    pub being_freed: u64,
    /// Bytes that are free on the disk.
    pub free: u64,
    /// Bytes that should be, by the configuration.
    pub must_be_free: u64,
    /// What the cache may have at most, by the configuration.
    pub max_size: Option<u64>,
    /// Whether the bounds hold now.
    pub within_bounds: bool,
    /// What went, in this order, and what stayed although it was its turn.
    pub items: Vec<GcItem>,
    /// Mounts that have not noticed yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

/// One mirror, or some revisions of one.
#[derive(Clone, Debug, Serialize)]
pub struct GcItem {
    /// The KEY of the mirror.
    pub key: String,
    /// Its url.
    pub url: String,
    /// The revisions that went; none for the whole mirror.
    pub revisions: Option<Vec<String>>,
    /// Why: `age`, `size`, `free_space` or `superseded`.
    pub why: &'static str,
    /// When the mirror was last used, in seconds since 1970.
    pub used: u64,
    /// Bytes that are gone, or would be.
    pub freed: u64,
    /// Bytes that go when the last reader of the old generation is gone.
    pub being_freed: u64,
    /// Why it stays: `pinned`, `kept`, `busy`, `used`, `small`, `no_room` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<&'static str>,
    /// Who holds the lock that was in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The mounts that show it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shown_by: Vec<PathBuf>,
    /// The processes that read it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<Reader>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(skip)]
    mirror: Key,
}

impl GcReport {
    /// Whether nothing failed. What stays because somebody uses it is no failure.
    pub fn complete(&self) -> bool {
        self.items.iter().all(|item| item.error.is_none())
    }
}

/// Makes room as the configuration says; with `dry_run` it only tells what would go.
pub fn gc(context: &Context, dry_run: bool) -> Result<GcReport> {
    let mode = if dry_run { Mode::Rehearsal } else { Mode::Asked };
    let collected = context.cache.collect(mode)?;
    let mut items: Vec<GcItem> = collected.items.iter().map(|item| describe(item, context)).collect();
    let mounts = mounts::of_cache(context.cache.id())?;
    let mut unanswered = Vec::new();
    if !dry_run && items.iter().any(|item| item.freed + item.being_freed > 0) {
        unanswered = barrier::raise(&mounts);
        wait_for_mounts(context, &mut items);
    }
    let in_use = |item: &GcItem| item.being_freed > 0 || item.stays == Some("pinned");
    if items.iter().any(in_use) {
        let daemons = daemon_status::read(&mounts);
        let readers = Readers::find(&daemons);
        for (item, collected) in items.iter_mut().zip(&collected.items).filter(|(item, _)| in_use(item)) {
            name_users(item, &collected.generation, &daemons, &readers);
        }
    }
    let sum = |of: fn(&GcItem) -> u64| items.iter().map(of).sum();
    Ok(GcReport {
        dry_run,
        before: collected.before,
        after: collected.after,
        leftovers: collected.leftovers,
        freed: sum(|item| item.freed),
        being_freed: sum(|item| item.being_freed),
        free: collected.free,
        must_be_free: collected.must_be_free,
        max_size: context.config.quota.max_size,
        within_bounds: collected.within_bounds,
        items,
        unanswered,
    })
}

/// Mounts that show a revision which stayed let go of its old place as soon as they know the new one.
fn wait_for_mounts(context: &Context, items: &mut [GcItem]) {
    let started = Instant::now();
    loop {
        for item in items.iter_mut().filter(|item| item.being_freed > 0) {
            if context.cache.sweep(&item.mirror).pending == 0 {
                item.freed += std::mem::take(&mut item.being_freed);
            }
        }
        if items.iter().all(|item| item.being_freed == 0) || started.elapsed() >= PATIENCE {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn describe(item: &Item, context: &Context) -> GcItem {
    let mut described = GcItem {
        key: Target::of_cached(item.key.clone(), Reference::Default, &context.config).text,
        url: item.key.source().to_owned(),
        revisions: match &item.what {
            What::Mirror => None,
            What::Revisions(revisions) => Some(revisions.clone()),
        },
        why: match item.why {
            Why::Age => "age",
            Why::Size => "size",
            Why::FreeSpace => "free_space",
            Why::Superseded => "superseded",
        },
        used: item.used.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        freed: 0,
        being_freed: 0,
        stays: None,
        holder: None,
        shown_by: Vec::new(),
        readers: Vec::new(),
        error: None,
        mirror: item.key.clone(),
    };
    match &item.done {
        Done::Freed(bytes) => described.freed = *bytes,
        Done::Pending(bytes) => described.being_freed = *bytes,
        Done::Stays(stays) => {
            described.stays = Some(match stays {
                Stays::Pinned => "pinned",
                Stays::Kept => "kept",
                Stays::Busy(holder) => {
                    described.holder = Some(holder.clone());
                    "busy"
                }
                Stays::Used => "used",
                Stays::Small => "small",
                Stays::NoRoom => "no_room",
                Stays::Failed(error) => {
                    described.error = Some(Failure::from(error));
                    "failed"
                }
            });
        }
    }
    described
}

fn name_users(item: &mut GcItem, generation: &str, daemons: &[Daemon], readers: &Readers) {
    let key = item.mirror.to_string();
    let shows = |view: &ViewStatus| view.key == key && view.generation == generation;
    let daemon_shows =
        |daemon: &&Daemon| daemon.status.as_ref().is_ok_and(|status| status.views.iter().any(shows));
    let mounts = daemons.iter().filter(daemon_shows);
    item.shown_by = mounts.map(|daemon| daemon.mounted.mount_point.clone()).collect();
    item.readers = readers.of(false, shows);
}
