//! Views that lost their name while somebody works in them.
//!
//! A directory whose name is answered with another view is unhashed by the kernel, and then getcwd fails
//! in it: shells, git and cargo break. So a view in whose root somebody works is given another name,
//! `.srcfs/views/<number>/<its name>`, by having it looked up there: the kernel moves the directory with
//! all that is cached below it, because a directory has one name only. Its new parent shows the siblings
//! of the old one as links, so `..` leads on.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{FileSystem, Found};
use crate::holders;
use crate::ino::{Ino, SlotNumber};
use crate::locked;
use crate::name::STABLE_TTL;
use crate::namespace::Content;
use crate::slot::Slot;
use crate::tree::{Entry, Errno, ListedKind};

/// Where they are, below the root of the mount.
const PARKED: &str = ".srcfs/views";
/// For how long after the last pass with an older view, and then once more, lost names are looked for: that view
/// may have taken the name at its end, when the pass had looked already, and an answer may reach the kernel late.
const LATE: Duration = Duration::from_secs(2);

impl FileSystem {
    /// The answer to a lookup below [`PARKED`]; `None` for any other path.
    pub(super) fn lookup_parked(&self, path: &Path) -> Option<Result<Found, Errno>> {
        let absent = Some(Err(Errno(libc::ENOENT)));
        let mut rest = path.strip_prefix(PARKED).ok()?.components();
        let Some(number) = rest.next() else { return Some(Ok(self.found_virtual(path, Content::Directory))) };
        let Some(slot) = self.parked(number) else { return absent };
        let Some(name) = rest.next() else { return Some(Ok(self.found_virtual(path, Content::Directory))) };
        if name.as_os_str() != slot.name() {
            let sibling = slot.path.with_file_name(name.as_os_str());
            return match self.tree.entry(&sibling) {
                Entry::Missing | Entry::Refused(_) | Entry::Barrier | Entry::Later => absent,
                _ => Some(Ok(self.found_virtual(path, Content::Link(up_to_the_root(&sibling))))),
            };
        }
        let found = self.found_view(&slot, STABLE_TTL);
        // Counted, and still there: then the count holds it.
        if self.slots.get(slot.number).is_some() { Some(Ok(found)) } else { absent }
    }

    /// The names in a directory of the name space; `None` if they are not known yet.
    pub(super) fn names_in(&self, path: &Path) -> Option<Vec<(String, ListedKind)>> {
        let Ok(rest) = path.strip_prefix(PARKED) else { return self.tree.list(path) };
        let mut rest = rest.components();
        let slot = rest.next().and_then(|number| self.parked(number));
        let name = slot.and_then(|slot| slot.name().into_string().ok());
        Some(name.map(|name| (name, ListedKind::Directory)).into_iter().collect())
    }

    fn parked(&self, number: Component<'_>) -> Option<Arc<Slot>> {
        let number: SlotNumber = number.as_os_str().to_str()?.parse().ok()?;
        self.slots.get(number).filter(|slot| slot.snapshot().is_some())
    }

    /// Gives those views another name whose own is, or is about to be, answered with another one while
    /// somebody works in their root. The newest is among them: a process that is kept on an older view
    /// takes the name from it, too. Which name a directory has, if any, the kernel says, because answers
    /// may reach it in another order than they were given, and it refuses a move while it is busy. Has
    /// the mount looked into, so it never runs where that is answered.
    pub(super) fn park_working_directories(&self) {
        let (Some(park), Some(mount)) = (&self.config.park, self.config.mount()) else { return };
        let opened: Vec<Arc<Slot>> =
            self.slots.all().into_iter().filter(|slot| slot.snapshot().is_some()).collect();
        {
            let (mut parking, now) = (locked(&self.parking), Instant::now());
            // Also an older one of which the kernel holds nothing any more: it may have held the name.
            if !opened.iter().all(|slot| self.is_newest(slot)) {
                *parking = Some(now + LATE);
            } else if parking.is_none() {
                return;
            } else if parking.is_some_and(|until| now >= until) {
                *parking = None;
            }
        }
        let worked_in = holders::directories_of(mount).found;
        let lost: Vec<PathBuf> = opened
            .into_iter()
            .filter(|slot| slot.references.total() > 0)
            .filter_map(|slot| {
                let parked = Path::new(PARKED).join(slot.number.to_string()).join(slot.name());
                let newest = self.is_newest(&slot);
                let lost = worked_in.iter().filter(|holder| Ino(holder.ino) == slot.ino(0)).any(|holder| {
                    let place = holder.path.as_deref().unwrap_or_default();
                    // As the kernel writes what has no name.
                    place.ends_with(" (deleted)") || !newest && !Path::new(place).ends_with(&parked)
                });
                lost.then_some(parked)
            })
            .collect();
        if !lost.is_empty() {
            park(&lost);
        }
    }
}

/// The target of a link in a directory of parked views that leads to `path` below the root.
fn up_to_the_root(path: &Path) -> Arc<[u8]> {
    let up: PathBuf = std::iter::repeat_n("..", Path::new(PARKED).components().count() + 1).collect();
    OsString::from(up.join(path)).into_vec().into()
}
