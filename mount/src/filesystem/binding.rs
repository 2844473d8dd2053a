//! Which view a process gets under a name, and what happens when a name changes.
//!
//! A change is noticed at the next lookup of the name (at most a second later, the name's TTL), at the
//! barrier that the verbs use, and once a second. Noticing it binds the name to a new slot and starts a
//! drain (see [`crate::name`]); the kernel is then told to ask again, from a thread of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::opening::guarded;
use super::{FileSystem, Found};
use crate::holders;
use crate::ino::{Ino, SlotNumber};
use crate::locked;
use crate::name::{Asker, Moment, Name};
use crate::process::{self, Identity};
use crate::slot::Slot;
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::{mpsc, thread};
use crate::tree::{Caller, Entry, Errno, View};
use crate::waiters::WaiterId;

/// How often a lookup binds anew because what it had bound was forgotten before it could be handed out.
const ROUNDS: usize = 16;
/// Whether a use is to be noted, because none was in the last `span`; then this one is it.
fn is_due(noted: &mut Option<Instant>, now: Instant, span: Duration) -> bool {
    let due = noted.is_none_or(|noted| now.duration_since(noted) >= span);
    if due {
        *noted = Some(now);
    }
    due
}

impl FileSystem {
    /// The answer to a lookup of a view's name.
    pub(super) fn lookup_view(
        self: &Arc<Self>,
        path: &Path,
        view: &Arc<dyn View>,
        caller: Caller,
    ) -> Result<(Found, Arc<()>), Errno> {
        let asker = asker(caller);
        for _ in 0..ROUNDS {
            if self.bind(path, view)? {
                let (this, path) = (self.clone(), path.to_owned());
                let _ = self.notifications.run(move || {
                    this.park_working_directories();
                    this.expire_one(&path);
                    this.note_holders();
                });
            }
            if let Some(found) = self.offer(path, asker, caller)? {
                return Ok(found);
            }
        }
        Err(Errno(libc::EAGAIN))
    }

    /// Hands out the view that `asker` gets under a name; `None` if the name is not bound: the last
    /// reference to a view that nobody opened takes its name along, also of one that was just bound.
    fn offer(&self, path: &Path, asker: Asker, caller: Caller) -> Result<Option<(Found, Arc<()>)>, Errno> {
        let mut names = locked(&self.names);
        let now = Instant::now();
        let Some(name) = names.get_mut(path) else { return Ok(None) };
        let (tick, second) = (process::boot_ticks_now(), process::ticks_per_second());
        let (slot, on_its_way) = name.choose(asker, self.bounds(), Moment { instant: now, tick, second });
        let slot = self.slots.get(slot).ok_or(Errno(libc::ESTALE))?;
        // Counted under the lock: a slot is unbound under it too, and is gone only without references.
        let found = self.found_view(&slot, name.ttl());
        // A view that is not open is used when it is.
        let note = slot.snapshot().is_some() && is_due(&mut name.noted, now, self.config.note_use);
        drop(names);
        if note {
            self.tree.used(path, caller);
        }
        Ok(Some((found, on_its_way)))
    }

    /// Tells the tree of the first use of a view that was just opened for `caller`.
    pub(super) fn note_first_use(&self, path: &Path, caller: Caller) {
        let due = |name: &mut Name| is_due(&mut name.noted, Instant::now(), self.config.note_use);
        if locked(&self.names).get_mut(path).is_some_and(due) {
            self.tree.used(path, caller);
        }
    }

    /// Makes `view` the newest under `path`. True if that was a change. Fails if `path` is no view any
    /// more.
    fn bind(&self, path: &Path, view: &Arc<dyn View>) -> Result<bool, Errno> {
        let newest = {
            let names = locked(&self.names);
            names.get(path).and_then(|name| self.slots.get(name.newest()))
        };
        if let Some(slot) = &newest
            && slot.view.id() == view.id()
        {
            return Ok(false);
        }
        let mut names = locked(&self.names);
        // Asked again under the lock: between the first answer and this moment another thread may have
        // bound a newer view, and going back to an older one would tear walks.
        let Entry::View(view) = self.tree.entry(path) else { return Err(Errno(libc::ENOENT)) };
        let now = Instant::now();
        match names.get_mut(path) {
            None => {
                let slot = self.slots.add(view.clone(), path.to_owned())?;
                names.insert(path.to_owned(), Name::new(slot.number, now));
                Ok(false)
            }
            Some(name) => {
                let old = self.slots.get(name.newest());
                if old.as_ref().is_some_and(|old| old.view.id() == view.id()) {
                    return Ok(false);
                }
                let slot = self.slots.add(view.clone(), path.to_owned())?;
                log::debug!("{} is now view {}, was {}", path.display(), slot.number, name.newest());
                match old {
                    // Nobody can be in the middle of a view that was never opened and that nobody holds.
                    Some(old) if old.snapshot().is_none() && old.references.total() == 0 => {
                        name.replace_unread(slot.number);
                        self.unbound(&mut [old].into_iter());
                    }
                    _ => name.rebind(slot.number, now),
                }
                Ok(true)
            }
        }
    }

