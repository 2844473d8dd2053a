//! The running mounts of srcfs that this process can see, from mountinfo alone.

use std::path::{Path, PathBuf};

use serde::Serialize;
use srcfs_mount::holders;
use srcfs_mount::mountinfo::Table;

use super::Context;
use crate::error::{Error, Result};

/// A mount of srcfs, alive or dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mounted {
    /// Where.
    pub mount_point: PathBuf,
    /// The id of the cache that it shows.
    pub cache: String,
    /// The user who mounted it.
    pub user: Option<u32>,
    /// By what its holders are found.
    #[serde(skip)]
    pub target: holders::Target,
}

/// All mounts of srcfs, but those that another mount hides.
pub fn all() -> Result<Vec<Mounted>> {
    let table =
        Table::read().map_err(|error| Error::io("read the mounts of", "/proc/self/mountinfo", &error))?;
    let visible = |mount: &&srcfs_mount::mountinfo::Mount| {
        mount.is_srcfs() && table.topmost(&mount.mount_point).is_some_and(|top| top.id == mount.id)
    };
    let mounted = |mount: &srcfs_mount::mountinfo::Mount| Mounted {
        mount_point: mount.mount_point.clone(),
        cache: mount.source.to_string_lossy().trim_start_matches("srcfs:").to_owned(),
        user: mount.user_id(),
        target: mount.into(),
    };
    Ok(table.iter().filter(visible).map(mounted).collect())
}

/// The mounts of the cache `id`.
pub fn of_cache(id: &str) -> Result<Vec<Mounted>> {
    Ok(all()?.into_iter().filter(|mounted| mounted.cache == id).collect())
}

/// The mount of the context's cache where the environment says, else another one of it.
pub fn usual(context: &Context) -> Result<Option<Mounted>> {
    let mut mounts = of_cache(context.cache.id())?;
    let usual = context.environment.mount_point(None).ok();
    let place = mounts.iter().position(|mounted| Some(&mounted.mount_point) == usual.as_ref());
    Ok((!mounts.is_empty()).then(|| mounts.swap_remove(place.unwrap_or(0))))
}

/// What `path` is called below the mount that it lies in, and that mount; by the text of the paths
/// alone.
pub fn containing<'m, 'p>(mounts: &'m [Mounted], path: &'p Path) -> Option<(&'m Mounted, &'p Path)> {
    mounts
        .iter()
        .filter_map(|mounted| Some((mounted, path.strip_prefix(&mounted.mount_point).ok()?)))
        .max_by_key(|(mounted, _)| mounted.mount_point.as_os_str().len())
}