    /// Finds out who holds something of the older views of names that changed, when the kernel asks again
    /// for them. It walks /proc, where a process can be slow to be looked at, so it never runs on an
    /// event-loop thread.
    pub(super) fn note_holders(&self) {
        let wanting = |(path, name): (&PathBuf, &Name)| name.wants_holders().then(|| path.clone());
        let paths: Vec<PathBuf> = locked(&self.names).iter().filter_map(wanting).collect();
        if paths.is_empty() {
            return;
        }
        let found = self.config.mount().map(|mount| holders::of(mount).found).unwrap_or_default();
        let held: BTreeSet<(u32, SlotNumber)> =
            found.iter().map(|holder| (holder.pid, Ino(holder.ino).slot())).collect();
        let holders: Vec<(Identity, SlotNumber)> = held
            .into_iter()
            .filter_map(|(pid, slot)| (slot != 0).then_some((Identity::of_thread(pid)?, slot)))
            .collect();
        let now = Instant::now();
        let mut names = locked(&self.names);
        for path in paths {
            if let Some(name) = names.get_mut(&path) {
                name.held_by(holders.iter().copied(), now);
            }
        }
    }

    /// Takes the views of a name that exists no more out of the name space.
    pub(super) fn unbind(&self, path: &Path) {
        let name = locked(&self.names).remove(path);
        if let Some(name) = name {
            self.unbound(&mut name.slots().filter_map(|slot| self.slots.get(slot)));
        }
    }

    /// These slots are not offered any more; the next pass gives them back.
    pub(super) fn unbound(&self, slots: &mut dyn Iterator<Item = Arc<Slot>>) {
        for slot in slots {
            slot.bound.store(false, SeqCst);
            self.drop_if_over(slot);
        }
    }

    /// The last reference into a view was given back.
    pub(super) fn forgotten(self: &Arc<Self>, slot: Arc<Slot>) {
        // A name that was only probed need not be remembered until it is idle.
        if slot.snapshot().is_none() {
            let mut names = locked(&self.names);
            let only =
                names.get(&slot.path).is_some_and(|name| name.newest() == slot.number && !name.is_draining());
            if only && slot.references.total() == 0 && locked(&slot.opening).opening.is_none() {
                names.remove(&slot.path);
                slot.bound.store(false, SeqCst);
            }
        }
        self.drop_if_over(slot);
    }

    /// Lets a slot go, the caller's handle on it with it. On a thread of the pool: the last handle on a
    /// snapshot drops its pin, which may delete a generation.
    pub(super) fn drop_if_over(&self, slot: Arc<Slot>) {
        if !slot.is_over() {
            return;
        }
        self.slots.drop_if_over(slot.number);
        let _ = self.local.run(move || drop(slot));
    }

    /// Looks at the names in use that are `wanted` and rebinds those that changed; then makes the kernel ask again for
    /// them, and for those of which somebody else noticed it a moment ago. Waits for the kernel, so it
    /// never runs on an event-loop thread. False if the kernel was not told of all of them in time.
    pub(super) fn refresh_names(self: &Arc<Self>, wanted: impl Fn(&Name) -> bool) -> bool {
        let paths: Vec<PathBuf> = locked(&self.names)
            .iter()
            .filter(|(_, name)| wanted(name))
            .map(|(path, _)| path.clone())
            .collect();
        let changed: Vec<PathBuf> = paths
            .into_iter()
            .filter(|path| match self.tree.entry(path) {
                Entry::View(view) => self.bind(path, &view).unwrap_or(false) || self.may_be_cached(path),
                Entry::Missing | Entry::Refused(_) | Entry::Directory => {
                    self.unbind(path);
                    true
                }
                Entry::File(_) | Entry::Barrier | Entry::Later => false,
            })
            .collect();
        let told = self.expire(&changed);
        self.refresh_listings();
        told
    }

    /// Makes the kernel ask again for these names; returns when it was told of all of them, or a second
    /// has passed: then false.
    fn expire(self: &Arc<Self>, paths: &[PathBuf]) -> bool {
        if !paths.is_empty() {
            self.park_working_directories();
        }
        let (done, all_done) = mpsc::channel::<()>();
        for path in paths {
            let (this, path, done) = (self.clone(), path.clone(), done.clone());
            let _ = self.notifications.run(move || {
                this.expire_one(&path);
                drop(done);
            });
        }
        drop(done);
        let told = all_done.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Disconnected);
        self.note_holders();
        told
    }

    /// Makes the kernel ask again for one name. An answer that allows it to remember the name may still
    /// be on its way: first into the device, which is waited for, then inside the kernel, which cannot be
    /// seen; so the kernel is told a second time a moment later.
    fn expire_one(&self, path: &Path) {
        let (Some(kernel), Some(name)) = (self.kernel.get(), path.file_name()) else { return };
        let parent = path.parent().and_then(|parent| self.namespace.known(parent));
        let on_their_way = locked(&self.names).get_mut(path).map(Name::answers_on_their_way);
        // A directory that the kernel has forgotten has no names that it remembers.
        for parent in parent.into_iter().flat_map(|parent| [parent; 2]) {
            if let Err(error) = kernel.expire(parent, name) {
                log::warn!("the kernel did not take notice that {} changed: {error}", path.display());
                return;
            }
            for _ in 0..100 {
                thread::sleep(Duration::from_millis(2));
                if on_their_way.iter().flatten().all(|answers| answers.strong_count() == 0) {
                    break;
                }
            }
        }
        if let Some(name) = locked(&self.names).get_mut(path) {
            name.told(process::boot_ticks_now(), Instant::now());
        }
    }

    fn may_be_cached(&self, path: &Path) -> bool {
        locked(&self.names).get(path).is_some_and(Name::may_be_cached)
    }

    pub(super) fn is_newest(&self, slot: &Slot) -> bool {
        locked(&self.names).get(&slot.path).is_some_and(|name| name.newest() == slot.number)
    }

    /// Tells the kernel of directories of the name space whose listing changed.
    fn refresh_listings(&self) {
        let Some(kernel) = self.kernel.get() else { return };
        for (ino, path) in self.namespace.listed_directories() {
            let Some(names) = self.names_in(&path) else { continue };
            let (_, changed) = self.namespace.list(ino.index(), names);
            if changed && let Err(error) = kernel.refresh(ino) {
                log::warn!("the kernel did not take notice of a new name in {}: {error}", path.display());
            }
        }
    }

    /// Takes notice of every change, then calls `answer`, in a later clock tick: a process that starts
    /// after that can be told from those that were there before. `answer` gets ETIMEDOUT if not all
    /// changes were noticed in time, and whatever else ends a wait.
    ///
    /// One round at a time, on a lane of its own: barriers that wait for their round share it, and none
    /// takes a thread from those who open views.
    pub(super) fn barrier(
        self: &Arc<Self>,
        caller: Caller,
        answer: impl FnOnce(Result<(), Errno>) + Send + 'static,
    ) {
        let id = self.waiters.enter(caller, Box::new(answer));
        let first = {
            let mut next = locked(&self.next_barriers);
            next.push(id);
            next.len() == 1
        };
        let this = self.clone();
        if first && self.barriers.run(move || this.take_notice()).is_err() {
            self.end_barriers(Err(Errno(libc::EAGAIN)), std::mem::take(&mut *locked(&self.next_barriers)));
        }
    }

    fn take_notice(self: &Arc<Self>) {
        // Whoever comes from here on needs a round that begins after it.
        let joined = std::mem::take(&mut *locked(&self.next_barriers));
        let noticed = guarded(|| {
            self.tree.take_notice();
            let told = self.refresh_names(|_| true);
            // Before the drain ends that took a name from where somebody works.
            self.park_working_directories();
            // What nobody uses since the change goes now, so that a verb can tell what became of it.
            self.settle_drains();
            self.give_back_unused();
            let tick = process::boot_ticks_now();
            while process::boot_ticks_now() == tick {
                thread::sleep(Duration::from_millis(1));
            }
            if told { Ok(()) } else { Err(Errno(libc::ETIMEDOUT)) }
        });
        self.end_barriers(noticed, joined);
    }

    fn end_barriers(&self, noticed: Result<(), Errno>, barriers: Vec<WaiterId>) {
        for id in barriers {
            self.waiters.finish(id, noticed);
        }
    }
}

/// Who asks, so that it can be told from everybody else.
fn asker(caller: Caller) -> Asker {
    match caller.tid {
        0 => Asker::Crowd,
        tid => Identity::of_thread(tid).map_or(Asker::Nobody, Asker::Process),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::tree::{Existence, ListedKind, Snapshot, Tree};

    /// One name, that nobody opens.
    struct OneName(Arc<Unopened>);
    struct Unopened;

    impl View for Unopened {
        fn id(&self) -> u64 {
            1
        }
        fn local(&self) -> Result<Option<Arc<dyn Snapshot>>, Errno> {
            Ok(None)
        }
        fn known(&self) -> Option<Existence> {
            Some(Existence { modified: None })
        }
        fn exists(&self, _: Caller) -> Result<Existence, Errno> {
            Ok(Existence { modified: None })
        }
        fn open(&self, _: Caller) -> Result<Arc<dyn Snapshot>, Errno> {
            Err(Errno(libc::EIO))
        }
    }

    impl Tree for OneName {
        fn entry(&self, _: &Path) -> Entry {
            Entry::View(self.0.clone())
        }
        fn list(&self, _: &Path) -> Option<Vec<(String, ListedKind)>> {
            Some(Vec::new())
        }
        fn used(&self, _: &Path, _: Caller) {}
    }

    #[test]
    fn a_name_is_found_while_others_forget_it() {
        let fs = FileSystem::new(Arc::new(OneName(Arc::new(Unopened))), Config::default());
        let look_up_and_forget = || {
            for _ in 0..20_000 {
                let forgets = fs.clone();
                fs.lookup(Ino::ROOT, "v".as_ref(), Caller { tid: 0 }, move |found| match found {
                    Ok(Found::Node { attributes, .. }) => forgets.forget(attributes.ino, 1),
                    other => panic!("{other:?}"),
                });
            }
        };
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(look_up_and_forget);
            }
        });
    }
}
